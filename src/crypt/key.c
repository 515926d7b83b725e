/* key.c: private keys: making and signing. Reading and writing PEM is key_pem.c. See key.h. */
#include "crypt/key_priv.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypt/key_gate.h"

static enum err key_openssl(struct fault *f, const char *what)
{
    char why[120];
    ERR_error_string_n(ERR_peek_last_error(), why, sizeof why);
    ERR_clear_error();
    return fault_set(f, CE_CRYPTO, "%s: %s", what, why);
}

enum sig_alg sig_alg_of_key(enum key_alg a)
{
    switch (a) {
    case KEY_EC_P256: return SIG_ECDSA_SHA256;
    case KEY_EC_P384: return SIG_ECDSA_SHA384;
    case KEY_ED25519: return SIG_ED25519;
    case KEY_RSA: return SIG_RSA_SHA256;
    case KEY_MLDSA44: return SIG_MLDSA44;
    case KEY_MLDSA65: return SIG_MLDSA65;
    case KEY_MLDSA87: return SIG_MLDSA87;
    case KEY_NONE: break;
    }
    return SIG_NONE;
}

void key_free(struct key *k)
{
    if (!k)
        return;
    EVP_PKEY_CTX_free(k->ctx);
    EVP_MD_CTX_free(k->md);
    EVP_PKEY_free(k->pkey); /* OpenSSL clears the private part */
    if (k->release)
        k->release(k->sign_ctx);
    buf_free(&k->spki);
    free(k);
}

void key_free_p(struct key **k)
{
    key_free(*k);
    *k = NULL;
}

static enum err key_prepare(struct key *k, struct fault *f)
{
    k->md = EVP_MD_CTX_new();
    INVARIANT(k->md != NULL);
    const struct sig_desc *d = sig_desc_of(k->sig);
    if (d->hash_bits == 0)
        return CE_OK;
    k->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    const EVP_MD *md = d->hash_bits == 256 ? EVP_sha256() : EVP_sha384();
    bool good = k->ctx && EVP_PKEY_sign_init(k->ctx) == 1 &&
                (k->info.alg != KEY_RSA || EVP_PKEY_CTX_set_rsa_padding(k->ctx, RSA_PKCS1_PADDING) == 1) &&
                EVP_PKEY_CTX_set_signature_md(k->ctx, md) == 1;
    return good ? CE_OK : key_openssl(f, "the key cannot sign");
}

enum err key_from_pkey(EVP_PKEY *pkey, struct key **out, struct fault *f)
{
    CLEANUP(key_free_p) struct key *k = mem_calloc(1, sizeof *k);
    uint8_t *der = NULL;
    k->pkey = pkey;
    int n = i2d_PUBKEY(pkey, &der);
    if (n <= 0)
        return key_openssl(f, "the key's public part cannot be encoded");
    buf_put(&k->spki, der, (size_t)n);
    OPENSSL_free(der);
    enum err e = key_gate(buf_span(&k->spki), NULL, &k->info, f);
    if (e)
        return e;
    k->sig = sig_alg_of_key(k->info.alg);
    e = key_prepare(k, f);
    if (e)
        return e;
    *out = k;
    k = NULL;
    return CE_OK;
}

/* OpenSSL's name of an ML-DSA key; NULL: it is another one. */
static const char *ml_dsa_name(struct span name)
{
    static const struct { const char *ours, *theirs; } rows[] = { { "ml-dsa-44", "ML-DSA-44" }, { "ml-dsa-65", "ML-DSA-65" }, { "ml-dsa-87", "ML-DSA-87" } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (span_eq_str(name, rows[i].ours))
            return rows[i].theirs;
    return NULL;
}

enum err key_alg_supported(struct span name, struct fault *f)
{
    const char *ml_dsa = ml_dsa_name(name);
    EVP_PKEY_CTX *ctx = ml_dsa ? EVP_PKEY_CTX_new_from_name(NULL, ml_dsa, NULL) : NULL;
    bool good = !ml_dsa || ctx;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return good ? CE_OK : fault_set(f, CE_UNSUPPORTED, SPAN_FMT " keys need OpenSSL 3.5 or newer; this is %s", SPAN_ARG(name), OpenSSL_version(OPENSSL_VERSION));
}

enum err key_generate(const char *alg, struct key **out, struct fault *f)
{
    EVP_PKEY *pkey = NULL;
    int64_t bits = 0;
    struct span name = span_str(alg);
    *out = NULL;
    if (span_eq_str(name, "ec:P-256") || span_eq_str(name, "ec:P-384"))
        pkey = EVP_EC_gen(alg + 3);
    else if (span_eq_str(name, "ed25519"))
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else if (span_starts(name, "rsa:") && span_to_i64(span_of(name.p + 4, name.n - 4), &bits) && bits >= 2048 && bits <= KEY_RSA_BITS_MAX)
        pkey = EVP_RSA_gen((unsigned)bits);
    else if (ml_dsa_name(name)) {
        enum err e = key_alg_supported(name, f);
        if (e)
            return e;
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, ml_dsa_name(name));
    } else {
        return fault_set(f, CE_KEY_ALG, "unknown key algorithm '%s' (ec:P-256, ec:P-384, ed25519, rsa:3072, ml-dsa-65)", alg);
    }
    return pkey ? key_from_pkey(pkey, out, f) : key_openssl(f, "the key cannot be made");
}

enum err key_external(struct span spki, key_sign_fn *sign, void (*release)(void *ctx), void *ctx, struct key **out, struct fault *f)
{
    CLEANUP(key_free_p) struct key *k = mem_calloc(1, sizeof *k);
    buf_put_span(&k->spki, spki);
    enum err e = key_gate(buf_span(&k->spki), NULL, &k->info, f);
    if (e)
        return e;
    k->sig = sig_alg_of_key(k->info.alg);
    k->sign = sign;
    k->sign_ctx = ctx;
    k->release = release;
    *out = k;
    k = NULL;
    return CE_OK;
}

struct span key_spki(const struct key *k) { return buf_span(&k->spki); }
enum key_alg key_alg(const struct key *k) { return k->info.alg; }
enum sig_alg key_sig_alg(const struct key *k) { return k->sig; }

void key_external_digest(struct key *k, key_sign_fn *sign_digest) { k->sign_digest = sign_digest; }

bool key_hashes(const struct key *k) { return sig_desc_of(k->sig)->hash_bits && (!k->sign || k->sign_digest); }

enum err key_sign_digest(struct key *k, struct span digest, struct buf *sig)
{
    INVARIANT(key_hashes(k));
    if (k->sign)
        return k->sign_digest(k->sign_ctx, digest, sig);
    size_t before = sig->len, n = (size_t)EVP_PKEY_get_size(k->pkey);
    uint8_t *at = buf_grow(sig, n);
    if (!at)
        return buf_err(sig);
    enum err e = EVP_PKEY_sign(k->ctx, at, &n, digest.p, digest.n) == 1 ? CE_OK : CE_CRYPTO;
    if (e)
        ERR_clear_error();
    sig->len = before + (e ? 0 : n);
    return e;
}

enum err key_sign(struct key *k, struct span message, struct buf *sig)
{
    if (k->sign)
        return k->sign(k->sign_ctx, message, sig);
    const struct sig_desc *d = sig_desc_of(k->sig);
    uint8_t digest[DIGEST_MAX];
    if (d->hash_bits)
        return key_sign_digest(k, span_of(digest, sig_digest(d->hash_bits, message, digest)), sig);
    size_t before = sig->len, n = (size_t)EVP_PKEY_get_size(k->pkey);
    uint8_t *at = buf_grow(sig, n);
    if (!at)
        return buf_err(sig);
    enum err e = CE_OK;
    if (EVP_MD_CTX_reset(k->md) != 1 || EVP_DigestSignInit(k->md, NULL, NULL, NULL, k->pkey) != 1 ||
             EVP_DigestSign(k->md, at, &n, message.p, message.n) != 1)
        e = CE_CRYPTO;
    if (e)
        ERR_clear_error();
    sig->len = before + (e ? 0 : n);
    return e;
}
