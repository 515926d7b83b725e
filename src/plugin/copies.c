/* copies.c: see copies.h. */
#include "plugin/copies.h"

#include <stdio.h>

#include "base/clock.h"
#include "plugin/presence.h"

void copies_open(struct copies *c, struct session_table *sessions) { *c = (struct copies){ clone_new(COPIES_WATCHED), sessions }; }

void copies_close(struct copies *c) { clone_free(c->watch); }

static struct clone_session session_of(const struct session *s)
{
    struct clone_session c = { .number = s->number, .began_ms = s->began_mono_ms, .cert_ms = s->peer.not_before * 1000, .keepalive_s = s->keepalive_s };
    snprintf(c.addr, sizeof c.addr, "%s", s->addr);
    return c;
}

static void report_of(const struct clone_sign *sign, const struct peer *p, struct outbox_report *r)
{
    char text[400];
    presence_report(r, "clone-suspected", clone_rule_name(sign->rule), p, sign->here.addr);
    r->count = sign->swaps;
    r->score = sign->score;
    snprintf(r->other, sizeof r->other, "%s", sign->there.addr);
    clone_text(sign, p->cn, text, sizeof text);
    snprintf(r->text, sizeof r->text, "%.*s", (int)sizeof r->text - 1, text);
}

bool copies_begun(struct copies *c, const struct session *s, struct outbox_report *r)
{
    struct clone_session mine = session_of(s), live[CLONE_SESSIONS];
    struct clone_sign sign;
    size_t n = 0;
    for (struct session *x = session_by_ident(c->sessions, s->peer.ident_key); x && n < CLONE_SESSIONS; x = session_ident_next(x))
        if (x != s)
            live[n++] = session_of(x);
    bool told = clone_login(c->watch, s->peer.cn, &mine, live, n, &sign);
    if (told)
        report_of(&sign, &s->peer, r);
    return told;
}

void copies_ended(struct copies *c, const struct session *s)
{
    struct clone_session mine = session_of(s);
    struct clone_sign ignored; /* at one broker an end proves nothing */
    mine.ended_ms = clock_mono_ms();
    (void)clone_end(c->watch, s->peer.cn, &mine, &ignored);
}

/* -- refuse ---------------------------------------------------------------------------------------------------------------------- */
static bool proven(struct copies *c, const struct session *s, int64_t mono_ms, struct outbox_report *r)
{
    if (clone_quiet(c->watch, s->peer.cn, mono_ms))
        return false;
    struct clone_sign sign = { .rule = CLONE_REFUSED, .score = CLONE_ENOUGH, .swaps = s->refusals, .there = session_of(s) };
    snprintf(sign.here.addr, sizeof sign.here.addr, "%s", s->refused_addr);
    report_of(&sign, &s->peer, r);
    clone_told(c->watch, s->peer.cn, mono_ms);
    return true;
}

bool copies_heard(struct copies *c, struct session *s, int64_t mono_ms, struct outbox_report *r)
{
    s->heard_mono_ms = mono_ms;
    return s->refusals && mono_ms - s->refused_mono_ms > CLONE_LATE_MS && proven(c, s, mono_ms, r);
}

enum err copies_refuse(struct copies *c, const struct peer *p, const void *client, const char *addr, int64_t mono_ms, bool *alarm,
                       struct outbox_report *r, struct fault *f)
{
    struct session *s = session_by_ident(c->sessions, p->ident_key);
    *alarm = false;
    while (s && (s->client == client || s->kicked || clone_same_addr(s->addr, addr)))
        s = session_ident_next(s);
    if (!s)
        return CE_OK;
    if (!s->refusals++)
        s->refused_mono_ms = mono_ms;
    snprintf(s->refused_addr, sizeof s->refused_addr, "%.*s", (int)sizeof s->refused_addr - 1, addr);
    if (s->keepalive_s && mono_ms - s->refused_mono_ms > s->keepalive_s * 1500 + CLONE_LATE_MS)
        *alarm = proven(c, s, mono_ms, r);
    return fault_set(f, CE_CLONE_REFUSED, "%s is connected from %s; the policy of its line refuses another address until that session ends, at most %lld s "
                                          "after its device was heard from last", p->cn, s->addr, (long long)s->keepalive_s * 3 / 2);
}
