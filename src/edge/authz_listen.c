/* authz_listen.c: the sockets on which proxies ask. A header is believed, so nobody but the proxy may be able to connect: a Unix socket
 * with a mode and a group, or TCP on loopback.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "edge/authz.h"

#define BACKLOG 1024

enum err authz_listen_unix(struct authz *a, const char *key, const char *path, int *fd, struct fault *f)
{
    const char *group = a->edge->cfg.authz_group;
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    struct group *g = NULL;
    if (group[0] && !(g = getgrnam(group)))
        return fault_set(f, CE_BAD_CONFIG, "authz_group: there is no group %s", group);
    if (span_to_cstr(span_str(path), sa.sun_path, sizeof sa.sun_path))
        return fault_set(f, CE_BAD_CONFIG, "%s: the path is longer than %zu bytes", key, sizeof sa.sun_path - 1);
    unlink(path);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t old = umask(0177);
    bool bad = s < 0 || bind(s, (struct sockaddr *)&sa, sizeof sa);
    umask(old);
    if (!bad && g)
        bad = chown(path, (uid_t)-1, g->gr_gid) || chmod(path, 0660);
    if (bad || listen(s, BACKLOG)) {
        fault_set(f, CE_IO, "%s: %s: %s", key, path, strerror(errno));
        fd_close_p(&s);
        return CE_IO;
    }
    path_join(a->unlinks[a->unlinks[0][0] ? 1 : 0], "%s", path);
    *fd = s;
    return CE_OK;
}

static bool is_loopback(const struct sockaddr_storage *sa)
{
    if (sa->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 == 127;
    return sa->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

enum err authz_listen_tcp(const char *key, const char *address, int *fd, struct fault *f)
{
    struct sockaddr_storage sa = { 0 };
    int n = sizeof sa, one = 1;
    if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&sa, &n) || !strrchr(address, ':'))
        return fault_set(f, CE_BAD_CONFIG, "%s: %s is not ADDRESS:PORT, like 127.0.0.1:8460", key, address);
    if (!is_loopback(&sa))
        return fault_set(f, CE_BAD_CONFIG, "%s: %s is not on loopback; whoever reaches this port is believed", key, address);
    int s = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) || bind(s, (struct sockaddr *)&sa, (socklen_t)n) ||
        listen(s, BACKLOG)) {
        fault_set(f, CE_IO, "%s: %s: %s", key, address, strerror(errno));
        fd_close_p(&s);
        return CE_IO;
    }
    *fd = s;
    return CE_OK;
}
