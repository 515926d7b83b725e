/* parent_child.c: one role process: socketpairs, fork and exec, back-off. See parent.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/jail.h"
#include "role/link.h"
#include "role/parent.h"

#define ENV_MORE 16
#define ENV_MORE_LEN 512

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    child_start(arg);
}

void child_init(struct parent *p, struct child *c, enum role role, unsigned index)
{
    *c = (struct child){ .p = p, .role = role, .index = index, .link = -1, .told = true, .backoff_ms = PARENT_BACKOFF_MS };
    if (role == ROLE_PARENT)
        snprintf(c->name, sizeof c->name, "tls");
    else
        snprintf(c->name, sizeof c->name, "%s:%u", role_name(role), index);
    c->timer = evtimer_new(p->base, on_timer, c);
    INVARIANT(c->timer != NULL);
}

void child_tell(struct child *c, const struct msg_desc *d, const void *m, int pass)
{
    if (c->link < 0 || link_send(c->link, d, m, pass) == CE_OK || errno == EPIPE || errno == ECONNRESET)
        return; /* a link that is closed: SIGCHLD tells of its end */
    log_warn(0, "%s does not read its link; it is restarted", c->name);
    child_kill(c, SIGKILL);
}

void child_kill(struct child *c, int sig)
{
    if (c->pid > 0)
        kill(c->pid, sig);
}

void child_end(struct child *c)
{
    if (c->link_event)
        event_free(c->link_event);
    c->link_event = NULL;
    if (c->link >= 0)
        close(c->link);
    c->link = -1;
}

unsigned child_deaths(const struct child *c, int64_t now_ms)
{
    unsigned n = 0;
    for (uint64_t i = 0; i < PARENT_DEATHS && i < c->ndeaths; i++)
        n += c->deaths_ms[(c->ndeaths - 1 - i) % PARENT_DEATHS] > now_ms - c->p->settings.restart_window * 1000;
    return n;
}

void child_start_later(struct child *c)
{
    struct timeval tv = { c->backoff_ms / 1000, c->backoff_ms % 1000 * 1000 };
    c->state = CHILD_WAITING;
    evtimer_add(c->timer, &tv);
    c->backoff_ms = c->backoff_ms * 2 > PARENT_BACKOFF_MAX_MS ? PARENT_BACKOFF_MAX_MS : c->backoff_ms * 2;
}

static void on_link(evutil_socket_t fd, short what, void *arg)
{
    struct child *c = arg;
    CLEANUP(buf_free) struct buf in = BUF_INIT(LINK_PACKET_MAX);
    struct ipc_frame f;
    struct msg_role_ready ready;
    struct msg_role_beat beat;
    int passed;
    (void)what;
    enum err e = link_recv(fd, &in, &f, &passed);
    fd_close_p(&passed);
    if (e == CE_BUSY)
        return;
    if (e == CE_NOT_FOUND) { /* the signer closes its end before its jail; deaths are told by SIGCHLD */
        child_end(c);
        return;
    }
    bool allowed = !e && edge_permits(c->role, ROLE_PARENT, f.type);
    if (allowed && f.type == MSG_ROLE_BEAT && !msg_unpack_all(&msg_desc_role_beat, f.body, &beat))
        watch_heard(c, &beat);
    else if (allowed && f.type == MSG_ROLE_READY && !msg_unpack_all(&msg_desc_role_ready, f.body, &ready) && ready.pid == c->pid)
        parent_role_up(c->p, c);
    else {
        log_error(0, "bad internal framing from %s; it is restarted", c->name);
        child_end(c);
        child_kill(c, SIGKILL);
    }
}

void child_become(const struct identity *id, bool keep_ports)
{
    struct fault f = { 0 };
    sigset_t none;
    sigemptyset(&none);
    for (int sig = 1; sig < NSIG; sig++)
        signal(sig, sig == SIGPIPE ? SIG_IGN : SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    umask(077);
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) != 0 || identity_drop(id, keep_ports, &f)) {
        log_error(0, "cannot start a process: %s", f.code ? f.text : strerror(errno));
        _exit(EXIT_ROLE_FATAL);
    }
}

/* A role that reads strangers' bytes has nothing to steal: not what the environment of whoever started the service holds either.
 * Kept: the time zone, and the sanitizers' options. more: NAME=VALUE, separated by spaces. */
char **child_environment(const char *more)
{
    static const char *const kept[] = { "TZ=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=" };
    static char *out[ARRAY_LEN(kept) + ENV_MORE + 1], text[ENV_MORE_LEN];
    size_t n = 0;
    for (char **e = environ; e && *e; e++)
        for (size_t i = 0; i < ARRAY_LEN(kept) && n < ARRAY_LEN(kept); i++)
            if (strncmp(*e, kept[i], strlen(kept[i])) == 0)
                out[n++] = *e;
    snprintf(text, sizeof text, "%s", more);
    for (char *at = text, *word; n < ARRAY_LEN(out) - 1 && (word = strsep(&at, " "));)
        if (*word)
            out[n++] = word;
    out[n] = NULL;
    return out;
}

static _Noreturn void child_exec(const struct child *c, int link)
{
    struct fault f = { 0 };
    char self[] = "cradled", flag[] = "-x", name[sizeof c->name];
    char *argv[] = { self, flag, name, NULL };
    memcpy(name, c->name, sizeof name);
    child_become(role_signs(c->role) ? &c->p->signer : &c->p->user, false);
    if (dup2(link, ROLE_PARENT_FD) == ROLE_PARENT_FD && syscall(SYS_close_range, ROLE_PARENT_FD + 1, ~0U, 0) == 0 &&
        fcntl(ROLE_PARENT_FD, F_SETFD, 0) == 0 && jail_prepare(&f) == CE_OK)
        execve("/proc/self/exe", argv, child_environment(c->role == ROLE_HSM ? c->p->settings.hsm_env : ""));
    log_error(0, "%s cannot be executed: %s", c->name, f.code ? f.text : strerror(errno));
    _exit(EXIT_ROLE_FATAL);
}

static bool child_may_start(const struct child *c)
{
    for (size_t i = 0; i < c->p->nchildren; i++) {
        const struct child *o = &c->p->children[i];
        if (c->role == ROLE_PARENT && o->role == ROLE_FRONT && o->state != CHILD_READY && !c->p->announced)
            return false; /* nginx opens the ports when there is somebody to answer */
        if (o->role != ROLE_CORE)
            continue;
        if (role_signs(c->role) && !o->pid)
            return false; /* it has one descriptor, to core */
        if (c->role == ROLE_QUERY && o->state != CHILD_READY)
            return false; /* core makes the database */
    }
    return c->p->phase == PARENT_UP && !c->pid;
}

static void child_setup(struct child *c)
{
    CLEANUP(buf_free) struct buf conf = BUF_INIT(LINK_PACKET_MAX);
    config_dump(settings_keys, settings_nkeys, &c->p->settings, false, &conf);
    struct msg_role_setup m = { span_str(c->p->site), span_str(role_name(c->role)), c->index, buf_span(&conf),
                                span_str(*c->why ? c->why : "service start") };
    child_tell(c, &msg_desc_role_setup, &m, -1);
}

/* A fresh socketpair between c and o: each gets an end. The signer takes one only at its own start. */
static void child_pair(struct child *c, struct child *o)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds)) {
        log_error(0, "no socketpair for %s and %s: %s", c->name, o->name, strerror(errno));
        return;
    }
    struct msg_role_peer to_c = { span_str(role_name(o->role)), o->index }, to_o = { span_str(role_name(c->role)), c->index };
    child_tell(c, &msg_desc_role_peer, &to_c, fds[0]);
    child_tell(o, &msg_desc_role_peer, &to_o, fds[1]);
    close(fds[0]);
    close(fds[1]);
}

static void child_pairs(struct child *c)
{
    struct msg_role_go go = { 0 };
    for (size_t i = 0; i < c->p->nchildren; i++) {
        struct child *o = &c->p->children[i];
        if (o == c || !o->pid || o->link < 0 || !edge_exists(c->role, o->role) || role_signs(o->role))
            continue;
        child_pair(c, o);
        go.peers++;
    }
    child_tell(c, &msg_desc_role_go, &go, -1);
}

void child_start(struct child *c)
{
    int fds[2];
    if (!child_may_start(c)) {
        c->state = CHILD_DOWN; /* parent_role_up starts it when core is there */
        return;
    }
    if (c->role == ROLE_PARENT) {
        tls_start(c);
        return;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)) {
        log_error(0, "%s: no socketpair: %s", c->name, strerror(errno));
        child_start_later(c);
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        child_exec(c, fds[1]);
    close(fds[1]);
    if (pid < 0) {
        log_error(0, "%s cannot be started: %s", c->name, strerror(errno));
        close(fds[0]);
        child_start_later(c);
        return;
    }
    INVARIANT(evutil_make_socket_nonblocking(fds[0]) == 0);
    c->pid = pid;
    c->link = fds[0];
    c->state = CHILD_STARTING;
    c->expected = c->hung = false;
    c->started_ms = clock_mono_ms();
    c->link_event = event_new(c->p->base, c->link, EV_READ | EV_PERSIST, on_link, c);
    INVARIANT(c->link_event && event_add(c->link_event, NULL) == 0);
    child_setup(c);
    child_pairs(c);
}
