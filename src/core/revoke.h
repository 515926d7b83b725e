/* revoke.h: taking trust away: whole devices, single certificates, operators. Runs inside the transaction of the state change;
 * its effects (PUSH_CERT to fronts, CRL shards marked dirty, entries of the next stream frame) leave after the commit.
 */
#ifndef CRADLE_CORE_REVOKE_H
#define CRADLE_CORE_REVOKE_H

#include <stdint.h>

#include "base/span.h"

struct batch;

/* CRLReason, RFC 5280 5.3.1. */
enum revoke_reason {
    REVOKE_UNSPECIFIED = 0, REVOKE_KEY_COMPROMISE = 1, REVOKE_CA_COMPROMISE = 2, REVOKE_AFFILIATION_CHANGED = 3,
    REVOKE_SUPERSEDED = 4, REVOKE_CESSATION = 5, REVOKE_HOLD = 6, REVOKE_PRIVILEGE_WITHDRAWN = 9, REVOKE_AA_COMPROMISE = 10,
};
/* Name of RFC 5280 ("keyCompromise") to number; empty is unspecified. CE_BAD_FIELD lists the names. certificateHold and
 * removeFromCRL are not names that a caller may use: suspension is a state of the device. */
MUST_USE enum err revoke_reason_parse(struct span name, int *reason, struct fault *f);
const char *revoke_reason_name(int reason);

/* The device's state becomes new_state ("active", "suspended", "revoked", "decommissioned"), decided and written by the caller in
 * this batch; rev is the device's new rev, for the events. revoked, decommissioned: every live certificate is revoked, the identity
 * blocked for good. suspended: identity blocked, certificates on hold (OCSP and CRL: certificateHold). active: both lifted.
 * Errors: class STORE. */
MUST_USE enum err cert_block_device(struct batch *b, struct span uid, const char *new_state, int64_t rev, int reason, struct span note);

/* The operator, station or edge was removed (row written by the caller): certificates revoked (cessationOfOperation), name blocked. */
MUST_USE enum err cert_block_operator(struct batch *b, struct span name, struct span note);

#endif
