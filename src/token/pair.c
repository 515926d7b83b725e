/* pair.c: key pairs in a token: found by label and id, made, and their public halves as SubjectPublicKeyInfo. See token.h. */
#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/oid.h"
#include "token/impl.h"

#define POINT_MAX 160 /* P-384 uncompressed is 97, with its wrapper 99 */
#define MODULUS_MAX 1024

static const struct curve {
    const char *alg;
    ck_ulong mechanism;
    struct span params; /* CKA_EC_PARAMS: the curve's OID in DER */
    size_t point;       /* bytes */
} curves[] = {
    { "ec:P-256", CKM_EC_KEY_PAIR_GEN_, { (const uint8_t *)"\x06\x08" OID_P256, 10 }, 65 },
    { "ec:P-384", CKM_EC_KEY_PAIR_GEN_, { (const uint8_t *)"\x06\x05" OID_P384, 7 }, 97 },
    { "ed25519", CKM_EC_EDWARDS_KEY_PAIR_GEN_, { (const uint8_t *)"\x06\x03" OID_ED25519, 5 }, 32 },
    { "ed25519", CKM_EC_EDWARDS_KEY_PAIR_GEN_, { (const uint8_t *)"\x13\x0c" "edwards25519", 14 }, 32 }, /* PKCS#11 v3.0 2.3.3: by name */
};

static enum err find_two(struct token_session *s, const struct pkcs11_uri *u, ck_ulong class, ck_ulong objects[2], ck_ulong *found, struct fault *f)
{
    const struct ck_functions *ck = s->token->module->ck;
    struct ck_attribute want[3] = { { CKA_CLASS_, &class, sizeof class } };
    ck_ulong n = 1;
    if (u->object[0])
        want[n++] = (struct ck_attribute){ CKA_LABEL_, (void *)u->object, strlen(u->object) };
    if (u->id_len)
        want[n++] = (struct ck_attribute){ CKA_ID_, (void *)u->id, u->id_len };
    *found = 0;
    ck_rv rv = ck->find_init(s->handle, want, n);
    if (rv == CKR_OK_) {
        rv = ck->find(s->handle, objects, 2, found);
        ck->find_final(s->handle);
    }
    return rv == CKR_OK_ ? CE_OK : ck_fail(f, "search its objects", rv);
}

enum err pair_find(struct token_session *s, const struct pkcs11_uri *u, ck_ulong class, ck_ulong *out, ck_ulong *found, struct fault *f)
{
    ck_ulong objects[2];
    enum err e = find_two(s, u, class, objects, found, f);
    if (e)
        return e;
    if (*found > 1)
        return fault_set(f, CE_EXISTS, "the token holds more than one object '%s'; name another with object= or id=", u->object);
    if (*found)
        *out = objects[0];
    return CE_OK;
}

enum err pair_destroy(struct token_session *s, const struct pkcs11_uri *u, struct fault *f)
{
    static const ck_ulong classes[] = { CKO_PRIVATE_KEY_, CKO_PUBLIC_KEY_ };
    ck_ulong objects[2], found;
    for (size_t i = 0; i < ARRAY_LEN(classes);) {
        enum err e = find_two(s, u, classes[i], objects, &found, f);
        if (e)
            return e;
        ck_rv rv = found ? s->token->module->ck->destroy(s->handle, objects[0]) : CKR_OK_;
        if (rv != CKR_OK_)
            return ck_fail(f, "destroy the key", rv);
        i += !found;
    }
    return CE_OK;
}

enum err pair_generate(struct token_session *s, const struct pkcs11_uri *u, const char *alg, ck_ulong *pub, ck_ulong *priv, struct fault *f)
{
    unsigned char yes = 1, no = 0, id[8], exponent[] = { 1, 0, 1 };
    int64_t size = 0;
    const struct curve *c = NULL;
    struct span name = span_str(alg);
    for (size_t i = ARRAY_LEN(curves); i--;)
        if (span_eq_str(name, curves[i].alg))
            c = &curves[i];
    if (!c && (!span_starts(name, "rsa:") || !span_to_i64(span_of(name.p + 4, name.n - 4), &size) || size < 3072 || size > 7680))
        return fault_set(f, CE_KEY_ALG, "a key in a token is ec:P-256, ec:P-384, ed25519 or rsa:3072 to rsa:7680, not '%s'", alg);
    if (!u->id_len && random_bytes(id, sizeof id))
        return fault_set(f, CE_CRYPTO, "no random numbers");
    ck_ulong bits = (ck_ulong)size;
    struct ck_attribute pub_t[8] = { { CKA_TOKEN_, &yes, 1 }, { CKA_VERIFY_, &yes, 1 },
                                     { CKA_ID_, u->id_len ? (void *)u->id : id, u->id_len ? u->id_len : sizeof id } };
    struct ck_attribute priv_t[8] = { { CKA_TOKEN_, &yes, 1 },      { CKA_PRIVATE_, &yes, 1 }, { CKA_SENSITIVE_, &yes, 1 },
                                      { CKA_EXTRACTABLE_, &no, 1 }, { CKA_SIGN_, &yes, 1 },    pub_t[2] };
    ck_ulong npub = 3, npriv = 6;
    if (u->object[0])
        pub_t[npub++] = priv_t[npriv++] = (struct ck_attribute){ CKA_LABEL_, (void *)u->object, strlen(u->object) };
    if (c)
        pub_t[npub++] = (struct ck_attribute){ CKA_EC_PARAMS_, (void *)c->params.p, c->params.n };
    else {
        pub_t[npub++] = (struct ck_attribute){ CKA_MODULUS_BITS_, &bits, sizeof bits };
        pub_t[npub++] = (struct ck_attribute){ CKA_PUBLIC_EXPONENT_, exponent, sizeof exponent };
    }
    struct ck_mechanism m = { c ? c->mechanism : CKM_RSA_PKCS_KEY_PAIR_GEN_, NULL, 0 };
    ck_rv rv = s->token->module->ck->generate_pair(s->handle, &m, pub_t, npub, priv_t, npriv, pub, priv);
    return rv == CKR_OK_ ? CE_OK : ck_fail(f, "make a key pair of this algorithm", rv);
}

static enum err attribute(const struct token_session *s, ck_ulong object, ck_ulong type, uint8_t *out, size_t cap, struct span *value, struct fault *f)
{
    struct ck_attribute a = { type, out, cap };
    ck_rv rv = s->token->module->ck->get_attribute(s->handle, object, &a, 1);
    *value = span_of(out, a.len);
    return rv == CKR_OK_ && a.len <= cap ? CE_OK : ck_fail(f, "show its public key", rv);
}

static void spki_put(struct buf *out, struct span oid, struct span params, struct span key)
{
    size_t all = der_begin(out, DER_SEQUENCE), alg = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, oid);
    buf_put_span(out, params);
    der_end(out, alg);
    der_put_bits(out, key);
    der_end(out, all);
}

static enum err spki_rsa(const struct token_session *s, ck_ulong pub, struct buf *out, struct fault *f)
{
    uint8_t modulus[MODULUS_MAX], exponent[8];
    struct span n, e;
    enum err err = attribute(s, pub, CKA_MODULUS_, modulus, sizeof modulus, &n, f);
    err = err ? err : attribute(s, pub, CKA_PUBLIC_EXPONENT_, exponent, sizeof exponent, &e, f);
    if (err)
        return err;
    CLEANUP(buf_free) struct buf key = BUF_INIT(MODULUS_MAX + 64);
    size_t at = der_begin(&key, DER_SEQUENCE);
    der_put_uint(&key, n);
    der_put_uint(&key, e);
    der_end(&key, at);
    spki_put(out, SPAN_LIT(OID_RSA), SPAN_LIT("\x05\x00"), buf_span(&key));
    return buf_err(out);
}

/* CKA_EC_POINT is an OCTET STRING in DER around the point; some modules leave the wrapper out. */
static enum err spki_ec(const struct token_session *s, ck_ulong pub, struct buf *out, struct fault *f)
{
    uint8_t point_bytes[POINT_MAX], params_bytes[32];
    struct span point, params;
    enum err e = attribute(s, pub, CKA_EC_PARAMS_, params_bytes, sizeof params_bytes, &params, f);
    e = e ? e : attribute(s, pub, CKA_EC_POINT_, point_bytes, sizeof point_bytes, &point, f);
    for (size_t i = 0; !e && i < ARRAY_LEN(curves); i++) {
        const struct curve *c = &curves[i];
        if (!span_eq(params, c->params))
            continue;
        if (point.n == c->point + 2 && point.p[0] == DER_OCTET_STRING && point.p[1] == c->point)
            point = span_of(point.p + 2, c->point);
        if (point.n != c->point)
            return fault_set(f, CE_KEY_INVALID, "the public key in the token is not a point on its curve");
        bool edwards = c->point == 32;
        spki_put(out, edwards ? SPAN_LIT(OID_ED25519) : SPAN_LIT(OID_EC_PUBLIC_KEY), edwards ? span_of(NULL, 0) : params, point);
        return buf_err(out);
    }
    return e ? e : fault_set(f, CE_KEY_ALG, "the key in the token is on a curve that is not used here (P-256, P-384, Ed25519)");
}

enum err pair_spki(struct token_session *s, ck_ulong pub, struct buf *out, struct fault *f)
{
    ck_ulong kind = 0;
    struct span v;
    enum err e = attribute(s, pub, CKA_KEY_TYPE_, (uint8_t *)&kind, sizeof kind, &v, f);
    if (e)
        return e;
    if (kind == CKK_EC_ || kind == CKK_EC_EDWARDS_)
        return spki_ec(s, pub, out, f);
    return kind == CKK_RSA_ ? spki_rsa(s, pub, out, f) : fault_set(f, CE_KEY_ALG, "the key in the token is neither EC nor RSA");
}
