/* tbs.c: see tbs.h. */
#include "crypt/tbs.h"

#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/dn.h"
#include "crypt/hash.h"
#include "crypt/oid.h"

struct tbs_mark tbs_begin(struct buf *out, const struct tbs_head *h)
{
    struct tbs_mark m;
    m.tbs = der_begin(out, DER_SEQUENCE);
    buf_put_span(out, SPAN_LIT("\xa0\x03\x02\x01\x02")); /* version v3 */
    der_put_uint(out, h->serial);
    buf_put_span(out, sig_alg_der(h->sig_alg));
    buf_put_span(out, h->issuer);
    size_t validity = der_begin(out, DER_SEQUENCE);
    der_put_time(out, h->not_before);
    der_put_time(out, h->not_after);
    der_end(out, validity);
    buf_put_span(out, h->subject);
    buf_put_span(out, h->spki);
    m.wrap = der_begin(out, DER_CONTEXT_CONS(3));
    m.list = der_begin(out, DER_SEQUENCE);
    return m;
}

void tbs_end(struct buf *out, struct tbs_mark m)
{
    der_end(out, m.list);
    der_end(out, m.wrap);
    der_end(out, m.tbs);
}

void tbs_put_ski(struct buf *out, struct span key)
{
    uint8_t id[SHA1_LEN];
    sha1(key, id);
    struct ext_mark x = ext_begin(out, EXT_SKI, false);
    der_put(out, DER_OCTET_STRING, span_of(id, sizeof id));
    ext_end(out, x);
}

void tbs_put_basic(struct buf *out, bool ca, int path_len)
{
    struct ext_mark x = ext_begin(out, EXT_BASIC, true);
    size_t seq = der_begin(out, DER_SEQUENCE);
    if (ca)
        der_put_bool(out, true);
    if (ca && path_len >= 0)
        der_put_small(out, (uint64_t)path_len);
    der_end(out, seq);
    ext_end(out, x);
}

void tbs_put_key_usage(struct buf *out, unsigned bits)
{
    struct ext_mark x = ext_begin(out, EXT_KEY_USAGE, true);
    unsigned unused = 0;
    while (unused < 7 && !(bits >> unused & 1))
        unused++;
    der_put(out, DER_BIT_STRING, span_of((uint8_t[]){ (uint8_t)unused, (uint8_t)bits }, 2));
    ext_end(out, x);
}

void tbs_put_eku(struct buf *out, unsigned bits)
{
    static const struct { unsigned bit; struct span oid; } usages[] = {
        { EKU_CLIENT_AUTH, SPAN_LIT(OID_PKIX "\x03\x02") },
        { EKU_SERVER_AUTH, SPAN_LIT(OID_PKIX "\x03\x01") },
        { EKU_CODE_SIGNING, SPAN_LIT(OID_PKIX "\x03\x03") },
        { EKU_EMAIL, SPAN_LIT(OID_PKIX "\x03\x04") },
        { EKU_OCSP_SIGNING, SPAN_LIT(OID_PKIX "\x03\x09") },
        { EKU_IDEVID, SPAN_LIT(OID_KP_IDEVID) },
        { EKU_CMC_RA, SPAN_LIT(OID_PKIX "\x03\x1c") },
    };
    struct ext_mark x = ext_begin(out, EXT_EKU, false);
    size_t seq = der_begin(out, DER_SEQUENCE);
    for (size_t i = 0; i < ARRAY_LEN(usages); i++)
        if (bits & usages[i].bit)
            der_put(out, DER_OID, usages[i].oid);
    der_end(out, seq);
    ext_end(out, x);
}

void tbs_put_cdp(struct buf *out, const char *url)
{
    struct ext_mark x = ext_begin(out, EXT_CDP, false);
    size_t points = der_begin(out, DER_SEQUENCE), point = der_begin(out, DER_SEQUENCE);
    size_t name = der_begin(out, DER_CONTEXT_CONS(0)), full = der_begin(out, DER_CONTEXT_CONS(0));
    der_put(out, DER_CONTEXT(6), span_str(url));
    der_end(out, full);
    der_end(out, name);
    der_end(out, point);
    der_end(out, points);
    ext_end(out, x);
}

static void tbs_put_access(struct buf *out, struct span method, const char *url)
{
    size_t seq = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, method);
    der_put(out, DER_CONTEXT(6), span_str(url));
    der_end(out, seq);
}

void tbs_put_aia(struct buf *out, const char *ocsp_url, const char *ca_url)
{
    struct ext_mark x = ext_begin_oid(out, SPAN_LIT(OID_PKIX "\x01\x01"), false);
    size_t seq = der_begin(out, DER_SEQUENCE);
    if (ocsp_url)
        tbs_put_access(out, SPAN_LIT(OID_PKIX "\x30\x01"), ocsp_url);
    if (ca_url)
        tbs_put_access(out, SPAN_LIT(OID_PKIX "\x30\x02"), ca_url);
    der_end(out, seq);
    ext_end(out, x);
}

void tbs_put_san_uri(struct buf *out, struct span uri)
{
    struct ext_mark x = ext_begin(out, EXT_SAN, false);
    size_t seq = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_CONTEXT(6), uri);
    der_end(out, seq);
    ext_end(out, x);
}

void tbs_put_san_hardware(struct buf *out, struct span uri, struct span type, struct span serial)
{
    struct ext_mark x = ext_begin(out, EXT_SAN, false);
    size_t seq = der_begin(out, DER_SEQUENCE), other = der_begin(out, DER_CONTEXT_CONS(0));
    der_put(out, DER_OID, SPAN_LIT(OID_HARDWARE_MODULE_NAME));
    size_t value = der_begin(out, DER_CONTEXT_CONS(0)), module = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, type);
    der_put(out, DER_OCTET_STRING, serial);
    der_end(out, module);
    der_end(out, value);
    der_end(out, other);
    if (uri.n)
        der_put(out, DER_CONTEXT(6), uri);
    der_end(out, seq);
    ext_end(out, x);
}

void tbs_put_nocheck(struct buf *out)
{
    struct ext_mark x = ext_begin_oid(out, SPAN_LIT(OID_OCSP_NOCHECK), false);
    der_put(out, DER_NULL, span_of(NULL, 0));
    ext_end(out, x);
}
