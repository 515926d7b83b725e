/* port_psa.c: the port of cradle/update.h over the PSA Crypto API: mbedTLS 2.28 and later, TF-M, or a vendor's own. Example code: copy and change it.
 *
 * Call psa_crypto_init() before. PSA takes signatures as r || s, update metadata carries them in DER.
 */
#include <psa/crypto.h>
#include <string.h>

#include "update_loop.h"

static psa_hash_operation_t hash;

static int hash_begin(void *ctx)
{
    (void)ctx;
    psa_hash_abort(&hash);
    hash = psa_hash_operation_init();
    return psa_hash_setup(&hash, PSA_ALG_SHA_256) == PSA_SUCCESS ? 0 : -1;
}

static int hash_add(void *ctx, const void *data, size_t n)
{
    (void)ctx;
    return psa_hash_update(&hash, data, n) == PSA_SUCCESS ? 0 : -1;
}

static int hash_end(void *ctx, uint8_t out[32])
{
    size_t n;
    (void)ctx;
    return psa_hash_finish(&hash, out, 32, &n) == PSA_SUCCESS ? 0 : -1;
}

/* One INTEGER of at most 32 bytes to the right of out. Returns what follows it, NULL when it is none. */
static const uint8_t *integer(const uint8_t *p, const uint8_t *end, uint8_t out[32])
{
    if (end - p < 3 || p[0] != 0x02 || p[1] < 1 || p[1] > 33 || end - p - 2 < p[1])
        return NULL;
    size_t n = p[1];
    p += 2;
    if (n == 33 && *p++ != 0)
        return NULL;
    n = n == 33 ? 32 : n;
    memset(out, 0, 32);
    memcpy(out + 32 - n, p, n);
    return p + n;
}

static int verify(void *ctx, const uint8_t point[65], const uint8_t digest[32], const uint8_t *sig, size_t sig_len)
{
    uint8_t raw[64];
    psa_key_id_t key = 0;
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    const uint8_t *end = sig + sig_len, *p = sig + 2;
    (void)ctx;
    if (sig_len < 8 || sig_len > 72 || sig[0] != 0x30 || sig[1] != sig_len - 2 || !(p = integer(p, end, raw)) || integer(p, end, raw + 32) != end)
        return -1;
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_VERIFY_HASH);
    psa_set_key_algorithm(&a, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    if (psa_import_key(&a, point, 65, &key) != PSA_SUCCESS)
        return -1;
    int bad = psa_verify_hash(key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, 32, raw, sizeof raw) != PSA_SUCCESS;
    psa_destroy_key(key);
    return bad ? -1 : 0;
}

const struct cradle_update_port port_psa = { NULL, hash_begin, hash_add, hash_end, verify };
