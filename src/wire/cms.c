/* cms.c: see cms.h. */
#include "wire/cms.h"

#include "crypt/der.h"

static const uint8_t oid_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01 };        /* 1.2.840.113549.1.7.1 */
static const uint8_t oid_signed_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 }; /* 1.2.840.113549.1.7.2 */

void cms_certs_only(const struct span *certs, size_t n, struct buf *out)
{
    size_t info = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, span_of(oid_signed_data, sizeof oid_signed_data));
    size_t explicit0 = der_begin(out, DER_CONTEXT_CONS(0));
    size_t data = der_begin(out, DER_SEQUENCE);
    der_put_small(out, 1);                   /* version: no attribute certificates, no signers */
    der_put(out, DER_SET, span_of(NULL, 0)); /* digestAlgorithms */
    size_t content = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, span_of(oid_data, sizeof oid_data));
    der_end(out, content);
    size_t set = der_begin(out, DER_CONTEXT_CONS(0));
    for (size_t i = 0; i < n; i++)
        buf_put_span(out, certs[i]);
    der_end(out, set);
    der_put(out, DER_SET, span_of(NULL, 0)); /* signerInfos */
    der_end(out, data);
    der_end(out, explicit0);
    der_end(out, info);
}

static bool next_is(struct span *in, unsigned tag, struct span oid)
{
    struct span got;
    return der_get(in, tag, &got) == CE_OK && (!oid.n || span_eq(got, oid));
}

/* SignedData without signers: the walk stops after the certificates, and what follows must still be DER. */
static enum err certs_take(struct span set, struct span *certs, size_t max, size_t *n, struct fault *f)
{
    struct der_item item;
    while (set.n) {
        enum err e = der_any(&set, &item);
        if (e)
            return fault_set(f, e, "PKCS#7: the set of certificates is not DER (RFC 5652 10.2.3)");
        if (item.tag != DER_SEQUENCE)
            continue;
        if (*n == max)
            return fault_set(f, CE_TOO_LARGE, "PKCS#7: more than %zu certificates", max);
        certs[(*n)++] = item.all;
    }
    return CE_OK;
}

enum err cms_certs_read(struct span der, struct span *certs, size_t max, size_t *n, struct fault *f)
{
    struct span info, explicit0, data, content, set;
    int64_t version;
    *n = 0;
    enum err e = der_get(&der, DER_SEQUENCE, &info);
    if (e)
        return fault_set(f, e, "PKCS#7: no ContentInfo in DER (RFC 5652 3)");
    if (der.n)
        return fault_set(f, CE_TRAILING, "PKCS#7: bytes after the ContentInfo");
    if (!next_is(&info, DER_OID, span_of(oid_signed_data, sizeof oid_signed_data)))
        return fault_set(f, CE_BAD_INPUT, "PKCS#7: its content is not SignedData (RFC 5652 5.1)");
    if ((e = der_get(&info, DER_CONTEXT_CONS(0), &explicit0)) || (e = der_get(&explicit0, DER_SEQUENCE, &data)) || (e = der_get_small(&data, &version)) ||
        (e = der_get(&data, DER_SET, &content)) || (e = der_get(&data, DER_SEQUENCE, &content)))
        return fault_set(f, e, "PKCS#7: SignedData is malformed (RFC 5652 5.1)");
    if (info.n || explicit0.n)
        return fault_set(f, CE_TRAILING, "PKCS#7: bytes after the SignedData");
    if (!der_peek(data, DER_CONTEXT_CONS(0)))
        return CE_OK;
    e = der_get(&data, DER_CONTEXT_CONS(0), &set);
    return e ? fault_set(f, e, "PKCS#7: the set of certificates is cut short (RFC 5652 5.1)") : certs_take(set, certs, max, n, f);
}
