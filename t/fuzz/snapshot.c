/* snapshot.c: fuzz target of snapshots and stream frames: bytes from a file or a stream, before their signature is known to hold. */
#include "base/log.h"
#include "wire/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t pub[ED25519_PUB] = { 1 };
    struct snapshot s;
    struct snapshot_header h;
    struct snapshot_frame fr;
    struct snapshot_entry entry;
    struct span in = span_of(data, size), doc;
    (void)!snapshot_open(in, pub, &s);
    if (snapshot_header_parse(&in, &h) == CE_OK)
        INVARIANT(h.bytes.p == data && h.bytes.n + in.n == size && snapshot_vector_valid(h.vector));
    in = span_of(data, size);
    while (snapshot_frame_parse(&in, &fr) == CE_OK) {
        INVARIANT(fr.bytes.p + fr.bytes.n == in.p);
        (void)!snapshot_vector_check(fr.prev, fr.vector);
        for (unsigned i = 0; i < fr.n_entries; i++) {
            snapshot_frame_entry(&fr, i, &entry);
            INVARIANT(entry.key >= data && entry.key + SNAPSHOT_KEY <= data + size);
        }
    }
    in = span_of(data, size);
    while (snapshot_policy_parse(&in, &doc) == CE_OK)
        INVARIANT(doc.p >= data && doc.p + doc.n == in.p);
    (void)snapshot_vector_valid(span_of(data, size));
    return 0;
}

#include "t/fuzz/replay.h"
