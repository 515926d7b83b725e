/* store/enroll.h: table enroll_request: first enrollments that wait for somebody's approval, by key. SQL only: who may approve what is core/enroll.c. Spans in rows read are in the arena. Times are ms since 1970.
 */
#ifndef CRADLE_STORE_ENROLL_H
#define CRADLE_STORE_ENROLL_H

#include "base/mem.h"
#include "store/db.h"

/* state: waiting approved refused expired done. until_at: waiting and approved end then, others have 0. asked_by: who brought the
 * request; by, note: of the last decision. */
struct enroll_row {
    struct span spki; /* SHA-256 of the SubjectPublicKeyInfo */
    struct span uid, line, key_alg, proto, addr, asked_by, state, by, note;
    int64_t asked_at, changed_at, until_at;
};
MUST_USE enum err store_enroll_get(struct db *db, struct arena *a, struct span spki, struct enroll_row *out, struct fault *f); /* CE_NOT_FOUND */
MUST_USE enum err store_enroll_put(struct db *db, const struct enroll_row *r, struct fault *f); /* new, or in place of what was there */
/* A certificate for this device and key is there: waiting and approved become done. */
MUST_USE enum err store_enroll_issued(struct db *db, struct span spki, struct span uid, int64_t at, struct fault *f);
/* How many wait, of the line and of the device, counted to max. */
MUST_USE enum err store_enroll_waiting(struct db *db, struct span line, struct span uid, int64_t max, int64_t *of_line, int64_t *of_uid, struct fault *f);
/* All that wait, and since when the oldest does: 0 when none waits. */
MUST_USE enum err store_enroll_backlog(struct db *db, int64_t *n, int64_t *oldest_at, struct fault *f);
/* Those that ended at now or before, limit at most; when the next one ends: INT64_MAX when none does. */
MUST_USE enum err store_enroll_due(struct db *db, struct arena *a, int64_t now, int64_t limit, struct enroll_row **out, size_t *n, struct fault *f);
MUST_USE enum err store_enroll_next(struct db *db, int64_t *at, struct fault *f);
/* By key from after `after` on, limit rows at most; state and uid empty: any. Both are served by an index. */
MUST_USE enum err store_enroll_list(struct db *db, struct arena *a, struct span state, struct span uid, struct span after, int64_t limit,
                                    struct enroll_row **out, size_t *n, struct fault *f);

#endif
