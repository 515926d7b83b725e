/* refusal.c: refusals as evidence. The first of a kind (reason, uid, address) is written with the next batch; its repeats within
 * refusal_window_ms are counted and written as one event when the window closes, so nobody can flood the log: at most two events a
 * kind and window, at most REFUSAL_MAX kinds; what comes beyond that is counted by reason alone. */
#include <stdlib.h>

#include "base/log.h"
#include "base/name.h"
#include "core/engine.h"
#include "core/registry.h"

struct refusal {
    enum err code;
    char text[256], who[65], addr[65], uid[UID_MAX + 1], op[24];
    bool first_due;        /* the first one is not written yet */
    bool writing;          /* in the batch that runs */
    int64_t count;         /* repeats that are not written yet */
    int64_t first_ms;      /* wall clock, of the first one in count */
    int64_t closes_ms;     /* monotonic */
    struct refusal *next;  /* of the same bucket */
};

struct refusals {
    struct refusal *bucket[256];
    size_t n;
    size_t first_due;
    int64_t closes_ms;     /* no window closes before; INT64_MAX: none open */
};

struct refusals *refusals_new(void)
{
    struct refusals *r = mem_calloc(1, sizeof *r);
    r->closes_ms = INT64_MAX;
    return r;
}

void refusals_free(struct refusals *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < ARRAY_LEN(r->bucket); i++)
        while (r->bucket[i]) {
            struct refusal *next = r->bucket[i]->next;
            free(r->bucket[i]);
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
        if (x->code == code && span_eq_str(uid, x->uid) && span_eq_str(addr, x->addr))
            return x;
    return NULL;
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
        uid = addr = who = (struct span){ 0 };
        x = refusal_find(r, code, uid, addr);
    }
    if (x) {
        if (!x->count++)
            x->first_ms = b->now_ms;
        return;
    }
    x = mem_calloc(1, sizeof *x);
    x->code = code;
    text_put(x->text, sizeof x->text, span_str(text));
    text_put(x->who, sizeof x->who, who);
    text_put(x->addr, sizeof x->addr, addr);
    text_put(x->uid, sizeof x->uid, uid);
    text_put(x->op, sizeof x->op, span_str(op));
    x->first_due = true;
    x->first_ms = b->now_ms;
    x->closes_ms = b->mono_ms + b->core->cfg.refusal_window_ms;
    struct refusal **at = &r->bucket[bucket_of(code, uid, addr)];
    x->next = *at;
    *at = x;
    r->n++;
    r->first_due++;
    if (x->closes_ms < r->closes_ms)
        r->closes_ms = x->closes_ms;
}

bool refusals_due(const struct refusals *r, int64_t mono_ms) { return r->first_due || r->closes_ms <= mono_ms; }
int64_t refusals_next_ms(const struct refusals *r) { return r->first_due ? 0 : r->closes_ms; }

static void refusal_event(struct batch *b, const struct refusal *x, int64_t count)
{
    struct json_out *j = event_begin(b, EVENT_REFUSED, span_str(x->uid), 0);
    json_cstr(j, "reason", err_reason(x->code));
    json_cstr(j, "text", x->text);
    json_cstr(j, "caller", x->who);
    json_cstr(j, "addr", x->addr);
    json_cstr(j, "uid", x->uid);
    json_cstr(j, "op", x->op);
    json_int(j, "count", count);
    json_time_ms(j, "first_at", x->first_ms);
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
                free(x);
                r->n--;
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
