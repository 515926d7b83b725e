/* store/beside.h: table presence_beside: open sessions of an identity beside the newest one (store/presence.h), at other brokers: few, and all
 * that cradled must not forget of them when it is restarted. Observations, no state. Errors of class STORE.
 */
#ifndef CRADLE_STORE_BESIDE_H
#define CRADLE_STORE_BESIDE_H

#include "base/mem.h"
#include "store/db.h"

struct beside_row {
    struct span uid, host, run, addr, serial; /* as in presence_row */
    int64_t session, sync, since, keepalive_s;
};
/* An older session of the same run makes room, a newer one stays. */
MUST_USE enum err store_beside_put(struct db *db, const struct beside_row *r, struct fault *f);
MUST_USE enum err store_beside_list(struct db *db, struct arena *a, struct span uid, struct beside_row **out, size_t *n, struct fault *f);
/* All, by identity, at most limit. */
MUST_USE enum err store_beside_all(struct db *db, struct arena *a, int64_t limit, struct beside_row **out, size_t *n, struct fault *f);
MUST_USE enum err store_beside_drop(struct db *db, struct span uid, struct span host, struct span run, int64_t session, struct fault *f); /* and older */
MUST_USE enum err store_beside_end(struct db *db, struct span host, struct span run, int64_t sync, struct fault *f); /* told before sync */
MUST_USE enum err store_beside_forget(struct db *db, int64_t before_ms, struct fault *f);

#endif
