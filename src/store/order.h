/* store/order.h: tables device_order (the newest order of each device) and device_version (what each device runs). SQL only: which change is
 * allowed is core/order.h's. Spans in rows read are in the arena.
 */
#ifndef CRADLE_STORE_ORDER_H
#define CRADLE_STORE_ORDER_H

#include "base/mem.h"
#include "store/db.h"

struct order_row { /* sequence 0: the device never had an order */
    struct span uid;
    int64_t sequence;
    struct span action, rollout;   /* install | reset; rollout empty: for this device alone */
    int64_t wave;
    struct span line, release, by, state, reason;
    struct span phase;             /* observations, in no event: the last word of a report, and how far */
    int64_t percent;
    int64_t ordered_at, offered_at, changed_at; /* ms; offered_at 0: not signed yet */
    int64_t until_at;              /* postponed: until when */
    struct span spki;              /* SHA-256 of the key that the directive names; empty: not signed yet */
    int64_t expires_at;            /* of the directive, s */
    struct span envelope;
};
MUST_USE enum err store_order_get(struct db *db, struct arena *a, struct span uid, struct order_row *out, struct fault *f);
MUST_USE enum err store_order_put(struct db *db, const struct order_row *r, struct fault *f); /* all of it, in the place of the one before */

struct version_row {
    struct span uid, line, release, version; /* release empty: none that this site knows */
    int64_t counter_floor;                   /* highest security counter that it confirmed */
    struct span before_release;              /* what it had confirmed before; empty: nothing */
    int64_t confirmed_at, sequence;          /* 0: never */
};
MUST_USE enum err store_version_get(struct db *db, struct arena *a, struct span uid, struct version_row *out, struct fault *f); /* none: empty */
MUST_USE enum err store_version_put(struct db *db, const struct version_row *r, struct fault *f); /* and table version_count */

#endif
