/* pubkey.c: verification with public keys, once (spki_verify) or many times (struct pubkey). See key.h. */
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/mem.h"
#include "crypt/key_impl.h"

CLEANUP_PTR(EVP_PKEY, EVP_PKEY_free)
CLEANUP_PTR(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP_PTR(EVP_MD_CTX, EVP_MD_CTX_free)

struct pubkey {
    enum key_alg alg;
    struct ec_point *ec;    /* EC keys */
    struct ec_fixed *fixed; /* P-256 after pubkey_prepare */
    EVP_PKEY *pkey;         /* all others */
};

static enum err pkey_from_spki(struct span spki, const struct spki_info *k, EVP_PKEY **out)
{
    const uint8_t *p = spki.p;
    *out = k->alg == KEY_ED25519 ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->key.p, k->key.n)
                                 : d2i_PUBKEY(NULL, &p, (long)spki.n);
    if (*out)
        return CE_OK;
    ERR_clear_error();
    bool mldsa = k->alg == KEY_MLDSA44 || k->alg == KEY_MLDSA65 || k->alg == KEY_MLDSA87;
    return mldsa ? CE_UNSUPPORTED : CE_KEY_INVALID;
}

static enum err pkey_verify_rsa(EVP_PKEY *pkey, unsigned hash_bits, struct span digest, struct span sig)
{
    const EVP_MD *md = hash_bits == 256 ? EVP_sha256() : hash_bits == 384 ? EVP_sha384() : EVP_sha512();
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool good = ctx && EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_CTX_set_signature_md(ctx, md) == 1 && EVP_PKEY_verify(ctx, sig.p, sig.n, digest.p, digest.n) == 1;
    return good ? CE_OK : CE_BAD_SIGNATURE;
}

static enum err pkey_verify_plain(EVP_PKEY *pkey, struct span message, struct span sig)
{
    CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
                EVP_DigestVerify(ctx, sig.p, sig.n, message.p, message.n) == 1;
    return good ? CE_OK : CE_BAD_SIGNATURE;
}

/* A digest by an EC or RSA key. */
static enum err key_verify_digest(struct ec_point *ec, EVP_PKEY *pkey, const struct sig_desc *d, struct span digest, struct span sig)
{
    if (ec)
        return ec_point_verify(ec, digest, sig);
    enum err e = pkey_verify_rsa(pkey, d->hash_bits, digest, sig);
    if (e)
        ERR_clear_error();
    return e;
}

static enum err key_verify_any(struct ec_point *ec, EVP_PKEY *pkey, const struct sig_desc *d, struct span message, struct span sig)
{
    uint8_t digest[DIGEST_MAX];
    if (d->hash_bits)
        return key_verify_digest(ec, pkey, d, span_of(digest, sig_digest(d->hash_bits, message, digest)), sig);
    enum err e = pkey_verify_plain(pkey, message, sig);
    if (e)
        ERR_clear_error();
    return e;
}

enum err spki_verify(struct span spki, enum sig_alg alg, struct span message, struct span sig)
{
    struct spki_info k;
    enum err e = spki_parse(spki, &k, NULL);
    if (e)
        return e;
    if (!sig_alg_fits(alg, k.alg))
        return CE_KEY_ALG;
    const struct sig_desc *d = sig_desc_of(alg);
    if (k.alg == KEY_EC_P256 || k.alg == KEY_EC_P384) {
        struct ec_point *ec = ec_point_scratch(k.alg);
        e = ec_point_set(ec, k.key);
        return e ? e : key_verify_any(ec, NULL, d, message, sig);
    }
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *pkey = NULL;
    e = pkey_from_spki(spki, &k, &pkey);
    return e ? e : key_verify_any(NULL, pkey, d, message, sig);
}

enum err pubkey_open(struct span spki, struct pubkey **out)
{
    struct spki_info k;
    enum err e = spki_parse(spki, &k, NULL);
    if (e)
        return e;
    struct pubkey *p = mem_calloc(1, sizeof *p);
    p->alg = k.alg;
    if (k.alg == KEY_EC_P256 || k.alg == KEY_EC_P384) {
        p->ec = ec_point_new(k.alg);
        e = ec_point_set(p->ec, k.key);
    } else {
        e = pkey_from_spki(spki, &k, &p->pkey);
    }
    if (e)
        pubkey_free_p(&p);
    *out = p;
    return e;
}

void pubkey_free(struct pubkey *k)
{
    if (!k)
        return;
    ec_point_free(k->ec);
    ec_fixed_free(k->fixed);
    EVP_PKEY_free(k->pkey);
    free(k);
}

void pubkey_free_p(struct pubkey **k)
{
    pubkey_free(*k);
    *k = NULL;
}

void pubkey_prepare(struct pubkey *k, struct span spki)
{
    struct spki_info info;
    if (k->alg == KEY_EC_P256 && !k->fixed && spki_parse(spki, &info, NULL) == CE_OK)
        k->fixed = ec_fixed_new(info.key);
}

enum err pubkey_verify_digest(struct pubkey *k, enum sig_alg alg, struct span digest, struct span sig)
{
    const struct sig_desc *d = sig_desc_of(alg);
    if (!sig_alg_fits(alg, k->alg) || digest.n != d->hash_bits / 8)
        return CE_KEY_ALG;
    return k->fixed ? ec_fixed_verify(k->fixed, digest, sig) : key_verify_digest(k->ec, k->pkey, d, digest, sig);
}

enum err pubkey_verify(struct pubkey *k, enum sig_alg alg, struct span message, struct span sig)
{
    uint8_t digest[DIGEST_MAX];
    if (!sig_alg_fits(alg, k->alg))
        return CE_KEY_ALG;
    const struct sig_desc *d = sig_desc_of(alg);
    return d->hash_bits ? pubkey_verify_digest(k, alg, span_of(digest, sig_digest(d->hash_bits, message, digest)), sig) :
                          key_verify_any(NULL, k->pkey, d, message, sig);
}
