/* crl_stream.c: see crl_stream.h. */
#include "crypt/crl_stream.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypt/crl_impl.h"
#include "crypt/der.h"
#include "crypt/dn.h"
#include "crypt/x509_sign.h"

#define SERIAL_MAX 20
#define REASON_MAX 10
#define TIME_MAX_S 253402300799 /* 9999-12-31T23:59:59Z: GeneralizedTime has four digits for the year */

/* The extension of an entry up to its CRLReason. */
static const uint8_t reason_ext[] = { 0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, EXT_REASON, 0x04, 0x03, DER_ENUMERATED, 0x01 };

/* -- one entry ---------------------------------------------------------------------------------------------------------------- */
/* RFC 5280 5.3.1: 7 is unused, removeFromCRL (8) belongs to delta CRLs */
static bool entry_good(const struct crl_entry *e)
{
    return e->serial.n && e->serial.n <= SERIAL_MAX && e->serial.p[0] && e->reason >= 0 && e->reason <= REASON_MAX && e->reason != 7 && e->reason != 8 &&
           e->revoked_at >= 0 && e->revoked_at <= TIME_MAX_S;
}

size_t crl_encode(const struct crl_entry *e, uint8_t out[CRL_ENTRY_MAX])
{
    if (!entry_good(e))
        return 0;
    uint8_t *p = out + 2;
    bool pad = e->serial.p[0] & 0x80;
    *p++ = DER_INTEGER;
    *p++ = (uint8_t)(e->serial.n + pad);
    if (pad)
        *p++ = 0;
    memcpy(p, e->serial.p, e->serial.n);
    p += e->serial.n;
    p += der_time(p, e->revoked_at);
    if (e->reason) { /* RFC 5280 5.3.1: unspecified is shown by leaving the extension out */
        memcpy(p, reason_ext, sizeof reason_ext);
        p += sizeof reason_ext;
        *p++ = (uint8_t)e->reason;
    }
    out[0] = DER_SEQUENCE;
    out[1] = (uint8_t)(p - out - 2);
    return (size_t)(p - out);
}

static int two(const uint8_t *p) { return (p[0] - '0') * 10 + (p[1] - '0'); }

/* What the digits would say; whether they say it is found out by writing it again. */
static bool time_guess(struct span *in, int64_t *at)
{
    if (in->n < 2 || in->n < 2u + in->p[1] || (in->p[1] != 13 && in->p[1] != 15))
        return false;
    const uint8_t *p = in->p + 2;
    int century = 0;
    if (in->p[1] == 15) {
        century = two(p) * 100;
        p += 2;
    }
    struct clock_civil c = { two(p), two(p + 2), two(p + 4), two(p + 6), two(p + 8), two(p + 10) };
    c.year += in->p[1] == 15 ? century : c.year < 50 ? 2000 : 1900;
    if (c.year < 1970 || c.year > 9999 || c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31)
        return false;
    *at = clock_from_civil(&c);
    *in = span_of(in->p + 2 + in->p[1], in->n - 2 - in->p[1]);
    return true;
}

bool crl_decode(struct span *in, struct crl_entry *out)
{
    uint8_t again[CRL_ENTRY_MAX];
    if (in->n < 4 || in->p[1] < 4 || in->p[1] > CRL_ENTRY_MAX - 2 || in->n < 2u + in->p[1])
        return false;
    struct span all = span_of(in->p, 2u + in->p[1]), rest = span_of(in->p + 4, all.n - 4);
    size_t n = all.p[3];
    if (n < 1 || n > SERIAL_MAX + 1 || rest.n < n)
        return false;
    size_t pad = n > 1 && rest.p[0] == 0;
    *out = (struct crl_entry){ .serial = span_of(rest.p + pad, n - pad) };
    rest = span_of(rest.p + n, rest.n - n);
    if (!time_guess(&rest, &out->revoked_at) || (rest.n && rest.n != sizeof reason_ext + 1))
        return false;
    out->reason = rest.n ? rest.p[sizeof reason_ext] : 0;
    if (crl_encode(out, again) != all.n || memcmp(again, all.p, all.n) != 0)
        return false;
    *in = span_of(in->p + all.n, in->n - all.n);
    return true;
}

size_t crl_whole(struct span in)
{
    size_t at = 0;
    while (at + 2 <= in.n && at + 2 + in.p[at + 1] <= in.n)
        at += 2u + in.p[at + 1];
    return at;
}

/* -- the frame ----------------------------------------------------------------------------------------------------------------- */
/* Parts the contents of a TBSCertList without entries where they would be. */
static enum err tbs_part(struct span tbs, struct span *head, struct span *tail)
{
    struct span in = tbs;
    int64_t version, at;
    if (der_get_small(&in, &version) || der_skip(&in) || der_skip(&in) || der_get_time(&in, &at) || der_get_time(&in, &at) ||
        (in.n && !der_peek(in, DER_CONTEXT_CONS(0))))
        return CE_BAD_DER;
    *head = span_of(tbs.p, tbs.n - in.n);
    *tail = in;
    return CE_OK;
}

/* TBSCertList up to its entries. */
static void put_before(struct span head, struct span tail, uint64_t bytes, struct buf *out)
{
    size_t list = bytes ? der_header_size(bytes) + bytes : 0; /* RFC 5280 5.1.2.6: without entries there is no list */
    der_put_header(out, DER_SEQUENCE, head.n + list + tail.n);
    buf_put_span(out, head);
    if (bytes)
        der_put_header(out, DER_SEQUENCE, bytes);
}

enum err crl_frame(const struct crl *c, uint64_t bytes, struct buf *before, size_t *tbs_at, struct buf *after, size_t *tbs_end)
{
    CLEANUP(buf_free) struct buf tbs = BUF_INIT(65536);
    struct span in = c->tbs, body, head, tail;
    if (der_get(&in, DER_SEQUENCE, &body) || in.n || bytes > CRL_BYTES_MAX || tbs_part(body, &head, &tail))
        return CE_BAD_DER;
    put_before(head, tail, bytes, &tbs);
    buf_put_span(after, tail);
    *tbs_end = tail.n;
    buf_put_span(after, sig_alg_der(c->sig_alg));
    der_put_bits(after, c->sig);
    der_put_header(before, DER_SEQUENCE, tbs.len + bytes + after->len);
    *tbs_at = before->len;
    buf_put_span(before, buf_span(&tbs));
    return buf_err(&tbs) ? buf_err(&tbs) : buf_err(before) ? buf_err(before) : buf_err(after);
}

/* -- signing ------------------------------------------------------------------------------------------------------------------- */
static void message_add(struct crl_signing *s, struct span piece)
{
    if (s->hashes)
        sig_hash_add(&s->hash, piece);
    else
        buf_put_span(&s->whole, piece);
}

static enum err message_begin(struct crl_signing *s, const struct ca *ca)
{
    CLEANUP(buf_free) struct buf before = BUF_INIT(65536);
    struct span tbs = buf_span(&s->tbs), body, head, tail;
    if (der_get(&tbs, DER_SEQUENCE, &body) || tbs_part(body, &head, &tail))
        return CE_INTERNAL;
    put_before(head, tail, s->bytes, &before);
    s->hashes = key_hashes(ca->key) && sig_hash_begin(&s->hash, key_sig_alg(ca->key));
    s->whole = BUF_INIT(CRL_WHOLE_MAX + 65536);
    message_add(s, buf_span(&before));
    return buf_err(&before);
}

enum err crl_signing_begin(struct crl_signing *s, const struct ca *ca, const struct crl_request *r, uint64_t entries, uint64_t bytes, struct fault *f)
{
    struct fault why = { .code = CE_OK };
    *s = (struct crl_signing){ .shard = r->shard, .entries = entries, .bytes = bytes, .tbs = BUF_INIT(65536) };
    enum err e = crl_request_judge(ca, r, f);
    if (e)
        return e;
    if (!entries != !bytes || entries > bytes)
        return fault_set(f, CE_BAD_FIELD, "CRL %s/%u: %llu entries in %llu bytes", ca->name, r->shard, (unsigned long long)entries, (unsigned long long)bytes);
    if (bytes > (key_hashes(ca->key) ? CRL_BYTES_MAX : CRL_WHOLE_MAX))
        return crl_failed(ca, r->shard, CE_TOO_LARGE, f);
    size_t at = der_begin(&s->tbs, DER_SEQUENCE);
    crl_put_head(ca, r, &s->tbs);
    crl_put_extensions(ca, r, &s->tbs);
    der_end(&s->tbs, at);
    e = buf_err(&s->tbs);
    if (!e && (e = lint_release(LINT_CRL, buf_span(&s->tbs), sig_alg_der(key_sig_alg(ca->key)), &why)))
        return fault_set(f, e, "CRL %s/%u cannot be made: %s", ca->name, r->shard, why.text);
    e = e ? e : message_begin(s, ca);
    return e ? crl_failed(ca, r->shard, e, f) : CE_OK;
}

enum err crl_signing_add(struct crl_signing *s, const struct ca *ca, struct span piece, struct fault *f)
{
    struct span in = piece;
    struct crl_entry x;
    struct fault why = { .code = CE_OK };
    while (in.n) {
        if (!crl_decode(&in, &x) || ca_shard(ca, x.serial) != s->shard)
            return fault_set(f, CE_BAD_FIELD, "CRL %s/%u: entry %llu is malformed or belongs to another shard", ca->name, s->shard, (unsigned long long)s->got_entries + 1);
        enum err e = lint_release_entry(&s->lint, x.serial, &why);
        if (e)
            return fault_set(f, e, "CRL %s/%u cannot be made: %s", ca->name, s->shard, why.text);
        s->got_entries++;
    }
    s->got_bytes += piece.n;
    if (s->got_bytes > s->bytes || s->got_entries > s->entries)
        return fault_set(f, CE_BAD_FIELD, "CRL %s/%u: more entries come than were said", ca->name, s->shard);
    message_add(s, piece);
    return buf_err(&s->whole) ? crl_failed(ca, s->shard, buf_err(&s->whole), f) : CE_OK;
}

enum err crl_signing_end(struct crl_signing *s, struct ca *ca, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf tail = BUF_INIT(65536);
    uint8_t digest[SIG_DIGEST_MAX];
    struct span tbs = buf_span(&s->tbs), body, head, after;
    struct fault why = { .code = CE_OK };
    if (s->got_bytes != s->bytes || s->got_entries != s->entries || !tbs.n)
        return fault_set(f, CE_BAD_FIELD, "CRL %s/%u: entries are missing", ca->name, s->shard);
    if (der_get(&tbs, DER_SEQUENCE, &body) || tbs_part(body, &head, &after))
        return crl_failed(ca, s->shard, CE_INTERNAL, f);
    message_add(s, after);
    enum err e = buf_err(&s->whole);
    if (!e && s->hashes)
        e = x509_sign_digest(ca->key, ca->pub, span_of(digest, sig_hash_end(&s->hash, digest)), &tail, &why);
    else if (!e)
        e = x509_sign_judged(ca->key, ca->pub, buf_span(&s->whole), &tail, &why);
    if (e)
        return crl_failed(ca, s->shard, e, f);
    der_put_header(out, DER_SEQUENCE, s->tbs.len + tail.len);
    buf_put_span(out, buf_span(&s->tbs));
    buf_put_span(out, buf_span(&tail));
    return buf_err(out) ? crl_failed(ca, s->shard, buf_err(out), f) : CE_OK;
}

void crl_signing_free(struct crl_signing *s)
{
    buf_free(&s->tbs);
    buf_free(&s->whole);
}
