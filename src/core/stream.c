/* stream.c: the sets of the revocation stream and their changes. Frames: stream_frame.c; snapshots and subscribers: stream_snap.c. */
#include "core/stream.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/ca.h"
#include "core/policy.h"
#include "core/stream_priv.h"
#include "store/cert.h"
#include "store/registry.h"

/* -- changes ------------------------------------------------------------------------------------------------------------------- */
struct stream_change {
    struct stream *stream;
    uint8_t set, op, key[SNAPSHOT_KEY];
};

static void change_apply(struct stream *s, uint8_t set, uint8_t op, const uint8_t *key)
{
    stream_set_change(&s->sets[set - 1], op, key);
    if (!s->running)
        return; /* nobody has seen an older state */
    if (!s->pending.len)
        s->pending_us = clock_mono_us();
    snapshot_entry_put(&s->pending, (enum snapshot_set)set, (enum snapshot_op)op, key);
}

static void change_end(void *data, bool committed)
{
    struct stream_change *c = data;
    if (committed)
        change_apply(c->stream, c->set, c->op, c->key);
    free(c);
}

static struct stream_change *change_new(struct batch *b, int set, int op)
{
    struct stream_change *c = mem_calloc(1, sizeof *c);
    c->stream = core_part(b->core, CORE_PART_STREAM);
    INVARIANT(c->stream);
    c->set = (uint8_t)set;
    c->op = (uint8_t)op;
    batch_then(b, change_end, c);
    return c;
}

void stream_change_cert(struct batch *b, int op, struct span kid, struct span serial)
{
    snapshot_key_cert(kid, serial, change_new(b, SNAPSHOT_SET_CERT, op)->key);
}

void stream_change_ident(struct batch *b, int op, struct span uid) { snapshot_key_ident(uid, change_new(b, SNAPSHOT_SET_IDENT, op)->key); }
void stream_change_repair(struct batch *b, int op, struct span uid) { snapshot_key_ident(uid, change_new(b, SNAPSHOT_SET_REPAIR, op)->key); }
void stream_change_line(struct batch *b, int op, struct span line) { snapshot_key_line(line, change_new(b, SNAPSHOT_SET_LINE, op)->key); }

struct policy_change { struct stream *stream; struct buf doc; };

static void policy_take(struct stream *s, struct span doc)
{
    buf_reset(&s->policy.item);
    INVARIANT(!snapshot_policy_encode(doc, &s->policy.item)); /* policy_build has bounded it */
    snapshot_key_policy(doc, s->policy.key);
    if (!s->running)
        stream_policy_start(s);
}

static void policy_end(void *data, bool committed)
{
    struct policy_change *c = data;
    if (committed)
        policy_take(c->stream, buf_span(&c->doc));
    buf_free(&c->doc);
    free(c);
}

void stream_change_policy(struct batch *b, struct buf *doc)
{
    struct policy_change *c = mem_calloc(1, sizeof *c);
    c->stream = core_part(b->core, CORE_PART_STREAM);
    INVARIANT(c->stream);
    c->doc = *doc;
    *doc = (struct buf)BUF_INIT(0);
    batch_then(b, policy_end, c);
}

/* -- the sets from the tables ----------------------------------------------------------------------------------------------------- */
struct load { struct stream *s; int64_t now_s; };

static bool load_cert(void *ctx, struct span kid, struct span serial, const struct cert_state *st)
{
    struct load *l = ctx;
    uint8_t key[SNAPSHOT_KEY];
    if (st->not_after < l->now_s)
        return true;
    snapshot_key_cert(kid, serial, key);
    stream_set_change(&l->s->sets[SNAPSHOT_SET_CERT - 1], SNAPSHOT_OP_ADD, key);
    return true;
}

struct load_names { struct stream *s; enum snapshot_set set; void (*key)(struct span name, uint8_t out[SNAPSHOT_KEY]); };

static bool load_name(void *ctx, struct span name)
{
    const struct load_names *l = ctx;
    uint8_t key[SNAPSHOT_KEY];
    l->key(name, key);
    stream_set_change(&l->s->sets[l->set - 1], SNAPSHOT_OP_ADD, key);
    return true;
}

static enum err stream_load(struct stream *s, struct fault *f)
{
    struct load l = { s, clock_now_s() };
    struct db *db = core_db(s->core);
    CLEANUP(buf_free) struct buf doc = BUF_INIT(0);
    size_t n;
    enum err e = store_cert_revoked_each(db, span_of(NULL, 0), span_of(NULL, 0), INT64_MAX, load_cert, &l, &n, f);
    e = e ? e : store_blocked_idents_each(db, load_name, &(struct load_names){ s, SNAPSHOT_SET_IDENT, snapshot_key_ident }, f);
    e = e ? e : store_blocked_lines_each(db, load_name, &(struct load_names){ s, SNAPSHOT_SET_LINE, snapshot_key_line }, f);
    e = e ? e : store_quarantined_each(db, load_name, &(struct load_names){ s, SNAPSHOT_SET_REPAIR, snapshot_key_ident }, f);
    for (size_t i = 0; !e && i < core_cas(s->core); i++) {
        const struct core_ca *ca = core_ca_at(s->core, i);
        const struct cert_state ended = { .not_after = INT64_MAX };
        if (ca_use_issues(ca->use) && ca_judge_holder(ca))
            load_cert(&l, ca->kid, span_of(NULL, 0), &ended);
    }
    e = e ? e : policy_build(db, (struct span){ 0 }, &doc, f);
    if (!e)
        policy_take(s, buf_span(&doc));
    for (int i = 0; i < SNAPSHOT_SETS; i++)
        stream_set_fold(&s->sets[i]);
    return e;
}

/* -- certificates that have ended leave the set: a slow walk through the table ----------------------------------------------------- */
struct sweep {
    struct stream *s;
    int64_t now_s;
    uint8_t ended[STREAM_SWEEP][SNAPSHOT_KEY];
    size_t n;
};

static size_t key_keep(uint8_t *out, size_t cap, struct span in)
{
    size_t n = in.n < cap ? in.n : cap;
    memcpy(out, in.p, n);
    return n;
}

static bool sweep_one(void *ctx, struct span kid, struct span serial, const struct cert_state *st)
{
    struct sweep *w = ctx;
    struct stream *s = w->s;
    s->sweep_kid_n = key_keep(s->sweep_kid, sizeof s->sweep_kid, kid);
    s->sweep_serial_n = key_keep(s->sweep_serial, sizeof s->sweep_serial, serial);
    if (st->not_after >= w->now_s)
        return true;
    snapshot_key_cert(kid, serial, w->ended[w->n]);
    w->n += stream_set_has(&s->sets[SNAPSHOT_SET_CERT - 1], w->ended[w->n]);
    return true;
}

static void stream_sweep(struct batch *b, struct stream *s)
{
    struct sweep *w = arena_alloc(b->arena, sizeof *w);
    struct fault f;
    size_t n = 0;
    w->s = s;
    w->now_s = b->now_ms / 1000;
    if (store_cert_revoked_each(b->db, span_of(s->sweep_kid, s->sweep_kid_n), span_of(s->sweep_serial, s->sweep_serial_n), STREAM_SWEEP,
                                sweep_one, w, &n, &f))
        log_warn(0, "revoked certificates that have ended stay in the stream for now: %s", f.text);
    for (size_t i = 0; i < w->n; i++)
        change_apply(s, SNAPSHOT_SET_CERT, SNAPSHOT_OP_DEL, w->ended[i]);
    if (n == 0)
        s->sweep_kid_n = s->sweep_serial_n = 0; /* from the start again */
}

/* -- the part -------------------------------------------------------------------------------------------------------------------------- */
static void stream_close(void *state)
{
    struct stream *s = state;
    for (int i = 0; i < SNAPSHOT_SETS; i++)
        stream_set_free(&s->sets[i]);
    buf_free(&s->policy.item);
    buf_free(&s->published.item);
    buf_free(&s->flying.item);
    stream_ring_clear(s);
    stream_snap_clear(s);
    buf_free(&s->pending);
    buf_free(&s->flight);
    while (s->waiters) {
        struct stream_waiter *w = s->waiters;
        s->waiters = w->next;
        free(w);
    }
    free(s);
}

static enum err stream_open(struct core *core, void **state, struct fault *f)
{
    struct stream *s = mem_calloc(1, sizeof *s);
    s->core = core;
    s->policy.item = s->published.item = s->flying.item = (struct buf)BUF_INIT(SNAPSHOT_POLICY_MAX);
    enum err e = stream_load(s, f);
    if (e)
        stream_close(s);
    else
        *state = s;
    return e;
}

static bool stream_tick(struct batch *b, void *state, int64_t *next_ms)
{
    struct stream *s = state;
    if (!s->running) {
        struct span v;
        struct fault f;
        if (core_vector(s->core, b->arena, &v, &f) || span_to_cstr(v, s->head, sizeof s->head)) {
            *next_ms = b->mono_ms + STREAM_RETRY_MS;
            return false;
        }
        s->running = true;
    }
    if (b->mono_ms - s->last_ms >= STREAM_HEARTBEAT_MS)
        stream_sweep(b, s);
    stream_snap_step(b, s);
    stream_frame_step(b, s);
    *next_ms = s->snap.state == SNAP_HASHING ? b->mono_ms : stream_changed(s) && !s->at_signer ? s->retry_ms : s->last_ms + STREAM_HEARTBEAT_MS;
    return false;
}

static void stream_metrics(void *state, struct core_stats *st)
{
    struct stream *s = state;
    for (int i = 0; i < SNAPSHOT_SETS; i++)
        stream_set_fold(&s->sets[i]);
    st->stream_certs = (int64_t)s->sets[SNAPSHOT_SET_CERT - 1].n;
    st->stream_idents = (int64_t)s->sets[SNAPSHOT_SET_IDENT - 1].n;
    st->stream_lines = (int64_t)s->sets[SNAPSHOT_SET_LINE - 1].n;
    st->stream_repair = (int64_t)s->sets[SNAPSHOT_SET_REPAIR - 1].n;
}

const struct core_part stream_part = { .name = "stream", .open = stream_open, .close = stream_close, .tick = stream_tick, .metrics = stream_metrics };
