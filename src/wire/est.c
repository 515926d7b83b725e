/* est.c: see est.h. */
#include "wire/est.h"

#include "base/mem.h"
#include "crypt/csr.h"
#include "crypt/der.h"
#include "crypt/oid.h"
#include "crypt/pem.h"

#define PEM_BEGIN "-----BEGIN "
static const char *const pem_labels[] = { "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST" };

enum err est_body_decode(struct span body, struct buf *der, struct fault *f)
{
    struct span text = span_trim(body);
    if (text.n == 0)
        return fault_set(f, CE_TRUNCATED, "the body is empty; RFC 7030 4.2.1 wants a base64 PKCS#10 request");
    if (body.p[0] == DER_SEQUENCE && body.n > 1 && body.p[1] >= 0x80) { /* no base64 character has its top bit set */
        if (body.n > CSR_MAX)
            return fault_set(f, CE_TOO_LARGE, "the request is longer than %d bytes", CSR_MAX);
        buf_put_span(der, body);
        return buf_err(der);
    }
    if (memmem(text.p, text.n, PEM_BEGIN, strlen(PEM_BEGIN))) { /* no base64 has a dash; certtool writes what it is before it (RFC 7468 5.2) */
        for (size_t i = 0; i < ARRAY_LEN(pem_labels); i++)
            if (pem_present(text, pem_labels[i])) {
                if (pem_decode(text, pem_labels[i], 0, der))
                    return fault_set(f, CE_BAD_BASE64, "the PEM armour does not hold base64 (RFC 7468)");
                return CE_OK;
            }
        return fault_set(f, CE_BAD_BASE64, "the PEM armour holds no CERTIFICATE REQUEST");
    }
    enum err e = base64_decode(text, der);
    if (e == CE_TOO_LARGE)
        return fault_set(f, e, "the request is longer than %d bytes", CSR_MAX);
    return e ? fault_set(f, CE_BAD_BASE64, "the body is not base64 (RFC 8951 3.1, RFC 4648 4)") : CE_OK;
}

/* How RFC 7030 4.5.2 asks for each key: an attribute (type, one value) and the signature algorithm's OID. */
static const struct attr {
    const char *alg;
    struct span type, value, sig;
} attrs[] = {
    { "ec:P-256", SPAN_LIT(OID_EC_PUBLIC_KEY), SPAN_LIT(OID_P256), SPAN_LIT(OID_ECDSA "\x02") },
    { "ec:P-384", SPAN_LIT(OID_EC_PUBLIC_KEY), SPAN_LIT(OID_P384), SPAN_LIT(OID_ECDSA "\x03") },
    { "ed25519", { 0 }, { 0 }, SPAN_LIT(OID_ED25519) },
    { "rsa:", SPAN_LIT(OID_RSA), { 0 }, SPAN_LIT(OID_PKCS1 "\x0b") },
    { "ml-dsa-44", { 0 }, { 0 }, SPAN_LIT(OID_MLDSA "\x11") },
    { "ml-dsa-65", { 0 }, { 0 }, SPAN_LIT(OID_MLDSA "\x12") },
    { "ml-dsa-87", { 0 }, { 0 }, SPAN_LIT(OID_MLDSA "\x13") },
};

static enum err put_rsa_bits(struct span bits, struct buf *out)
{
    int64_t n;
    if (!span_to_i64(bits, &n) || n < 0)
        return CE_UNSUPPORTED;
    der_put_small(out, (uint64_t)n);
    return CE_OK;
}

static enum err put_attr(const struct attr *a, struct span alg, struct buf *out)
{
    enum err e = CE_OK;
    if (a->type.n) {
        size_t seq = der_begin(out, DER_SEQUENCE);
        der_put(out, DER_OID, a->type);
        size_t set = der_begin(out, DER_SET);
        if (a->value.n)
            der_put(out, DER_OID, a->value);
        else
            e = put_rsa_bits(span_of(alg.p + strlen(a->alg), alg.n - strlen(a->alg)), out);
        der_end(out, set);
        der_end(out, seq);
    }
    der_put(out, DER_OID, a->sig);
    return e;
}

static const struct attr *attr_of(struct span alg)
{
    for (size_t i = 0; i < ARRAY_LEN(attrs); i++)
        if (span_eq_str(alg, attrs[i].alg) || (attrs[i].alg[strlen(attrs[i].alg) - 1] == ':' && span_starts(alg, attrs[i].alg)))
            return &attrs[i];
    return NULL;
}

/* -- RFC 9908 3.4 --------------------------------------------------------------------------------------------------------------- */
/* ExtensionReqTemplate: a critical keyUsage, digitalSignature (RFC 5280 4.2.1.3). */
static void put_extensions(struct buf *out)
{
    size_t attr = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, SPAN_LIT(OID_EXTENSION_REQ_TEMPLATE));
    size_t set = der_begin(out, DER_SET), list = der_begin(out, DER_SEQUENCE), ext = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, SPAN_LIT("\x55\x1d\x0f"));
    der_put_bool(out, true);
    der_put(out, DER_OCTET_STRING, SPAN_LIT("\x03\x02\x07\x80"));
    der_end(out, ext);
    der_end(out, list);
    der_end(out, set);
    der_end(out, attr);
}

/* AlgorithmIdentifier alone: of an RSA key no length is asked for, and key_gate judges what comes. */
static void put_key(const struct attr *a, struct buf *out)
{
    size_t key = der_begin(out, DER_CONTEXT_CONS(0)), alg = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, a->type.n ? a->type : a->sig);
    if (a->value.n)
        der_put(out, DER_OID, a->value);
    else if (a->type.n)
        der_put(out, DER_NULL, span_of(NULL, 0));
    der_end(out, alg);
    der_end(out, key);
}

/* A common name without a value: the client fills in its UID. */
static void put_subject(struct buf *out)
{
    size_t name = der_begin(out, DER_SEQUENCE), rdn = der_begin(out, DER_SET), one = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, SPAN_LIT("\x55\x04\x03"));
    der_end(out, one);
    der_end(out, rdn);
    der_end(out, name);
}

static void put_template(const struct attr *a, struct buf *out)
{
    size_t attr = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, SPAN_LIT(OID_REQUEST_INFO_TEMPLATE));
    size_t set = der_begin(out, DER_SET), info = der_begin(out, DER_SEQUENCE);
    der_put_small(out, 0);
    put_subject(out);
    put_key(a, out);
    size_t more = der_begin(out, DER_CONTEXT_CONS(1));
    put_extensions(out);
    der_end(out, more);
    der_end(out, info);
    der_end(out, set);
    der_end(out, attr);
}

enum err est_csrattrs(const char *key_algs, bool with_template, struct buf *der, struct fault *f)
{
    struct span rest = span_str(key_algs), alg;
    const struct attr *first = NULL;
    size_t seq = der_begin(der, DER_SEQUENCE);
    while (span_cut(&rest, ' ', &alg)) {
        if (alg.n == 0)
            continue;
        const struct attr *a = attr_of(alg);
        if (!a || put_attr(a, alg, der))
            return fault_set(f, CE_UNSUPPORTED, "no CSR attribute is known for key algorithm '" SPAN_FMT "'", SPAN_ARG(alg));
        first = first ? first : a;
    }
    if (with_template && first)
        put_template(first, der);
    der_end(der, seq);
    return buf_err(der);
}
