/* parent_os.c: the parent's dealings with the system around it: one service a site, pid file, readiness, limits. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "role/parent.h"

enum err os_lock_site(const char *site, int *fd, struct fault *f)
{
    *fd = open(site, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return fault_set(f, CE_NOT_FOUND, "%s: %s; make a site with: cradle init %s", site, strerror(errno), site);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return CE_OK;
    fd_close_p(fd);
    *fd = -1;
    return fault_set(f, CE_EXISTS, "another cradled already runs the site %s", site);
}

static void pid_path(const struct parent *p, char *out) { path_join(out, "%s/run/cradled.pid", p->site); }

enum err os_write_pid(const struct parent *p, struct fault *f)
{
    char path[PATH_MAX_LEN], text[24];
    pid_path(p, path);
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    identity_enter(&p->user);
    enum err e = file_write_atomic(path, span_of(text, (size_t)n), 0644);
    identity_leave(&p->user);
    return e ? fault_set(f, e, "%s: cannot be written: %s", path, strerror(errno)) : CE_OK;
}

void os_remove_pid(const struct parent *p)
{
    char path[PATH_MAX_LEN];
    pid_path(p, path);
    identity_enter(&p->user);
    unlink(path);
    identity_leave(&p->user);
}

void os_notify(const char *state)
{
    const char *where = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (!where || !*where || strlen(where) >= sizeof a.sun_path)
        return;
    memcpy(a.sun_path, where, strlen(where));
    if (a.sun_path[0] == '@')
        a.sun_path[0] = '\0';
    CLEANUP(fd_close_p) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(where));
    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&a, n) < 0)
        log_warn(0, "the service manager was not told '%s': %s", state, strerror(errno));
}

int64_t os_raise_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r))
        return 1024;
    r.rlim_cur = r.rlim_max > 65536 ? 65536 : r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) == 0 || getrlimit(RLIMIT_NOFILE, &r) == 0)
        return (int64_t)r.rlim_cur;
    return 1024;
}
