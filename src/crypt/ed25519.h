/* ed25519.h: Ed25519 (RFC 8032) with raw keys, for the log's checkpoints and the revocation stream. */
#ifndef CRADLE_CRYPT_ED25519_H
#define CRADLE_CRYPT_ED25519_H

#include "base/span.h"
#include "crypt/key.h"

#define ED25519_PUB 32
#define ED25519_SIG 64

MUST_USE enum err ed25519_public(const struct key *k, uint8_t out[ED25519_PUB]);  /* CE_KEY_ALG: another kind of key */
MUST_USE enum err ed25519_sign(struct key *k, struct span message, uint8_t out[ED25519_SIG]);
MUST_USE enum err ed25519_verify(const uint8_t pub[ED25519_PUB], struct span message, struct span sig); /* CE_BAD_SIGNATURE */

#endif
