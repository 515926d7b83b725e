/* cmp_request.c: reads the bodies of requests: CRMF (RFC 4211), revocation, confirmation, polling, questions. See cmp.h. */
#include "base/mem.h"
#include "crypt/cmp.h"
#include "crypt/der.h"
#include "crypt/dn.h"
#include "crypt/oid.h"

#define OID_OLD_CERT_ID OID_PKIX "\x05\x01\x05" /* id-regCtrl-oldCertID */

static enum err bad(struct fault *f, const char *what)
{
    return fault_set(f, CE_BAD_CMP, "%s", what);
}

/* A SEQUENCE that fills body, and in it one element of tag: what the profile allows of a list. */
static enum err only_one(struct span body, unsigned tag, struct span *one, const char *what, struct fault *f)
{
    struct span list;
    if (der_get(&body, DER_SEQUENCE, &list) || body.n || (list.n && der_get(&list, tag, one)))
        return fault_set(f, CE_BAD_CMP, "RFC 9810 5.3: malformed %s", what);
    if (one->p == NULL || list.n)
        return fault_set(f, CE_CMP_REQUEST, "a message holds one %s (RFC 9483 4.1.1); this one holds %s", what, list.n ? "several" : "none");
    return CE_OK;
}

/* certReqId: 0, or -1 in answers to p10cr (RFC 9810 5.3.4). */
static enum err id_get(struct span *in, int64_t *id)
{
    struct span b;
    enum err e = der_get(in, DER_INTEGER, &b);
    if (e || b.n != 1 || (b.p[0] != 0 && b.p[0] != 0xff))
        return CE_BAD_DER;
    *id = b.p[0] ? -1 : 0;
    return CE_OK;
}

/* -- CertTemplate --------------------------------------------------------------------------------------------------------------------- */
/* A Name is a CHOICE, so its tag is explicit. */
static enum err name_get(struct span body, struct span *out)
{
    struct der_item it;
    if (der_any(&body, &it) || it.tag != DER_SEQUENCE || body.n)
        return CE_BAD_DER;
    *out = it.all;
    return CE_OK;
}

/* [1] IMPLICIT INTEGER >= 0. */
static enum err serial_get(struct span b, struct span *out)
{
    if (b.n == 0 || b.p[0] & 0x80 || (b.n > 1 && b.p[0] == 0 && !(b.p[1] & 0x80)))
        return CE_BAD_DER;
    *out = b.n > 1 && b.p[0] == 0 ? span_of(b.p + 1, b.n - 1) : b;
    return CE_OK;
}

static enum err template_field(struct cmp_template *t, const struct der_item *it, struct fault *f)
{
    enum err e = CE_OK;
    switch (it->tag) {
    case DER_CONTEXT(0): e = it->body.n == 1 && it->body.p[0] <= 2 ? CE_OK : CE_BAD_DER; break; /* version */
    case DER_CONTEXT(1): e = serial_get(it->body, &t->serial); break;
    case DER_CONTEXT_CONS(2): break; /* signingAlg: the CA's own choice */
    case DER_CONTEXT_CONS(3): e = name_get(it->body, &t->issuer); break;
    case DER_CONTEXT_CONS(4): break; /* validity: the profile's choice */
    case DER_CONTEXT_CONS(5): e = name_get(it->body, &t->subject); break;
    case DER_CONTEXT_CONS(6): t->key = it->body; break;
    case DER_CONTEXT_CONS(9): t->extensions = it->body; break;
    default: return fault_set(f, CE_BAD_TEMPLATE, "RFC 4211 5: field 0x%02x of the template is obsolete or unknown", it->tag);
    }
    return e ? fault_set(f, CE_BAD_TEMPLATE, "RFC 4211 5: malformed field 0x%02x of the template", it->tag) : CE_OK;
}

static enum err template_parse(struct span in, struct cmp_template *t, struct fault *f)
{
    struct der_item it;
    unsigned last = 0;
    *t = (struct cmp_template){ .serial = { 0 } };
    while (in.n) {
        if (der_any(&in, &it))
            return bad(f, "RFC 4211 5: malformed CertTemplate");
        if (last && (it.tag & 0x1f) <= (last & 0x1f))
            return fault_set(f, CE_BAD_TEMPLATE, "RFC 4211 5: a field of the template is there twice, or out of order");
        last = it.tag;
        enum err e = template_field(t, &it, f);
        if (e)
            return e;
    }
    return CE_OK;
}

/* -- ir, cr, kur ------------------------------------------------------------------------------------------------------------------------ */
static enum err old_cert_id(struct cmp_cert_request *q, struct span value, struct fault *f)
{
    struct span id, name;
    if (der_get(&value, DER_SEQUENCE, &id) || value.n || der_get(&id, DER_CONTEXT_CONS(4), &name) || name_get(name, &q->old_issuer) ||
        der_get_uint(&id, &q->old_serial) || id.n)
        return bad(f, "RFC 4211 6.5: oldCertID is issuer (a directoryName) and serial number");
    return CE_OK;
}

/* Of the controls only oldCertID means something here; the others (RFC 4211 6) ask for what this site does not do, or tell it. */
static enum err controls(struct cmp_cert_request *q, struct span list, struct fault *f)
{
    struct span one, oid;
    while (list.n) {
        if (der_get(&list, DER_SEQUENCE, &one) || der_get_oid(&one, &oid))
            return bad(f, "RFC 4211 6: malformed control");
        if (!span_eq(oid, SPAN_LIT(OID_OLD_CERT_ID)))
            continue;
        enum err e = q->old_serial.n ? bad(f, "RFC 4211 6.5: oldCertID is there twice") : old_cert_id(q, one, f);
        if (e)
            return e;
    }
    return CE_OK;
}

static enum err pop_signature(struct cmp_cert_request *q, struct span body, struct fault *f)
{
    struct der_item alg;
    if (der_peek(body, DER_CONTEXT_CONS(0)))
        return fault_set(f, CE_CSR_POP, "RFC 4211 4.1: poposkInput is for templates without subject or key; those are not taken here");
    if (der_any(&body, &alg) || alg.tag != DER_SEQUENCE || der_get_bits(&body, &q->pop_sig) || body.n)
        return bad(f, "RFC 4211 4.1: malformed POPOSigningKey");
    q->pop = CMP_POP_SIGNATURE;
    q->pop_alg = alg.all;
    return CE_OK;
}

static enum err pop_parse(struct cmp_cert_request *q, struct span *in, struct fault *f)
{
    struct der_item it;
    if (!in->n || der_peek(*in, DER_SEQUENCE)) /* regInfo may follow */
        return CE_OK;
    if (der_any(in, &it))
        return bad(f, "RFC 4211 4: malformed proof of possession");
    if (it.tag == DER_CONTEXT_CONS(1))
        return pop_signature(q, it.body, f);
    if (it.tag == DER_CONTEXT(0) && it.body.n == 0) {
        q->pop = CMP_POP_RA;
        return CE_OK;
    }
    return fault_set(f, CE_CSR_POP, "RFC 4211 4: possession is proved by a signature; keyEncipherment and keyAgreement are not taken");
}

enum err cmp_cert_request_parse(struct span body, struct cmp_cert_request *out, struct fault *f)
{
    struct span msg = { 0 }, req, tmpl, list = { 0 };
    struct der_item it;
    *out = (struct cmp_cert_request){ .pop = CMP_POP_NONE };
    enum err e = only_one(body, DER_SEQUENCE, &msg, "CertReqMsg", f);
    if (e)
        return e;
    if (der_any(&msg, &it) || it.tag != DER_SEQUENCE)
        return bad(f, "RFC 4211 3: malformed CertRequest");
    out->request = it.all;
    req = it.body;
    if (id_get(&req, &out->id) || out->id != 0)
        return fault_set(f, CE_CMP_REQUEST, "certReqId of the one request is 0 (RFC 9483 4.1.1)");
    if (der_get(&req, DER_SEQUENCE, &tmpl))
        return bad(f, "RFC 4211 5: malformed CertTemplate");
    if (req.n && (der_get(&req, DER_SEQUENCE, &list) || req.n))
        return bad(f, "RFC 4211 6: malformed controls");
    e = template_parse(tmpl, &out->want, f);
    e = e ? e : controls(out, list, f);
    e = e ? e : pop_parse(out, &msg, f);
    if (!e && msg.n && (der_get(&msg, DER_SEQUENCE, &list) || msg.n))
        e = bad(f, "RFC 4211 7: malformed regInfo");
    return e;
}

static bool key_is_empty(struct span key) /* the inside of a SubjectPublicKeyInfo */
{
    struct span alg, bits;
    return der_get(&key, DER_SEQUENCE, &alg) == CE_OK && der_get_bits(&key, &bits) == CE_OK && !bits.n;
}

enum err cmp_request_csr(const struct cmp_cert_request *q, struct buf *spki, struct csr *out, struct fault *f)
{
    const struct cmp_template *t = &q->want;
    if (t->serial.n)
        return fault_set(f, CE_BAD_TEMPLATE, "RFC 9483 4.1.1: a request for a certificate names no serial number");
    if (!t->subject.n || !t->key.n)
        return fault_set(f, CE_BAD_TEMPLATE, "RFC 9483 4.1.1: the template needs subject and publicKey; keys are made by who will hold them");
    if (key_is_empty(t->key))
        return fault_set(f, CE_BAD_TEMPLATE, "RFC 9810 5.3.4: an empty public key asks for a key made here; keys are made by who will hold them");
    der_put(spki, DER_SEQUENCE, t->key);
    if (buf_err(spki))
        return fault_set(f, CE_KEY_ALG, "the public key is longer than %zu bytes", spki->max);
    return csr_from_parts(t->subject, buf_span(spki), t->extensions, out, f);
}

enum err cmp_pop_verify(const struct cmp_cert_request *q, struct span spki, struct fault *f)
{
    if (q->pop != CMP_POP_SIGNATURE)
        return fault_set(f, CE_CSR_POP, "RFC 4211 4: the proof of possession is missing");
    enum sig_alg alg = sig_alg_from_der(q->pop_alg);
    if (alg == SIG_NONE)
        return fault_set(f, CE_CSR_POP, "RFC 4211 4.1: the algorithm of the proof of possession is not one of those accepted (ECDSA or RSA with SHA-256 or better, Ed25519)");
    enum err e = spki_verify(spki, alg, q->request, q->pop_sig);
    return e ? fault_set(f, CE_CSR_POP, "RFC 4211 4.1: the request is not signed by the key in it") : CE_OK;
}

/* -- rr ----------------------------------------------------------------------------------------------------------------------------------- */
static enum err crl_details(struct cmp_revocation *r, struct span list, struct fault *f)
{
    struct ext x;
    while (list.n) {
        struct span v;
        if (ext_get(&list, &x))
            return bad(f, "RFC 9810 5.3.9: malformed crlEntryDetails");
        v = x.value;
        if (x.ce != EXT_REASON)
            continue;
        if (der_get(&v, DER_ENUMERATED, &v) || v.n != 1 || v.p[0] > 10 || v.p[0] == 7)
            return bad(f, "RFC 5280 5.3.1: malformed reasonCode");
        r->reason = v.p[0];
    }
    return CE_OK;
}

enum err cmp_revocation_parse(struct span body, struct cmp_revocation *out, struct fault *f)
{
    struct span one = { 0 }, tmpl, list;
    *out = (struct cmp_revocation){ .reason = 0 };
    enum err e = only_one(body, DER_SEQUENCE, &one, "RevDetails", f);
    if (!e && der_get(&one, DER_SEQUENCE, &tmpl))
        e = bad(f, "RFC 9810 5.3.9: malformed certDetails");
    e = e ? e : template_parse(tmpl, &out->cert, f);
    if (!e && one.n)
        e = der_get(&one, DER_SEQUENCE, &list) || one.n ? bad(f, "RFC 9810 5.3.9: malformed RevDetails") : crl_details(out, list, f);
    if (!e && (!out->cert.serial.n || !out->cert.issuer.n))
        e = fault_set(f, CE_BAD_TEMPLATE, "RFC 9483 4.2: a revocation names issuer and serial number of the certificate");
    return e;
}

/* -- certConf ------------------------------------------------------------------------------------------------------------------------------- */
static enum err status_info(struct cmp_confirm *c, struct span in, struct fault *f)
{
    int64_t status;
    struct span texts;
    if (der_get_small(&in, &status) || status > 6)
        return bad(f, "RFC 9810 5.2.3: malformed PKIStatusInfo");
    c->accepted = status == CMP_ACCEPTED || status == CMP_GRANTED_WITH_MODS;
    if (der_peek(in, DER_SEQUENCE) && (der_get(&in, DER_SEQUENCE, &texts) || (texts.n && der_get(&texts, DER_UTF8, &c->text))))
        return bad(f, "RFC 9810 5.2.3: malformed statusString");
    if (der_peek(in, DER_BIT_STRING) && der_skip(&in))
        return bad(f, "RFC 9810 5.2.3: malformed failInfo");
    if (!span_is_utf8(c->text))
        c->text = span_of(NULL, 0);
    return in.n ? bad(f, "RFC 9810 5.2.3: malformed PKIStatusInfo") : CE_OK;
}

enum err cmp_confirm_parse(struct span body, struct cmp_confirm *out, struct fault *f)
{
    struct span one = { 0 }, info, alg = { 0 };
    *out = (struct cmp_confirm){ .accepted = true };
    if (body.n == 2 && body.p[0] == DER_SEQUENCE && body.p[1] == 0) {
        *out = (struct cmp_confirm){ .none = true };
        return CE_OK;
    }
    enum err e = only_one(body, DER_SEQUENCE, &one, "CertStatus", f);
    if (e)
        return e;
    if (der_get(&one, DER_OCTET_STRING, &out->hash) || !out->hash.n || out->hash.n > SHA512_LEN || id_get(&one, &out->id))
        return bad(f, "RFC 9810 5.3.18: malformed CertStatus");
    if (der_peek(one, DER_SEQUENCE))
        e = der_get(&one, DER_SEQUENCE, &info) ? bad(f, "RFC 9810 5.2.3: malformed PKIStatusInfo") : status_info(out, info, f);
    if (!e && der_peek(one, DER_CONTEXT_CONS(0)) && (der_get(&one, DER_CONTEXT_CONS(0), &alg) || !der_peek(alg, DER_SEQUENCE)))
        e = bad(f, "RFC 9810 5.3.18: malformed hashAlg");
    out->hash_alg = alg;
    return e ? e : one.n ? bad(f, "RFC 9810 5.3.18: malformed CertStatus") : CE_OK;
}

/* -- pollReq, genm ------------------------------------------------------------------------------------------------------------------------------ */
enum err cmp_poll_parse(struct span body, int64_t *id, struct fault *f)
{
    struct span one = { 0 };
    enum err e = only_one(body, DER_SEQUENCE, &one, "certReqId", f);
    return e ? e : id_get(&one, id) || one.n ? bad(f, "RFC 9810 5.3.22: malformed pollReq") : CE_OK;
}

enum err cmp_infos_parse(struct span body, struct cmp_info *out, size_t *n, struct fault *f)
{
    struct span list, one;
    *n = 0;
    if (der_get(&body, DER_SEQUENCE, &list) || body.n)
        return bad(f, "RFC 9810 5.3.19: malformed generic message");
    while (list.n) {
        struct der_item value = { 0 };
        if (*n == CMP_INFOS)
            return fault_set(f, CE_BAD_CMP, "a generic message has at most %d infoTypes here", CMP_INFOS);
        if (der_get(&list, DER_SEQUENCE, &one) || der_get_oid(&one, &out[*n].oid) || (one.n && der_any(&one, &value)) || one.n)
            return bad(f, "RFC 9810 5.3.19: malformed InfoTypeAndValue");
        out[(*n)++].value = value.all;
    }
    return CE_OK;
}
