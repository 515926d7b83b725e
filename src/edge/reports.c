/* reports.c: see reports.h. */
#include "edge/reports.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define DATAGRAMS_AT_ONCE 512

/* Binds the socket and sets who may use it. No umask: other threads write files. */
static enum err socket_bind(struct reports *r, struct fault *f)
{
    const struct edge_config *c = &r->edge->cfg;
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct group *g = NULL;
    if (c->report_group[0] && !(g = getgrnam(c->report_group)))
        return fault_set(f, CE_BAD_CONFIG, "report_group: there is no group %s", c->report_group);
    int n = snprintf(a.sun_path, sizeof a.sun_path, "%s", c->report_socket);
    if (n < 0 || (size_t)n >= sizeof a.sun_path)
        return fault_set(f, CE_BAD_CONFIG, "report_socket: the path is longer than %zu bytes", sizeof a.sun_path - 1);
    if (g && (chown(c->state_dir, (uid_t)-1, g->gr_gid) || chmod(c->state_dir, 0750)))
        return fault_set(f, CE_IO, "%s: cannot be opened to group %s: %s", c->state_dir, c->report_group, strerror(errno));
    unlink(a.sun_path);
    r->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1; /* datagrams name their process: senders.h */
    bool bad = r->fd < 0 || setsockopt(r->fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) || fchmod(r->fd, 0600) ||
               bind(r->fd, (struct sockaddr *)&a, sizeof a); /* Linux: bind takes the mode over */
    if (!bad && g)
        bad = chown(a.sun_path, (uid_t)-1, g->gr_gid) || chmod(a.sun_path, 0660);
    return bad ? fault_set(f, CE_IO, "%s: %s", a.sun_path, strerror(errno)) : CE_OK;
}

enum err reports_open(struct reports *r, struct edge *e, struct fault *f)
{
    *r = (struct reports){ .edge = e, .fd = -1 };
    return socket_bind(r, f);
}

void reports_close(struct reports *r)
{
    senders_close(&r->senders);
    fd_close_p(&r->fd);
    unlink(r->edge->cfg.report_socket);
}

/* -- which brokers there are ------------------------------------------------------------------------------------------------------- */
static struct report_run *run_find(struct reports *r, struct span name)
{
    struct report_run *at = &r->runs[0];
    for (size_t i = 0; i < ARRAY_LEN(r->runs); i++) {
        if (span_eq_str(name, r->runs[i].name))
            return &r->runs[i];
        if (r->runs[i].heard_ms < at->heard_ms)
            at = &r->runs[i];
    }
    *at = (struct report_run){ 0 };
    return span_to_cstr(name, at->name, sizeof at->name) ? NULL : at;
}

/* Is the report to be kept? Counters that wait for cradled in numbers would only push out others: the newest says it all. */
static bool run_heard(struct reports *r, const struct msg_report *m)
{
    struct spool_info spool;
    int64_t now = clock_mono_ms();
    struct report_run *x = m->run.n ? run_find(r, m->run) : NULL;
    if (!x)
        return true;
    if (x->silent)
        log_info(0, "the broker of run %s is there after all: it tells its sessions again", x->name);
    r->lost |= x->silent;
    x->silent = false;
    x->heard_ms = now;
    x->heard_at_ms = clock_now_ms();
    if (span_eq_str(m->kind, "ended"))
        *x = (struct report_run){ 0 };
    if (!span_eq_str(m->kind, "counts"))
        return true;
    spool_info(r->edge->spool, &spool);
    if (spool.waiting > REPORTS_CROWDED && x->counts_ms && now - x->counts_ms < REPORTS_COUNTS_MS)
        return false;
    x->counts_ms = now;
    return true;
}

/* One datagram; *pid of its sender, 0: it cannot be seen from here. Returns what recvmsg(2) does. */
static ssize_t datagram_take(int fd, uint8_t *bytes, size_t size, pid_t *pid)
{
    union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(struct ucred))]; } control;
    struct iovec v = { bytes, size };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room };
    ssize_t n = recvmsg(fd, &h, MSG_DONTWAIT | MSG_TRUNC);
    struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&h);
    struct ucred who = { 0 };
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof who))
        memcpy(&who, CMSG_DATA(c), sizeof who);
    *pid = who.pid;
    return n;
}

void reports_take(struct reports *r)
{
    uint8_t bytes[REPORT_DATAGRAM_MAX + 1];
    for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
        struct msg_report m;
        pid_t pid;
        ssize_t n = datagram_take(r->fd, bytes, sizeof bytes, &pid);
        if (n < 0)
            return;
        if ((size_t)n >= sizeof bytes || report_unpack(span_of(bytes, (size_t)n), &m)) {
            if (r->malformed++ == 0)
                log_warn(0, "a malformed report came on %s; such are dropped", r->edge->cfg.report_socket);
            continue;
        }
        if (span_eq_str(m.kind, "ended"))
            senders_forget(&r->senders, m.run);
        else
            senders_note(&r->senders, m.run, pid);
        if (run_heard(r, &m) && edge_report(r->edge, &m) != CE_OK)
            r->lost |= m.session != 0;
    }
}

static void run_over(struct reports *r, struct report_run *x, int64_t at_ms, const char *why)
{
    const struct msg_report m = { .kind = SPAN_LIT("ended"), .run = span_str(x->name), .at = at_ms, .text = span_str(why) };
    x->silent = true;
    edge_report(r->edge, &m);
    log_warn(0, "%s (run %s): its sessions count as ended", why, x->name);
}

static void silent_look(struct reports *r, int64_t mono_ms)
{
    for (size_t i = 0; i < ARRAY_LEN(r->runs); i++) {
        struct report_run *x = &r->runs[i];
        if (x->name[0] && !x->silent && mono_ms - x->heard_ms >= REPORTS_SILENT_MS)
            run_over(r, x, x->heard_at_ms, "nothing was heard of the broker for a minute");
    }
}

static void on_dead(void *arg, const char *run)
{
    struct reports *r = arg;
    for (size_t i = 0; i < ARRAY_LEN(r->runs); i++)
        if (!strcmp(r->runs[i].name, run) && !r->runs[i].silent)
            run_over(r, &r->runs[i], clock_now_ms(), "the broker has died without a word");
}

void reports_look(struct reports *r, int64_t mono_ms)
{
    struct spool_info spool;
    struct fault f = { 0 };
    senders_look(&r->senders, on_dead, r);
    silent_look(r, mono_ms);
    if (!r->lost)
        return;
    spool_info(r->edge->spool, &spool);
    if (spool.bytes > r->edge->cfg.spool_max / 2)
        return;
    reports_take(r);
    fd_close_p(&r->fd);
    if (socket_bind(r, &f)) {
        if (!r->deaf)
            log_error(0, "no reports can be taken: %s", f.text);
        r->deaf = true;
        return;
    }
    r->lost = r->deaf = false;
}
