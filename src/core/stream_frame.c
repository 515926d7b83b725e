/* stream_frame.c: frames of the revocation stream: one at the signer at a time, published in order, kept in a ring. See stream.h. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/stream_priv.h"

/* -- the ring ------------------------------------------------------------------------------------------------------------------ */
static struct stream_frame *ring_at(const struct stream *s, size_t i) /* i-th oldest */
{
    return (struct stream_frame *)&s->ring[(s->ring_first + i) % STREAM_RING];
}

static void frame_free(struct stream_frame *fr)
{
    free((void *)(uintptr_t)fr->bytes.p);
    free(fr->prev);
    *fr = (struct stream_frame){ 0 };
}

void stream_ring_clear(struct stream *s)
{
    for (size_t i = 0; i < s->n_ring; i++)
        frame_free(ring_at(s, i));
    s->n_ring = s->ring_bytes = 0;
}

static void ring_drop(struct stream *s)
{
    s->ring_bytes -= ring_at(s, 0)->bytes.n;
    frame_free(ring_at(s, 0));
    s->ring_first = (s->ring_first + 1) % STREAM_RING;
    s->n_ring--;
}

/* Frames that lead away from one vector together go together: the rest of them would pass for the whole. */
static void ring_make_room(struct stream *s, size_t n)
{
    while (s->n_ring && (s->n_ring == STREAM_RING || s->ring_bytes + n > STREAM_RING_BYTES)) {
        CLEANUP(mem_free_p) char *prev = mem_strdup(ring_at(s, 0)->prev);
        s->ring_torn |= strcmp(prev, s->head) == 0;
        while (s->n_ring && strcmp(ring_at(s, 0)->prev, prev) == 0)
            ring_drop(s);
    }
}

static void ring_add(struct stream *s, struct span bytes)
{
    ring_make_room(s, bytes.n);
    if (s->ring_torn)
        return;
    uint8_t *copy = mem_alloc(bytes.n);
    memcpy(copy, bytes.p, bytes.n);
    s->ring_bytes += bytes.n;
    *ring_at(s, s->n_ring++) = (struct stream_frame){ span_of(copy, bytes.n), mem_strdup(s->head) };
}

bool stream_ring_since(const struct stream *s, struct span vector, struct buf *out)
{
    size_t i = 0; /* the oldest with this prev: several frames may lead away from one vector, the head too, and all of them are needed */
    while (i < s->n_ring && !span_eq_str(vector, ring_at(s, i)->prev))
        i++;
    if (i == s->n_ring)
        return span_eq_str(vector, s->head) && !s->ring_torn;
    for (; i < s->n_ring; i++)
        buf_put_span(out, ring_at(s, i)->bytes);
    return true;
}

/* -- the policy document ----------------------------------------------------------------------------------------------------------------- */
#define POLICY_ENTRIES 2 /* the old one goes, the new one comes: always the first of a frame */

static void policy_set(struct stream *s, int op, const uint8_t *key) { stream_set_change(&s->sets[SNAPSHOT_SET_POLICY - 1], op, key); }

static bool policy_changed_since(const struct stream *s) { return memcmp(s->policy.key, s->published.key, SNAPSHOT_KEY) != 0; }

static void policy_copy(struct stream_policy *to, const struct stream_policy *from)
{
    buf_reset(&to->item);
    buf_put_span(&to->item, buf_span(&from->item));
    memcpy(to->key, from->key, sizeof to->key);
}

void stream_policy_start(struct stream *s)
{
    if (s->published.item.len)
        policy_set(s, SNAPSHOT_OP_DEL, s->published.key);
    policy_set(s, SNAPSHOT_OP_ADD, s->policy.key);
    policy_copy(&s->published, &s->policy);
}

bool stream_changed(const struct stream *s) { return s->pending.len || policy_changed_since(s); }

/* -- the signer's answer ------------------------------------------------------------------------------------------------------------ */
/* What was in the frame goes first in the next one. */
static void flight_undo(struct stream *s)
{
    if (s->flying.item.len) { /* a document is asked for anew, the newest then */
        policy_set(s, SNAPSHOT_OP_DEL, s->flying.key);
        policy_set(s, SNAPSHOT_OP_ADD, s->published.key);
        buf_reset(&s->flying.item);
        buf_drop(&s->flight, POLICY_ENTRIES * SNAPSHOT_ENTRY);
    }
    CLEANUP(buf_free) struct buf rest = s->pending;
    s->pending = s->flight;
    if (s->pending.len)
        s->pending_us = s->flight_us;
    s->flight = BUF_INIT(0);
    buf_put(&s->pending, rest.data, rest.len);
    s->at_signer = false;
    core_wake(s->core); /* the next try is due earlier than the next heartbeat */
}

static void frame_drop(void *data) { flight_undo(data); }

/* The frame and, before it, the document that it brings, which is the published one from now on. */
static struct span policy_before(struct batch *b, struct stream *s, struct span frame)
{
    struct span item = buf_span(&s->flying.item);
    if (!item.n)
        return frame;
    uint8_t *both = arena_alloc(b->arena, item.n + frame.n);
    memcpy(both, item.p, item.n);
    memcpy(both + item.n, frame.p, frame.n);
    struct stream_policy old = s->published;
    s->published = s->flying;
    s->flying = old;
    buf_reset(&s->flying.item);
    return span_of(both, item.n + frame.n);
}

static void frame_publish(struct batch *b, struct stream *s, struct span frame)
{
    struct span bytes = policy_before(b, s, frame);
    struct msg_push_frame m = { .frame = bytes };
    bool moved = strcmp(s->head, s->flight_vector) != 0;
    if (moved || s->flight.len)
        ring_add(s, bytes); /* a heartbeat that says nothing new is not kept */
    s->ring_torn &= !moved;
    memcpy(s->head, s->flight_vector, sizeof s->head);
    batch_push_msg(b, -1, &msg_desc_push_frame, &m);
    struct core_stats *st = core_stats(s->core);
    st->frames++;
    if (s->flight.len)
        stats_observe(&st->propagation, clock_mono_us() - s->flight_us);
    buf_reset(&s->flight);
    s->at_signer = false;
}

static enum err frame_signed(struct batch *b, void *data, const struct msg_signed *m)
{
    struct stream *s = data;
    struct span in = m->body;
    struct snapshot_frame fr;
    if (m->code || snapshot_frame_parse(&in, &fr) || in.n || !span_eq_str(fr.prev, s->head) || !span_eq_str(fr.vector, s->flight_vector) ||
        (size_t)fr.n_entries * SNAPSHOT_ENTRY != s->flight.len) {
        log_warn(0, "the revocation stream's next frame was not signed: " SPAN_FMT "; asked again", SPAN_ARG(m->text));
        flight_undo(s);
        s->retry_ms = b->mono_ms + STREAM_RETRY_MS;
        return CE_OK;
    }
    frame_publish(b, s, m->body);
    core_wake(s->core); /* what queued up meanwhile */
    return CE_OK;
}

/* -- asking --------------------------------------------------------------------------------------------------------------------------- */
/* Takes the policy document, when there is a new one, and what fits from pending into flight. */
static void flight_load(struct stream *s)
{
    size_t n = s->pending.len, max = STREAM_FRAME_ENTRIES * SNAPSHOT_ENTRY;
    n = n > max ? max : n;
    buf_reset(&s->flight);
    if (policy_changed_since(s)) {
        policy_copy(&s->flying, &s->policy);
        policy_set(s, SNAPSHOT_OP_DEL, s->published.key);
        policy_set(s, SNAPSHOT_OP_ADD, s->flying.key);
        snapshot_entry_put(&s->flight, SNAPSHOT_SET_POLICY, SNAPSHOT_OP_DEL, s->published.key);
        snapshot_entry_put(&s->flight, SNAPSHOT_SET_POLICY, SNAPSHOT_OP_ADD, s->flying.key);
    }
    buf_put(&s->flight, s->pending.data, n);
    buf_drop(&s->pending, n);
    s->flight_us = s->pending_us;
}

void stream_frame_step(struct batch *b, struct stream *s)
{
    struct span vector;
    struct fault f;
    bool heartbeat = b->mono_ms - s->last_ms >= STREAM_HEARTBEAT_MS, anchor = s->snap_wanted && s->snap.state != SNAP_HASHING;
    if (s->at_signer || b->mono_ms < s->retry_ms || !(stream_changed(s) || heartbeat || anchor))
        return;
    if (core_vector(s->core, b->arena, &vector, &f)) {
        log_warn(0, "the revocation stream waits for the database: %s", f.text);
        s->retry_ms = b->mono_ms + STREAM_RETRY_MS;
        return;
    }
    flight_load(s);
    bool whole = s->pending.len == 0; /* otherwise the frame is a part of the way to vector, and leaves the head where it is */
    if (!whole || span_to_cstr(vector, s->flight_vector, sizeof s->flight_vector))
        memcpy(s->flight_vector, s->head, sizeof s->flight_vector);
    struct msg_sign_frame m = { .prev = span_str(s->head), .vector = span_str(s->flight_vector), .at_ms = b->now_ms,
                                .entries = span_of(s->flight.data, s->flight.len) };
    s->at_signer = true;
    s->last_ms = b->mono_ms;
    batch_sign_msg(b, &msg_desc_sign_frame, &m,
                   (struct sign_done){ .fn = frame_signed, .drop = frame_drop, .data = s, .read_only = true });
    if (whole && anchor)
        stream_snap_anchor(b, s, s->flight_vector);
}
