/* watch.c: see watch.h. */
#include "plugin/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "plugin/tlsinfo.h"

#define PULSE_MS 10
#define IDLE_MS 500

struct watch {
    struct watch_config cfg;
    char dir[PATH_MAX_LEN];
    pthread_t thread;
    int inotify_fd, wake_fd;
    atomic_bool stop, due, busy;
    atomic_llong next_end;
    pthread_mutex_t lock; /* guards work */
    struct watch_work work;
    /* the thread's own */
    bool stale;
    enum err bad;         /* what was wrong with the files at the last poll */
    int64_t told_ms;
};

static void on_urgent(int sig) { (void)sig; }

static void note(struct watch *w, enum watch_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void note(struct watch *w, enum watch_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pthread_mutex_lock(&w->lock);
    if (w->work.n_notes < WATCH_NOTES) {
        struct watch_note *n = &w->work.notes[w->work.n_notes++];
        n->level = level;
        vsnprintf(n->text, sizeof n->text, fmt, ap);
    }
    atomic_store(&w->due, true);
    pthread_mutex_unlock(&w->lock);
    va_end(ap);
}

static void report(struct watch *w, const char *kind, const char *reason, const char *text)
{
    struct outbox_report r = { .kind = kind, .reason = reason, .at_ms = clock_now_ms() };
    snprintf(r.text, sizeof r.text, "%.*s", (int)sizeof r.text - 1, text);
    outbox_put(w->cfg.outbox, &r);
}

static void queue_all(struct watch *w, int64_t at_ms) /* locked */
{
    if (!w->work.judge_all)
        w->work.all_seen_us = clock_mono_us();
    w->work.all_at_ms = at_ms;
    w->work.judge_all = true;
    atomic_store(&w->due, true);
}

/* A key that changed twice before the broker looked is judged by what is so now: the newer frame said so. */
static bool job_again(struct watch_work *k, unsigned set, const uint8_t *key, int64_t at_ms) /* locked */
{
    for (size_t i = k->n_jobs; i-- > 0;)
        if (k->jobs[i].set == set && !memcmp(k->jobs[i].key, key, SNAPSHOT_KEY)) {
            k->jobs[i].at_ms = at_ms;
            return true;
        }
    return false;
}

static void on_entry(void *arg, unsigned set, unsigned op, const uint8_t *key, int64_t at_ms)
{
    struct watch *w = arg;
    bool ends = op == SNAPSHOT_OP_ADD || set == SNAPSHOT_SET_REPAIR; /* the end of a quarantine ends the session that it limited */
    if (!ends || set == SNAPSHOT_SET_POLICY)
        return; /* a policy counts when it is loaded */
    pthread_mutex_lock(&w->lock);
    if (set == SNAPSHOT_SET_LINE || w->work.n_jobs == WATCH_JOBS) {
        queue_all(w, at_ms);
    } else if (!job_again(&w->work, set, key, at_ms)) {
        struct watch_job *j = &w->work.jobs[w->work.n_jobs++];
        *j = (struct watch_job){ .set = set, .at_ms = at_ms, .seen_us = clock_mono_us() };
        memcpy(j->key, key, SNAPSHOT_KEY);
        atomic_store(&w->due, true);
    }
    pthread_mutex_unlock(&w->lock);
}

/* Alarms on a change of what is wrong, and again each minute while it stays. */
static void tell_bad(struct watch *w, enum err e, const char *text)
{
    int64_t now = clock_mono_ms();
    if (e && (e != w->bad || now - w->told_ms >= 60000)) {
        note(w, WATCH_ERROR, "ALARM %s: %s", err_reason(e), text);
        report(w, "stale", err_reason(e), text);
        w->told_ms = now;
    } else if (!e && w->bad) {
        note(w, WATCH_INFO, "the snapshot verifies again");
    }
    w->bad = e;
}

static void tell_age(struct watch *w)
{
    int64_t age = snap_age_ms(w->cfg.snap);
    bool stale = age > w->cfg.alarm_ms;
    if (stale == w->stale)
        return;
    w->stale = stale;
    char text[200];
    if (stale)
        snprintf(text, sizeof text, "the revocation snapshot is %lld ms old; live sessions stay, logins are refused from %lld s (cradle-edge -s)",
                 (long long)age, (long long)w->cfg.refuse_ms / 1000);
    else
        snprintf(text, sizeof text, "the revocation snapshot is fresh again (%lld ms)", (long long)age);
    note(w, stale ? WATCH_ERROR : WATCH_INFO, "%s%s", stale ? "ALARM stale: " : "", text);
    report(w, stale ? "stale" : "fresh", err_reason(stale ? CE_STALE : CE_OK), text);
}

static void tell_policy(struct watch *w)
{
    struct policyfile *p = snap_policy_take(w->cfg.snap, NULL);
    if (p)
        tlsinfo_policy(p);
    if (p)
        note(w, WATCH_INFO, "another policy is in force: %zu lines, %zu backends", policy_lines(p->policy), policy_backends(p->policy));
    policyfile_drop(p);
}

static void look(struct watch *w)
{
    struct snap_news news;
    struct fault f = { 0 };
    enum err e = snap_poll(w->cfg.snap, on_entry, w, &news, &f);
    if (news.policy)
        tell_policy(w);
    if (news.replaced || news.policy) { /* backends may have left */
        pthread_mutex_lock(&w->lock);
        queue_all(w, news.frame_at_ms);
        pthread_mutex_unlock(&w->lock);
    }
    tell_bad(w, e, f.text);
    tell_age(w);
}

static int wait_ms(struct watch *w, enum outbox_state st)
{
    int64_t end = atomic_load(&w->next_end), now = clock_now_s();
    if (atomic_load(&w->due) || atomic_load(&w->busy) || end < now || st == OUTBOX_FULL || outbox_sync_wanted(w->cfg.outbox))
        return PULSE_MS;
    return end - now < 2 ? 100 : IDLE_MS;
}

static void drain(int fd)
{
    char buf[4096];
    while (read(fd, buf, sizeof buf) > 0)
        continue;
}

static void *watch_run(void *arg)
{
    struct watch *w = arg;
    struct pollfd fds[2] = { { w->inotify_fd, POLLIN, 0 }, { w->wake_fd, POLLIN, 0 } };
    int64_t looked_ms = 0;
    enum outbox_state st = OUTBOX_EMPTY;
    while (!atomic_load(&w->stop)) {
        uint64_t dropped;
        int n = poll(fds, 2, wait_ms(w, st));
        drain(w->wake_fd);
        if ((n > 0 && fds[0].revents) || clock_mono_ms() - looked_ms >= IDLE_MS) {
            drain(w->inotify_fd);
            look(w);
            looked_ms = clock_mono_ms();
        }
        if (atomic_load(&w->due) || atomic_load(&w->busy) || atomic_load(&w->next_end) < clock_now_s() || outbox_sync_wanted(w->cfg.outbox))
            pthread_kill(w->cfg.main, SIGURG);
        st = outbox_flush(w->cfg.outbox, clock_mono_ms(), &dropped);
        if (dropped)
            note(w, WATCH_WARN, "%llu reports were dropped: cradle-edge does not take them", (unsigned long long)dropped);
    }
    return NULL;
}

static enum err thread_start(struct watch *w)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* the broker's signals are the broker's */
    int rc = pthread_create(&w->thread, NULL, watch_run, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc ? CE_IO : CE_OK;
}

enum err watch_start(const struct watch_config *cfg, struct watch **out, struct fault *f)
{
    struct sigaction act = { .sa_handler = on_urgent }; /* no SA_RESTART: epoll_wait must return */
    struct watch *w = mem_calloc(1, sizeof *w);
    w->cfg = *cfg;
    path_join(w->dir, "%s", cfg->dir);
    pthread_mutex_init(&w->lock, NULL);
    atomic_store(&w->next_end, INT64_MAX);
    atomic_store(&w->due, true); /* pulses until the broker has ticked once */
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->wake_fd < 0 || w->inotify_fd < 0 || sigaction(SIGURG, &act, NULL) ||
        inotify_add_watch(w->inotify_fd, w->dir, IN_MODIFY | IN_MOVED_TO | IN_CREATE) < 0 || thread_start(w)) {
        enum err e = fault_set(f, CE_IO, "%s cannot be watched: %s", w->dir, strerror(errno));
        fd_close_p(&w->wake_fd);
        fd_close_p(&w->inotify_fd);
        free(w);
        return e;
    }
    *out = w;
    return CE_OK;
}

void watch_stop(struct watch *w)
{
    if (!w)
        return;
    atomic_store(&w->stop, true);
    watch_nudge(w);
    pthread_join(w->thread, NULL);
    fd_close_p(&w->wake_fd);
    fd_close_p(&w->inotify_fd);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

bool watch_due(struct watch *w) { return atomic_load(&w->due); }

void watch_take(struct watch *w, struct watch_work *out)
{
    pthread_mutex_lock(&w->lock);
    out->n_jobs = w->work.n_jobs;
    memcpy(out->jobs, w->work.jobs, w->work.n_jobs * sizeof out->jobs[0]);
    out->n_notes = w->work.n_notes;
    memcpy(out->notes, w->work.notes, w->work.n_notes * sizeof out->notes[0]);
    out->judge_all = w->work.judge_all;
    out->all_at_ms = w->work.all_at_ms;
    out->all_seen_us = w->work.all_seen_us;
    w->work.n_jobs = w->work.n_notes = 0;
    w->work.judge_all = false;
    atomic_store(&w->due, false);
    pthread_mutex_unlock(&w->lock);
}

void watch_busy(struct watch *w, bool busy) { atomic_store(&w->busy, busy); }

void watch_next_end(struct watch *w, int64_t not_after) { atomic_store(&w->next_end, not_after); }

void watch_nudge(struct watch *w)
{
    uint64_t one = 1;
    ssize_t n = write(w->wake_fd, &one, sizeof one);
    (void)n; /* full: it is awake already */
}
