/* stream_snap.c: signed snapshots for subscribers that lack too much, and the answers to EDGE_OPEN. See stream.h.
 *
 * A snapshot is anchored where a frame ends: its vector is that of the frame being made, its sets are those that the frame leads to.
 * So the frames after it, which the ring holds and which will be pushed, apply on top of it. It is kept and given to others
 * for as long as the ring leads on from its vector.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/stream_priv.h"

#define ANSWER_MAX 33554432 /* msg.def: body of a reply */
#define ANSWER_ROOM (SNAPSHOT_POLICY_MAX + 65536) /* for the policy document, the header and the first frames after it */

void stream_snap_clear(struct stream *s)
{
    buf_free(&s->snap.policy);
    buf_free(&s->snap.body);
    buf_free(&s->snap.header);
    s->snap = (struct stream_snap){ .policy = BUF_INIT(SNAPSHOT_POLICY_MAX), .body = BUF_INIT(ANSWER_MAX),
                                       .header = BUF_INIT(SNAPSHOT_FIXED + SNAPSHOT_VECTOR_MAX + 256) };
}

/* -- making ------------------------------------------------------------------------------------------------------------------------- */
static void waiters_answer(struct batch *b, struct stream *s, const struct msg_reply *r)
{
    while (s->waiters) {
        struct stream_waiter *w = s->waiters;
        s->waiters = w->next;
        batch_reply(b, &w->to, r);
        free(w);
    }
    s->n_waiters = 0;
}

static void snap_refuse(struct batch *b, struct stream *s, size_t n)
{
    log_error(0, "the revocation snapshot has %zu bytes, more than the %d that fit into an answer; subscribers cannot be served", n, ANSWER_MAX);
    const struct msg_reply r = { .code = CE_UNSUPPORTED, .text = SPAN_LIT("the revocation snapshot is too large for this release") };
    waiters_answer(b, s, &r);
}

void stream_snap_anchor(struct batch *b, struct stream *s, const char *vector)
{
    stream_snap_clear(s);
    s->snap_wanted = false;
    struct stream_snap *p = &s->snap;
    size_t n = 0;
    for (int i = 0; i < SNAPSHOT_SETS; i++) {
        n += stream_set_body(&s->sets[i]).n;
        p->n[i] = (uint32_t)s->sets[i].n;
    }
    if (n > ANSWER_MAX - ANSWER_ROOM) {
        snap_refuse(b, s, n);
        return;
    }
    buf_put_span(&p->policy, buf_span(&s->policy.item)); /* the one in the set: a frame takes the newest */
    uint8_t *at = n ? buf_grow(&p->body, n) : NULL;
    for (int i = 0; i < SNAPSHOT_SETS; i++) {
        struct span body = stream_set_body(&s->sets[i]);
        if (body.n) {
            memcpy(at, body.p, body.n);
            at += body.n;
        }
    }
    memcpy(p->vector, vector, strlen(vector) + 1);
    p->at_ms = b->now_ms;
    sha256_begin(&p->hash);
    p->state = SNAP_HASHING;
    core_wake(s->core);
}

static enum err snap_signed(struct batch *b, void *data, const struct msg_signed *m)
{
    struct stream *s = data;
    (void)b;
    struct stream_snap *p = &s->snap;
    struct snapshot_header h;
    struct span in = m->body;
    if (p->state != SNAP_AT_SIGNER)
        return CE_OK;
    if (m->code || snapshot_header_parse(&in, &h) || in.n || !span_eq_str(h.vector, p->vector) ||
        !span_eq(h.body_sha256, span_of(p->digest, sizeof p->digest))) {
        log_warn(0, "the revocation snapshot was not signed: " SPAN_FMT "; asked again", SPAN_ARG(m->text));
        stream_snap_clear(s);
        s->snap_wanted = true;
    } else {
        buf_put_span(&s->snap.header, m->body);
        s->snap.state = SNAP_READY;
    }
    core_wake(s->core);
    return CE_OK;
}

static void snap_drop(void *data)
{
    struct stream *s = data;
    stream_snap_clear(s);
    s->snap_wanted = true;
}

/* Hashes a slice; asks the signer when all of it is hashed. A million entries must not hold up a revocation. */
static void snap_hash(struct batch *b, struct stream *s)
{
    struct stream_snap *p = &s->snap;
    size_t n = p->body.len - p->hashed;
    n = n > STREAM_HASH_SLICE ? STREAM_HASH_SLICE : n;
    sha256_add(&p->hash, span_of(p->body.data + p->hashed, n));
    p->hashed += n;
    if (p->hashed < p->body.len) {
        core_wake(s->core);
        return;
    }
    sha256_end(&p->hash, p->digest);
    struct msg_sign_snapshot m = { .vector = span_str(p->vector), .at_ms = p->at_ms, .n_certs = p->n[0], .n_idents = p->n[1], .n_lines = p->n[2],
                                   .n_repair = p->n[3], .n_policies = p->n[4], .body_sha256 = span_of(p->digest, sizeof p->digest) };
    p->state = SNAP_AT_SIGNER;
    batch_sign_msg(b, &msg_desc_sign_snapshot, &m,
                   (struct sign_done){ .fn = snap_signed, .drop = snap_drop, .data = s, .read_only = true });
}

/* -- answering ------------------------------------------------------------------------------------------------------------------------ */
static void answer_free(void *data, bool committed)
{
    (void)committed;
    free(data);
}

/* Snapshot and the frames since, to everybody who waits. False: there is no snapshot from which the ring leads on. */
static bool snap_answer(struct batch *b, struct stream *s)
{
    const struct stream_snap *p = &s->snap;
    CLEANUP(buf_free) struct buf frames = BUF_INIT(ANSWER_MAX);
    const struct buf *parts[] = { &p->policy, &p->header, &p->body, &frames };
    size_t n = 0;
    if (p->state != SNAP_READY || !stream_ring_since(s, span_str(p->vector), &frames) || frames.err ||
        p->policy.len + p->header.len + p->body.len + frames.len > ANSWER_MAX)
        return false;
    uint8_t *body = mem_alloc(p->policy.len + p->header.len + p->body.len + frames.len + 1);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i]->len)
            memcpy(body + n, parts[i]->data, parts[i]->len);
        n += parts[i]->len;
    }
    struct msg_reply r = { .body_kind = BODY_BINARY, .body = span_of(body, n) };
    waiters_answer(b, s, &r);
    batch_then(b, answer_free, body); /* after the replies have left */
    return true;
}

void stream_snap_step(struct batch *b, struct stream *s)
{
    if (s->snap.state == SNAP_HASHING)
        snap_hash(b, s);
    /* a snapshot whose frame was never published, or that the ring has left behind, helps nobody */
    if (s->waiters && !snap_answer(b, s))
        s->snap_wanted |= (s->snap.state == SNAP_READY && !s->at_signer) || s->snap.state == SNAP_NONE;
}

static enum err snap_wait(struct batch *b, struct stream *s, struct fault *f)
{
    if (s->n_waiters >= STREAM_WAITERS_MAX)
        return fault_set(f, CE_BUSY, "%d subscribers wait for a snapshot already", STREAM_WAITERS_MAX);
    struct stream_waiter *w = mem_calloc(1, sizeof *w);
    batch_defer(b, &w->to);
    w->next = s->waiters;
    s->waiters = w;
    s->n_waiters++;
    core_wake(s->core);
    return CE_OK;
}

enum err stream_op_edge_open(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_edge_open *m = msg;
    struct stream *s = core_part(b->core, CORE_PART_STREAM);
    CLEANUP(buf_free) struct buf frames = BUF_INIT(ANSWER_MAX);
    (void)c;
    if (!snapshot_vector_valid(m->since))
        return fault_set(f, CE_BAD_FRAME, "since: a vector is written slot:number,slot:number with ascending slots");
    buf_put_span(&frames, buf_span(&s->published.item));
    if (m->since.n && stream_ring_since(s, m->since, &frames) && !frames.err) {
        out->body_kind = BODY_BINARY;
        out->body = arena_copy(b->arena, span_of(frames.data, frames.len));
        return CE_OK;
    }
    return snap_wait(b, s, f);
}
