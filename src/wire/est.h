/* est.h: bodies of EST (RFC 7030 as clarified by RFC 8951). Pure; what a CSR may say is judged in role/front_est.c. */
#ifndef CRADLE_WIRE_EST_H
#define CRADLE_WIRE_EST_H

#include "base/span.h"

#define EST_MEDIA_CSR "application/pkcs10"
#define EST_MEDIA_CERTS "application/pkcs7-mime; smime-type=certs-only"
#define EST_MEDIA_ATTRS "application/csrattrs"
#define EST_LINE 76 /* base64 characters a line in answers: OpenSSL's base64 BIO needs breaks (RFC 8951 lets us) */

/* Appends the DER of the CSR in a request body. Accepted: base64 with or without white space (Content-Transfer-Encoding is
 * ignored, RFC 8951 3.1), the same in PEM armour, with text around it or without, and raw DER. CE_BAD_BASE64, CE_TRUNCATED (empty), CE_TOO_LARGE. */
MUST_USE enum err est_body_decode(struct span body, struct buf *der, struct fault *f);

/* CsrAttrs (RFC 7030 4.5.2) for a list such as "ec:P-256 ed25519": appends DER. with_template: and, last, what RFC 9908 3.4 has instead: a request info template with
 * a common name that the client fills in, the first algorithm of the list, and the key usage of a signing key; who does not know it ignores it. Unknown algorithm
 * names: CE_UNSUPPORTED. */
MUST_USE enum err est_csrattrs(const char *key_algs, bool with_template, struct buf *der, struct fault *f);

#endif
