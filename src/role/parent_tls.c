/* parent_tls.c: the tls role: nginx as a child of the parent, unprivileged, under its own prefix DIR/run/nginx. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/close_range.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/jail.h"
#include "role/landlock.h"
#include "role/nginx.h"
#include "role/parent.h"

#define PROBE_MS 20

static bool low_port(const struct settings *s) { return s->https_port < 1024 || s->http_port < 1024 || (s->enroll_port && s->enroll_port < 1024); }

/* nginx parses strangers' bytes with all of its libraries' system calls, as the user who owns the database: what it may see of the
 * file system is the system, its certificate and what it serves. Where the site lies below a system folder only file permissions remain. */
static enum err nginx_confine(const struct parent *p, struct fault *f)
{
    char own[PATH_MAX_LEN] = "/usr"; /* the folder above nginx' own: its modules and libraries */
    struct landlock_rule rules[] = {
        { "/usr", LANDLOCK_RUN },  { "/lib", LANDLOCK_RUN },  { "/lib32", LANDLOCK_RUN }, { "/lib64", LANDLOCK_RUN }, { "/bin", LANDLOCK_RUN },
        { "/sbin", LANDLOCK_RUN }, { "/opt", LANDLOCK_RUN },  { "/nix", LANDLOCK_RUN },   { "/etc", LANDLOCK_READ },  { "/run", LANDLOCK_READ },
        { "/proc", LANDLOCK_READ }, { "/sys", LANDLOCK_READ }, { "/dev/null", LANDLOCK_WRITE }, { "/dev/urandom", LANDLOCK_READ }, { "tls", LANDLOCK_READ }, { "ca", LANDLOCK_READ },
        { "pub", LANDLOCK_READ },  { "log", LANDLOCK_READ },  { "artifact", LANDLOCK_READ }, { "delta", LANDLOCK_READ },
        { "run", LANDLOCK_WRITE },  { own, LANDLOCK_RUN },      { NULL, LANDLOCK_READ },
    };
    char real[PATH_MAX];
    if (realpath(p->settings.nginx, real)) {
        path_join(own, "%s", dirname(real));
        if (strrchr(own, '/') > own)
            *strrchr(own, '/') = 0;
    }
    return landlock_enter(p->site, rules, LANDLOCK_BIND, f);
}

/* Runs nginx with up to two options in a process of its own as the service's user. out_fd -1: stderr is ours. */
static pid_t nginx_fork(const struct parent *p, char *conf, char *option, int out_fd)
{
    char prefix[PATH_MAX_LEN], name[] = "nginx", dash_p[] = "-p", dash_c[] = "-c", dash_e[] = "-e", err[] = "stderr";
    char *argv[] = { name, dash_p, prefix, dash_c, conf, dash_e, err, option, NULL };
    char *version[] = { name, option, NULL };
    path_join(prefix, "%s/run/nginx", p->site);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    child_become(&p->user, low_port(&p->settings));
    if (out_fd >= 0)
        dup2(out_fd, 2);
    struct fault f = { 0 };
    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (syscall(SYS_close_range, 3, ~0U, 0) == 0 && jail_prepare(&f) == CE_OK && nginx_confine(p, &f) == CE_OK)
        execve(p->settings.nginx, conf ? argv : version, child_environment(""));
    log_error(0, "%s cannot be executed: %s", p->settings.nginx, f.code ? f.text : strerror(errno));
    _exit(EXIT_ROLE_FATAL);
}

static enum err find_version(struct parent *p, struct fault *f)
{
    int fds[2], status = 0;
    char text[256], option[] = "-v";
    size_t have = 0;
    if (pipe2(fds, O_CLOEXEC))
        return fault_set(f, CE_IO, "no pipe: %s", strerror(errno));
    pid_t pid = nginx_fork(p, NULL, option, fds[1]);
    close(fds[1]);
    for (ssize_t n = 1; n > 0 && have < sizeof text; have += n > 0 ? (size_t)n : 0)
        n = read(fds[0], text + have, sizeof text - have);
    close(fds[0]);
    if (pid > 0)
        waitpid(pid, &status, 0);
    p->nginx_version = nginx_version(span_of(text, have));
    if (p->nginx_version < 11905) /* -e came with 1.19.5 */
        return fault_set(f, CE_BAD_CONFIG, "%s is not nginx 1.19.5 or newer; install nginx or set nginx = PATH in cradled.conf", p->settings.nginx);
    return CE_OK;
}

static enum err write_config(struct parent *p, const char *name, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(1 << 18);
    nginx_config(&p->settings, p->site, p->nginx_version, os_raise_files(), &text);
    identity_enter(&p->user);
    path_join(path, "%s/run/nginx", p->site);
    enum err e = file_mkdirs(path, 0700);
    path_join(path, "%s/run/nginx/%s", p->site, name);
    if (!e)
        e = file_write_atomic(path, buf_span(&text), 0600);
    path_join(path, "%s/run/nginx/client_body", p->site); /* the depot's jail names it before nginx has made it */
    if (!e)
        e = file_mkdirs(path, 0700);
    identity_leave(&p->user);
    return e ? fault_set(f, e, "%s cannot be written: %s", path, strerror(errno)) : CE_OK;
}

enum err tls_prepare(struct parent *p, struct fault *f)
{
    enum err e = nginx_check_site(p->site, f);
    if (!e && !p->nginx_version)
        e = find_version(p, f);
    return e ? e : write_config(p, "nginx.conf", f);
}

enum err tls_test(struct parent *p, struct fault *f)
{
    char conf[PATH_MAX_LEN], option[] = "-tq";
    int status = 0;
    enum err e = nginx_check_site(p->site, f);
    if (!e && !p->nginx_version)
        e = find_version(p, f);
    if (!e)
        e = write_config(p, "check.conf", f);
    if (e)
        return e;
    path_join(conf, "%s/run/nginx/check.conf", p->site);
    pid_t pid = nginx_fork(p, conf, option, -1);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return fault_set(f, CE_IO, "nginx could not be started: %s", strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return fault_set(f, CE_BAD_CONFIG, "nginx refuses the configuration made for it (%s); its reason is above", conf);
    return CE_OK;
}

/* "0.0.0.0" and "[::]" as addresses to listen on; for a connection, loopback stands for them. */
static struct addrinfo *find_address(const struct settings *s, struct span addr, int64_t port, bool connecting)
{
    char host[CONFIG_STR_MAX], service[8];
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV }, *out = NULL;
    if (addr.n > 2 && addr.p[0] == '[')
        addr = span_of(addr.p + 1, addr.n - 2);
    const char *any = span_eq_str(addr, "0.0.0.0") || span_eq_str(addr, "*") ? "127.0.0.1" : span_eq_str(addr, "::") ? "::1" : NULL;
    (void)s;
    if (span_to_cstr(connecting && any ? span_str(any) : span_eq_str(addr, "*") ? span_str("0.0.0.0") : addr, host, sizeof host))
        return NULL;
    snprintf(service, sizeof service, "%d", (int)port);
    return getaddrinfo(host, service, &hints, &out) == 0 ? out : NULL;
}

static bool port_free(const struct settings *s, struct span addr, int64_t port)
{
    struct addrinfo *a = find_address(s, addr, port, false);
    int one = 1;
    bool taken = false;
    if (!a)
        return true; /* a name: nginx resolves and judges it */
    CLEANUP(fd_close_p) int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0)
        taken = bind(fd, a->ai_addr, a->ai_addrlen) != 0 && errno == EADDRINUSE;
    freeaddrinfo(a);
    return !taken;
}

enum err tls_check_ports(const struct settings *s, struct fault *f)
{
    static const char *const names[] = { "https_port", "http_port", "enroll_port" };
    const int64_t ports[] = { s->https_port, s->http_port, s->enroll_port };
    for (size_t i = 0; i < ARRAY_LEN(ports) && ports[i]; i++) {
        struct span rest = span_str(s->listen), addr;
        while (span_cut(&rest, ' ', &addr))
            if (addr.n && !port_free(s, addr, ports[i]))
                return fault_set(f, CE_BAD_CONFIG, "port %d of " SPAN_FMT " is used by another process; change %s in cradled.conf",
                                 (int)ports[i], SPAN_ARG(addr), names[i]);
    }
    return CE_OK;
}

static bool port_answers(const struct settings *s, int64_t port)
{
    struct span rest = span_str(s->listen), addr;
    if (!span_cut(&rest, ' ', &addr))
        return true;
    struct addrinfo *a = find_address(s, addr, port, true);
    if (!a)
        return true;
    CLEANUP(fd_close_p) int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = { 0, 200000 };
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0;
    freeaddrinfo(a);
    return ok;
}

static void probe_again(struct parent *p)
{
    struct timeval tv = { 0, PROBE_MS * 1000 };
    evtimer_add(p->probe_timer, &tv);
}

void tls_probe(struct parent *p)
{
    for (size_t i = 0; i < p->nchildren; i++) {
        struct child *c = &p->children[i];
        if (c->role != ROLE_PARENT || c->state != CHILD_STARTING)
            continue;
        if (port_answers(&p->settings, p->settings.https_port) && port_answers(&p->settings, p->settings.http_port) &&
            (!p->settings.enroll_port || port_answers(&p->settings, p->settings.enroll_port)))
            parent_role_up(p, c);
        else
            probe_again(p);
    }
}

void tls_start(struct child *c)
{
    struct fault f = { 0 };
    char conf[PATH_MAX_LEN];
    path_join(conf, "%s/run/nginx/nginx.conf", c->p->site);
    pid_t pid = tls_prepare(c->p, &f) == CE_OK ? nginx_fork(c->p, conf, NULL, -1) : -1;
    if (pid < 0) {
        log_error(0, "nginx cannot be started: %s", f.code ? f.text : strerror(errno));
        child_start_later(c);
        return;
    }
    c->pid = pid;
    c->state = CHILD_STARTING;
    c->expected = false;
    c->started_ms = clock_mono_ms();
    probe_again(c->p);
}

void tls_reload(struct parent *p)
{
    struct fault f = { 0 };
    for (size_t i = 0; i < p->nchildren; i++) {
        struct child *c = &p->children[i];
        if (c->role != ROLE_PARENT || !c->pid)
            continue;
        if (tls_prepare(p, &f))
            log_error(0, "nginx is not reloaded: %s", f.text);
        else
            child_kill(c, SIGHUP);
    }
}
