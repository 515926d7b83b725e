/* presence.c: see presence.h. */
#include "plugin/presence.h"

#include <stdio.h>

#include "base/clock.h"

#define TELL_AT_ONCE 256 /* sessions in one tick */

void presence_report(struct outbox_report *r, const char *kind, const char *reason, const struct peer *peer, const char *addr)
{
    *r = (struct outbox_report){ .kind = kind, .reason = reason, .serial_n = peer->serial_n, .at_ms = clock_now_ms() };
    memcpy(r->uid, peer->cn, sizeof r->uid);
    memcpy(r->serial, peer->serial, sizeof r->serial);
    snprintf(r->addr, sizeof r->addr, "%.*s", (int)sizeof r->addr - 1, addr);
}

static void session_tell(struct presence *p, const struct session *s)
{
    struct outbox_report r;
    presence_report(&r, "connected", NULL, &s->peer, s->addr);
    memcpy(r.tls, s->tls, sizeof r.tls);
    r.resumed = s->resumed;
    r.session = s->number;
    r.at_ms = s->began_ms;
    r.keepalive_s = s->keepalive_s;
    outbox_put(p->outbox, &r);
}

void presence_begin(struct presence *p, struct session *s, const struct tlsinfo *tls)
{
    s->number = ++p->last;
    s->began_ms = clock_now_ms();
    s->resumed = tls->resumed;
    memcpy(s->tls, tls->text, sizeof s->tls);
    outbox_count(p->outbox, BROKER_connects, 1);
    outbox_count(p->outbox, BROKER_online, 1);
    if (tls->resumed)
        outbox_count(p->outbox, BROKER_resumed, 1);
    session_tell(p, s);
}

void presence_end(struct presence *p, const struct session *s, bool displaced)
{
    struct outbox_report r;
    outbox_count(p->outbox, BROKER_disconnects, 1);
    outbox_count(p->outbox, BROKER_online, -1);
    if (displaced && !s->kicked)
        outbox_count(p->outbox, BROKER_takeovers, 1);
    presence_report(&r, "disconnected", s->kicked ? "cut" : displaced ? "taken-over" : NULL, &s->peer, s->addr);
    r.session = s->number;
    r.heard_ms = s->began_ms + s->heard_mono_ms - s->began_mono_ms;
    outbox_put(p->outbox, &r);
}

void presence_tell(struct presence *p)
{
    if (!outbox_sync_wanted(p->outbox))
        return;
    if (outbox_sync_broken(p->outbox)) {
        outbox_sync_begin(p->outbox);
        session_sweep_begin(p->sessions, SWEEP_TELL);
    }
    for (int i = 0; i < TELL_AT_ONCE && outbox_sync_wanted(p->outbox); i++) {
        const struct session *s = session_sweep_next(p->sessions, SWEEP_TELL);
        if (!s) {
            outbox_sync_end(p->outbox);
            return;
        }
        session_tell(p, s);
    }
}
