/* wire/snapshot.h: codec of include/cradle/snapshot.h: snapshot headers and files, stream frames, and the keys in them.
 * Encoders are the signer's; decoders and verifiers are pure and fuzzed. No files, no maps: callers give bytes.
 */
#ifndef CRADLE_WIRE_SNAPSHOT_H
#define CRADLE_WIRE_SNAPSHOT_H

#include "base/span.h"
#include "cradle/snapshot.h"
#include "crypt/ed25519.h"
#include "crypt/key.h"

void snapshot_key_cert(struct span issuer_kid, struct span serial, uint8_t out[SNAPSHOT_KEY]);
void snapshot_key_ident(struct span uid, uint8_t out[SNAPSHOT_KEY]);
void snapshot_key_line(struct span name, uint8_t out[SNAPSHOT_KEY]);
void snapshot_key_policy(struct span document, uint8_t out[SNAPSHOT_KEY]);

/* -- vectors -- */
/* Is text a vector: "slot:nseq,slot:nseq", slots 1.. ascending, numbers decimal without leading zeros? "" is one. */
bool snapshot_vector_valid(struct span text);
/* No component of now is lower than in before, none is missing? CE_VECTOR_LOWER; CE_BAD_FRAME when one is malformed. */
MUST_USE enum err snapshot_vector_check(struct span before, struct span now);

/* -- snapshot -- */
struct snapshot_header { /* spans into the bytes given */
    int64_t at_ms;
    uint32_t n[SNAPSHOT_SETS]; /* keys of each set, enum snapshot_set - 1; of policies always 1 */
    struct span body_sha256;   /* 32 bytes */
    struct span vector;
    struct span bytes;         /* the whole header with signature (set by the parser) */
};
/* Appends the signed header. CE_BAD_FRAME when a field is out of its bounds. */
MUST_USE enum err snapshot_header_encode(const struct snapshot_header *h, struct key *stream_key, struct buf *out);
/* Takes the header from the front of *in. CE_TRUNCATED: more bytes may help. Does not verify. */
MUST_USE enum err snapshot_header_parse(struct span *in, struct snapshot_header *out);
MUST_USE enum err snapshot_header_verify(const struct snapshot_header *h, const uint8_t pub[ED25519_PUB]); /* CE_BAD_SIGNATURE */
size_t snapshot_body_size(const struct snapshot_header *h); /* bytes */

struct snapshot { /* a verified whole; views into the bytes given */
    struct snapshot_header header;
    const uint8_t *keys[SNAPSHOT_SETS]; /* of each set n x SNAPSHOT_KEY, ascending, no repeats */
};
/* Parses and verifies header, size, hash and order of in, which must be nothing but one snapshot. */
MUST_USE enum err snapshot_open(struct span in, const uint8_t pub[ED25519_PUB], struct snapshot *out);
bool snapshot_find(const uint8_t *keys, uint32_t n, const uint8_t key[SNAPSHOT_KEY]); /* binary search */

/* -- frames -- */
struct snapshot_entry {
    uint8_t set, op;           /* enum snapshot_set, enum snapshot_op */
    const uint8_t *key;        /* SNAPSHOT_KEY bytes */
};
struct snapshot_frame { /* spans into the bytes given */
    int64_t at_ms;
    struct span prev, vector;
    uint16_t n_entries;
    struct span entries;       /* n_entries x SNAPSHOT_ENTRY */
    struct span bytes;         /* the whole frame with signature (set by the parser) */
};
void snapshot_entry_put(struct buf *entries, enum snapshot_set set, enum snapshot_op op, const uint8_t key[SNAPSHOT_KEY]);
/* Appends the signed frame; n_entries is taken from entries. CE_BAD_FRAME when a field is out of its bounds. */
MUST_USE enum err snapshot_frame_encode(const struct snapshot_frame *fr, struct key *stream_key, struct buf *out);
/* Takes one frame from the front of *in (entries are checked for known sets and ops). CE_TRUNCATED: more bytes may help. */
MUST_USE enum err snapshot_frame_parse(struct span *in, struct snapshot_frame *out);
MUST_USE enum err snapshot_frame_verify(const struct snapshot_frame *fr, const uint8_t pub[ED25519_PUB]); /* CE_BAD_SIGNATURE */
void snapshot_frame_entry(const struct snapshot_frame *fr, unsigned i, struct snapshot_entry *out); /* i < n_entries */

/* -- policy documents, as the stream carries them: only the frame around the text is judged here -- */
/* Appends the item. CE_TOO_LARGE when the document does not fit into SNAPSHOT_POLICY_MAX. */
MUST_USE enum err snapshot_policy_encode(struct span document, struct buf *out);
/* Takes one item from the front of *in; *document points into it. CE_TRUNCATED: more bytes may help. CE_BAD_FRAME. */
MUST_USE enum err snapshot_policy_parse(struct span *in, struct span *document);

#endif
