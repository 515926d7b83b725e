/* tpm.c: crypt/tpm.h against what a TPM and tpm2-tools made: structures, judgements, and credentials opened both ways by an implementation of their
 * opening that shares nothing with the one of their making. */
#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "crypt/key.h"
#include "crypt/tpm.h"
#include "t/tap.h"
#include "t/unit/tpm_vectors.h"

#define V(name) span_of(v_##name, sizeof v_##name)
static struct fault f;

/* -- opening a credential, as a TPM does ------------------------------------------------------------------------------------------------- */
static void kdf(const uint8_t key[32], const char *use, struct span context, unsigned bits, uint8_t *out)
{
    uint8_t in[128] = { 0, 0, 0, 1 }, whole[32];
    size_t n = 4;
    unsigned len = 32;
    memcpy(in + n, use, strlen(use) + 1);
    n += strlen(use) + 1;
    if (context.n)
        memcpy(in + n, context.p, context.n);
    n += context.n;
    in[n + 2] = (uint8_t)(bits >> 8);
    in[n + 3] = (uint8_t)bits;
    HMAC(EVP_sha256(), key, 32, in, n + 4, whole, &len);
    memcpy(out, whole, bits / 8);
}

static bool seed_open(EVP_PKEY *ek, struct span enc, uint8_t seed[32])
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(ek, NULL);
    size_t n = 512;
    uint8_t out[512];
    bool good = false;
    if (EVP_PKEY_is_a(ek, "RSA")) {
        EVP_PKEY_decrypt_init(c);
        EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING);
        EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256());
        EVP_PKEY_CTX_set0_rsa_oaep_label(c, OPENSSL_memdup("IDENTITY", 9), 9);
        good = EVP_PKEY_decrypt(c, out, &n, enc.p + 2, enc.n - 2) == 1 && n == 32;
        memcpy(seed, out, 32);
    } else {
        uint8_t in[4 + 32 + 9 + 64] = { 0, 0, 0, 1 }, point[65] = { 4 }, own[65];
        EVP_PKEY *peer = EVP_PKEY_new();
        memcpy(point + 1, enc.p + 4, 32);
        memcpy(point + 33, enc.p + 38, 32);
        EVP_PKEY_copy_parameters(peer, ek);
        EVP_PKEY_set1_encoded_public_key(peer, point, sizeof point);
        EVP_PKEY_get_octet_string_param(ek, OSSL_PKEY_PARAM_PUB_KEY, own, sizeof own, NULL);
        EVP_PKEY_derive_init(c);
        good = EVP_PKEY_derive_set_peer(c, peer) == 1 && EVP_PKEY_derive(c, out, &n) == 1 && n == 32;
        memcpy(in + 4, out, 32);
        memcpy(in + 36, "IDENTITY", 9);
        memcpy(in + 45, point + 1, 32);
        memcpy(in + 77, own + 1, 32);
        EVP_Digest(in, sizeof in, seed, NULL, EVP_sha256(), NULL);
        EVP_PKEY_free(peer);
    }
    EVP_PKEY_CTX_free(c);
    return good;
}

static bool credential_open(struct span der, struct span blob, struct span enc, struct span name, uint8_t secret[32])
{
    const uint8_t *p = der.p;
    uint8_t seed[32], key[32], mac[32], both[256], out[64];
    unsigned len = 32;
    int n = 0;
    EVP_PKEY *ek = d2i_AutoPrivateKey(NULL, &p, (long)der.n);
    bool good = ek && seed_open(ek, enc, seed);
    EVP_PKEY_free(ek);
    if (!good || blob.n != 2 + 2 + 32 + 34)
        return false;
    struct span cipher = span_of(blob.p + 36, 34);
    memcpy(both, cipher.p, cipher.n);
    memcpy(both + cipher.n, name.p, name.n);
    kdf(seed, "INTEGRITY", (struct span){ 0 }, 256, key);
    HMAC(EVP_sha256(), key, 32, both, cipher.n + name.n, mac, &len);
    kdf(seed, "STORAGE", name, 128, key);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    EVP_DecryptInit_ex(c, EVP_aes_128_cfb128(), NULL, key, (uint8_t[16]){ 0 });
    EVP_DecryptUpdate(c, out, &n, cipher.p, (int)cipher.n);
    EVP_CIPHER_CTX_free(c);
    memcpy(secret, out + 2, 32);
    return memcmp(mac, blob.p + 4, 32) == 0 && out[0] == 0 && out[1] == 32;
}

/* A struct tpm_key of an endorsement key that openssl holds. */
static struct tpm_key ek_of(struct span der, uint8_t *room)
{
    const uint8_t *p = der.p;
    EVP_PKEY *k = d2i_AutoPrivateKey(NULL, &p, (long)der.n);
    struct tpm_key out = { .rsa = EVP_PKEY_is_a(k, "RSA"), .bits = 2048, .exponent = 65537 };
    BIGNUM *n = NULL;
    size_t len = 0;
    if (out.rsa && EVP_PKEY_get_bn_param(k, "n", &n)) {
        BN_bn2binpad(n, room, 256);
        out.modulus = span_of(room, 256);
    } else if (EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_PUB_KEY, room, 65, &len)) {
        out.x = span_of(room + 1, 32);
        out.y = span_of(room + 33, 32);
    }
    BN_free(n);
    EVP_PKEY_free(k);
    return out;
}

static void test_credential(const char *kind, struct span der, struct span made)
{
    uint8_t secret[32], room[256], name[34] = { 0, 11 };
    struct span blob, enc, rest = span_of(made.p + 8, made.n - 8);
    EVP_Digest("x", 1, name + 2, NULL, EVP_sha256(), NULL);
    blob = span_of(rest.p, 2u + rest.p[0] * 256u + rest.p[1]);
    enc = span_of(rest.p + blob.n, rest.n - blob.n);
    ok(credential_open(der, blob, enc, span_of(name, 34), secret) && memcmp(secret, v_secret, 32) == 0, "%s: this test opens what tpm2_makecredential made", kind);
    struct tpm_key ek = ek_of(der, room);
    CLEANUP(buf_free) struct buf b = BUF_INIT(1024), e = BUF_INIT(1024);
    ok(tpm_credential(&ek, name, v_secret, &b, &e, &f) == CE_OK, "%s: a credential is made", kind);
    ok(credential_open(der, buf_span(&b), buf_span(&e), span_of(name, 34), secret) && memcmp(secret, v_secret, 32) == 0, "%s: and opened the same way", kind);
    ok(b.len == blob.n && e.len == enc.n, "%s: it has the same form", kind);
    name[5] ^= 1;
    ok(!credential_open(der, buf_span(&b), buf_span(&e), span_of(name, 34), secret), "%s: not for another name", kind);
}

/* -- structures -------------------------------------------------------------------------------------------------------------------------- */
static void test_public(void)
{
    struct tpm_key k;
    CLEANUP(buf_free) struct buf spki = BUF_INIT(0);
    ok(tpm_public_read(V(ek_rsa_pub), &k, &f) == CE_OK && k.rsa && k.bits == 2048 && tpm_judge(TPM_EK, &k, &f) == CE_OK, "an RSA EK");
    ok(tpm_judge(TPM_AK, &k, &f) == CE_KEY_HOME && tpm_judge(TPM_DEVICE_KEY, &k, &f) == CE_KEY_HOME, "is no other key");
    tpm_spki(&k, &spki);
    const uint8_t *p = spki.data;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)spki.len);
    ok(pkey && EVP_PKEY_get_bits(pkey) == 2048, "its SubjectPublicKeyInfo is one");
    EVP_PKEY_free(pkey);
    ok(tpm_public_read(V(ek_ecc_pub), &k, &f) == CE_OK && !k.rsa && tpm_judge(TPM_EK, &k, &f) == CE_OK, "an EK on P-256");
    ok(tpm_public_read(V(ak_pub), &k, &f) == CE_OK && tpm_judge(TPM_AK, &k, &f) == CE_OK, "an AK on P-256");
    ok(memcmp(k.name, v_ak_name, sizeof v_ak_name) == 0, "has the name that its TPM gives it");
    ok(tpm_judge(TPM_DEVICE_KEY, &k, &f) == CE_KEY_HOME && strstr(f.text, "restricted"), "and is no device key: %s", f.text);
    ok(tpm_public_read(V(akr_pub), &k, &f) == CE_OK && tpm_judge(TPM_AK, &k, &f) == CE_OK, "an RSA AK");
    ok(tpm_public_read(V(key_pub), &k, &f) == CE_OK && tpm_judge(TPM_DEVICE_KEY, &k, &f) == CE_OK, "a device's key");
    ok(tpm_judge(TPM_AK, &k, &f) == CE_KEY_HOME, "which is no AK");
    for (uint32_t bit = 0; bit < 3; bit++) {
        static const uint32_t bits[] = { TPM_FIXED_TPM, TPM_FIXED_PARENT, TPM_ORIGIN };
        struct tpm_key worse = k;
        worse.attributes &= ~bits[bit];
        ok(tpm_judge(TPM_DEVICE_KEY, &worse, &f) == CE_KEY_HOME, "refused without: %s", f.text);
    }
    int taken = 0;
    for (size_t n = 0; n < sizeof v_key_pub; n++)
        taken += tpm_public_read(span_of(v_key_pub, n), &k, &f) == CE_OK;
    ok(taken == 0, "cut short anywhere it is refused");
}

static void test_certified(void)
{
    struct tpm_key ak, akr, key, other;
    uint8_t bad[sizeof v_key_attest];
    ok(tpm_public_read(V(ak_pub), &ak, &f) == CE_OK && tpm_public_read(V(akr_pub), &akr, &f) == CE_OK && tpm_public_read(V(key_pub), &key, &f) == CE_OK, "keys");
    ok(tpm_certified(V(key_attest), V(key_sig), &ak, &key, &f) == CE_OK, "the TPM certifies the key by its AK");
    ok(tpm_certified(V(key_attestr), V(key_sigr), &akr, &key, &f) == CE_OK, "and by an RSA one");
    ok(tpm_certified(V(key_attest), V(key_sig), &akr, &key, &f) == CE_BAD_SIGNATURE, "the signature of another AK is refused: %s", f.text);
    ok(tpm_certified(V(key_attestr), V(key_sig), &ak, &key, &f) == CE_BAD_SIGNATURE, "and another text");
    other = ak;
    ok(tpm_certified(V(key_attest), V(key_sig), &ak, &other, &f) == CE_KEY_HOME, "another key is not certified: %s", f.text);
    int taken = 0;
    for (size_t i = 0; i < sizeof bad; i++) {
        memcpy(bad, v_key_attest, sizeof bad);
        bad[i] ^= 1;
        taken += tpm_certified(span_of(bad, sizeof bad), V(key_sig), &ak, &key, &f) == CE_OK;
    }
    ok(taken == 0, "any bit changed, it is refused");
    memcpy(bad, v_key_attest, sizeof bad);
    bad[0] = 0;
    ok(tpm_certified(span_of(bad, sizeof bad), V(key_sig), &ak, &key, &f) == CE_BAD_INPUT, "what no TPM has made is told: %s", f.text);
    ok(tpm_certified(V(key_attest), span_of(v_key_sig, sizeof v_key_sig - 1), &ak, &key, &f) == CE_TRUNCATED, "a signature cut short too");
}

int main(void)
{
    test_public();
    test_certified();
    test_credential("RSA", V(rsa_der), V(rsa_cred));
    test_credential("P-256", V(ecc_der), V(ecc_cred));
    return done();
}
