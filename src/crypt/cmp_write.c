/* cmp_write.c: writes what a CA answers: headers, bodies, messages. See cmp.h. */
#include "base/mem.h"
#include "crypt/cmp.h"
#include "crypt/der.h"
#include "crypt/dn.h"
#include "crypt/oid.h"

/* -- header ----------------------------------------------------------------------------------------------------------------------------- */
static void put_octets(unsigned tag, struct span value, struct buf *out)
{
    if (!value.n)
        return;
    size_t at = der_begin(out, DER_CONTEXT_CONS(tag));
    der_put(out, DER_OCTET_STRING, value);
    der_end(out, at);
}

static void put_oid_it(enum cmp_it it, struct buf *out)
{
    const uint8_t oid[] = { 0x2b, 6, 1, 5, 5, 7, 4, (uint8_t)it };
    der_put(out, DER_OID, span_of(oid, sizeof oid));
}

static void put_implicit(struct buf *out)
{
    size_t at = der_begin(out, DER_CONTEXT_CONS(8)), list = der_begin(out, DER_SEQUENCE), one = der_begin(out, DER_SEQUENCE);
    put_oid_it(CMP_IT_IMPLICIT_CONFIRM, out);
    der_put(out, DER_NULL, span_of(NULL, 0));
    der_end(out, one);
    der_end(out, list);
    der_end(out, at);
}

void cmp_header_put(const struct cmp_header *h, struct buf *out)
{
    static const struct span null_dn = SPAN_LIT("\xa4\x02\x30\x00");
    size_t all = der_begin(out, DER_SEQUENCE), at;
    der_put_small(out, (uint64_t)h->pvno);
    if (h->sender.n)
        der_put(out, DER_CONTEXT_CONS(4), h->sender);
    else
        buf_put_span(out, null_dn);
    buf_put_span(out, h->recipient.n ? h->recipient : null_dn);
    at = der_begin(out, DER_CONTEXT_CONS(0));
    der_put_general_time(out, h->time_s);
    der_end(out, at);
    if (h->alg.n)
        der_put(out, DER_CONTEXT_CONS(1), h->alg);
    put_octets(2, h->sender_kid, out);
    put_octets(4, h->transaction_id, out);
    put_octets(5, h->sender_nonce, out);
    put_octets(6, h->recip_nonce, out);
    if (h->implicit_confirm)
        put_implicit(out);
    der_end(out, all);
}

/* -- bodies ------------------------------------------------------------------------------------------------------------------------------ */
static void put_free_text(struct span text, struct buf *out)
{
    size_t at = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_UTF8, text);
    der_end(out, at);
}

/* -1 as DER has it; everything else is 0 here. */
static void put_id(int64_t id, struct buf *out)
{
    der_put(out, DER_INTEGER, id < 0 ? SPAN_LIT("\xff") : SPAN_LIT("\x00"));
}

/* A named bit list ends with its last one bit (X.690 11.2.2). */
static void put_fail(enum cmp_fail bit, struct buf *out)
{
    uint8_t bits[5] = { 0 };
    size_t last = (size_t)bit / 8;
    bits[0] = (uint8_t)(7 - bit % 8);
    bits[1 + last] = (uint8_t)(0x80 >> bit % 8);
    der_put(out, DER_BIT_STRING, span_of(bits, 2 + last));
}

static void put_status(const struct cmp_verdict *v, struct buf *out)
{
    size_t at = der_begin(out, DER_SEQUENCE);
    der_put_small(out, (uint64_t)v->status);
    if (v->text.n)
        put_free_text(v->text, out);
    if (v->fail != CMP_FAIL_NONE)
        put_fail(v->fail, out);
    der_end(out, at);
}

void cmp_put_cert_rep(enum cmp_body type, int64_t id, const struct cmp_verdict *v, struct span cert, struct span ca_pub, struct buf *out)
{
    size_t body = der_begin(out, DER_CONTEXT_CONS(type)), rep = der_begin(out, DER_SEQUENCE);
    if (ca_pub.n) {
        size_t at = der_begin(out, DER_CONTEXT_CONS(1));
        der_put(out, DER_SEQUENCE, ca_pub);
        der_end(out, at);
    }
    size_t list = der_begin(out, DER_SEQUENCE), one = der_begin(out, DER_SEQUENCE);
    put_id(id, out);
    put_status(v, out);
    if (cert.n) {
        size_t pair = der_begin(out, DER_SEQUENCE);
        der_put(out, DER_CONTEXT_CONS(0), cert);
        der_end(out, pair);
    }
    der_end(out, one);
    der_end(out, list);
    der_end(out, rep);
    der_end(out, body);
}

void cmp_put_rev_rep(const struct cmp_verdict *v, struct buf *out)
{
    size_t body = der_begin(out, DER_CONTEXT_CONS(CMP_RP)), rep = der_begin(out, DER_SEQUENCE), list = der_begin(out, DER_SEQUENCE);
    put_status(v, out);
    der_end(out, list);
    der_end(out, rep);
    der_end(out, body);
}

void cmp_put_error(const struct cmp_verdict *v, struct buf *out)
{
    size_t body = der_begin(out, DER_CONTEXT_CONS(CMP_ERROR)), at = der_begin(out, DER_SEQUENCE);
    put_status(v, out);
    der_end(out, at);
    der_end(out, body);
}

void cmp_put_pkiconf(struct buf *out)
{
    size_t body = der_begin(out, DER_CONTEXT_CONS(CMP_PKICONF));
    der_put(out, DER_NULL, span_of(NULL, 0));
    der_end(out, body);
}

void cmp_put_poll_rep(int64_t id, int64_t check_after_s, struct span text, struct buf *out)
{
    size_t body = der_begin(out, DER_CONTEXT_CONS(CMP_POLL_REP)), list = der_begin(out, DER_SEQUENCE), one = der_begin(out, DER_SEQUENCE);
    put_id(id, out);
    der_put_small(out, (uint64_t)check_after_s);
    if (text.n)
        put_free_text(text, out);
    der_end(out, one);
    der_end(out, list);
    der_end(out, body);
}

void cmp_put_gen_rep(const struct cmp_info *infos, size_t n, struct buf *out)
{
    size_t body = der_begin(out, DER_CONTEXT_CONS(CMP_GENP)), list = der_begin(out, DER_SEQUENCE);
    for (size_t i = 0; i < n; i++) {
        size_t one = der_begin(out, DER_SEQUENCE);
        der_put(out, DER_OID, infos[i].oid);
        buf_put_span(out, infos[i].value);
        der_end(out, one);
    }
    der_end(out, list);
    der_end(out, body);
}

/* -- certReqTemplate ---------------------------------------------------------------------------------------------------------------------- */
/* id-regCtrl-algId (11) with an AlgorithmIdentifier, or id-regCtrl-rsaKeyLen (12). */
static void put_key_spec(struct span alg, struct buf *out)
{
    static const struct { const char *name; struct span der; } algs[] = {
        { "ec:P-256", SPAN_LIT("\x30\x13\x06\x07" OID_EC_PUBLIC_KEY "\x06\x08" OID_P256) },
        { "ec:P-384", SPAN_LIT("\x30\x10\x06\x07" OID_EC_PUBLIC_KEY "\x06\x05" OID_P384) },
        { "ed25519", SPAN_LIT("\x30\x05\x06\x03" OID_ED25519) },
    };
    int64_t bits = 0;
    bool rsa = span_starts(alg, "rsa:") && span_to_i64(span_of(alg.p + 4, alg.n - 4), &bits) && bits > 0;
    for (size_t i = 0; i < ARRAY_LEN(algs) || rsa; i++) {
        if (!rsa && !span_eq_str(alg, algs[i].name))
            continue;
        size_t at = der_begin(out, DER_SEQUENCE);
        der_put(out, DER_OID, rsa ? SPAN_LIT(OID_PKIX "\x05\x01\x0c") : SPAN_LIT(OID_PKIX "\x05\x01\x0b"));
        if (rsa)
            der_put_small(out, (uint64_t)bits);
        else
            buf_put_span(out, algs[i].der);
        der_end(out, at);
        return;
    }
}

void cmp_put_root_update(struct span new_with_new, struct span new_with_old, struct span old_with_new, struct buf *out)
{
    const struct span links[] = { new_with_old, old_with_new };
    size_t all = der_begin(out, DER_SEQUENCE);
    buf_put_span(out, new_with_new);
    for (unsigned i = 0; i < ARRAY_LEN(links); i++)
        if (links[i].n)
            der_put(out, DER_CONTEXT_CONS(i), links[i]);
    der_end(out, all);
}

void cmp_put_template(struct span algs, struct buf *out)
{
    struct span rest = algs, one;
    size_t all = der_begin(out, DER_SEQUENCE), tmpl = der_begin(out, DER_SEQUENCE);
    size_t subject = der_begin(out, DER_CONTEXT_CONS(5)), name = der_begin(out, DER_SEQUENCE);
    dn_put(out, DN_CN, span_of(NULL, 0));
    der_end(out, name);
    der_end(out, subject);
    der_end(out, tmpl);
    size_t specs = der_begin(out, DER_SEQUENCE);
    while (span_cut(&rest, ' ', &one))
        put_key_spec(one, out);
    der_end(out, specs);
    der_end(out, all);
}

/* -- message --------------------------------------------------------------------------------------------------------------------------------- */
void cmp_message_put(struct span header_body, struct span protection, const struct span *certs, size_t n, struct buf *out)
{
    size_t all = der_begin(out, DER_SEQUENCE);
    buf_put_span(out, header_body);
    if (protection.n) {
        size_t at = der_begin(out, DER_CONTEXT_CONS(0));
        der_put_bits(out, protection);
        der_end(out, at);
    }
    if (n) {
        size_t at = der_begin(out, DER_CONTEXT_CONS(1)), list = der_begin(out, DER_SEQUENCE);
        for (size_t i = 0; i < n; i++)
            buf_put_span(out, certs[i]);
        der_end(out, list);
        der_end(out, at);
    }
    der_end(out, all);
}
