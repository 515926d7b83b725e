/* key_remote.h: an EVP_PKEY whose private half is somewhere else (TPM): it signs by a callback. Works as a TLS client key on OpenSSL 3.0 to 3.5,
 * TLS 1.2 and 1.3. It cannot agree on keys (ECDH). */
#ifndef CRADLE_AGENT_KEY_REMOTE_H
#define CRADLE_AGENT_KEY_REMOTE_H

#include <openssl/evp.h>

#include "base/span.h"
#include "cradle/dev.h"

struct key_remote {
    /* Signs 32 bytes; r || s, 64 bytes, to sig. CE_OK or why not (logged). */
    enum err (*sign)(struct key_remote *r, const uint8_t digest[32], uint8_t sig[64], struct fault *f);
    void (*release)(struct key_remote *r); /* called once, when the last reference to the EVP_PKEY goes */
};

/* Takes r on CE_OK only. */
MUST_USE enum err key_remote_bind(struct key_remote *r, const uint8_t point[CRADLE_POINT_LEN], EVP_PKEY **out, struct fault *f);

#endif
