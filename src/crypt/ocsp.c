/* ocsp.c: see ocsp.h. */
#include "crypt/ocsp.h"

#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/dn.h"
#include "crypt/oid.h"
#include "crypt/x509_sign.h"

#define OID_OCSP_BASIC SPAN_LIT(OID_PKIX_OCSP "\x01")
#define OID_OCSP_NONCE SPAN_LIT(OID_PKIX_OCSP "\x02")
#define OID_SHA1 SPAN_LIT("\x2b\x0e\x03\x02\x1a")
#define OID_SHA256 SPAN_LIT("\x60\x86\x48\x01\x65\x03\x04\x02\x01")

/* -- requests ------------------------------------------------------------------------------------------------------- */

static enum err certid_get(struct span *in, struct ocsp_certid *out)
{
    struct der_item id;
    struct span body, alg, oid;
    if (der_any(in, &id) || id.tag != DER_SEQUENCE || id.all.n > 256)
        return CE_BAD_DER;
    body = id.body;
    if (der_get(&body, DER_SEQUENCE, &alg) || der_get_oid(&alg, &oid) || (alg.n && !span_eq(alg, SPAN_LIT("\x05\x00"))) ||
        der_get(&body, DER_OCTET_STRING, &out->name_hash) || der_get(&body, DER_OCTET_STRING, &out->key_hash) ||
        der_get_uint(&body, &out->serial) || body.n || out->serial.n > 20)
        return CE_BAD_DER;
    out->der = id.all;
    out->hash = span_eq(oid, OID_SHA1) ? OCSP_SHA1 : span_eq(oid, OID_SHA256) ? OCSP_SHA256 : OCSP_HASH_OTHER;
    return CE_OK;
}

static enum err request_list(struct span list, struct ocsp_request *out, struct fault *f)
{
    struct span one;
    if (list.n == 0)
        return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.1.1: the request names no certificate");
    while (list.n) {
        if (out->n == OCSP_IDS_MAX)
            return fault_set(f, CE_BAD_OCSP, "the request names more than %d certificates", OCSP_IDS_MAX);
        if (der_get(&list, DER_SEQUENCE, &one) || certid_get(&one, &out->ids[out->n]))
            return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.1.1: malformed CertID");
        if (one.n && (!der_peek(one, DER_CONTEXT_CONS(0)) || der_check(one)))
            return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.1.1: malformed singleRequestExtensions");
        out->n++;
    }
    return CE_OK;
}

static enum err request_extensions(struct span wrap, struct ocsp_request *out, struct fault *f)
{
    struct span list;
    struct ext x;
    if (der_get(&wrap, DER_SEQUENCE, &list) || wrap.n)
        return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.1.1: malformed requestExtensions");
    while (list.n) {
        if (ext_get(&list, &x))
            return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.4: malformed extension");
        if (!span_eq(x.oid, OID_OCSP_NONCE)) {
            if (x.critical)
                return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.4: a critical extension is not known");
            continue;
        }
        if (out->nonce.n)
            return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.4.1: two nonces");
        if (der_get(&x.value, DER_OCTET_STRING, &out->nonce) || x.value.n || out->nonce.n < 1 || out->nonce.n > OCSP_NONCE_MAX)
            return fault_set(f, CE_BAD_OCSP, "RFC 9654 2.1: the nonce must be an OCTET STRING of 1 to %d bytes", OCSP_NONCE_MAX);
    }
    return CE_OK;
}

enum err ocsp_request_parse(struct span der, struct ocsp_request *out, struct fault *f)
{
    struct span body, tbs, part;
    int64_t version;
    out->n = 0;
    out->nonce = span_of(NULL, 0);
    if (der.n > OCSP_REQUEST_MAX)
        return fault_set(f, CE_TOO_LARGE, "the OCSP request has %zu bytes; at most %d are read", der.n, OCSP_REQUEST_MAX);
    if (der_check(der) || der_get(&der, DER_SEQUENCE, &body) || der_get(&body, DER_SEQUENCE, &tbs))
        return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.1.1: not an OCSPRequest in DER");
    if (body.n && (der_get(&body, DER_CONTEXT_CONS(0), &part) || body.n))
        return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.1.1: malformed optionalSignature");
    if (der_peek(tbs, DER_CONTEXT_CONS(0)) && /* an encoded default; some clients send it */
        (der_get(&tbs, DER_CONTEXT_CONS(0), &part) || der_get_small(&part, &version) || part.n || version != 0))
        return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.1.1: the version must be v1 (0)");
    if (der_peek(tbs, DER_CONTEXT_CONS(1)) && der_skip(&tbs))
        return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.1.1: malformed requestorName");
    if (der_get(&tbs, DER_SEQUENCE, &part))
        return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.1.1: malformed requestList");
    enum err e = request_list(part, out, f);
    if (e || tbs.n == 0)
        return e;
    if (der_get(&tbs, DER_CONTEXT_CONS(2), &part) || tbs.n)
        return fault_set(f, CE_BAD_OCSP, "RFC 6960 4.1.1: malformed tbsRequest");
    return request_extensions(part, out, f);
}

bool ocsp_certid_match(const struct ocsp_certid *id, const struct ca *ca)
{
    if (id->hash == OCSP_SHA1)
        return span_eq(id->name_hash, span_of(ca->name_sha1, 20)) && span_eq(id->key_hash, span_of(ca->key_sha1, 20));
    return id->hash == OCSP_SHA256 && span_eq(id->name_hash, span_of(ca->name_sha256, 32)) &&
           span_eq(id->key_hash, span_of(ca->key_sha256, 32));
}

/* -- responses ------------------------------------------------------------------------------------------------------ */

static enum err put_single(struct buf *out, const struct ocsp_single *s, int64_t this_update, int64_t next_update)
{
    size_t seq = der_begin(out, DER_SEQUENCE);
    buf_put_span(out, s->certid);
    if (s->status == OCSP_REVOKED) {
        size_t info = der_begin(out, DER_CONTEXT_CONS(1));
        der_put_general_time(out, s->revoked_at);
        if (s->reason > 0) {
            size_t reason = der_begin(out, DER_CONTEXT_CONS(0));
            der_put(out, DER_ENUMERATED, span_of((uint8_t[]){ (uint8_t)s->reason }, 1));
            der_end(out, reason);
        }
        der_end(out, info);
    } else {
        der_put(out, s->status == OCSP_GOOD ? DER_CONTEXT(0) : DER_CONTEXT(2), span_of(NULL, 0));
    }
    der_put_general_time(out, this_update);
    size_t next = der_begin(out, DER_CONTEXT_CONS(0));
    der_put_general_time(out, next_update);
    der_end(out, next);
    der_end(out, seq);
    return buf_err(out);
}

static void put_nonce(struct buf *out, struct span nonce)
{
    size_t wrap = der_begin(out, DER_CONTEXT_CONS(1)), list = der_begin(out, DER_SEQUENCE);
    struct ext_mark x = ext_begin_oid(out, OID_OCSP_NONCE, false);
    der_put(out, DER_OCTET_STRING, nonce);
    ext_end(out, x);
    der_end(out, list);
    der_end(out, wrap);
}

static enum err put_response_data(struct buf *out, const struct ca *ca, const struct ocsp_single *items, size_t n, int64_t this_update,
                                  int64_t next_update, struct span nonce)
{
    size_t data = der_begin(out, DER_SEQUENCE);
    size_t by_key = der_begin(out, DER_CONTEXT_CONS(2));
    der_put(out, DER_OCTET_STRING, ca->ocsp_cert.ski);
    der_end(out, by_key);
    der_put_general_time(out, this_update); /* producedAt: made now, from the live rows */
    size_t list = der_begin(out, DER_SEQUENCE);
    for (size_t i = 0; i < n; i++)
        if (put_single(out, &items[i], this_update, next_update))
            break;
    der_end(out, list);
    if (nonce.n)
        put_nonce(out, nonce);
    der_end(out, data);
    return buf_err(out);
}

static enum err response_check(const struct ca *ca, const struct ocsp_single *items, size_t n, int64_t this_update, int64_t next_update,
                               struct span nonce, struct fault *f)
{
    if (!ca->ocsp_key)
        return fault_set(f, CE_SIGNER, "the OCSP responder key of CA %s is not here", ca->name);
    if (n < 1 || n > OCSP_IDS_MAX || nonce.n > OCSP_NONCE_MAX || this_update >= next_update)
        return fault_set(f, CE_BAD_FIELD, "an OCSP answer needs 1 to %d certificates and nextUpdate after thisUpdate", OCSP_IDS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct ocsp_certid id;
        struct span in = items[i].certid;
        if (certid_get(&in, &id) || in.n || !ocsp_certid_match(&id, ca) || items[i].status > OCSP_UNKNOWN ||
            items[i].reason > 10 || items[i].reason == 7)
            return fault_set(f, CE_BAD_FIELD, "CertID %zu of an OCSP answer is not of CA %s, or its status is wrong", i, ca->name);
    }
    return CE_OK;
}

enum err ocsp_response_build(struct ca *ca, const struct ocsp_single *items, size_t n, int64_t this_update, int64_t next_update,
                             struct span nonce, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf basic = BUF_INIT(65536), tail = BUF_INIT(16384);
    enum err e = response_check(ca, items, n, this_update, next_update, nonce, f);
    if (e)
        return e;
    e = put_response_data(&basic, ca, items, n, this_update, next_update, nonce);
    struct fault why = { .code = CE_OK };
    e = e ? fault_set(&why, e, "%s", err_text(e)) : x509_sign(LINT_OCSP, ca->ocsp_key, ca->ocsp_pub, buf_span(&basic), &tail, &why);
    if (e)
        return fault_set(f, e, "the OCSP answer is not signed: %s", why.text);
    size_t certs = der_begin(&tail, DER_CONTEXT_CONS(0));
    der_put(&tail, DER_SEQUENCE, buf_span(&ca->ocsp_der));
    der_end(&tail, certs);
    size_t all = der_begin(out, DER_SEQUENCE);
    buf_put_span(out, SPAN_LIT("\x0a\x01\x00")); /* successful */
    size_t bytes = der_begin(out, DER_CONTEXT_CONS(0)), typed = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, OID_OCSP_BASIC);
    size_t octets = der_begin(out, DER_OCTET_STRING), response = der_begin(out, DER_SEQUENCE);
    buf_put_span(out, buf_span(&basic));
    buf_put_span(out, buf_span(&tail));
    der_end(out, response);
    der_end(out, octets);
    der_end(out, typed);
    der_end(out, bytes);
    der_end(out, all);
    return buf_err(out);
}

void ocsp_error_response(enum ocsp_status status, struct buf *out)
{
    buf_put(out, (uint8_t[]){ 0x30, 0x03, DER_ENUMERATED, 0x01, (uint8_t)status }, 5);
}
