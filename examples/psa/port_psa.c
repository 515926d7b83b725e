/* port_psa.c: cradle/psa.h over the PSA Crypto API: mbedTLS 2.28 and later, TF-M, or a vendor's own. Compile it into a firmware as it is, or into a module for
 * cradle-agent: cc -shared -fPIC -o cradle_psa.so port_psa.c -lmbedcrypto
 *
 * A secure element has a location of its own: define CRADLE_PSA_LIFETIME accordingly (PSA_KEY_LIFETIME_FROM_PERSISTENCE_AND_LOCATION).
 */
#include "cradle/psa.h"

#include <psa/crypto.h>
#include <string.h>

#ifndef CRADLE_PSA_LIFETIME
#define CRADLE_PSA_LIFETIME PSA_KEY_LIFETIME_PERSISTENT
#endif
#define ALG PSA_ALG_ECDSA(PSA_ALG_SHA_256)

/* Implementations disagree about how they say that there is no such key. */
static int status_of(psa_status_t s)
{
    return s == PSA_ERROR_INVALID_HANDLE || s == PSA_ERROR_DOES_NOT_EXIST ? CRADLE_PSA_NONE : s == PSA_ERROR_ALREADY_EXISTS ? CRADLE_PSA_TAKEN : (int)s;
}

int cradle_psa_make(uint32_t id)
{
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t made = 0;
    psa_status_t s = psa_crypto_init();
    if (s != PSA_SUCCESS)
        return status_of(s);
    psa_set_key_lifetime(&a, CRADLE_PSA_LIFETIME);
    psa_set_key_id(&a, (psa_key_id_t)id);
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&a, 256);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_HASH);
    psa_set_key_algorithm(&a, ALG);
    return status_of(psa_generate_key(&a, &made));
}

int cradle_psa_sign(uint32_t id, const uint8_t digest[32], uint8_t sig[64])
{
    size_t n = 0;
    psa_status_t s = psa_crypto_init();
    if (s == PSA_SUCCESS)
        s = psa_sign_hash((psa_key_id_t)id, ALG, digest, 32, sig, 64, &n);
    return s == PSA_SUCCESS && n != 64 ? PSA_ERROR_GENERIC_ERROR : status_of(s);
}

int cradle_psa_destroy(uint32_t id)
{
    psa_status_t s = psa_crypto_init();
    int r = s == PSA_SUCCESS ? status_of(psa_destroy_key((psa_key_id_t)id)) : status_of(s);
    return r == CRADLE_PSA_NONE ? 0 : r;
}

/* -- the port --------------------------------------------------------------------------------------------------------------------- */
static int port_sha256(void *ctx, const void *data, size_t n, uint8_t out[32])
{
    size_t len;
    (void)ctx;
    return psa_hash_compute(PSA_ALG_SHA_256, data, n, out, 32, &len) == PSA_SUCCESS ? 0 : -1;
}

/* One half of a signature as an INTEGER in DER, to the end of out. Returns how many bytes; at most 35. */
static size_t integer(const uint8_t raw[32], uint8_t *out)
{
    size_t skip = 0, pad;
    while (skip < 31 && raw[skip] == 0)
        skip++;
    pad = raw[skip] >> 7;
    out[0] = 0x02;
    out[1] = (uint8_t)(32 - skip + pad);
    out[2] = 0;
    memcpy(out + 2 + pad, raw + skip, 32 - skip);
    return 2 + pad + 32 - skip;
}

static int port_sign(void *ctx, const uint8_t digest[32], uint8_t *sig, size_t *sig_len)
{
    const struct cradle_psa *k = ctx;
    uint8_t raw[64];
    if (*sig_len < CRADLE_SIG_MAX || cradle_psa_sign(k->id, digest, raw))
        return -1;
    size_t n = integer(raw, sig + 2);
    n += integer(raw + 32, sig + 2 + n);
    sig[0] = 0x30;
    sig[1] = (uint8_t)n;
    *sig_len = n + 2;
    return 0;
}

int cradle_psa_open(uint32_t id, struct cradle_psa *k)
{
    size_t n = 0;
    psa_status_t s = psa_crypto_init();
    memset(k, 0, sizeof *k);
    if (s != PSA_SUCCESS)
        return status_of(s);
    psa_purge_key((psa_key_id_t)id); /* another process may have replaced it since it was cached here */
    s = psa_export_public_key((psa_key_id_t)id, k->port.point, sizeof k->port.point, &n);
    if (s != PSA_SUCCESS)
        return status_of(s);
    if (n != CRADLE_POINT_LEN || k->port.point[0] != 4)
        return PSA_ERROR_NOT_SUPPORTED;
    k->id = id;
    k->port.ctx = k;
    k->port.sha256 = port_sha256;
    k->port.sign = port_sign;
    return 0;
}
