/* enroll.h: first enrollments that wait for an approval: lines that want it (setting enroll_approval), requests, decisions, their end.
 * What it is not: who may have a certificate at all (cert_authz.c), which is judged before; certificates (cert.h).
 *
 * A request is one key for one device. waiting -> approved | refused | expired; approved -> done (its certificate is stored) | refused |
 * expired; refused -> approved. An approval is good for one certificate. expired and done may be asked for anew. Every change is an
 * event; done follows from cert-issued. Nothing is kept in memory, so a crash between approval and issue loses nothing: the device's
 * next request finds the approval.
 */
#ifndef CRADLE_CORE_ENROLL_H
#define CRADLE_CORE_ENROLL_H

#include "core/cert_path.h"

#define ENROLL_UID_MAX 4       /* requests of one device that wait at once */
#define ENROLL_RETRY_S 60      /* what a client that waits is told, at most */

/* For a first enrollment that is allowed otherwise. CE_OK: its line wants no approval, or this key has it. CE_PENDING: a request is, or
 * was, written (the operation must succeed, or it is undone); plan->retry_s and f's text are for the client. CE_ENROLL_REFUSED, CE_RATE
 * (too many wait), CE_KEY_OF_OTHER (the key waits for another device). */
MUST_USE enum err enroll_approval(struct batch *b, const struct caller *c, const struct msg_enroll *m, struct cert_plan *plan, struct fault *f);
/* MSG_ENROLL_DECIDE. CE_NOT_FOUND, CE_LINE_FORBIDDEN, CE_SELF_APPROVAL, CE_STATE_CHANGE, CE_BUSY_UID (its certificate is being made),
 * CE_BAD_FIELD (a refusal without a reason). */
MUST_USE enum err enroll_op_decide(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* The setting of a line into more and its table, with its event. */
struct line_more;
MUST_USE enum err enroll_line_set(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_more *more, struct fault *f);

extern const struct core_part enroll_part;

#endif
