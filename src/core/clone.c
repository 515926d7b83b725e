/* clone.c: what is known of sessions that overlap, and what becomes of a suspicion. See clone.h. */
#include "core/clone.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "core/cert.h"
#include "core/clone_hosts.h"
#include "core/device.h"
#include "core/line.h"
#include "core/revoke.h"
#include "store/beside.h"
#include "store/cert.h"
#include "store/registry.h"
#include "wire/policy.h"

#define FORGET_MS (7 * 86400000LL) /* of a host that was never heard of again */

struct suspicion {
    struct clone_sign sign;
    char uid[UID_MAX + 1];
};
struct clones {
    struct core *core;
    struct clone_watch *watch;
    struct clone_hosts *hosts;
    int64_t next_ms;
    struct suspicion *due; /* owned array: events are to be written */
    size_t n_due, due_cap;
};

static struct clones *clones_of(struct batch *b) { return core_part(b->core, CORE_PART_CLONE); }

static void suspect(void *ctx, const char *uid, const struct clone_sign *sign)
{
    struct clones *c = ctx;
    if (c->n_due == c->due_cap)
        c->due = mem_realloc(c->due, (c->due_cap = c->due_cap ? c->due_cap * 2 : 16) * sizeof *c->due);
    struct suspicion *s = &c->due[c->n_due++];
    *s = (struct suspicion){ .sign = *sign };
    snprintf(s->uid, sizeof s->uid, "%s", uid);
}

static bool is_due(const struct clones *c, const char *uid)
{
    for (size_t i = 0; i < c->n_due; i++)
        if (!strcmp(c->due[i].uid, uid))
            return true;
    return false;
}

/* -- sessions ------------------------------------------------------------------------------------------------------------------ */
static struct clone_session session_of(const struct beside_row *r)
{
    struct clone_session s = { .number = r->session, .sync = r->sync, .began_ms = r->since, .keepalive_s = r->keepalive_s };
    snprintf(s.place, sizeof s.place, SPAN_FMT, SPAN_ARG(r->host));
    snprintf(s.run, sizeof s.run, SPAN_FMT, SPAN_ARG(r->run));
    snprintf(s.addr, sizeof s.addr, SPAN_FMT, SPAN_ARG(r->addr));
    return s;
}

static struct beside_row row_of_presence(struct span uid, const struct presence_row *p)
{
    return (struct beside_row){ uid, p->host, p->run, p->addr, p->serial, p->session, p->sync, p->since, p->keepalive_s };
}

static struct beside_row row_of_report(struct span edge, const struct msg_report *r)
{
    return (struct beside_row){ r->uid, edge, r->run, r->addr, r->serial, r->session, r->sync, r->at, r->keepalive_s };
}

static bool same_run(const struct beside_row *a, const struct beside_row *b) { return span_eq(a->host, b->host) && span_eq(a->run, b->run); }

/* When its certificate was issued: asked only while two sessions are open. */
static enum err cert_of(struct batch *b, const struct beside_row *r, struct clone_session *s, struct fault *f)
{
    struct cert_row c;
    if (!r->serial.n)
        return CE_OK;
    enum err e = store_cert_find(b->db, b->arena, r->serial, &c, f);
    if (!e && span_eq(c.holder, r->uid))
        s->cert_ms = c.issued_at;
    return e == CE_NOT_FOUND ? CE_OK : e;
}

/* s: the session that is told; open: the others of its identity that are open, the row of the newest one among them. */
static enum err session_judge(struct batch *b, const struct beside_row *row, const struct beside_row *open, size_t n, struct fault *f)
{
    struct clones *c = clones_of(b);
    struct clone_session s = session_of(row), live[CLONE_SESSIONS];
    struct clone_sign sign;
    char uid[UID_MAX + 1];
    enum err e = span_to_cstr(row->uid, uid, sizeof uid);
    n = n < CLONE_SESSIONS ? n : CLONE_SESSIONS;
    if (!e && n)
        e = cert_of(b, row, &s, f);
    for (size_t i = 0; !e && i < n; i++) {
        live[i] = session_of(&open[i]);
        e = cert_of(b, &open[i], &live[i], f);
    }
    if (!e && clone_login(c->watch, uid, &s, live, n, &sign)) {
        suspect(c, uid, &sign);
        core_wake(b->core);
    }
    return e;
}

enum err clone_session_open(struct batch *b, const struct caller *c, const struct msg_report *r, const struct presence_row *was, bool newest,
                            struct fault *f)
{
    struct beside_row mine = row_of_report(c->name, r), before = row_of_presence(r->uid, was), *rows = NULL;
    size_t n = 0, n_open = 0;
    bool own = same_run(&mine, &before);
    if (!clones_of(b) || !r->run.n)
        return CE_OK;
    enum err e = store_beside_list(b->db, b->arena, r->uid, &rows, &n, f);
    struct beside_row *open = arena_alloc(b->arena, (n + 1) * sizeof *open);
    for (size_t i = 0; i < n; i++)
        if (!same_run(&rows[i], &mine))
            open[n_open++] = rows[i];
    if (was->online && before.run.n && before.since && !(own && before.session == mine.session))
        open[n_open++] = before;
    if (!e && newest && was->online && before.run.n && !own)
        e = store_beside_put(b->db, &before, f);
    if (!e && newest && n)
        e = store_beside_drop(b->db, r->uid, mine.host, mine.run, INT64_MAX, f);
    if (!e && !newest && !own)
        e = store_beside_put(b->db, &mine, f);
    return e ? e : session_judge(b, &mine, open, n_open, f);
}

enum err clone_session_ended(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f)
{
    struct clones *x = clones_of(b);
    struct beside_row row = row_of_report(c->name, r);
    struct clone_session s = session_of(&row);
    struct clone_sign sign;
    char uid[UID_MAX + 1];
    if (!x || !r->run.n)
        return CE_OK;
    enum err e = span_to_cstr(r->uid, uid, sizeof uid);
    s.ended_ms = r->at;
    s.heard_ms = r->heard < r->at ? r->heard : r->at;
    if (!e && clone_end(x->watch, uid, &s, &sign)) {
        suspect(x, uid, &sign);
        core_wake(b->core);
    }
    return e ? e : store_beside_drop(b->db, r->uid, c->name, r->run, r->session, f);
}

/* -- brokers -------------------------------------------------------------------------------------------------------------------- */
void clone_broker_alive(struct batch *b, const struct caller *c, const struct msg_report *r, int64_t lost)
{
    struct clones *x = clones_of(b);
    if (x)
        clone_hosts_alive(x->hosts, arena_str(b->arena, c->name), arena_str(b->arena, r->run), r->at, b->now_ms, lost);
}

enum err clone_broker_over(struct batch *b, struct span edge, struct span run, int64_t sync, int64_t at_ms, struct fault *f)
{
    struct clones *x = clones_of(b);
    const char *place = arena_str(b->arena, edge), *name = arena_str(b->arena, run);
    if (!x)
        return CE_OK;
    clone_over(x->watch, place, name, sync, at_ms);
    if (sync == INT64_MAX)
        clone_hosts_ended(x->hosts, place, name);
    else
        clone_hosts_synced(x->hosts, place, name);
    return store_beside_end(b->db, edge, run, sync, f);
}

/* -- suspicions ------------------------------------------------------------------------------------------------------------------ */
void clone_event_write(struct batch *b, struct span device, const struct clone_event *e)
{
    struct json_out *j = event_begin(b, EVENT_CLONE_SUSPECTED, device, 0);
    json_str(j, "edge", e->edge);
    json_hex(j, "serial", e->serial);
    json_str(j, "reason", e->reason);
    json_str(j, "addr", e->addr);
    json_time_ms(j, "seen_at", e->seen_at);
    json_int(j, "count", e->count);
    json_str(j, "text", e->text);
    json_str(j, "other_edge", e->other_edge);
    json_str(j, "other_addr", e->other_addr);
    json_int(j, "score", e->score);
    event_end(b);
}

/* *due: the device's line puts copies in quarantine, and this device is not in it yet. */
static enum err quarantine_due(struct batch *b, struct span uid, struct device *d, bool *due, struct fault *f)
{
    struct line line;
    *due = false;
    enum err e = device_get(b, uid, d, f);
    e = e ? e : line_get(b, d->line, &line, f);
    if (e)
        return e == CE_UID_UNKNOWN || e == CE_NOT_FOUND ? CE_OK : e; /* a backend has no line */
    *due = span_eq_str(line.row.clone_policy, policy_clones_name(POLICY_CLONES_QUARANTINE)) && device_state_allowed(d->state, DEVICE_QUARANTINED) &&
           d->state != DEVICE_SUSPENDED;
    return CE_OK;
}

/* Both copies are left with the repair topics until somebody looks. */
static enum err quarantine(struct batch *b, struct device *d, struct fault *f)
{
    struct span note = SPAN_LIT("clone suspected: quarantine by the line's policy"), by = SPAN_LIT("policy");
    enum err e = device_move(b, d, DEVICE_QUARANTINED, (struct span){ 0 }, note, by, f);
    return e ? e : cert_block_device(b, d, REVOKE_UNSPECIFIED, note, by, f);
}

struct told {
    struct clones *clones;
    char uid[UID_MAX + 1];
};

static void told_undo(void *data, bool committed)
{
    const struct told *t = data;
    if (!committed)
        clone_told(t->clones->watch, t->uid, 0);
}

enum err clone_reported(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f)
{
    struct clones *x = clones_of(b);
    struct told *t = arena_alloc(b->arena, sizeof *t);
    struct device d;
    bool due;
    t->clones = x;
    enum err e = span_to_cstr(r->uid, t->uid, sizeof t->uid);
    e = e ? e : quarantine_due(b, r->uid, &d, &due, f);
    if (e || (x && (is_due(x, t->uid) || (!due && clone_quiet(x->watch, t->uid, r->at)))))
        return e;
    if (x) {
        clone_told(x->watch, t->uid, r->at);
        batch_then(b, told_undo, t);
    }
    clone_event_write(b, r->uid, &(struct clone_event){ .edge = c->name, .serial = r->serial, .reason = r->reason, .addr = r->addr,
                                                        .seen_at = r->at, .count = r->count, .text = r->text, .other_edge = c->name,
                                                        .other_addr = r->other, .score = r->score });
    return due ? quarantine(b, &d, f) : CE_OK;
}

void clone_pardon(struct batch *b, struct span uid)
{
    struct clones *x = clones_of(b);
    if (x)
        clone_forgive(x->watch, arena_str(b->arena, uid));
}

static enum err suspicion_write(struct batch *b, const struct suspicion *s, struct fault *f)
{
    char text[400];
    struct span uid = span_str(s->uid);
    struct presence_row now;
    struct device d;
    bool due, there;
    enum err e = quarantine_due(b, uid, &d, &due, f);
    e = e ? e : store_presence_get(b->db, b->arena, uid, &now, &there, f);
    if (e)
        return e;
    clone_text(&s->sign, s->uid, text, sizeof text);
    clone_event_write(b, uid, &(struct clone_event){ .edge = span_str(s->sign.here.place), .serial = now.serial,
                                                     .reason = span_str(clone_rule_name(s->sign.rule)), .addr = span_str(s->sign.here.addr),
                                                     .seen_at = b->now_ms, .count = s->sign.swaps, .text = span_str(text),
                                                     .other_edge = span_str(s->sign.there.place), .other_addr = span_str(s->sign.there.addr),
                                                     .score = s->sign.score });
    return due ? quarantine(b, &d, f) : CE_OK;
}

/* -- the part ---------------------------------------------------------------------------------------------------------------------- */
static enum err part_open(struct core *core, void **state, struct fault *f)
{
    (void)f;
    struct clones *c = mem_calloc(1, sizeof *c);
    c->core = core;
    c->watch = clone_new(CLONE_WATCHED);
    c->hosts = clone_hosts_new();
    *state = c;
    return CE_OK;
}

static void part_close(void *state)
{
    struct clones *c = state;
    clone_free(c->watch);
    clone_hosts_free(c->hosts);
    free(c->due);
    free(c);
}

/* What was open twice before the restart is open twice still. */
static enum err part_start(struct batch *b, void *state, struct fault *f)
{
    struct beside_row *rows = NULL;
    size_t n = 0;
    (void)state;
    enum err e = store_beside_forget(b->db, b->now_ms - FORGET_MS, f);
    e = e ? e : store_beside_all(b->db, b->arena, CLONE_WATCHED, &rows, &n, f);
    for (size_t from = 0, to; !e && from < n; from = to) {
        struct presence_row p;
        bool there;
        for (to = from + 1; to < n && span_eq(rows[to].uid, rows[from].uid); to++)
            continue;
        e = store_presence_get(b->db, b->arena, rows[from].uid, &p, &there, f);
        struct beside_row newest = row_of_presence(rows[from].uid, &p);
        if (!e && there && p.online)
            e = session_judge(b, &newest, rows + from, to - from, f);
    }
    return e;
}

static int64_t heard(void *ctx, const struct clone_session *s)
{
    const struct clones *c = ctx;
    return clone_hosts_heard(c->hosts, s, core_config(c->core)->clone_overlap_ms);
}

static bool part_tick(struct batch *b, void *state, int64_t *next_ms)
{
    struct clones *c = state;
    if (b->mono_ms >= c->next_ms) {
        clone_sweep(c->watch, b->now_ms, heard, suspect, c);
        c->next_ms = b->mono_ms + core_config(c->core)->clone_look_ms;
    }
    *next_ms = c->next_ms;
    return c->n_due > 0;
}

static void due_written(void *data, bool committed)
{
    struct clones *c = data;
    if (committed)
        c->n_due = 0;
}

static enum err part_work(struct batch *b, void *state, struct fault *f)
{
    struct clones *c = state;
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < c->n_due; i++)
        e = suspicion_write(b, &c->due[i], f);
    if (!e)
        batch_then(b, due_written, c);
    return e;
}

const struct core_part clone_part = { .name = "clone", .open = part_open, .close = part_close, .start = part_start, .tick = part_tick,
                                      .work = part_work };
