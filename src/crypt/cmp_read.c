/* cmp_read.c: reads PKIMessages: header, body as bytes, protection, extraCerts. See cmp.h. */
#include "base/mem.h"
#include "crypt/cert.h"
#include "crypt/cmp.h"
#include "crypt/der.h"
#include "crypt/oid.h"

#define OID_IT OID_PKIX "\x04"

static enum err bad(struct fault *f, const char *what)
{
    return fault_set(f, CE_BAD_CMP, "%s", what);
}

int cmp_it_of(struct span oid)
{
    struct span prefix = SPAN_LIT(OID_IT);
    return oid.n == prefix.n + 1 && memcmp(oid.p, prefix.p, prefix.n) == 0 ? oid.p[prefix.n] : 0;
}

/* -- header ------------------------------------------------------------------------------------------------------------------------- */
/* The contents of an explicit tag that holds one element of another. */
static enum err explicit_get(struct span body, unsigned tag, struct span *out)
{
    enum err e = der_get(&body, tag, out);
    return e ? e : body.n ? CE_BAD_DER : CE_OK;
}

static enum err octets(struct span body, struct span *out, const char *what, struct fault *f)
{
    if (explicit_get(body, DER_OCTET_STRING, out) || out->n == 0)
        return fault_set(f, CE_BAD_CMP, "RFC 9810 5.1.1: malformed %s", what);
    if (out->n > CMP_ID_MAX)
        return fault_set(f, CE_BAD_CMP, "%s has %zu bytes; at most %d are taken", what, out->n, CMP_ID_MAX);
    return CE_OK;
}

static enum err general_infos(struct cmp_message *m, struct span body, struct fault *f)
{
    struct span list, one, oid;
    if (explicit_get(body, DER_SEQUENCE, &list))
        return bad(f, "RFC 9810 5.1.1: malformed generalInfo");
    while (list.n) {
        if (der_get(&list, DER_SEQUENCE, &one) || der_get_oid(&one, &oid))
            return bad(f, "RFC 9810 5.1.1: malformed InfoTypeAndValue in generalInfo");
        bool is_null = one.n == 2 && one.p[0] == DER_NULL;
        if (cmp_it_of(oid) == CMP_IT_IMPLICIT_CONFIRM) {
            if (one.n && !is_null)
                return bad(f, "RFC 9810 5.1.1.1: the value of implicitConfirm is NULL");
            m->implicit_confirm = true;
        }
    }
    return CE_OK;
}

static enum err header_time(struct cmp_message *m, struct span body, struct fault *f)
{
    if (!der_peek(body, DER_GENERAL_TIME) || der_get_time(&body, &m->time_s) || body.n)
        return bad(f, "RFC 9810 5.1.1: messageTime is a GeneralizedTime in UTC, without fractions");
    m->has_time = true;
    return CE_OK;
}

static enum err header_alg(struct cmp_message *m, struct span body, struct fault *f)
{
    struct span all = body, oid;
    if (explicit_get(body, DER_SEQUENCE, &body) || der_get_oid(&body, &oid))
        return bad(f, "RFC 9810 5.1.1: malformed protectionAlg");
    m->alg = all;
    return CE_OK;
}

static enum err header_field(struct cmp_message *m, const struct der_item *it, struct fault *f)
{
    struct span ignored;
    switch (it->tag) {
    case DER_CONTEXT_CONS(0): return header_time(m, it->body, f);
    case DER_CONTEXT_CONS(1): return header_alg(m, it->body, f);
    case DER_CONTEXT_CONS(2): return octets(it->body, &m->sender_kid, "senderKID", f);
    case DER_CONTEXT_CONS(3): return octets(it->body, &ignored, "recipKID", f);
    case DER_CONTEXT_CONS(4): return octets(it->body, &m->transaction_id, "transactionID", f);
    case DER_CONTEXT_CONS(5): return octets(it->body, &m->sender_nonce, "senderNonce", f);
    case DER_CONTEXT_CONS(6): return octets(it->body, &m->recip_nonce, "recipNonce", f);
    case DER_CONTEXT_CONS(7): return explicit_get(it->body, DER_SEQUENCE, &ignored) ? bad(f, "RFC 9810 5.1.1: malformed freeText") : CE_OK;
    case DER_CONTEXT_CONS(8): return general_infos(m, it->body, f);
    default: return fault_set(f, CE_BAD_CMP, "RFC 9810 5.1.1: the header has a field with tag 0x%02x", it->tag);
    }
}

static bool is_general_name(const struct der_item *it) { return (it->tag & 0xc0) == 0x80 && (it->tag & 0x1f) <= 8; }

static enum err header_parse(struct cmp_message *m, struct span in, struct fault *f)
{
    struct der_item it;
    unsigned last = 0;
    if (der_get_small(&in, &m->pvno))
        return bad(f, "RFC 9810 5.1.1: malformed pvno");
    if (der_any(&in, &it) || !is_general_name(&it))
        return bad(f, "RFC 9810 5.1.1: malformed sender");
    m->sender = it.all;
    if (der_any(&in, &it) || !is_general_name(&it))
        return bad(f, "RFC 9810 5.1.1: malformed recipient");
    m->recipient = it.all;
    while (in.n) {
        if (der_any(&in, &it))
            return bad(f, "RFC 9810 5.1.1: malformed header");
        if (it.tag <= last)
            return bad(f, "RFC 9810 5.1.1: a field of the header is there twice, or out of order");
        last = it.tag;
        enum err e = header_field(m, &it, f);
        if (e)
            return e;
    }
    if (m->pvno != 2 && m->pvno != 3)
        return fault_set(f, CE_CMP_VERSION, "CMP version %lld is not spoken here: pvno is 2 or 3 (RFC 9810 7)", (long long)m->pvno);
    return CE_OK;
}

/* -- message ------------------------------------------------------------------------------------------------------------------------ */
static enum err extra_certs(struct cmp_message *m, struct span body, struct fault *f)
{
    struct span list;
    struct der_item it;
    if (explicit_get(body, DER_SEQUENCE, &list) || list.n == 0)
        return bad(f, "RFC 9810 5.1: malformed extraCerts");
    while (list.n) {
        if (der_any(&list, &it) || it.tag != DER_SEQUENCE)
            return bad(f, "RFC 9810 5.1: malformed certificate in extraCerts");
        if (m->n_certs == CMP_CERTS || it.all.n > CERT_MAX)
            return fault_set(f, CE_BAD_CMP, "extraCerts has more than %d certificates, or one of more than %d bytes", CMP_CERTS, CERT_MAX);
        m->certs[m->n_certs++] = it.all;
    }
    return CE_OK;
}

static enum err tail_parse(struct cmp_message *m, struct span in, struct fault *f)
{
    struct span body;
    if (der_peek(in, DER_CONTEXT_CONS(0)) && (der_get(&in, DER_CONTEXT_CONS(0), &body) || der_get_bits(&body, &m->protection) || body.n))
        return bad(f, "RFC 9810 5.1.3: malformed protection");
    enum err e = CE_OK;
    if (der_peek(in, DER_CONTEXT_CONS(1)))
        e = der_get(&in, DER_CONTEXT_CONS(1), &body) ? bad(f, "RFC 9810 5.1: malformed extraCerts") : extra_certs(m, body, f);
    if (!e && in.n)
        e = bad(f, "RFC 9810 5.1: the message has more than header, body, protection and extraCerts");
    if (!e && (m->alg.n != 0) != (m->protection.n != 0))
        e = bad(f, "RFC 9810 5.1.1: protectionAlg and protection are there together, or not at all");
    return e;
}

enum err cmp_parse(struct span der, struct cmp_message *out, struct fault *f)
{
    struct span in = der, header;
    struct der_item head, body;
    *out = (struct cmp_message){ .pvno = 2, .type = CMP_ERROR };
    if (der.n > CMP_MAX)
        return fault_set(f, CE_TOO_LARGE, "the message has %zu bytes; at most %d are read", der.n, CMP_MAX);
    if (der_check(der) || der_get(&in, DER_SEQUENCE, &in))
        return bad(f, "RFC 9810 5.1: not a PKIMessage in DER");
    if (der_any(&in, &head) || head.tag != DER_SEQUENCE)
        return bad(f, "RFC 9810 5.1: malformed header");
    header = head.body;
    enum err e = header_parse(out, header, f);
    if (e)
        return e;
    if (der_any(&in, &body) || (body.tag & 0xe0) != 0xa0)
        return bad(f, "RFC 9810 5.1.2: malformed body");
    out->type = body.tag & 0x1f;
    out->body = body.body;
    out->header_body = span_of(head.all.p, head.all.n + body.all.n);
    return tail_parse(out, in, f);
}

void cmp_protected_put(struct span header_body, struct buf *out)
{
    der_put(out, DER_SEQUENCE, header_body);
}

/* -- answers, for who signs them ------------------------------------------------------------------------------------------------------ */
struct found { struct span *certs; size_t n; };

static enum err found_add(struct found *t, struct span cert)
{
    if (t->n == CMP_ANSWER_CERTS)
        return CE_TOO_LARGE;
    t->certs[t->n++] = cert;
    return CE_OK;
}

/* Every element of the list is a certificate. */
static enum err found_list(struct found *t, struct span list)
{
    struct der_item it;
    while (list.n)
        if (der_any(&list, &it) || it.tag != DER_SEQUENCE || found_add(t, it.all))
            return CE_BAD_DER;
    return CE_OK;
}

/* CertRepMessage with one CertResponse as cmp_put_cert_rep writes it. */
static enum err cert_rep_check(struct span body, struct found *t)
{
    struct span rep, list, one, pair, cert;
    if (explicit_get(body, DER_SEQUENCE, &rep))
        return CE_BAD_DER;
    if (der_peek(rep, DER_CONTEXT_CONS(1)) && (der_get(&rep, DER_CONTEXT_CONS(1), &list) || explicit_get(list, DER_SEQUENCE, &list) || found_list(t, list)))
        return CE_BAD_DER;
    if (der_get(&rep, DER_SEQUENCE, &list) || rep.n || explicit_get(list, DER_SEQUENCE, &one) || der_get(&one, DER_INTEGER, &pair) ||
        der_get(&one, DER_SEQUENCE, &pair))
        return CE_BAD_DER;
    if (!one.n)
        return CE_OK;
    if (explicit_get(one, DER_SEQUENCE, &pair) || explicit_get(pair, DER_CONTEXT_CONS(0), &cert))
        return CE_BAD_DER;
    return found_list(t, cert);
}

/* RootCaKeyUpdateValue (RFC 9810 5.3.19.15) */
static enum err root_update_check(struct span value, struct found *t)
{
    struct span in, one;
    struct der_item it;
    if (explicit_get(value, DER_SEQUENCE, &in) || der_any(&in, &it) || it.tag != DER_SEQUENCE || found_add(t, it.all))
        return CE_BAD_DER;
    for (unsigned tag = 0; tag < 2; tag++)
        if (der_peek(in, DER_CONTEXT_CONS(tag)) && (der_get(&in, DER_CONTEXT_CONS(tag), &one) || found_list(t, one)))
            return CE_BAD_DER;
    return in.n ? CE_BAD_DER : CE_OK;
}

static enum err gen_rep_check(struct span body, struct found *t)
{
    struct cmp_info infos[CMP_INFOS];
    size_t n;
    struct fault f;
    enum err e = cmp_infos_parse(body, infos, &n, &f);
    for (size_t i = 0; !e && i < n; i++) {
        int it = cmp_it_of(infos[i].oid);
        if (!infos[i].value.n || it == CMP_IT_TEMPLATE)
            continue;
        struct span list;
        if (it == CMP_IT_ROOT_UPDATE)
            e = root_update_check(infos[i].value, t);
        else if (it != CMP_IT_CA_CERTS || explicit_get(infos[i].value, DER_SEQUENCE, &list))
            e = CE_BAD_DER;
        else
            e = found_list(t, list);
    }
    return e;
}

enum err cmp_answer_check(struct span protected_part, struct span certs[CMP_ANSWER_CERTS], size_t *n, struct fault *f)
{
    struct cmp_message m = { .pvno = 0 };
    struct found t = { .certs = certs };
    struct der_item head, body;
    struct span in = protected_part;
    *n = 0;
    if (der_check(in) || der_get(&in, DER_SEQUENCE, &in) || der_any(&in, &head) || head.tag != DER_SEQUENCE || der_any(&in, &body) || in.n)
        return bad(f, "not a ProtectedPart (RFC 9810 5.1.3)");
    enum err e = header_parse(&m, head.body, f);
    if (e)
        return e;
    switch (body.tag) {
    case DER_CONTEXT_CONS(CMP_IP):
    case DER_CONTEXT_CONS(CMP_CP):
    case DER_CONTEXT_CONS(CMP_KUP): e = cert_rep_check(body.body, &t); break;
    case DER_CONTEXT_CONS(CMP_GENP): e = gen_rep_check(body.body, &t); break;
    case DER_CONTEXT_CONS(CMP_RP):
    case DER_CONTEXT_CONS(CMP_PKICONF):
    case DER_CONTEXT_CONS(CMP_ERROR):
    case DER_CONTEXT_CONS(CMP_POLL_REP): break;
    default: return fault_set(f, CE_BAD_CMP, "a body with tag 0x%02x is no answer of a CA", body.tag);
    }
    *n = t.n;
    return e ? bad(f, "the body is not one that this site makes") : CE_OK;
}
