/* device.h: the states of a device, which changes are allowed, and the compare-and-set that moves its rev. Used by everything
 * that changes a device inside a batch. What it is not: revocation of its certificates (revoke.h).
 */
#ifndef CRADLE_CORE_DEVICE_H
#define CRADLE_CORE_DEVICE_H

#include "base/span.h"

struct batch;

enum device_state {
    DEVICE_REGISTERED, DEVICE_PROVISIONED, DEVICE_ACTIVE, DEVICE_QUARANTINED, DEVICE_SUSPENDED, DEVICE_REVOKED, DEVICE_DECOMMISSIONED,
    DEVICE_STATES
};
const char *device_state_name(enum device_state s);
bool device_state_parse(struct span name, enum device_state *out);
bool device_state_allowed(enum device_state from, enum device_state to); /* revoked, decommissioned: terminal */
bool device_state_blocked(enum device_state s);                          /* suspended, revoked, decommissioned */
void device_state_table(struct buf *out);                                /* the allowed changes as text, one a line */

struct device {
    struct span uid, serial, model, line, batch, country; /* in the batch's arena */
    enum device_state state, was;                         /* was: before device_move */
    int64_t rev, created_at, changed_at, last_seen;       /* ms */
};
/* CE_UID_UNKNOWN with a text that names the uid. */
MUST_USE enum err device_get(struct batch *b, struct span uid, struct device *out, struct fault *f);
/* rev + 1, state as before: for an event that belongs to the device (cert-issued …). d->rev is updated. CE_REV_MISMATCH cannot
 * happen with one writer and is reported all the same. */
MUST_USE enum err device_touch(struct batch *b, struct device *d, struct fault *f);
/* CE_STATE_CHANGE when the table does not allow it. */
MUST_USE enum err device_move_check(const struct device *d, enum device_state to, struct fault *f);
/* State and rev + 1 with its event device-state; CE_STATE_CHANGE when the table does not allow it. d is updated.
 * Certificates are not touched: see cert_block_device. */
MUST_USE enum err device_move(struct batch *b, struct device *d, enum device_state to, struct span reason, struct span note,
                              struct span by, struct fault *f);
/* The same as a piece of a mass change (mass.h), which its event names. */
MUST_USE enum err device_move_by_job(struct batch *b, struct device *d, enum device_state to, struct span reason, struct span note, struct span by,
                                     int64_t job, struct fault *f);
/* CE_OK when a device in this state may hold and use certificates; otherwise CE_DEVICE_QUARANTINED, _SUSPENDED, _REVOKED, _RETIRED. */
MUST_USE enum err device_usable(const struct device *d, struct fault *f);

#endif
