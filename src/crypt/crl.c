/* crl.c: see crl.h. */
#include "crypt/crl.h"

#include "base/mem.h"
#include "crypt/crl_impl.h"
#include "crypt/crl_stream.h"
#include "crypt/der.h"
#include "crypt/dn.h"
#include "crypt/x509_sign.h"

#define REASON_MAX 10

void crl_entry_put(struct buf *packed, struct span serial, int64_t revoked_at, unsigned reason)
{
    buf_put_u8(packed, (uint8_t)serial.n);
    buf_put_span(packed, serial);
    buf_put_u64(packed, (uint64_t)revoked_at);
    buf_put_u8(packed, (uint8_t)reason);
}

/* -- writing ---------------------------------------------------------------------------------------------------- */

static bool packed_get(struct span *in, struct crl_entry *out)
{
    uint8_t n, reason;
    uint64_t at;
    if (!span_get_u8(in, &n) || !span_get(in, n, &out->serial) || !span_get_u64(in, &at) || !span_get_u8(in, &reason))
        return false;
    out->revoked_at = (int64_t)at;
    out->reason = reason;
    return true;
}

enum err crl_failed(const struct ca *ca, unsigned shard, enum err e, struct fault *f)
{
    return fault_set(f, e, "CRL %s/%u cannot be made: %s", ca->name, shard, e == CE_TOO_LARGE ? "it is too large; use more shards" : err_text(e));
}

/* Appends revokedCertificates. */
static enum err crl_put_entries(const struct ca *ca, const struct crl_request *r, struct buf *out, struct fault *f)
{
    struct span in = r->entries;
    struct crl_entry e;
    size_t list = in.n ? der_begin(out, DER_SEQUENCE) : 0, n;
    while (in.n) {
        bool good = packed_get(&in, &e);
        uint8_t *at = buf_grow(out, CRL_ENTRY_MAX);
        if (!at)
            return crl_failed(ca, r->shard, buf_err(out), f);
        if (!good || !(n = crl_encode(&e, at)) || ca_shard(ca, e.serial) != r->shard)
            return fault_set(f, CE_BAD_FIELD, "CRL %s/%u: an entry is malformed or belongs to another shard", ca->name, r->shard);
        out->len -= CRL_ENTRY_MAX - n;
    }
    if (r->entries.n)
        der_end(out, list);
    return buf_err(out) ? crl_failed(ca, r->shard, buf_err(out), f) : CE_OK;
}

/* Only where the list is partitioned: a CRL with a scope does not cover certificates without a CDP, such as the root's own. */
static void crl_put_idp(const char *url, struct buf *out)
{
    struct ext_mark x = ext_begin(out, EXT_IDP, true);
    size_t idp = der_begin(out, DER_SEQUENCE), name = der_begin(out, DER_CONTEXT_CONS(0)), full = der_begin(out, DER_CONTEXT_CONS(0));
    der_put(out, DER_CONTEXT(6), span_str(url));
    der_end(out, full);
    der_end(out, name);
    der_end(out, idp);
    ext_end(out, x);
}

void crl_put_extensions(const struct ca *ca, const struct crl_request *r, struct buf *out)
{
    char url[CA_URL_OUT];
    ca_url_crl(ca, r->shard, url);
    size_t wrap = der_begin(out, DER_CONTEXT_CONS(0)), list = der_begin(out, DER_SEQUENCE);
    ext_put_aki(out, ca->cert.ski);
    struct ext_mark x = ext_begin(out, EXT_CRL_NUMBER, false);
    der_put_small(out, r->number);
    ext_end(out, x);
    if (ca->n_shards > 1)
        crl_put_idp(url, out);
    der_end(out, list);
    der_end(out, wrap);
}

enum err crl_request_judge(const struct ca *ca, const struct crl_request *r, struct fault *f)
{
    if (!ca->key)
        return fault_set(f, CE_SIGNER, "the key of CA %s is not here", ca->name);
    if (r->shard >= ca->n_shards || r->number == 0 || r->this_update >= r->next_update || r->this_update < 0)
        return fault_set(f, CE_BAD_FIELD, "CRL %s/%u: the shard, the number or the dates are wrong", ca->name, r->shard);
    return CE_OK;
}

void crl_put_head(const struct ca *ca, const struct crl_request *r, struct buf *out)
{
    der_put_small(out, 1); /* v2 */
    buf_put_span(out, sig_alg_der(key_sig_alg(ca->key)));
    buf_put_span(out, ca->cert.subject);
    der_put_time(out, r->this_update);
    der_put_time(out, r->next_update);
}

enum err crl_build(struct ca *ca, const struct crl_request *r, struct buf *out, struct fault *f)
{
    size_t before = out->len;
    enum err e = crl_request_judge(ca, r, f);
    if (e)
        return e;
    size_t all = der_begin(out, DER_SEQUENCE), tbs_at = out->len, tbs = der_begin(out, DER_SEQUENCE);
    crl_put_head(ca, r, out);
    e = crl_put_entries(ca, r, out, f);
    if (e) {
        out->len = before;
        return e;
    }
    crl_put_extensions(ca, r, out);
    der_end(out, tbs);
    struct fault why = { .code = CE_OK };
    e = buf_err(out);
    if (!e && (e = x509_sign(LINT_CRL, ca->key, ca->pub, span_of(out->data + tbs_at, out->len - tbs_at), out, &why)) == CE_LINT) {
        out->len = before;
        return fault_set(f, e, "CRL %s/%u cannot be made: %s", ca->name, r->shard, why.text);
    }
    if (!e) {
        der_end(out, all);
        e = buf_err(out);
    }
    if (e)
        out->len = before;
    return e ? crl_failed(ca, r->shard, e, f) : CE_OK;
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

static enum err entry_get(struct span *in, struct crl_entry *out)
{
    struct span seq, exts, code;
    struct ext x;
    *out = (struct crl_entry){ .reason = 0 };
    if (der_get(in, DER_SEQUENCE, &seq) || der_get_uint(&seq, &out->serial) || out->serial.n > 20 || der_get_time(&seq, &out->revoked_at))
        return CE_BAD_DER;
    if (seq.n == 0)
        return CE_OK;
    if (der_get(&seq, DER_SEQUENCE, &exts) || seq.n || exts.n == 0)
        return CE_BAD_DER;
    while (exts.n) {
        if (ext_get(&exts, &x))
            return CE_BAD_DER;
        if (x.ce != EXT_REASON && x.critical)
            return CE_UNSUPPORTED; /* RFC 5280 5.3: such a CRL must not be used to judge */
        if (x.ce != EXT_REASON)
            continue;
        if (der_get(&x.value, DER_ENUMERATED, &code) || x.value.n || code.n != 1 || code.p[0] > REASON_MAX)
            return CE_BAD_DER;
        out->reason = code.p[0];
    }
    return CE_OK;
}

bool crl_next(struct span *entries, struct crl_entry *out)
{
    return entries->n && entry_get(entries, out) == CE_OK;
}

static enum err crl_idp(struct crl *c, struct span v)
{
    struct span seq, name, full;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n || der_get(&seq, DER_CONTEXT_CONS(0), &name) || seq.n ||
        der_get(&name, DER_CONTEXT_CONS(0), &full) || name.n || der_get(&full, DER_CONTEXT(6), &c->idp_url) || full.n)
        return CE_BAD_DER;
    return CE_OK;
}

static enum err crl_extension(struct crl *c, struct ext *x)
{
    struct span seq;
    int64_t number;
    switch (x->ce) {
    case EXT_AKI:
        return der_get(&x->value, DER_SEQUENCE, &seq) || der_get(&seq, DER_CONTEXT(0), &c->aki) ? CE_BAD_DER : CE_OK;
    case EXT_CRL_NUMBER:
        if (der_get_small(&x->value, &number) || x->value.n)
            return CE_BAD_DER;
        c->number = (uint64_t)number;
        return CE_OK;
    case EXT_IDP:
        return crl_idp(c, x->value);
    default:
        return x->critical ? CE_UNSUPPORTED : CE_OK;
    }
}

static enum err crl_extensions(struct crl *c, struct span tbs)
{
    struct span wrap, list;
    struct ext x;
    if (tbs.n == 0)
        return CE_OK;
    if (der_get(&tbs, DER_CONTEXT_CONS(0), &wrap) || tbs.n || der_get(&wrap, DER_SEQUENCE, &list) || wrap.n)
        return CE_BAD_DER;
    while (list.n) {
        enum err e = ext_get(&list, &x);
        if (!e)
            e = crl_extension(c, &x);
        if (e)
            return e;
    }
    return CE_OK;
}

static enum err crl_tbs(struct crl *c, struct span tbs, struct span outer_alg)
{
    int64_t version;
    struct der_item alg, issuer;
    struct crl_entry entry;
    enum err e;
    if (der_get_small(&tbs, &version) || version != 1 || der_any(&tbs, &alg) || !span_eq(alg.all, outer_alg) || der_any(&tbs, &issuer) ||
        issuer.tag != DER_SEQUENCE || der_get_time(&tbs, &c->this_update) || der_get_time(&tbs, &c->next_update))
        return CE_BAD_DER;
    c->issuer = issuer.all;
    if (der_peek(tbs, DER_SEQUENCE) && der_get(&tbs, DER_SEQUENCE, &c->entries))
        return CE_BAD_DER;
    for (struct span in = c->entries; in.n; c->n_entries++)
        if ((e = entry_get(&in, &entry)))
            return e;
    return crl_extensions(c, tbs);
}

enum err crl_parse(struct span der, struct crl *out, struct fault *f)
{
    struct span rest = der, body;
    struct der_item tbs, alg;
    *out = (struct crl){ .der = der };
    if (der_get(&rest, DER_SEQUENCE, &body) || rest.n || der_any(&body, &tbs) || tbs.tag != DER_SEQUENCE || der_any(&body, &alg) ||
        der_get_bits(&body, &out->sig) || body.n)
        return fault_set(f, CE_BAD_DER, "RFC 5280 5.1: not a CertificateList in DER");
    out->tbs = tbs.all;
    out->sig_alg = sig_alg_from_der(alg.all);
    enum err e = crl_tbs(out, tbs.body, alg.all);
    if (e == CE_UNSUPPORTED)
        return fault_set(f, e, "RFC 5280 5.2: the CRL or an entry of it has a critical extension that is not known");
    return e ? fault_set(f, CE_BAD_DER, "RFC 5280 5.1: malformed CertificateList") : CE_OK;
}

enum err crl_check_issuer(const struct crl *c, const struct cert *issuer)
{
    bool same = span_eq(c->issuer, issuer->subject) && (!c->aki.n || !issuer->ski.n || span_eq(c->aki, issuer->ski));
    return same ? CE_OK : CE_CERT_FOREIGN;
}

enum err crl_verify(const struct crl *c, const struct cert *issuer)
{
    enum err e = crl_check_issuer(c, issuer);
    return e ? e : spki_verify(issuer->spki, c->sig_alg, c->tbs, c->sig);
}

/* -- reasons -------------------------------------------------------------------------------------------------------- */

static const char *const reasons[REASON_MAX + 1] = {
    "unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
    "certificateHold", NULL, "removeFromCRL", "privilegeWithdrawn", "aACompromise",
};

int crl_reason_from_name(struct span name)
{
    for (int i = 0; i <= REASON_MAX; i++)
        if (reasons[i] && span_eq_str(name, reasons[i]))
            return i;
    return -1;
}

const char *crl_reason_name(int reason) { return reason >= 0 && reason <= REASON_MAX ? reasons[reason] : NULL; }
