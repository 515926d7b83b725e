/* cms.h: degenerate SignedData that only carries certificates ("certs-only", RFC 5652 5.1, RFC 5272 4.1). Writing only. */
#ifndef CRADLE_WIRE_CMS_H
#define CRADLE_WIRE_CMS_H

#include "base/span.h"

/* certs: n certificates in DER. Appends the DER of the ContentInfo. */
void cms_certs_only(const struct span *certs, size_t n, struct buf *out);

#endif
