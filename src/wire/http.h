/* http.h: the small grammars of HTTP that front judges: percent-encoding, query strings, media types, ETags, the headers
 * in which nginx hands over the client certificate. Pure functions over bytes; the protocol itself is nginx' and libevent's.
 */
#ifndef CRADLE_WIRE_HTTP_H
#define CRADLE_WIRE_HTTP_H

#include "base/mem.h"
#include "base/span.h"

/* Splits a request target into path and query (without '?'). A fragment or a target that does not start with '/': CE_BAD_INPUT. */
MUST_USE enum err http_target_split(struct span target, struct span *path, struct span *query, struct fault *f);
/* Takes one key=value pair from the front of *rest; both decoded into the arena. CE_NOT_FOUND at the end. Bad encoding,
 * control bytes, an empty key: CE_BAD_INPUT. */
MUST_USE enum err http_query_next(struct span *rest, struct arena *a, struct span *key, struct span *value, struct fault *f);

bool http_media_is(struct span content_type, const char *media); /* without parameters, any case */
bool http_accepts(struct span accept, const char *media);        /* listed by name with q != 0; wildcards do not count */
/* If-Match: "17" -> 17, "*" or empty -> -1. Weak tags, lists and other text: CE_BAD_FIELD (RFC 9110 13.1.1). */
MUST_USE enum err http_if_match(struct span value, int64_t *rev, struct fault *f);
/* Idempotency-Key: empty or 1..64 printable ASCII characters without blanks: CE_BAD_FIELD otherwise. */
MUST_USE enum err http_idem_check(struct span value, struct fault *f);

#define HTTP_CERT_MAX 16384 /* bytes of the header with the certificate */
/* X-Cradle-Client-Cert: one PEM certificate, percent-encoded by nginx ($ssl_client_escaped_cert); appends its DER.
 * CE_BAD_CERT otherwise. */
MUST_USE enum err http_client_cert(struct span header, struct buf *der, struct fault *f);
/* X-Cradle-Verify: SUCCESS -> CE_OK, NONE or empty -> CE_NO_CERT, FAILED:… -> CE_CERT_EXPIRED, CE_CERT_NOT_YET or CE_CERT_FOREIGN. */
enum err http_verify_err(struct span verify);

#endif
