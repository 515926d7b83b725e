/* feed.c: the stream's parser. */
#include "edge/feed.h"

#include "base/log.h"

#define MAGIC_MIN 4

void feed_init(struct feed *fd) { *fd = (struct feed){ .pending = BUF_INIT(2 * SNAPSHOT_POLICY_MAX) }; }

void feed_free(struct feed *fd) { buf_free(&fd->pending); }

static enum err body_take(struct feed *fd, struct span *in, const struct feed_calls *calls)
{
    size_t n = in->n < fd->body_left ? in->n : fd->body_left;
    struct span piece = span_of(in->p, n);
    fd->body_left -= n;
    in->p += n;
    in->n -= n;
    return calls->on_body(calls->arg, piece, fd->body_left == 0);
}

/* How long the item may be that pending begins. */
static size_t item_max(const struct feed *fd)
{
    bool policy = fd->pending.len >= MAGIC_MIN && !memcmp(fd->pending.data, SNAPSHOT_POLICY_MAGIC, MAGIC_MIN);
    return policy ? SNAPSHOT_POLICY_MAX : SNAPSHOT_FRAME_MAX;
}

/* One header, frame or document from the front of *in. CE_TRUNCATED: not whole yet. */
static enum err item_take(struct feed *fd, struct span *in, const struct feed_calls *calls)
{
    struct span rest = *in;
    enum err e;
    if (in->n < MAGIC_MIN)
        return CE_TRUNCATED;
    if (!memcmp(in->p, SNAPSHOT_FRAME_MAGIC, MAGIC_MIN)) {
        struct snapshot_frame fr;
        e = snapshot_frame_parse(&rest, &fr);
        if (!e)
            e = calls->on_frame(calls->arg, &fr);
    } else if (!memcmp(in->p, SNAPSHOT_MAGIC, MAGIC_MIN)) {
        struct snapshot_header h;
        e = snapshot_header_parse(&rest, &h);
        if (!e)
            e = calls->on_snapshot(calls->arg, &h);
        if (!e) {
            fd->body_left = snapshot_body_size(&h);
            if (!fd->body_left)
                e = calls->on_body(calls->arg, (struct span){ 0 }, true);
        }
    } else if (!memcmp(in->p, SNAPSHOT_POLICY_MAGIC, MAGIC_MIN)) {
        struct span document;
        e = snapshot_policy_parse(&rest, &document);
        if (!e)
            e = calls->on_policy(calls->arg, document);
    } else {
        return CE_BAD_FRAME;
    }
    if (!e)
        *in = rest;
    return e;
}

enum err feed_put(struct feed *fd, struct span bytes, const struct feed_calls *calls)
{
    while (bytes.n) {
        if (fd->body_left) {
            enum err e = body_take(fd, &bytes, calls);
            if (e)
                return e;
            continue;
        }
        /* at most one item's worth is copied: the rest waits in bytes */
        size_t had = fd->pending.len, most = item_max(fd), room = most > had ? most - had : 1;
        size_t n = bytes.n < room ? bytes.n : room;
        buf_put(&fd->pending, bytes.p, n);
        if (buf_err(&fd->pending))
            return CE_BAD_FRAME;
        struct span in = buf_span(&fd->pending);
        enum err e = item_take(fd, &in, calls);
        if (e == CE_TRUNCATED) {
            if (fd->pending.len > item_max(fd))
                return CE_BAD_FRAME;
            bytes.p += n;
            bytes.n -= n;
            continue;
        }
        if (e)
            return e;
        size_t used = fd->pending.len - in.n; /* of pending: had old bytes, the others from bytes */
        INVARIANT(used >= had);
        fd->pending.len = 0;
        bytes.p += used - had;
        bytes.n -= used - had;
    }
    return CE_OK;
}
