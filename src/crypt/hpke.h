/* hpke.h: HPKE of RFC 9180, one message to one P-256 key: mode base, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, sequence 0, no
 * associated data. And AES-256-GCM itself. The receiving half is the device library's (cradle/unseal.h).
 */
#ifndef CRADLE_CRYPT_HPKE_H
#define CRADLE_CRYPT_HPKE_H

#include "base/span.h"

#define GCM_TAG 16
#define HPKE_ENC 65
#define HPKE_MORE (HPKE_ENC + GCM_TAG) /* bytes that a sealed message is longer */

/* Appends the ephemeral point, the ciphertext and its tag. point: 65 bytes, uncompressed. CE_KEY_INVALID, CE_CRYPTO. */
MUST_USE enum err hpke_seal(struct span point, struct span info, struct span text, struct buf *out);

/* out: text.n + GCM_TAG bytes; may be text's own place. A pair of key and nonce is used once. */
MUST_USE enum err gcm_seal(const uint8_t key[32], const uint8_t nonce[12], struct span aad, struct span text, uint8_t *out);

#endif
