/* unseal_port.h: what cradle/unseal.h asks of a target, by OpenSSL, over a key in a file. */
#ifndef CRADLE_AGENT_UNSEAL_PORT_H
#define CRADLE_AGENT_UNSEAL_PORT_H

#include <openssl/evp.h>

#include "cradle/unseal.h"

/* The x coordinate of key times point; 0 on success, and never for a point off the curve. */
int unseal_ecdh(EVP_PKEY *key, const uint8_t point[65], uint8_t x[32]);
/* As gcm_open of struct cradle_unseal_port; ctx is not used. */
int unseal_gcm_open(void *ctx, const uint8_t key[32], const uint8_t nonce[12], const void *aad, size_t aad_n, void *data, size_t n,
                    const uint8_t tag[CRADLE_UNSEAL_TAG]);

#endif
