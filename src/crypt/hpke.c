/* hpke.c: see hpke.h. Names of steps and values are those of RFC 9180. */
#include "crypt/hpke.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/mem.h"
#include "crypt/hash.h"

#define KEM "KEM\x00\x10"
#define HPKE "HPKE\x00\x10\x00\x01\x00\x02"

CLEANUP_PTR(EVP_PKEY, EVP_PKEY_free)
CLEANUP_PTR(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP_PTR(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

enum err gcm_seal(const uint8_t key[32], const uint8_t nonce[12], struct span aad, struct span text, uint8_t *out)
{
    int n = 0;
    CLEANUP(EVP_CIPHER_CTX_free_p) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (!c || EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce) != 1 || (aad.n && EVP_EncryptUpdate(c, NULL, &n, aad.p, (int)aad.n) != 1) ||
        (text.n && EVP_EncryptUpdate(c, out, &n, text.p, (int)text.n) != 1) || EVP_EncryptFinal_ex(c, out + text.n, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, out + text.n) != 1)
        return CE_CRYPTO;
    return CE_OK;
}

static void labeled_extract(struct span salt, struct span suite, const char *label, struct span ikm, uint8_t out[32])
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    buf_put_str(&b, "HPKE-v1");
    buf_put_span(&b, suite);
    buf_put_str(&b, label);
    buf_put_span(&b, ikm);
    hmac_sha256(salt, buf_span(&b), out);
}

/* n <= 32: one round of HKDF-Expand */
static void labeled_expand(const uint8_t prk[32], struct span suite, const char *label, struct span info, uint8_t *out, uint16_t n)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    uint8_t t[32];
    buf_put_u16(&b, n);
    buf_put_str(&b, "HPKE-v1");
    buf_put_span(&b, suite);
    buf_put_str(&b, label);
    buf_put_span(&b, info);
    buf_put_u8(&b, 1);
    hmac_sha256(span_of(prk, 32), buf_span(&b), t);
    memcpy(out, t, n);
    mem_zero(t, sizeof t);
}

static enum err ecdh(EVP_PKEY *own, struct span point, uint8_t dh[32])
{
    char group[] = "prime256v1";
    size_t n = 32;
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point.p, point.n), OSSL_PARAM_construct_end() };
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *peer = NULL;
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(own, NULL);
    if (!make || !c)
        return CE_CRYPTO;
    if (point.n != HPKE_ENC || point.p[0] != 4 || EVP_PKEY_fromdata_init(make) != 1 || EVP_PKEY_fromdata(make, &peer, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return CE_KEY_INVALID;
    if (EVP_PKEY_derive_init(c) != 1 || EVP_PKEY_derive_set_peer(c, peer) != 1)
        return CE_KEY_INVALID;
    return EVP_PKEY_derive(c, dh, &n) == 1 && n == 32 ? CE_OK : CE_CRYPTO;
}

enum err hpke_seal(struct span point, struct span info, struct span text, struct buf *out)
{
    const struct span kem = span_of(KEM, sizeof KEM - 1), hpke = span_of(HPKE, sizeof HPKE - 1), none = { NULL, 0 };
    uint8_t both[2 * HPKE_ENC], dh[32], prk[32], secret[32], context[65] = { 0 }, key[32], nonce[12];
    size_t n = 0;
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *own = EVP_EC_gen("P-256");
    if (!own || EVP_PKEY_set_utf8_string_param(own, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") != 1 ||
        EVP_PKEY_get_octet_string_param(own, OSSL_PKEY_PARAM_PUB_KEY, both, HPKE_ENC, &n) != 1 || n != HPKE_ENC)
        return CE_CRYPTO;
    enum err e = ecdh(own, point, dh);
    if (e)
        return e;
    memcpy(both + HPKE_ENC, point.p, HPKE_ENC);
    labeled_extract(none, kem, "eae_prk", span_of(dh, 32), prk);
    labeled_expand(prk, kem, "shared_secret", span_of(both, sizeof both), secret, 32);
    labeled_extract(none, hpke, "psk_id_hash", none, context + 1);
    labeled_extract(none, hpke, "info_hash", info, context + 33);
    labeled_extract(span_of(secret, 32), hpke, "secret", none, prk);
    labeled_expand(prk, hpke, "key", span_of(context, sizeof context), key, 32);
    labeled_expand(prk, hpke, "base_nonce", span_of(context, sizeof context), nonce, 12);
    buf_put(out, both, HPKE_ENC);
    uint8_t *to = buf_grow(out, text.n + GCM_TAG);
    e = to ? gcm_seal(key, nonce, none, text, to) : CE_TOO_LARGE;
    mem_zero(dh, sizeof dh);
    mem_zero(prk, sizeof prk);
    mem_zero(secret, sizeof secret);
    mem_zero(key, sizeof key);
    return e;
}
