/* tbs.h: the parts of a TBSCertificate (RFC 5280 4.1) as DER writers, for issue.c and issue_site.c. */
#ifndef CRADLE_CRYPT_TBS_H
#define CRADLE_CRYPT_TBS_H

#include "crypt/ca.h"
#include "crypt/cert.h"

#define TBS_MAX 16384 /* bytes */

struct tbs_head {
    struct span serial;          /* magnitude */
    enum sig_alg sig_alg;        /* the issuer key's */
    struct span issuer, subject; /* whole Names */
    int64_t not_before, not_after;
    struct span spki;
};
struct tbs_mark { size_t tbs, wrap, list; };
/* Writes everything up to the extensions and opens them. */
struct tbs_mark tbs_begin(struct buf *out, const struct tbs_head *h);
void tbs_end(struct buf *out, struct tbs_mark m);

void tbs_put_ski(struct buf *out, struct span key);         /* SHA-1 of the BIT STRING's bytes, RFC 5280 4.2.1.2 (1) */
void tbs_put_basic(struct buf *out, bool ca, int path_len); /* critical; path_len < 0: none */
void tbs_put_key_usage(struct buf *out, unsigned bits);     /* enum cert_key_usage; critical */
void tbs_put_eku(struct buf *out, unsigned bits);           /* enum cert_eku */
void tbs_put_cdp(struct buf *out, const char *url);
void tbs_put_aia(struct buf *out, const char *ocsp_url, const char *ca_url); /* NULL: without */
void tbs_put_san_uri(struct buf *out, struct span uri);
/* hardwareModuleName (RFC 4108 5), and a URI when it is not empty. type: contents of an OID. */
void tbs_put_san_hardware(struct buf *out, struct span uri, struct span type, struct span serial);
void tbs_put_nocheck(struct buf *out);

#endif
