/* pem.h: textual encoding of DER, RFC 7468. Pure. Encrypted private keys are key.h's business. */
#ifndef CRADLE_CRYPT_PEM_H
#define CRADLE_CRYPT_PEM_H

#include "base/span.h"

/* Appends "-----BEGIN label-----", base64 in lines of 64, "-----END label-----". */
void pem_encode(const char *label, struct span der, struct buf *out);
/* Appends the DER of the index-th block (from 0) with this label; text before, between and after blocks is ignored
 * (RFC 7468 2). CE_NOT_FOUND: no such block; CE_BAD_BASE64; CE_TRUNCATED: no END line. */
MUST_USE enum err pem_decode(struct span text, const char *label, unsigned index, struct buf *out);
bool pem_present(struct span text, const char *label);

#endif
