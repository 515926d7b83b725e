/* seal.h: encrypts artifacts and wraps their content keys for devices. Formats: cradle/unseal.h. Opens nothing, keeps nothing. */
#ifndef CRADLE_WIRE_SEAL_H
#define CRADLE_WIRE_SEAL_H

#include "base/span.h"

#define SEAL_KEY 32
#define SEAL_SEGMENT 65536
#define SEAL_TAG 16
#define SEAL_HEAD 68
#define SEAL_WRAPPED 113

struct seal { /* private */
    uint8_t key[SEAL_KEY], head[SEAL_HEAD];
    uint64_t length, segments, segment;
};

/* A new content key and nonce prefix; head is the beginning of the sealed file. CE_IO: no random numbers; CE_TOO_LARGE: 256 TiB. */
MUST_USE enum err seal_begin(struct seal *s, const uint8_t sha256[32], uint64_t length);
/* The next segment: SEAL_SEGMENT bytes, fewer in the last one only. out: n + SEAL_TAG bytes; may be plain's own place. CE_BAD_INPUT: another length is due. */
MUST_USE enum err seal_segment(struct seal *s, struct span plain, uint8_t *out);
bool seal_done(const struct seal *s);
void seal_end(struct seal *s); /* wipes the key */
uint64_t seal_length(uint64_t plain_length); /* of the sealed file */

/* Appends key, wrapped for the device with this SubjectPublicKeyInfo. CE_KEY_ALG: no P-256 key; CE_KEY_INVALID, CE_CRYPTO. */
MUST_USE enum err seal_wrap(const uint8_t key[SEAL_KEY], const uint8_t sha256[32], struct span spki, struct span uid, struct buf *out, struct fault *f);

#endif
