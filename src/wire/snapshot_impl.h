/* snapshot_impl.h: what snapshot.c and snapshot_frame.c share. */
#ifndef CRADLE_WIRE_SNAPSHOT_IMPL_H
#define CRADLE_WIRE_SNAPSHOT_IMPL_H

#include "wire/snapshot.h"

/* Appends the signature over out[start..]; on failure cuts out back to start. */
MUST_USE enum err snapshot_sign(struct key *stream_key, size_t start, struct buf *out);
MUST_USE enum err snapshot_check_signature(struct span bytes, const uint8_t pub[ED25519_PUB]);

#endif
