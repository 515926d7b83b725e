/* revoke.h: taking trust away: whole devices, single certificates, operators. Runs inside the transaction of the state change;
 * its effects (PUSH_CERT to fronts, CRL shards marked dirty, entries of the next stream frame) leave after the commit.
 */
#ifndef CRADLE_CORE_REVOKE_H
#define CRADLE_CORE_REVOKE_H

#include "core/batch.h"
#include "core/device.h"
#include "store/cert.h"

/* CRLReason, RFC 5280 5.3.1. */
enum revoke_reason {
    REVOKE_UNSPECIFIED = 0, REVOKE_KEY_COMPROMISE = 1, REVOKE_CA_COMPROMISE = 2, REVOKE_AFFILIATION_CHANGED = 3,
    REVOKE_SUPERSEDED = 4, REVOKE_CESSATION = 5, REVOKE_HOLD = 6, REVOKE_PRIVILEGE_WITHDRAWN = 9, REVOKE_AA_COMPROMISE = 10,
};
/* Name of RFC 5280 ("keyCompromise") to number; empty is unspecified. CE_BAD_FIELD lists the names. certificateHold and
 * removeFromCRL are not names that a caller may use: suspension is a state of the device. */
MUST_USE enum err revoke_reason_parse(struct span name, int *reason, struct fault *f);

/* The device's state has become d->state, decided and written by the caller in this batch (device_move). revoked, decommissioned:
 * every live certificate is revoked, the identity blocked for good. suspended: identity blocked, certificates on hold (OCSP and CRL
 * say certificateHold). quarantined: certificates stay good, the identity is restricted to its repair topics (set REPAIR of the stream) and
 * refused by fronts. active or provisioned: all of that lifted. reason: for revoked; a decommissioned device's is cessationOfOperation
 * unless another is given. note, by: for the evidence. Errors: of the database. */
MUST_USE enum err cert_block_device(struct batch *b, const struct device *d, int reason, struct span note, struct span by, struct fault *f);

/* The operator, station or edge was removed (row and event written by the caller): its certificates are revoked
 * (cessationOfOperation), its name is blocked. Errors: of the database. */
MUST_USE enum err cert_block_operator(struct batch *b, struct span name, struct span note, struct span by, struct fault *f);

/* One certificate becomes revoked or held, or good again, with its evidence and effects. why: stable reason for the fronts. */
struct revoke_change {
    enum cert_status status;
    int reason;
    const char *why;         /* literal */
    int64_t rev;             /* the device's new rev when this change moved it, else 0 */
    struct span note, by;
};
MUST_USE enum err cert_status_change(struct batch *b, const struct cert_row *c, const struct revoke_change *change, struct fault *f);

/* One certificate, asked for by somebody who may ask: CE_STATE_CHANGE when it is revoked already; CE_ROLE_FORBIDDEN, CE_LINE_FORBIDDEN by the
 * caller's role and lines; CE_SELF_REMOVE for an operator's own. Writes it, and the answer. */
MUST_USE enum err revoke_cert(struct batch *b, const struct caller *c, struct cert_row *row, int reason, struct span note, struct msg_reply *out,
                              struct fault *f);
/* CERT_REVOKE: one serial. CE_NOT_FOUND; CE_STATE_CHANGE when it is revoked already; CE_SELF_REMOVE for the caller's own. */
MUST_USE enum err revoke_op_cert(struct batch *b, const struct caller *c, const void *msg_cert_revoke, struct msg_reply *out, struct fault *f);

#endif
