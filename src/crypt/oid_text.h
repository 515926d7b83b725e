/* oid_text.h: OBJECT IDENTIFIERs between their contents in DER and the usual text, "1.3.6.1.4.1.32473.7". Arcs of any size that fits 64 bytes, so also
 * those below 2.25, which are UUIDs (X.667). Pure.
 */
#ifndef CRADLE_CRYPT_OID_TEXT_H
#define CRADLE_CRYPT_OID_TEXT_H

#include "base/span.h"

#define OID_TEXT_MAX 160 /* bytes of the longest text taken */

MUST_USE enum err oid_from_text(const char *what, struct span text, struct buf *out, struct fault *f); /* appends; CE_BAD_FIELD */
void oid_uuid(const uint8_t uuid[16], struct buf *out); /* appends the contents of 2.25.UUID (X.667) */
void oid_to_text(struct span oid, struct buf *out); /* appends; oid as der_get_oid took it */

#endif
