/* parent_watch.c: a role that lives but does nothing (a deadlock, a loop without end, a stopped process) is no use and keeps others
 * waiting. front, query and core send a beat each second from their event loops; the hsm role judges itself (hsm_timeout); of the signer, which has no link while it works,
 * core says for how long it has owed an answer. Whoever is silent for hang_limit is killed; the rest is as with any death.
 * nginx is not watched: its own master replaces its workers.
 */
#include "base/clock.h"
#include "base/log.h"
#include "role/parent.h"

#include <stdlib.h>

#define WATCH_LATE_MS 5000 /* the parent itself did not run for so long: nobody is judged by that time */

static void hung(struct child *c, int64_t silent_ms)
{
    log_error(0, "%s has given no sign of life for %lld s (hang_limit); it is killed", c->name, (long long)(silent_ms / 1000));
    c->hung = true;
    child_kill(c, SIGKILL);
}

static bool is_watched(const struct child *c)
{
    return c->pid > 0 && c->state == CHILD_READY && !c->hung && !c->expected && c->role != ROLE_PARENT && !role_signs(c->role);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    struct parent *p = arg;
    int64_t now = clock_mono_ms();
    bool late = now - p->watched_ms > WATCH_LATE_MS;
    (void)fd, (void)what;
    p->watched_ms = now;
    if (getenv("WATCHDOG_USEC")) /* the service manager watches us in turn */
        os_notify("WATCHDOG=1");
    for (size_t i = 0; p->phase == PARENT_UP && i < p->nchildren; i++) {
        struct child *c = &p->children[i];
        if (late)
            c->heard_ms = now;
        if (is_watched(c) && now - c->heard_ms >= p->settings.hang_limit * 1000)
            hung(c, now - c->heard_ms);
    }
}

void watch_start(struct parent *p)
{
    p->watched_ms = clock_mono_ms();
    p->watch_timer = event_new(p->base, -1, EV_PERSIST, on_watch, p);
    INVARIANT(p->watch_timer && event_add(p->watch_timer, &(struct timeval){ ROLE_BEAT_S, 0 }) == 0);
}

void watch_heard(struct child *c, const struct msg_role_beat *m)
{
    struct parent *p = c->p;
    int64_t limit_ms = p->settings.hang_limit * 1000;
    c->heard_ms = clock_mono_ms();
    if (c->role != ROLE_CORE || m->signer_silent_ms < limit_ms || p->phase != PARENT_UP)
        return;
    for (size_t i = 0; i < p->nchildren; i++) {
        struct child *s = &p->children[i];
        /* a young one is not the one that core speaks of */
        if (s->role == ROLE_SIGNER && s->pid > 0 && !s->hung && !s->expected && c->heard_ms - s->started_ms >= limit_ms)
            hung(s, m->signer_silent_ms);
    }
}
