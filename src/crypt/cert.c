/* cert.c: see cert.h. */
#include "crypt/cert.h"

#include "base/file.h"
#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/dn.h"
#include "crypt/hash.h"
#include "crypt/oid.h"
#include "crypt/pem.h"

static enum err cert_bad(struct fault *f, const char *rule) { return fault_set(f, CE_BAD_CERT, "RFC 5280 %s", rule); }

/* -- extensions, one function each ---------------------------------------------------------------------------- */

static enum err ext_basic(struct cert *c, struct span v)
{
    struct span seq;
    int64_t len;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n || (der_peek(seq, DER_BOOLEAN) && der_get_bool(&seq, &c->is_ca)))
        return CE_BAD_DER;
    if (seq.n == 0)
        return CE_OK;
    if (der_get_small(&seq, &len) || seq.n || len > 255)
        return CE_BAD_DER;
    c->path_len = (int)len;
    return CE_OK;
}

static enum err ext_key_usage(struct cert *c, struct span v)
{
    struct span bits;
    if (der_get(&v, DER_BIT_STRING, &bits) || v.n || bits.n < 2 || bits.n > 3 || bits.p[0] > 7 || (bits.p[bits.n - 1] & ((1u << bits.p[0]) - 1))) /* X.690 11.2.1: unused bits are 0 */
        return CE_BAD_DER;
    c->key_usage = bits.p[1];
    return CE_OK;
}

unsigned cert_eku_bit(struct span oid)
{
    static const struct { struct span oid; unsigned bit; } known[] = {
        { SPAN_LIT(OID_PKIX "\x03\x01"), EKU_SERVER_AUTH },   { SPAN_LIT(OID_PKIX "\x03\x02"), EKU_CLIENT_AUTH },
        { SPAN_LIT(OID_PKIX "\x03\x03"), EKU_CODE_SIGNING },  { SPAN_LIT(OID_PKIX "\x03\x04"), EKU_EMAIL },
        { SPAN_LIT(OID_PKIX "\x03\x08"), EKU_TIME_STAMPING }, { SPAN_LIT(OID_PKIX "\x03\x09"), EKU_OCSP_SIGNING },
        { SPAN_LIT("\x55\x1d\x25\x00"), EKU_ANY },                 { SPAN_LIT(OID_KP_IDEVID), EKU_IDEVID },
        { SPAN_LIT("\x55\x1d\x25\x00"), EKU_ANY },            { SPAN_LIT(OID_PKIX "\x03\x1c"), EKU_CMC_RA },
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (span_eq(oid, known[i].oid))
            return known[i].bit;
    return EKU_OTHER;
}

static enum err ext_eku(struct cert *c, struct span v)
{
    struct span seq, oid;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n || seq.n == 0)
        return CE_BAD_DER;
    while (seq.n) {
        if (der_get_oid(&seq, &oid))
            return CE_BAD_DER;
        c->eku |= cert_eku_bit(oid);
    }
    return CE_OK;
}

static enum err ext_san(struct cert *c, struct span v)
{
    struct san san;
    enum err e = san_parse(v, &san, NULL);
    c->san = v;
    c->san_uri = san.uri;
    c->san_dns = san.dns;
    c->hw_type = san.hw_type;
    c->hw_serial = san.hw_serial;
    return e;
}

static enum err ext_ski(struct cert *c, struct span v) { return der_get(&v, DER_OCTET_STRING, &c->ski) || v.n ? CE_BAD_DER : CE_OK; }

static enum err ext_aki(struct cert *c, struct span v)
{
    struct span seq;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n)
        return CE_BAD_DER;
    return der_peek(seq, DER_CONTEXT(0)) ? der_get(&seq, DER_CONTEXT(0), &c->aki) : CE_OK;
}

static enum err cert_extension(struct cert *c, const struct ext *x, struct fault *f)
{
    static const struct {
        int ce;
        enum err (*read)(struct cert *c, struct span v);
        const char *rule;
    } known[] = {
        { EXT_BASIC, ext_basic, "4.2.1.9: malformed basicConstraints" },
        { EXT_KEY_USAGE, ext_key_usage, "4.2.1.3: malformed keyUsage" },
        { EXT_EKU, ext_eku, "4.2.1.12: malformed extKeyUsage" },
        { EXT_SAN, ext_san, "4.2.1.6: malformed subjectAltName" },
        { EXT_SKI, ext_ski, "4.2.1.2: malformed subjectKeyIdentifier" },
        { EXT_AKI, ext_aki, "4.2.1.1: malformed authorityKeyIdentifier" },
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].ce == x->ce)
            return known[i].read(c, x->value) ? cert_bad(f, known[i].rule) : CE_OK;
    if (span_eq(x->oid, SPAN_LIT(OID_OCSP_NOCHECK)))
        c->ocsp_nocheck = true;
    else if (x->critical || x->ce == EXT_NAME_CONSTRAINTS)
        c->critical_unknown = true;
    return CE_OK;
}

static enum err cert_extensions(struct cert *c, struct span wrap, struct fault *f)
{
    struct span list;
    struct ext x;
    uint8_t seen[256] = { 0 };
    if (der_get(&wrap, DER_SEQUENCE, &list) || wrap.n || list.n == 0)
        return cert_bad(f, "4.1: malformed extensions");
    while (list.n) {
        if (ext_get(&list, &x))
            return cert_bad(f, "4.1: malformed Extension");
        if (x.ce && seen[x.ce]++)
            return cert_bad(f, "4.2: an extension appears twice");
        enum err e = cert_extension(c, &x, f);
        if (e)
            return e;
    }
    return CE_OK;
}

/* -- the certificate ------------------------------------------------------------------------------------------- */

static enum err cert_names(struct cert *c, struct span *tbs, struct fault *f)
{
    struct der_item issuer, subject;
    struct span validity;
    struct dn dn;
    if (der_any(tbs, &issuer) || issuer.tag != DER_SEQUENCE || dn_parse(issuer.body, false, &dn, f))
        return cert_bad(f, "4.1.2.4: malformed issuer");
    if (der_get(tbs, DER_SEQUENCE, &validity) || der_get_time(&validity, &c->not_before) ||
        der_get_time(&validity, &c->not_after) || validity.n)
        return cert_bad(f, "4.1.2.5: malformed validity");
    if (der_any(tbs, &subject) || subject.tag != DER_SEQUENCE || dn_parse(subject.body, false, &dn, f))
        return cert_bad(f, "4.1.2.6: malformed subject");
    c->issuer = issuer.all;
    c->subject = subject.all;
    c->cn = dn.cn;
    c->serial_number = dn.serial_number;
    c->o = dn.o;
    return CE_OK;
}

static enum err cert_tbs(struct cert *c, struct span tbs, struct span outer_alg, struct fault *f)
{
    struct span wrap;
    struct der_item alg, spki;
    int64_t version = 0;
    if (der_peek(tbs, DER_CONTEXT_CONS(0)) &&
        (der_get(&tbs, DER_CONTEXT_CONS(0), &wrap) || der_get_small(&wrap, &version) || wrap.n || version < 1 || version > 2))
        return cert_bad(f, "4.1.2.1: malformed version");
    if (der_get_uint(&tbs, &c->serial) || c->serial.n > 20)
        return cert_bad(f, "4.1.2.2: the serial number must be a positive INTEGER of up to 20 bytes");
    if (der_any(&tbs, &alg) || !span_eq(alg.all, outer_alg))
        return cert_bad(f, "4.1.1.2: the two signature algorithms differ");
    enum err e = cert_names(c, &tbs, f);
    if (e)
        return e;
    if (der_any(&tbs, &spki) || spki.tag != DER_SEQUENCE || der_check(spki.all))
        return cert_bad(f, "4.1.2.7: malformed subjectPublicKeyInfo");
    c->spki = spki.all;
    sha256(c->spki, c->spki_sha256);
    for (unsigned tag = 0x81; tag <= 0x82; tag++) /* unique identifiers, [1] and [2] */
        if (der_peek(tbs, tag) && (version < 1 || der_skip(&tbs)))
            return cert_bad(f, "4.1.2.8: malformed unique identifier");
    if (tbs.n == 0)
        return CE_OK;
    if (version != 2 || der_get(&tbs, DER_CONTEXT_CONS(3), &wrap) || tbs.n)
        return cert_bad(f, "4.1.2.9: malformed extensions");
    return cert_extensions(c, wrap, f);
}

enum err cert_parse(struct span der, struct cert *out, struct fault *f)
{
    struct span rest = der, body;
    struct der_item tbs, alg;
    *out = (struct cert){ .path_len = -1 };
    if (der.n > CERT_MAX)
        return fault_set(f, CE_TOO_LARGE, "the certificate has %zu bytes; at most %d are read", der.n, CERT_MAX);
    if (der_get(&rest, DER_SEQUENCE, &body))
        return cert_bad(f, "4.1: not a Certificate in DER, or cut short");
    if (rest.n)
        return fault_set(f, CE_TRAILING, "%zu bytes follow the certificate", rest.n);
    if (der_any(&body, &tbs) || tbs.tag != DER_SEQUENCE || der_any(&body, &alg) || alg.tag != DER_SEQUENCE ||
        der_get_bits(&body, &out->sig) || body.n)
        return cert_bad(f, "4.1: malformed Certificate");
    out->der = der;
    out->tbs = tbs.all;
    out->sig_alg = sig_alg_from_der(alg.all);
    return cert_tbs(out, tbs.body, alg.all, f);
}

enum err cert_load(const char *path, struct buf *der, struct cert *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(1 << 20);
    struct fault why = { .code = CE_OK };
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "certificate %s: cannot be read: %s", path, err_text(e));
    buf_reset(der);
    e = pem_decode(buf_span(&text), "CERTIFICATE", 0, der);
    if (e)
        return fault_set(f, CE_BAD_CERT, "certificate %s: no CERTIFICATE block in PEM", path);
    e = cert_parse(buf_span(der), out, &why);
    return e ? fault_set(f, e, "certificate %s: %s", path, why.text) : CE_OK;
}

enum err cert_check_issued(const struct cert *c, const struct cert *issuer)
{
    if (!span_eq(c->issuer, issuer->subject) || (c->aki.n && issuer->ski.n && !span_eq(c->aki, issuer->ski)))
        return CE_CERT_FOREIGN;
    if (!issuer->is_ca || (issuer->key_usage && !(issuer->key_usage & KU_CERT_SIGN)))
        return CE_CERT_FOREIGN;
    return spki_verify(issuer->spki, c->sig_alg, c->tbs, c->sig);
}
