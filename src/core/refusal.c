/* refusal.c: refusals as evidence. The first of a kind (reason, uid, address) is written with the next batch; its repeats within
 * refusal_window_ms are counted and written as one event when the window closes. Nobody can flood the log: at most REFUSAL_MAX kinds are
 * told apart at a time, two events each in a window; what comes beyond is one event for each reason when the window closes, with the
 * count and about how many addresses. What edges report has been through a bound of their own (base/tally.h); an edge that
 * reports more than REFUSAL_EDGE_MAX in a window is counted in the same way, by edge and reason. */
#include <stdlib.h>

#include "base/distinct.h"
#include "base/log.h"
#include "base/name.h"
#include "core/engine.h"
#include "core/registry.h"

struct refusal {
    enum err code;
    char text[256], who[65], addr[65], uid[UID_MAX + 1], op[64];
    bool first_due;        /* the first one is not written yet */
    bool writing;          /* in the batch that runs */
    int64_t count;         /* repeats that are not written yet */
    struct distinct *rest; /* owned; NULL: one kind. Else this is what is beyond the kinds, and the addresses behind it */
    int64_t first_ms;      /* wall clock, of the first one in count */
    int64_t closes_ms;     /* monotonic */
    struct refusal *next;  /* of the same bucket */
};

struct refusals {
    struct refusal *bucket[256];
    size_t n;              /* kinds; what is beyond them not counted */
    size_t first_due;
    struct { int64_t closes_ms, n; } edges[256]; /* windows of what edges report, by a hash of their names */
    int64_t closes_ms;     /* no window closes before; INT64_MAX: none open */
};

struct refusals *refusals_new(void)
{
    struct refusals *r = mem_calloc(1, sizeof *r);
    r->closes_ms = INT64_MAX;
    return r;
}

static void refusal_free(struct refusal *x)
{
    free(x->rest);
    free(x);
}

void refusals_free(struct refusals *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < ARRAY_LEN(r->bucket); i++)
        while (r->bucket[i]) {
            struct refusal *next = r->bucket[i]->next;
            refusal_free(r->bucket[i]);
            r->bucket[i] = next;
        }
    free(r);
}

static void text_put(char *out, size_t cap, struct span s)
{
    size_t n = s.n < cap - 1 ? s.n : cap - 1;
    while (n < s.n && n && (s.p[n] & 0xc0) == 0x80) /* never half a character */
        n--;
    if (n)
        memcpy(out, s.p, n);
    out[n] = 0;
}

static uint8_t bucket_of(enum err code, struct span uid, struct span addr)
{
    uint32_t h = 2166136261u ^ (uint32_t)code;
    for (size_t i = 0; i < uid.n; i++)
        h = (h ^ uid.p[i]) * 16777619u;
    for (size_t i = 0; i < addr.n; i++)
        h = (h ^ addr.p[i]) * 16777619u;
    return (uint8_t)(h ^ (h >> 8) ^ (h >> 16));
}

static struct refusal *refusal_find(struct refusals *r, enum err code, struct span uid, struct span addr)
{
    for (struct refusal *x = r->bucket[bucket_of(code, uid, addr)]; x; x = x->next)
        if (!x->rest && x->code == code && span_eq_str(uid, x->uid) && span_eq_str(addr, x->addr))
            return x;
    return NULL;
}

static struct refusal *refusal_add(struct batch *b, enum err code, struct span uid, struct span addr)
{
    struct refusals *r = b->core->refusals;
    struct refusal *x = mem_calloc(1, sizeof *x), **at = &r->bucket[bucket_of(code, uid, addr)];
    x->code = code;
    text_put(x->addr, sizeof x->addr, addr);
    text_put(x->uid, sizeof x->uid, uid);
    x->first_ms = b->now_ms;
    x->closes_ms = b->mono_ms + b->core->cfg.refusal_window_ms;
    x->next = *at;
    *at = x;
    if (x->closes_ms < r->closes_ms)
        r->closes_ms = x->closes_ms;
    return x;
}

/* Beyond the kinds: by reason, and by edge (op "broker:NAME") when one reports it. */
static void rest_note(struct batch *b, enum err code, struct span addr, const char *op, int64_t count)
{
    const struct span none = { 0 };
    struct refusal *x = b->core->refusals->bucket[bucket_of(code, none, none)];
    while (x && !(x->rest && x->code == code && strcmp(x->op, op) == 0))
        x = x->next;
    if (!x) {
        x = refusal_add(b, code, none, none);
        x->rest = mem_calloc(1, sizeof *x->rest);
        text_put(x->op, sizeof x->op, span_str(op));
    }
    x->count += count;
    distinct_add(x->rest, addr);
}

void refusal_note(struct batch *b, enum err code, const char *text, struct span who, struct span addr, struct span uid, const char *op)
{
    struct refusals *r = b->core->refusals;
    struct fault ignored;
    if (code <= CE_OK || code >= CE_COUNT)
        code = CE_INTERNAL;
    b->core->stats.refused[code]++;
    if (err_class(code) == ERRC_BUSY)
        return; /* our own trouble judges nobody */
    if (uid.n && name_check_uid(uid, &ignored))
        uid.n = 0; /* what is not a UID belongs to no device; the text has it */
    if (addr.n >= sizeof((struct refusal *)0)->addr)
        addr.n = 0;
    struct refusal *x = refusal_find(r, code, uid, addr);
    if (!x && r->n >= REFUSAL_MAX) {
        rest_note(b, code, addr, "", 1);
        return;
    }
    if (x) {
        if (!x->count++)
            x->first_ms = b->now_ms;
        return;
    }
    x = refusal_add(b, code, uid, addr);
    text_put(x->text, sizeof x->text, span_str(text));
    text_put(x->who, sizeof x->who, who);
    text_put(x->op, sizeof x->op, span_str(op));
    x->first_due = true;
    r->n++;
    r->first_due++;
}

/* Has this edge reported less than its share in this window? */
static bool edge_may(struct batch *b, struct span edge)
{
    struct refusals *r = b->core->refusals;
    uint8_t i = bucket_of(CE_OK, edge, (struct span){ 0 });
    if (r->edges[i].closes_ms <= b->mono_ms) {
        r->edges[i].closes_ms = b->mono_ms + b->core->cfg.refusal_window_ms;
        r->edges[i].n = 0;
    }
    return r->edges[i].n++ < REFUSAL_EDGE_MAX;
}

void refusal_reported(struct batch *b, struct span edge, const struct msg_report *r)
{
    int64_t count = r->count > 0 ? r->count : 1;
    const char *op = arena_printf(b->arena, "broker:" SPAN_FMT, SPAN_ARG(edge));
    enum err code = err_from_reason(arena_str(b->arena, r->reason));
    b->core->stats.refused[code] += (uint64_t)count;
    if (!edge_may(b, edge)) {
        rest_note(b, code, r->addr, op, count);
        return;
    }
    struct json_out *j = event_begin(b, EVENT_REFUSED, r->uid, 0);
    json_str(j, "reason", r->reason);
    json_str(j, "text", r->text);
    json_str(j, "caller", r->uid);
    json_str(j, "addr", r->addr);
    json_str(j, "uid", r->uid);
    json_cstr(j, "op", op);
    json_int(j, "count", count);
    json_time_ms(j, "first_at", r->at);
    json_int(j, "sources", r->sources ? r->sources : 1);
    event_end(b);
}

void refusals_close(struct refusals *r)
{
    for (size_t i = 0; i < ARRAY_LEN(r->bucket); i++)
        for (struct refusal *x = r->bucket[i]; x; x = x->next)
            x->closes_ms = r->closes_ms = 0;
}

bool refusals_due(const struct refusals *r, int64_t mono_ms) { return r->first_due || r->closes_ms <= mono_ms; }
int64_t refusals_next_ms(const struct refusals *r) { return r->first_due ? 0 : r->closes_ms; }

static void refusal_event(struct batch *b, const struct refusal *x, int64_t count)
{
    int64_t sources = x->rest ? distinct_count(x->rest) : 1;
    const char *text = !x->rest ? x->text : arena_printf(b->arena, "%lld more, beyond what is told one by one, from about %lld addresses",
                                                         (long long)count, (long long)sources);
    struct json_out *j = event_begin(b, EVENT_REFUSED, span_str(x->uid), 0);
    json_cstr(j, "reason", err_reason(x->code));
    json_cstr(j, "text", text);
    json_cstr(j, "caller", x->who);
    json_cstr(j, "addr", x->addr);
    json_cstr(j, "uid", x->uid);
    json_cstr(j, "op", x->op);
    json_int(j, "count", count);
    json_time_ms(j, "first_at", x->first_ms);
    json_int(j, "sources", sources);
    event_end(b);
}

/* After the commit: what was written is not due any more; closed windows go. */
static void refusals_written(void *data, bool committed)
{
    struct refusals *r = data;
    r->closes_ms = INT64_MAX;
    for (size_t i = 0; i < ARRAY_LEN(r->bucket); i++)
        for (struct refusal **at = &r->bucket[i]; *at;) {
            struct refusal *x = *at;
            bool closed = x->writing && !x->first_due;
            if (x->writing && committed && x->first_due) {
                x->first_due = false;
                r->first_due--;
            } else if (committed && closed) {
                *at = x->next;
                r->n -= !x->rest;
                refusal_free(x);
                continue;
            }
            x->writing = false;
            if (!x->first_due && x->closes_ms < r->closes_ms)
                r->closes_ms = x->closes_ms;
            at = &x->next;
        }
}

void refusals_write(struct batch *b)
{
    struct refusals *r = b->core->refusals;
    if (!refusals_due(r, b->mono_ms))
        return;
    for (size_t i = 0; i < ARRAY_LEN(r->bucket); i++)
        for (struct refusal *x = r->bucket[i]; x; x = x->next) {
            if (!x->first_due && x->closes_ms > b->mono_ms)
                continue;
            x->writing = true;
            if (x->first_due)
                refusal_event(b, x, 1);
            else if (x->count)
                refusal_event(b, x, x->count);
        }
    batch_then(b, refusals_written, r);
}

enum err refusal_op(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_refused *m = msg;
    (void)out;
    (void)f;
    enum err code = m->code > CE_OK && m->code < CE_COUNT ? (enum err)m->code : CE_INTERNAL;
    refusal_note(b, code, arena_str(b->arena, m->text), c->m->cn, c->m->addr, m->uid, arena_str(b->arena, m->path));
    return CE_OK;
}
