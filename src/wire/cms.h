/* cms.h: degenerate SignedData that only carries certificates ("certs-only", RFC 5652 5.1, RFC 5272 4.1). What it is not: a reader of signatures. */
#ifndef CRADLE_WIRE_CMS_H
#define CRADLE_WIRE_CMS_H

#include "base/span.h"

/* certs: n certificates in DER. Appends the DER of the ContentInfo. */
void cms_certs_only(const struct span *certs, size_t n, struct buf *out);

/* The certificates of such a ContentInfo, as spans of der, in its order; *n is set. Strict DER; other choices of CertificateSet (RFC 5652 10.2.2) are
 * skipped. CE_BAD_DER, CE_TRUNCATED, CE_TRAILING; CE_BAD_INPUT: another content; CE_TOO_LARGE: more than max. */
MUST_USE enum err cms_certs_read(struct span der, struct span *certs, size_t max, size_t *n, struct fault *f);

#endif
