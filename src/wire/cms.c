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
