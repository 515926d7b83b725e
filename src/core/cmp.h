/* cmp.h: what core decides for CMP (RFC 9483) beside the certificate itself, which takes the path of cert.h: is a message protected by the
 * secret of a device, does it belong to its transaction, was the certificate confirmed, who may revoke by CMP; and the secrets.
 * What it is not: ASN.1 (crypt/cmp.h), which front reads and writes; core sees an opaque ProtectedPart.
 *
 * A transaction is a row of cmp_tx, so that certConf and pollReq find it whichever front they come to, also after a crash. A certificate that is
 * not confirmed in time is revoked (or kept, by cradled.conf), unless it was used meanwhile.
 */
#ifndef CRADLE_CORE_CMP_H
#define CRADLE_CORE_CMP_H

#include "core/batch.h"
#include "store/cert.h"
#include "store/cmp.h"

#define CMP_OPEN_MAX 256          /* transactions that one caller may have open */
#define CMP_TRIES_MAX 5           /* wrong ones that lock a secret */
#define CMP_AFTER_MS 60000        /* how long a closed transaction answers to repetitions */
#define SECRET_TTL_S 86400
#define SECRET_TTL_MAX_S (90 * 86400)
#define SECRET_BYTES 16           /* of randomness; twice as many hexadecimal digits are the secret */

struct cmp_turn {
    struct msg_cmp_turn m;
    struct secret_row secret;     /* by_secret */
    bool wrong_try;               /* the MAC does not hold: cmp_wrong_try must be the operation's answer */
};
/* Unpacks it, and judges the MAC of a caller that is known by a secret. CE_CMP_PROTECTION, CE_SECRET_OVER, CE_SECRET_LOCKED. */
MUST_USE enum err cmp_turn_judge(struct batch *b, const struct caller *c, struct span packed, struct cmp_turn *t, struct fault *f);
/* Counts the try, and locks the secret with the last one. It must outlive the refusal, so the refusal is an answer of its own and the operation
 * returns what this returns. */
MUST_USE enum err cmp_wrong_try(struct batch *b, const struct caller *c, const struct cmp_turn *t, const struct fault *refusal, struct fault *f);

/* -- for the certificate path ---------------------------------------------------------------------------------------------------------- */
/* A transaction begins with m: CE_TRANSACTION_USED, CE_RATE, CE_NAME_MISMATCH (a secret is one device's), CE_ROLE_FORBIDDEN (who may not vouch
 * for the possession of a key). */
MUST_USE enum err cmp_begin(struct batch *b, const struct caller *c, const struct msg_enroll *m, const struct cmp_turn *t, struct fault *f);
/* An approval is waited for: m is kept, to be judged again when it is polled for. */
MUST_USE enum err cmp_waiting(struct batch *b, const struct msg_enroll *m, const struct cmp_turn *t, struct fault *f);
/* Its certificate is there. fresh: made for it. A transaction that has gone is ignored. */
MUST_USE enum err cmp_issued(struct batch *b, struct span tx, bool implicit, struct span kid, struct span serial, bool fresh, struct fault *f);

/* -- operations ------------------------------------------------------------------------------------------------------------------------ */
/* CE_TRANSACTION_NONE, CE_CMP_RECIP_NONCE, CE_BAD_CERT_ID, CE_STATE_CHANGE (confirmed already). */
MUST_USE enum err cmp_op_confirm(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* BODY_CERT when there is one. CE_TRANSACTION_NONE, CE_CMP_RECIP_NONCE. */
MUST_USE enum err cmp_op_poll(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* A device its own certificates, an operator those that it may revoke elsewhere. CE_BAD_CERT_ID, CE_STATE_CHANGE, CE_ROLE_FORBIDDEN. */
MUST_USE enum err cmp_op_revoke(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
MUST_USE enum err cmp_op_check(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
MUST_USE enum err cmp_op_protect(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);

/* -- secrets: cmp_secret.c ---------------------------------------------------------------------------------------------------------------- */
/* CE_UID_UNKNOWN, CE_LINE_FORBIDDEN, CE_SECRET_FORBIDDEN (the line), CE_STATE_CHANGE (neither registered nor provisioned), CE_BAD_FIELD. */
MUST_USE enum err secret_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* May it begin an enrollment now? CE_SECRET_OVER, CE_SECRET_LOCKED, CE_SECRET_FORBIDDEN. */
MUST_USE enum err secret_judge(struct batch *b, const struct secret_row *s, struct fault *f);
MUST_USE enum err secret_used(struct batch *b, struct span ref, struct span kid, struct span serial, int64_t wipe_at, struct fault *f);
MUST_USE enum err secret_wipe_at(struct batch *b, struct span ref, int64_t at, struct fault *f);
MUST_USE enum err secret_end(struct batch *b, struct secret_row *s, const char *state, const char *why, struct fault *f); /* event secret-over, wiped */
MUST_USE enum err secrets_work(struct batch *b, struct fault *f);

/* -- the part: what ends by itself: cmp_part.c -------------------------------------------------------------------------------------------- */
MUST_USE enum err cmp_unconfirmed_revoke(struct batch *b, struct cert_row *c, struct span note, struct span by, struct fault *f);
extern const struct core_part cmp_part;
void cmp_due(struct batch *b, int64_t at_ms); /* something ends then (wall clock, ms) */

#endif
