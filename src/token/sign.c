/* sign.c: keys that sign in a token, and what is done when it went away in between. See token.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/hash.h"
#include "token/impl.h"

#define SIGNATURE_MAX 1024 /* RSA-8192 */

/* DigestInfo of SHA-256 up to the digest (RFC 8017 9.2) */
static const uint8_t digest_info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };

/* The bytes that C_Sign gets, and its mechanism, for a message or (is_digest) what was hashed of it. Returns how many; 0: in itself. */
static size_t input_make(enum key_alg alg, struct span in, bool is_digest, uint8_t out[sizeof digest_info + SHA384_LEN], ck_ulong *mechanism)
{
    size_t before = alg == KEY_RSA ? sizeof digest_info : 0, n = alg == KEY_EC_P384 ? SHA384_LEN : SHA256_LEN;
    *mechanism = alg == KEY_ED25519 ? CKM_EDDSA_ : alg == KEY_RSA ? CKM_RSA_PKCS_ : CKM_ECDSA_;
    if (alg != KEY_EC_P256 && alg != KEY_EC_P384 && alg != KEY_RSA)
        return 0;
    memcpy(out, digest_info, before);
    if (is_digest)
        memcpy(out + before, in.p, n);
    else if (alg == KEY_EC_P384)
        sha384(in, out);
    else
        sha256(in, out + before);
    return before + n;
}

/* CKM_ECDSA gives r || s; X.509 wants SEQUENCE { r, s } (RFC 3279 2.2.3). */
static enum err output_put(enum key_alg alg, struct span raw, struct buf *sig)
{
    if (alg == KEY_RSA || alg == KEY_ED25519) {
        buf_put_span(sig, raw);
        return buf_err(sig);
    }
    if (raw.n != (alg == KEY_EC_P256 ? 64 : 96))
        return CE_CRYPTO;
    size_t at = der_begin(sig, DER_SEQUENCE);
    der_put_uint(sig, span_of(raw.p, raw.n / 2));
    der_put_uint(sig, span_of(raw.p + raw.n / 2, raw.n / 2));
    der_end(sig, at);
    return buf_err(sig);
}

/* Finds the pair again in a token that was connected anew: it must be the same. */
static enum err key_ready(struct token_key *k, struct fault *f)
{
    CLEANUP(buf_free) struct buf spki = BUF_INIT(KEY_SPKI_MAX);
    ck_ulong pub = 0, npub, npriv;
    enum err e = session_ready(k->session, f);
    if (e || k->generation == k->session->token->generation)
        return e;
    if ((e = pair_find(k->session, &k->uri, CKO_PRIVATE_KEY_, &k->object, &npriv, f)) ||
        (e = pair_find(k->session, &k->uri, CKO_PUBLIC_KEY_, &pub, &npub, f)))
        return e;
    if (!npriv || !npub)
        return fault_set(f, CE_NOT_FOUND, "the key pair '%s' is no longer in the token", k->uri.object);
    if ((e = pair_spki(k->session, pub, &spki, f)))
        return e;
    if (!span_eq(buf_span(&spki), buf_span(&k->spki)))
        return fault_set(f, CE_KEY_INVALID, "the token has another key '%s' than before", k->uri.object);
    k->generation = k->session->token->generation;
    return CE_OK;
}

static enum err sign_once(struct token_key *k, ck_ulong mechanism, struct span in, uint8_t raw[SIGNATURE_MAX], ck_ulong *len, struct fault *f)
{
    const struct ck_functions *ck = k->session->token->module->ck;
    struct ck_mechanism m = { mechanism, NULL, 0 };
    enum err e = key_ready(k, f);
    if (e)
        return e;
    *len = SIGNATURE_MAX;
    ck_rv rv = ck->sign_init(k->session->handle, &m, k->object);
    if (rv == CKR_OK_)
        rv = ck->sign(k->session->handle, in.p, in.n, raw, len);
    return rv == CKR_OK_ ? CE_OK : ck_fail(f, "sign", rv);
}

/* A token that is gone is looked for: first its session, then the module from the beginning. */
static enum err sign_raw(struct token_key *k, ck_ulong mechanism, struct span in, uint8_t raw[SIGNATURE_MAX], ck_ulong *len, struct fault *f)
{
    struct token *t = k->session->token;
    enum err e = CE_OK;
    for (int attempt = 0; attempt < 3; attempt++) {
        module_lock(t->module, false);
        uint64_t generation = t->generation;
        bool connected = t->connected;
        e = sign_once(k, mechanism, in, raw, len, f);
        module_unlock(t->module);
        if (e == CE_NOT_FOUND || e == CE_KEY_INVALID)
            return CE_CRYPTO; /* the token is there, the key is not: nothing is begun anew for that */
        if (e != CE_TOKEN_LOST || !connected)
            return e;
        if (attempt == 2 || token_again(t, generation, attempt == 1, f)) {
            token_lost(t, generation);
            break;
        }
    }
    return CE_TOKEN_LOST;
}

static enum err sign_x509(struct token_key *k, struct span message, bool is_digest, struct buf *sig)
{
    uint8_t input[sizeof digest_info + SHA384_LEN], raw[SIGNATURE_MAX];
    struct fault f = { 0 };
    ck_ulong mechanism, len;
    size_t n = input_make(k->alg, message, is_digest, input, &mechanism);
    enum err e = sign_raw(k, mechanism, n ? span_of(input, n) : message, raw, &len, &f);
    return e ? e : output_put(k->alg, span_of(raw, len), sig);
}

/* key_sign_fn, both */
static enum err token_sign(void *ctx, struct span message, struct buf *sig) { return sign_x509(ctx, message, false, sig); }

static enum err token_sign_digest(void *ctx, struct span digest, struct buf *sig)
{
    const struct token_key *k = ctx;
    return digest.n == (k->alg == KEY_EC_P384 ? SHA384_LEN : SHA256_LEN) ? sign_x509(ctx, digest, true, sig) : CE_CRYPTO;
}

static void key_release(void *ctx)
{
    struct token_key *k = ctx;
    token_session_free(k->session);
    token_free(k->own);
    buf_free(&k->spki);
    free(k);
}

static enum err pair_take(struct token_key *k, const char *alg, struct fault *f)
{
    ck_ulong pub = 0, npub, npriv;
    enum err e = session_ready(k->session, f);
    e = e ? e : pair_find(k->session, &k->uri, CKO_PRIVATE_KEY_, &k->object, &npriv, f);
    e = e ? e : pair_find(k->session, &k->uri, CKO_PUBLIC_KEY_, &pub, &npub, f);
    if (e)
        return e;
    if (npub != npriv)
        return fault_set(f, CE_CRYPTO, "the token holds only one half of the key pair '%s', as a ceremony leaves it that was stopped: remove that half, then repeat", k->uri.object);
    if (!npriv && !alg)
        return fault_set(f, CE_NOT_FOUND, "the token %s has no key pair '%s'", k->session->token->info.label, k->uri.object);
    if (!npriv && (e = pair_generate(k->session, &k->uri, alg, &pub, &k->object, f)))
        return e;
    k->generation = k->session->token->generation;
    return pair_spki(k->session, pub, &k->spki, f);
}

static enum err take(struct token_key *k, const char *alg, struct spki_info *info, struct fault *f)
{
    struct token *t = k->session->token;
    module_lock(t->module, !!alg);
    uint64_t generation = t->generation;
    enum err e = pair_take(k, alg, f);
    module_unlock(t->module);
    if (e == CE_TOKEN_LOST)
        token_lost(t, generation); /* so that token_retry looks for it */
    e = e ? e : spki_parse(buf_span(&k->spki), info, f);
    if (!e)
        k->alg = info->alg;
    return e;
}

static struct token_key *key_new(struct token_session *s, const struct pkcs11_uri *u)
{
    struct token_key *k = mem_calloc(1, sizeof *k);
    k->session = s;
    k->uri = *u;
    s->users++;
    return k;
}

/* own: freed with the key, when that was made. */
static enum err key_open(struct token_session *s, const struct pkcs11_uri *u, const char *alg, struct token *own, struct key **out, struct fault *f)
{
    struct token_key *k = key_new(s, u);
    struct spki_info info;
    enum err e = take(k, alg, &info, f);
    if (!e) {
        k->own = own;
        e = key_external(buf_span(&k->spki), token_sign, key_release, k, out, f);
        if (!e)
            key_external_digest(*out, token_sign_digest);
    }
    if (e) {
        k->own = NULL;
        key_release(k);
    }
    return e;
}

enum err token_key_open(struct token_session *s, const struct pkcs11_uri *u, const char *alg, struct key **out, struct fault *f)
{
    return key_open(s, u, alg, NULL, out, f);
}

enum err token_key_own(const struct pkcs11_uri *u, const char *alg, const struct token_options *o, struct key **out, struct token_info *where,
                       struct fault *f)
{
    struct token *t = NULL;
    enum err e = token_new(u, o, &t, f);
    e = e ? e : token_connect(t, f);
    struct token_session *s = e ? NULL : token_session_new(t);
    if (where && !e)
        *where = t->info;
    e = e ? e : key_open(s, u, alg, t, out, f);
    token_session_free(s);
    if (e)
        token_free(t);
    return e;
}

enum err token_key_make(const char *uri, const char *object_default, const char *alg, const struct token_options *o, struct key **out,
                        struct token_info *where, struct fault *f)
{
    struct pkcs11_uri u;
    enum err e = pkcs11_uri_parse(span_str(uri), object_default, &u, f);
    return e ? e : token_key_own(&u, alg, o, out, where, f);
}

/* -- digests -------------------------------------------------------------------------------------------------------------- */
enum err token_digest_open(struct token_session *s, const struct pkcs11_uri *u, bool make, struct token_key **out, uint8_t point[65], struct fault *f)
{
    struct token_key *k = key_new(s, u);
    struct spki_info info;
    enum err e = take(k, make ? "ec:P-256" : NULL, &info, f);
    if (!e && info.alg != KEY_EC_P256)
        e = fault_set(f, CE_KEY_ALG, "the key '%s' in the PKCS#11 token is not on P-256", u->object);
    if (e) {
        key_release(k);
        return e;
    }
    memcpy(point, info.key.p, 65);
    *out = k;
    return CE_OK;
}

void token_digest_close(struct token_key *k)
{
    if (k)
        key_release(k);
}

enum err token_digest_sign(struct token_key *k, const uint8_t digest[32], uint8_t sig[64], struct fault *f)
{
    uint8_t raw[SIGNATURE_MAX];
    ck_ulong len;
    enum err e = sign_raw(k, CKM_ECDSA_, span_of(digest, 32), raw, &len, f);
    if (!e && len != 64)
        return fault_set(f, CE_CRYPTO, "the PKCS#11 token gave a signature of %lu bytes where r and s have 64", len);
    if (!e)
        memcpy(sig, raw, 64);
    return e;
}

enum err token_key_destroy(struct token_session *s, const struct pkcs11_uri *u, struct fault *f)
{
    struct token *t = s->token;
    module_lock(t->module, true);
    uint64_t generation = t->generation;
    enum err e = session_ready(s, f);
    e = e ? e : pair_destroy(s, u, f);
    module_unlock(t->module);
    if (e == CE_TOKEN_LOST)
        token_lost(t, generation);
    return e;
}
