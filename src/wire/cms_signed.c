/* cms_signed.c: see cms_signed.h. */
#include "wire/cms_signed.h"

#include "base/mem.h"
#include "crypt/der.h"

#define OID_PKCS7 "\x2a\x86\x48\x86\xf7\x0d\x01\x07" /* then 1 data, 2 signedData */
#define OID_PKCS9 "\x2a\x86\x48\x86\xf7\x0d\x01\x09" /* then 3 contentType, 4 messageDigest, 5 signingTime */

static const struct span oid_data = SPAN_LIT(OID_PKCS7 "\x01"), oid_signed_data = SPAN_LIT(OID_PKCS7 "\x02"), oid_content_type = SPAN_LIT(OID_PKCS9 "\x03"),
                         oid_message_digest = SPAN_LIT(OID_PKCS9 "\x04"), oid_signing_time = SPAN_LIT(OID_PKCS9 "\x05");
/* AlgorithmIdentifier of SHA-256 without parameters, as RFC 5754 2 wants it written, and with the NULL that has to be understood too */
static const struct span sha256_alg = SPAN_LIT("\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"),
                         sha256_alg_null = SPAN_LIT("\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00");

/* -- writing ---------------------------------------------------------------------------------------------------------------------- */
/* The contents of signedAttrs. A SET OF is in the order of its encodings; these three differ in their length byte, so this order is fixed. */
static void attrs_put(const uint8_t sha256[SHA256_LEN], int64_t at_s, struct buf *out)
{
    size_t seq = der_begin(out, DER_SEQUENCE), set;
    der_put(out, DER_OID, oid_content_type);
    set = der_begin(out, DER_SET);
    der_put(out, DER_OID, oid_data);
    der_end(out, set);
    der_end(out, seq);
    seq = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, oid_signing_time);
    set = der_begin(out, DER_SET);
    der_put_time(out, at_s);
    der_end(out, set);
    der_end(out, seq);
    seq = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, oid_message_digest);
    set = der_begin(out, DER_SET);
    der_put(out, DER_OCTET_STRING, span_of(sha256, SHA256_LEN));
    der_end(out, set);
    der_end(out, seq);
}

static void signer_put(const struct cert *signer, struct span attrs, struct span sig, struct buf *out)
{
    size_t info = der_begin(out, DER_SEQUENCE);
    der_put_small(out, 1);
    size_t sid = der_begin(out, DER_SEQUENCE);
    buf_put_span(out, signer->issuer);
    der_put_uint(out, signer->serial);
    der_end(out, sid);
    buf_put_span(out, sha256_alg);
    der_put(out, DER_CONTEXT_CONS(0), attrs);
    buf_put_span(out, sig_alg_der(SIG_ECDSA_SHA256));
    der_put(out, DER_OCTET_STRING, sig);
    der_end(out, info);
}

static void signed_data_put(const struct cert *signer, struct span attrs, struct span sig, struct buf *out)
{
    size_t info = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, oid_signed_data);
    size_t explicit0 = der_begin(out, DER_CONTEXT_CONS(0)), data = der_begin(out, DER_SEQUENCE);
    der_put_small(out, 1);
    der_put(out, DER_SET, sha256_alg);
    size_t content = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, oid_data);
    der_end(out, content);
    der_put(out, DER_CONTEXT_CONS(0), signer->der);
    size_t signers = der_begin(out, DER_SET);
    signer_put(signer, attrs, sig, out);
    der_end(out, signers);
    der_end(out, data);
    der_end(out, explicit0);
    der_end(out, info);
}

enum err cms_sign(struct key *key, const struct cert *signer, const uint8_t sha256[SHA256_LEN], int64_t at_s, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf attrs = BUF_INIT(1024), whole = BUF_INIT(1024), sig = BUF_INIT(1024);
    if (key_alg(key) != KEY_EC_P256)
        return fault_set(f, CE_KEY_ALG, "CMS signatures are made with ec:P-256 keys");
    if (!span_eq(key_spki(key), signer->spki))
        return fault_set(f, CE_NAME_MISMATCH, "the key is not the one of the certificate");
    attrs_put(sha256, at_s, &attrs);
    der_put(&whole, DER_SET, buf_span(&attrs)); /* what is signed has the tag of a SET: RFC 5652 5.4 */
    enum err e = buf_err(&whole);
    e = e ? e : key_sign(key, buf_span(&whole), &sig);
    e = e ? e : spki_verify(signer->spki, SIG_ECDSA_SHA256, buf_span(&whole), buf_span(&sig));
    if (e)
        return fault_set(f, CE_CRYPTO, "the key did not sign: %s", err_text(e));
    signed_data_put(signer, buf_span(&attrs), buf_span(&sig), out);
    return buf_err(out);
}

/* -- reading ---------------------------------------------------------------------------------------------------------------------- */
/* One value of an attribute, in its SET. */
static enum err attr_value(struct span set, unsigned tag, struct span *out)
{
    enum err e = der_get(&set, tag, out);
    return e ? e : set.n ? CE_BAD_DER : CE_OK;
}

static enum err attrs_read(struct cms_signed *out, struct fault *f)
{
    struct span rest = out->attrs, seq, oid, set, type = { 0 };
    enum err e = CE_OK;
    while (!e && rest.n) {
        e = der_get(&rest, DER_SEQUENCE, &seq);
        e = e ? e : der_get_oid(&seq, &oid);
        e = e ? e : der_get(&seq, DER_SET, &set);
        if (e || seq.n)
            return fault_set(f, CE_BAD_DER, "CMS: RFC 5652 5.3: a signed attribute is malformed");
        bool again = (span_eq(oid, oid_content_type) && type.n) || (span_eq(oid, oid_message_digest) && out->digest.n);
        if (again)
            return fault_set(f, CE_BAD_DER, "CMS: RFC 5652 11: an attribute is there twice");
        if (span_eq(oid, oid_content_type))
            e = attr_value(set, DER_OID, &type);
        else if (span_eq(oid, oid_message_digest))
            e = attr_value(set, DER_OCTET_STRING, &out->digest);
        else if (span_eq(oid, oid_signing_time))
            e = der_get_time(&set, &out->signed_at_s);
    }
    if (e || !span_eq(type, oid_data) || out->digest.n != SHA256_LEN)
        return fault_set(f, CE_BAD_DER, "CMS: RFC 5652 11: contentType (data) and messageDigest (SHA-256) are wanted");
    return CE_OK;
}

static bool alg_is_sha256(struct span all) { return span_eq(all, sha256_alg) || span_eq(all, sha256_alg_null); }

/* The certificate with this issuer and serial number. */
static struct span cert_search(struct span certs, struct span issuer, struct span serial)
{
    struct der_item one;
    struct cert c;
    while (certs.n && !der_any(&certs, &one))
        if (one.tag == DER_SEQUENCE && !cert_parse(one.all, &c, NULL) && span_eq(c.issuer, issuer) && span_eq(c.serial, serial))
            return one.all;
    return (struct span){ 0 };
}

static enum err signer_read(struct span info, struct span certs, struct cms_signed *out, struct fault *f)
{
    struct span sid, serial = { 0 };
    struct der_item issuer = { 0 }, digest = { 0 }, alg = { 0 };
    int64_t version = 0;
    enum err e = der_get_small(&info, &version);
    if (e || version != 1)
        return fault_set(f, CE_UNSUPPORTED, "CMS: the signer must be named by issuer and serial number (version 1)");
    e = der_get(&info, DER_SEQUENCE, &sid);
    e = e ? e : der_any(&sid, &issuer);
    e = e ? e : der_get_uint(&sid, &serial);
    e = e ? e : der_any(&info, &digest);
    e = e ? e : der_get(&info, DER_CONTEXT_CONS(0), &out->attrs);
    e = e ? e : der_any(&info, &alg);
    e = e ? e : der_get(&info, DER_OCTET_STRING, &out->sig);
    if (!e && der_peek(info, DER_CONTEXT_CONS(1)))
        e = der_skip(&info); /* unsigned attributes say nothing that counts */
    if (e || sid.n || info.n)
        return fault_set(f, CE_BAD_DER, "CMS: RFC 5652 5.3: SignerInfo is malformed, or has no signed attributes");
    if (!alg_is_sha256(digest.all) || sig_alg_from_der(alg.all) != SIG_ECDSA_SHA256)
        return fault_set(f, CE_UNSUPPORTED, "CMS: ECDSA with SHA-256 is wanted");
    out->cert = cert_search(certs, issuer.all, serial);
    if (!out->cert.n)
        return fault_set(f, CE_BAD_CERT, "CMS: the signer's certificate is not inside");
    return attrs_read(out, f);
}

/* ContentInfo, up to the contents of SignedData. */
static enum err content_info(struct span der, struct span *data, struct fault *f)
{
    struct span info, oid, explicit0;
    if (der.n > CMS_MAX)
        return fault_set(f, CE_TOO_LARGE, "CMS: %zu bytes, more than %d", der.n, CMS_MAX);
    enum err e = der_check(der);
    e = e ? e : der_get(&der, DER_SEQUENCE, &info);
    e = e ? e : der_get_oid(&info, &oid);
    e = e ? e : der_get(&info, DER_CONTEXT_CONS(0), &explicit0);
    e = e ? e : der_get(&explicit0, DER_SEQUENCE, data);
    if (e || info.n || explicit0.n || !span_eq(oid, oid_signed_data))
        return fault_set(f, CE_BAD_DER, "CMS: RFC 5652 3, 5.1: DER of a ContentInfo with SignedData is wanted");
    return CE_OK;
}

enum err cms_read(struct span der, struct cms_signed *out, struct fault *f)
{
    struct span data, algs, content, oid, certs, signers, info;
    int64_t version;
    *out = (struct cms_signed){ 0 };
    enum err e = content_info(der, &data, f);
    if (e)
        return e;
    e = der_get_small(&data, &version);
    e = e ? e : der_get(&data, DER_SET, &algs);
    e = e ? e : der_get(&data, DER_SEQUENCE, &content);
    e = e ? e : der_get_oid(&content, &oid);
    if (e || !span_eq(oid, oid_data) || content.n)
        return fault_set(f, CE_UNSUPPORTED, "CMS: a detached signature of data is wanted");
    e = der_get(&data, DER_CONTEXT_CONS(0), &certs);
    if (!e && der_peek(data, DER_CONTEXT_CONS(1)))
        e = der_skip(&data); /* CRLs: the caller brings its own */
    e = e ? e : der_get(&data, DER_SET, &signers);
    e = e ? e : der_get(&signers, DER_SEQUENCE, &info);
    if (e || signers.n || data.n)
        return fault_set(f, CE_BAD_DER, "CMS: RFC 5652 5.1: certificates and exactly one SignerInfo are wanted");
    return signer_read(info, certs, out, f);
}

enum err cms_verify(const struct cms_signed *c, const uint8_t sha256[SHA256_LEN], struct fault *f)
{
    CLEANUP(buf_free) struct buf whole = BUF_INIT(CMS_MAX);
    struct cert cert;
    enum err e = cert_parse(c->cert, &cert, f);
    if (e)
        return e;
    if (!span_eq(c->digest, span_of(sha256, SHA256_LEN)))
        return fault_set(f, CE_BAD_SIGNATURE, "CMS: this is the signature of another content");
    der_put(&whole, DER_SET, c->attrs);
    e = buf_err(&whole);
    e = e ? e : spki_verify(cert.spki, SIG_ECDSA_SHA256, buf_span(&whole), c->sig);
    return e ? fault_set(f, e, "CMS: the signature does not hold by the certificate's key") : CE_OK;
}
