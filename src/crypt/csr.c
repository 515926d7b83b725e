/* csr.c: see csr.h. */
#include "crypt/csr.h"

#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/dn.h"
#include "crypt/key_impl.h"

#define OID_PKCS9 "\x2a\x86\x48\x86\xf7\x0d\x01\x09"
#define OID_EXTENSION_REQUEST SPAN_LIT(OID_PKCS9 "\x0e")
#define OID_CHALLENGE_PASSWORD SPAN_LIT(OID_PKCS9 "\x07")
#define OID_UNSTRUCTURED_NAME SPAN_LIT(OID_PKCS9 "\x02")

static enum err csr_subject(struct csr *r, struct span name, struct fault *f)
{
    struct dn dn;
    enum err e = dn_parse(name, true, &dn, f);
    if (e)
        return e;
    if (dn.n_cn != 1)
        return fault_set(f, CE_BAD_NAME, "the subject must have exactly one commonName (%u given)", dn.n_cn);
    if (dn.n_serial_number > 1 || dn.n_o > 1)
        return fault_set(f, CE_BAD_NAME, "the subject may have one serialNumber and one organizationName");
    r->cn = dn.cn;
    r->serial_number = dn.serial_number;
    r->o = dn.o;
    r->n_rdn_other = dn.n_other;
    return CE_OK;
}

static enum err csr_san(struct csr *r, struct span value, struct fault *f)
{
    struct san san;
    enum err e = san_parse(value, &san, f);
    if (e)
        return e;
    r->san = value;
    r->san_uri = san.uri;
    r->san_dns = san.dns;
    r->n_san_uri = san.n_uri;
    r->n_san_dns = san.n_dns;
    r->n_san_other = san.n_other;
    return CE_OK;
}

static enum err csr_basic_constraints(struct span value, struct fault *f)
{
    struct span seq;
    bool ca = false;
    if (der_get(&value, DER_SEQUENCE, &seq) || value.n || (der_peek(seq, DER_BOOLEAN) && der_get_bool(&seq, &ca)))
        return fault_set(f, CE_BAD_CSR, "RFC 5280 4.2.1.9: malformed basicConstraints");
    return ca || seq.n ? fault_set(f, CE_BAD_CSR, "the request asks for a CA certificate; only end entities are certified here") : CE_OK;
}

/* Extensions asked for: the SAN is compared with the profile's, CA is refused, the rest is the profile's own decision. */
static enum err csr_extension_list(struct csr *r, struct span list, struct fault *f)
{
    struct ext x;
    bool have_san = false;
    while (list.n) {
        if (ext_get(&list, &x) || der_check(x.value))
            return fault_set(f, CE_BAD_CSR, "RFC 5280 4.1: malformed Extension in the request");
        if (x.ce == EXT_SAN && have_san)
            return fault_set(f, CE_BAD_CSR, "RFC 5280 4.2: subjectAltName is asked for twice");
        have_san = have_san || x.ce == EXT_SAN;
        enum err e = x.ce == EXT_SAN ? csr_san(r, x.value, f) : x.ce == EXT_BASIC ? csr_basic_constraints(x.value, f) : CE_OK;
        if (e)
            return e;
    }
    return CE_OK;
}

static enum err csr_extensions(struct csr *r, struct span value, struct fault *f)
{
    struct span list;
    if (der_get(&value, DER_SEQUENCE, &list) || value.n || list.n == 0)
        return fault_set(f, CE_BAD_CSR, "RFC 2985 5.4.2: malformed extensionRequest");
    return csr_extension_list(r, list, f);
}

static enum err csr_attribute(struct csr *r, struct span attr, bool *have_ext, struct fault *f)
{
    struct span oid, set;
    struct der_item value;
    if (der_get_oid(&attr, &oid) || der_get(&attr, DER_SET, &set) || attr.n)
        return fault_set(f, CE_BAD_CSR, "RFC 2986 4.1: malformed Attribute");
    struct span one = set;
    if (der_any(&one, &value) || one.n)
        return fault_set(f, CE_BAD_CSR, "RFC 2985 5.4: an attribute must have exactly one value");
    if (span_eq(oid, OID_EXTENSION_REQUEST)) {
        if (*have_ext)
            return fault_set(f, CE_BAD_CSR, "RFC 2985 5.4.2: extensionRequest is given twice");
        *have_ext = true;
        return csr_extensions(r, set, f);
    }
    if (!span_eq(oid, OID_CHALLENGE_PASSWORD) && !span_eq(oid, OID_UNSTRUCTURED_NAME))
        return fault_set(f, CE_BAD_CSR, "the request has an attribute that is not supported (extensionRequest and challengePassword are)");
    if (value.tag != DER_UTF8 && value.tag != DER_PRINTABLE && value.tag != DER_IA5)
        return fault_set(f, CE_BAD_CSR, "RFC 2985 5.4.1: challengePassword and unstructuredName are plain strings");
    return span_is_utf8(value.body) ? CE_OK : fault_set(f, CE_BAD_CSR, "RFC 2985 5.4.1: an attribute is not UTF-8 text");
}

static enum err csr_attributes(struct csr *r, struct span *info, struct fault *f)
{
    struct span list, attr;
    bool have_ext = false;
    if (info->n == 0)
        return CE_OK; /* some clients leave the empty set out; OpenSSL takes that too */
    if (der_get(info, DER_CONTEXT_CONS(0), &list) || info->n)
        return fault_set(f, CE_BAD_CSR, "RFC 2986 4.1: malformed attributes");
    while (list.n) {
        if (der_get(&list, DER_SEQUENCE, &attr))
            return fault_set(f, CE_BAD_CSR, "RFC 2986 4.1: malformed attributes");
        enum err e = csr_attribute(r, attr, &have_ext, f);
        if (e)
            return e;
    }
    return CE_OK;
}

static enum err csr_info(struct csr *r, struct span info, struct fault *f)
{
    int64_t version;
    struct der_item name, spki;
    if (der_get_small(&info, &version) || version != 0)
        return fault_set(f, CE_BAD_CSR, "RFC 2986 4.1: the version of the request must be v1 (0)");
    if (der_any(&info, &name) || name.tag != DER_SEQUENCE)
        return fault_set(f, CE_BAD_CSR, "RFC 2986 4.1: malformed subject");
    r->subject = name.all;
    enum err e = csr_subject(r, name.body, f);
    if (e)
        return e;
    if (der_any(&info, &spki) || spki.tag != DER_SEQUENCE)
        return fault_set(f, CE_BAD_CSR, "RFC 2986 4.1: malformed subjectPKInfo");
    r->spki = spki.all;
    e = spki_parse(r->spki, &r->key, f);
    return e ? e : csr_attributes(r, &info, f);
}

/* What is wrong with the outermost bytes, told apart because it is what a broken transport shows. */
static enum err csr_outer(struct span der, struct span *body, struct fault *f)
{
    struct der_item it;
    struct span rest = der;
    if (der.n > CSR_MAX)
        return fault_set(f, CE_TOO_LARGE, "the request has %zu bytes; at most %d are read", der.n, CSR_MAX);
    enum err e = der_any(&rest, &it);
    if (e == CE_TRUNCATED)
        return fault_set(f, e, "the request ends early: %zu bytes are there", der.n);
    if (e || it.tag != DER_SEQUENCE)
        return fault_set(f, CE_BAD_DER, "RFC 2986 4.2: not a CertificationRequest in DER");
    if (rest.n)
        return fault_set(f, CE_TRAILING, "%zu bytes follow the request", rest.n);
    *body = it.body;
    return CE_OK;
}

enum err csr_parse(struct span der, struct csr *out, struct fault *f)
{
    struct span body;
    struct der_item tbs, alg;
    *out = (struct csr){ .der = der };
    enum err e = csr_outer(der, &body, f);
    if (e)
        return e;
    if (der_any(&body, &tbs) || tbs.tag != DER_SEQUENCE || der_any(&body, &alg) || alg.tag != DER_SEQUENCE ||
        der_get_bits(&body, &out->sig) || body.n)
        return fault_set(f, CE_BAD_CSR, "RFC 2986 4.2: malformed CertificationRequest");
    out->tbs = tbs.all;
    e = csr_info(out, tbs.body, f);
    if (e)
        return e;
    out->sig_alg = sig_alg_from_der(alg.all);
    if (out->sig_alg == SIG_NONE)
        return fault_set(f, CE_BAD_CSR, "RFC 2986 4.2: the signature algorithm is not one of those accepted (ECDSA or RSA with SHA-256 or better, Ed25519)");
    if (!sig_alg_fits(out->sig_alg, out->key.alg))
        return fault_set(f, CE_BAD_CSR, "RFC 2986 4.2: the signature algorithm does not belong to a key of kind %s", out->key.name);
    return CE_OK;
}

enum err csr_from_parts(struct span subject, struct span spki, struct span extensions, struct csr *out, struct fault *f)
{
    struct span name, rest = subject;
    *out = (struct csr){ .subject = subject, .spki = spki };
    if (der_get(&rest, DER_SEQUENCE, &name) || rest.n)
        return fault_set(f, CE_BAD_NAME, "RFC 5280 4.1.2.4: malformed subject");
    enum err e = csr_subject(out, name, f);
    e = e ? e : spki_parse(spki, &out->key, f);
    return e ? e : csr_extension_list(out, extensions, f);
}

enum err csr_verify(const struct csr *r, struct fault *f)
{
    enum err e = spki_verify(r->spki, r->sig_alg, r->tbs, r->sig);
    if (e == CE_BAD_SIGNATURE)
        return fault_set(f, CE_CSR_POP, "RFC 2986 3: the request is not signed by the key in it");
    return e ? fault_set(f, e, "the key in the request: %s", err_text(e)) : CE_OK;
}

static void csr_put_san(struct buf *out, struct span san_uri)
{
    size_t attrs = der_begin(out, DER_CONTEXT_CONS(0));
    if (san_uri.n) {
        size_t attr = der_begin(out, DER_SEQUENCE);
        der_put(out, DER_OID, OID_EXTENSION_REQUEST);
        size_t set = der_begin(out, DER_SET), list = der_begin(out, DER_SEQUENCE);
        struct ext_mark x = ext_begin(out, EXT_SAN, false);
        size_t names = der_begin(out, DER_SEQUENCE);
        der_put(out, DER_CONTEXT(6), san_uri);
        der_end(out, names);
        ext_end(out, x);
        der_end(out, list);
        der_end(out, set);
        der_end(out, attr);
    }
    der_end(out, attrs);
}

enum err csr_build(struct key *k, struct span cn, struct span serial_number, struct span san_uri, struct buf *out)
{
    CLEANUP(buf_free) struct buf tbs = BUF_INIT(CSR_MAX), sig = BUF_INIT(CSR_MAX);
    size_t info = der_begin(&tbs, DER_SEQUENCE);
    der_put_small(&tbs, 0);
    size_t name = der_begin(&tbs, DER_SEQUENCE);
    dn_put(&tbs, DN_CN, cn);
    if (serial_number.n)
        dn_put(&tbs, DN_SERIAL_NUMBER, serial_number);
    der_end(&tbs, name);
    buf_put_span(&tbs, key_spki(k));
    csr_put_san(&tbs, san_uri);
    der_end(&tbs, info);
    enum err e = buf_err(&tbs) ? buf_err(&tbs) : key_sign(k, buf_span(&tbs), &sig);
    if (e)
        return e;
    size_t all = der_begin(out, DER_SEQUENCE);
    buf_put_span(out, buf_span(&tbs));
    buf_put_span(out, sig_alg_der(key_sig_alg(k)));
    der_put_bits(out, buf_span(&sig));
    der_end(out, all);
    return buf_err(out);
}
