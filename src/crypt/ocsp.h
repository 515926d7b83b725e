/* ocsp.h: OCSP requests and responses (RFC 6960, RFC 5019, RFC 9654), pure DER with one signature. Not a responder: what is revoked
 * comes from core's live rows.
 */
#ifndef CRADLE_CRYPT_OCSP_H
#define CRADLE_CRYPT_OCSP_H

#include "base/span.h"
#include "crypt/ca.h"

#define OCSP_REQUEST_MAX 8192 /* bytes */
#define OCSP_IDS_MAX 32
#define OCSP_NONCE_MAX 128 /* RFC 9654 2.1 */

enum ocsp_hash { OCSP_SHA1, OCSP_SHA256, OCSP_HASH_OTHER };
struct ocsp_certid {
    struct span der;               /* the whole CertID, to be echoed */
    enum ocsp_hash hash;
    struct span name_hash, key_hash;
    struct span serial;            /* minimal positive big-endian */
};
struct ocsp_request {
    struct ocsp_certid ids[OCSP_IDS_MAX];
    size_t n;                      /* 1..OCSP_IDS_MAX */
    struct span nonce;             /* contents of the nonce's OCTET STRING; empty: none */
};
/* An optional requestorName and signature are ignored. CE_BAD_OCSP (text cites RFC 6960), CE_TOO_LARGE. */
MUST_USE enum err ocsp_request_parse(struct span der, struct ocsp_request *out, struct fault *f);
bool ocsp_certid_match(const struct ocsp_certid *id, const struct ca *ca);

enum ocsp_cert_status { OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN };
struct ocsp_single {
    struct span certid;            /* DER as asked */
    enum ocsp_cert_status status;
    int64_t revoked_at;            /* s */
    int reason;                    /* CRLReason; -1 none */
};
/* Appends a successful OCSPResponse, signed by the CA's delegated responder. CE_BAD_FIELD, CE_CRYPTO. */
MUST_USE enum err ocsp_response_build(struct ca *ca, const struct ocsp_single *items, size_t n, int64_t this_update,
                                      int64_t next_update, struct span nonce, struct buf *out, struct fault *f);

enum ocsp_status { OCSP_MALFORMED = 1, OCSP_INTERNAL = 2, OCSP_TRY_LATER = 3, OCSP_SIG_REQUIRED = 5, OCSP_UNAUTHORIZED = 6 };
void ocsp_error_response(enum ocsp_status status, struct buf *out);

#endif
