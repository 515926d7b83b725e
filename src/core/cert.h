/* cert.h: the one path of every certificate: authorise -> intent -> sign -> verify -> finalise -> log, and first use.
 * What it is not: X.509 (crypt/, in the signer), the registry (device.h), revocation (revoke.h).
 *
 * Enrollments are answered later, when the signer's certificate is stored: BODY_CERT (DER) leaves after the commit that holds the
 * certificate and its evidence. At most CERT_PENDING_MAX of them wait for the signer, beyond that CE_BUSY.
 */
#ifndef CRADLE_CORE_CERT_H
#define CRADLE_CORE_CERT_H

#include "core/batch.h"

#define CERT_PENDING_MAX 4096
#define CERT_WAITERS_MAX 16    /* callers that may wait for the same certificate */

/* Operations. Refusals: each code is named at its rule in cert_authz.c. */
MUST_USE enum err cert_op_enroll(struct batch *b, const struct caller *c, const void *msg_enroll, struct msg_reply *out, struct fault *f);
/* The same for a CMP transaction that began before: the message that waited, judged again. Answers name the transaction's kind in rev. */
MUST_USE enum err cert_enroll_again(struct batch *b, const struct caller *c, const struct msg_enroll *m, const struct msg_cmp_turn *cmp, struct msg_reply *out,
                                    struct fault *f);
/* Creates the operator row and its certificate, one path with enrollment. The row exists (event operator-added) from the intent on. */
MUST_USE enum err cert_op_operator_add(struct batch *b, const struct caller *c, const void *msg_operator_add, struct msg_reply *out,
                                       struct fault *f);

extern const struct core_part cert_part;

/* Somebody presented the certificate (kid, serial) of uid: on EST or REST, or to a broker as an edge reports. The first sighting
 * writes cert-first-use, supersedes the holder's older ones (cert-superseded; not revoked) and makes a provisioned device active.
 * Cheap when it was seen before. Certificates that are not uid's own are ignored. kid may be empty (edges report the serial only).
 * Errors: of the database. */
MUST_USE enum err cert_seen(struct batch *b, struct span uid, struct span kid, struct span serial, struct fault *f);

#endif
