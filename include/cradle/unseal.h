/* cradle/unseal.h: the device's half of encrypted artifacts: the content key out of its wrapping, the file out of its segments.
 *
 * Encryption keeps a file's content from those who carry or store it; it proves nothing about who made it. What may be installed is judged as
 * for any file, by the signed digest of the plain bytes (cradle/update.h). It opens no file, allocates nothing and never sees the device's key.
 *
 * The sealed file, integers big-endian: a header of CRADLE_UNSEAL_HEAD bytes
 *     16 "cradle sealed 1\n" | 32 SHA-256 of the plain file | u64 its length | u32 65536 | 7 nonce prefix | 1 zero
 * then segments: 65536 bytes each (the last one has the rest; a file without bytes has one empty segment), each followed by its tag of 16.
 * AES-256-GCM; nonce: prefix, u32 number of the segment from 0, 1 in the last one and 0 in others; associated data: the whole header. So no
 * segment can be changed, moved, left out, or taken from another file.
 *
 * The wrapped content key, CRADLE_UNSEAL_WRAPPED bytes: HPKE (RFC 9180), mode base, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, to the
 * key of the device's certificate: 65 enc | 48 ciphertext. info: "cradle content key 1\0" | 32 SHA-256 of the plain file | 32 SHA-256 of the
 * device's SubjectPublicKeyInfo | the device's UID. No associated data.
 */
#ifndef CRADLE_UNSEAL_H
#define CRADLE_UNSEAL_H

#include "cradle/update.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CRADLE_UNSEAL_HEAD 68
#define CRADLE_UNSEAL_SEGMENT 65536
#define CRADLE_UNSEAL_TAG 16
#define CRADLE_UNSEAL_WRAPPED 113

enum cradle_unseal_err {
    CRADLE_UNSEAL_OK = 0,
    CRADLE_UNSEAL_FORMAT = -80, /* not a sealed file, not a wrapped key, or bytes after the end */
    CRADLE_UNSEAL_OTHER = -81,  /* of another file */
    CRADLE_UNSEAL_KEY = -82,    /* the wrapped key is not for this device and file, or was changed */
    CRADLE_UNSEAL_TAMPER = -83, /* a segment was changed, or the content key is another one */
    CRADLE_UNSEAL_CRYPTO = -84, /* a callback of the port failed: a key, for example, that can only sign */
    CRADLE_UNSEAL_WRITE = -85,  /* the port's write failed */
    CRADLE_UNSEAL_SHORT = -86,  /* the file ended before its last segment */
};
const char *cradle_unseal_reason(int err); /* "sealed-format" …: stable words; never NULL */

struct cradle_unseal_port { /* all return 0 on success */
    void *ctx;
    const struct cradle_update_port *hash; /* its SHA-256 */
    /* The x coordinate of the product of the device's private key and a point, which must be refused when it is not on the curve. */
    int (*ecdh)(void *ctx, const uint8_t point[65], uint8_t x[32]);
    /* Opens in place. < 0: could not work; > 0: the tag does not hold. */
    int (*gcm_open)(void *ctx, const uint8_t key[32], const uint8_t nonce[12], const void *aad, size_t aad_n, void *data, size_t n,
                    const uint8_t tag[CRADLE_UNSEAL_TAG]);
    int (*write)(void *ctx, uint64_t offset, const void *data, size_t n); /* plain bytes, in order */
};

/* The content key of the file with this digest. point: the device's own. */
int cradle_unseal_key(const struct cradle_unseal_port *port, const uint8_t *wrapped, size_t n, const uint8_t sha256[32], const uint8_t point[65],
                      const uint8_t spki_sha256[32], const char *uid, uint8_t key[32]);

struct cradle_unseal { /* private but for segment */
    const struct cradle_unseal_port *port;
    uint8_t key[32], sha256[32], head[CRADLE_UNSEAL_HEAD];
    uint8_t *mem;      /* CRADLE_UNSEAL_SEGMENT + CRADLE_UNSEAL_TAG bytes of the caller's */
    uint64_t length;
    uint32_t segment;  /* the one that is due: all before it have been written */
    size_t have;
    int step, err;
};

void cradle_unseal_begin(struct cradle_unseal *u, const struct cradle_unseal_port *port, const uint8_t key[32], const uint8_t sha256[32], uint64_t length,
                         uint8_t *mem);
int cradle_unseal_add(struct cradle_unseal *u, const void *data, size_t n); /* pieces of any size, in order; after an error nothing more is taken */
/* After the header: the segments before this one are written already; the sealed file goes on at cradle_unseal_offset(segment). */
int cradle_unseal_resume(struct cradle_unseal *u, uint32_t segment);
uint64_t cradle_unseal_offset(uint32_t segment);
int cradle_unseal_end(struct cradle_unseal *u); /* CRADLE_UNSEAL_OK: all was written. Wipes the key in any case */

#ifdef __cplusplus
}
#endif

#endif
