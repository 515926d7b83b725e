/* authz_header.h: how proxies hand over the certificate of their client, and names instead of a certificate. Pure: bytes in, DER or a
 * peer out. The header is only as good as the proxy that sets it: cradle-edge listens to nobody else.
 */
#ifndef CRADLE_EDGE_AUTHZ_HEADER_H
#define CRADLE_EDGE_AUTHZ_HEADER_H

#include "snap/admit.h"

#define AUTHZ_HEADER_MAX 32768 /* bytes of one header */

enum authz_form {
    AUTHZ_PEM,  /* X-SSL-Client-Cert: one PEM certificate, percent-encoded (nginx: $ssl_client_escaped_cert) */
    AUTHZ_DER,  /* X-SSL-Client-DER: base64 of the DER (HAProxy: ssl_c_der,base64; Caddy: certificate_der_base64) */
    AUTHZ_XFCC, /* X-Forwarded-Client-Cert: Envoy; exactly one element with Cert="…", percent-encoded PEM */
    AUTHZ_RAW,  /* no header: the DER itself (SPOP) */
};
/* The form of a header name, any case. */
bool authz_form_find(const char *header_name, enum authz_form *out);

/* Appends the DER of the client's certificate to der. CE_NO_CERT: the header is empty or has none; CE_BAD_CERT. */
MUST_USE enum err authz_header_der(enum authz_form form, struct span header, struct buf *der, struct fault *f);
/* A query "issuer=HEX&serial=HEX&uid=UID&line=LINE": all four, each once; line may be empty. CE_BAD_INPUT, CE_BAD_FIELD, CE_BAD_UID,
 * CE_BAD_NAME. */
MUST_USE enum err authz_query(struct span query, struct admit_peer *out, struct fault *f);

#endif
