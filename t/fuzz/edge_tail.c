/* edge_tail.c: any bytes as what cradled streams to an edge (snapshot and frames, in pieces), and as a consumer's datagram. */
#include <stdint.h>

#include "base/log.h"
#include "edge/feed.h"
#include "wire/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t body;
static enum err on_policy(void *arg, struct span document)
{
    (void)arg;
    INVARIANT(document.n < SNAPSHOT_POLICY_MAX);
    return CE_OK;
}
static enum err on_snapshot(void *arg, const struct snapshot_header *h)
{
    static const uint8_t pub[32];
    (void)arg;
    if (snapshot_header_verify(h, pub) == CE_OK)
        return CE_BAD_SIGNATURE; /* nobody has that key */
    body = snapshot_body_size(h);
    return CE_OK;
}
static enum err on_body(void *arg, struct span bytes, bool last)
{
    (void)arg;
    INVARIANT(bytes.n <= body);
    body -= bytes.n;
    INVARIANT(last == (body == 0));
    return CE_OK;
}
static enum err on_frame(void *arg, const struct snapshot_frame *fr)
{
    struct snapshot_entry en;
    (void)arg;
    for (unsigned i = 0; i < fr->n_entries; i++) {
        snapshot_frame_entry(fr, i, &en);
        INVARIANT(en.set >= SNAPSHOT_SET_CERT && en.set <= SNAPSHOT_SETS && en.key);
    }
    return snapshot_vector_check(fr->prev, fr->vector);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct feed_calls calls = { on_policy, on_snapshot, on_body, on_frame, NULL };
    struct feed fd;
    struct msg_report r;
    size_t piece = size ? 1 + data[size - 1] : 1, n = size;
    const uint8_t *p = data;
    feed_init(&fd);
    for (enum err e = CE_OK; n && !e; p += piece, n -= piece) {
        piece = piece < n ? piece : n;
        e = feed_put(&fd, span_of(p, piece), &calls);
    }
    feed_free(&fd);
    if (!report_unpack(span_of(data, size), &r))
        INVARIANT(r.kind.n && r.at >= 0);
    return 0;
}

#include "t/fuzz/replay.h"
