/* tpm_credential.c: TPM2_MakeCredential in software: part 1, 11.4.10 (KDFa, KDFe), 24 (credential protection), B.10.4 and C.6.4 (seeds). */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "base/mem.h"
#include "crypt/tpm.h"

CLEANUP_PTR(EVP_PKEY, EVP_PKEY_free)
CLEANUP_PTR(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP_PTR(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

static const char label[] = "IDENTITY"; /* with its NUL */

/* One block is enough: 128 or 256 bits of SHA-256. */
static void kdf_a(const uint8_t key[32], const char *use, struct span context, unsigned bits, uint8_t out[32])
{
    CLEANUP(buf_free) struct buf in = BUF_INIT(256);
    buf_put_u32(&in, 1);
    buf_put(&in, use, strlen(use) + 1);
    buf_put_span(&in, context);
    buf_put_u32(&in, bits);
    hmac_sha256(span_of(key, 32), buf_span(&in), out);
}

static void kdf_e(const uint8_t z[32], struct span x_ours, struct span x_theirs, uint8_t out[32])
{
    CLEANUP(buf_free) struct buf in = BUF_INIT(256);
    buf_put_u32(&in, 1);
    buf_put(&in, z, 32);
    buf_put(&in, label, sizeof label);
    buf_put_span(&in, x_ours);
    buf_put_span(&in, x_theirs);
    sha256(buf_span(&in), out);
}

static EVP_PKEY *public_open(const struct tpm_key *k)
{
    CLEANUP(buf_free) struct buf spki = BUF_INIT(TPM_SPKI_MAX);
    tpm_spki(k, &spki);
    const uint8_t *p = spki.data;
    return buf_err(&spki) ? NULL : d2i_PUBKEY(NULL, &p, (long)spki.len);
}

/* The seed, and how the EK's TPM gets it: TPM2B_ENCRYPTED_SECRET. */
static bool seed_rsa(EVP_PKEY *ek, uint8_t seed[32], struct buf *enc)
{
    uint8_t out[512];
    size_t n = sizeof out;
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(ek, NULL);
    uint8_t *own_label = (uint8_t *)OPENSSL_memdup(label, sizeof label);
    bool good = c && own_label && random_bytes(seed, 32) == CE_OK && EVP_PKEY_encrypt_init(c) == 1 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()) == 1;
    if (!good || EVP_PKEY_CTX_set0_rsa_oaep_label(c, own_label, sizeof label) != 1) {
        OPENSSL_free(own_label);
        return false;
    }
    if (EVP_PKEY_encrypt(c, out, &n, seed, 32) != 1)
        return false;
    buf_put_u16(enc, (uint16_t)n);
    buf_put(enc, out, n);
    return true;
}

static bool seed_ecc(EVP_PKEY *ek, const struct tpm_key *k, uint8_t seed[32], struct buf *enc)
{
    uint8_t point[65], z[32];
    size_t n = 0, zn = sizeof z;
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *own = EVP_EC_gen("P-256");
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *c = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    if (!c || EVP_PKEY_get_octet_string_param(own, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &n) != 1 || n != sizeof point || EVP_PKEY_derive_init(c) != 1 ||
        EVP_PKEY_derive_set_peer(c, ek) != 1 || EVP_PKEY_derive(c, z, &zn) != 1 || zn != sizeof z)
        return false;
    kdf_e(z, span_of(point + 1, 32), k->x, seed);
    mem_zero(z, sizeof z);
    buf_put_u16(enc, 2 * (2 + 32)); /* TPMS_ECC_POINT */
    for (int i = 0; i < 2; i++) {
        buf_put_u16(enc, 32);
        buf_put(enc, point + 1 + 32 * i, 32);
    }
    return true;
}

static bool cfb_encrypt(const uint8_t key[16], const uint8_t *in, size_t n, uint8_t *out)
{
    static const uint8_t iv[16];
    int len = 0;
    CLEANUP(EVP_CIPHER_CTX_free_p) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    return c && EVP_EncryptInit_ex(c, EVP_aes_128_cfb128(), NULL, key, iv) == 1 && EVP_EncryptUpdate(c, out, &len, in, (int)n) == 1 && len == (int)n;
}

enum err tpm_credential(const struct tpm_key *ek, const uint8_t name[TPM_NAME_LEN], const uint8_t secret[TPM_SECRET_LEN], struct buf *blob, struct buf *enc,
                        struct fault *f)
{
    uint8_t seed[32], key[32], mac[32], plain[2 + TPM_SECRET_LEN] = { 0, TPM_SECRET_LEN }, cipher[sizeof plain + TPM_NAME_LEN];
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *pkey = public_open(ek);
    if (!pkey)
        return fault_set(f, CE_KEY_INVALID, "the endorsement key is not a sound public key");
    bool good = ek->rsa ? seed_rsa(pkey, seed, enc) : seed_ecc(pkey, ek, seed, enc);
    memcpy(plain + 2, secret, TPM_SECRET_LEN);
    if (good) {
        kdf_a(seed, "STORAGE", span_of(name, TPM_NAME_LEN), 128, key);
        good = cfb_encrypt(key, plain, sizeof plain, cipher);
        memcpy(cipher + sizeof plain, name, TPM_NAME_LEN);
        kdf_a(seed, "INTEGRITY", span_of(NULL, 0), 256, key);
        hmac_sha256(span_of(key, 32), span_of(cipher, sizeof cipher), mac);
    }
    mem_zero(plain, sizeof plain);
    mem_zero(seed, sizeof seed);
    mem_zero(key, sizeof key);
    if (!good)
        return fault_set(f, CE_CRYPTO, "no credential could be made for the endorsement key");
    buf_put_u16(blob, (uint16_t)(2 + sizeof mac + sizeof plain));
    buf_put_u16(blob, sizeof mac);
    buf_put(blob, mac, sizeof mac);
    buf_put(blob, cipher, sizeof plain);
    return buf_err(blob) ? buf_err(blob) : buf_err(enc);
}
