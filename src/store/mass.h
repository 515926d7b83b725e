/* store/mass.h: tables mass_job and mass_device: one change of state for all devices that a query matches, and which of them are still to
 * be changed or were refused. SQL only: what may happen is core/mass.h. Spans in rows read are in the arena. Times are ms since 1970.
 */
#ifndef CRADLE_STORE_MASS_H
#define CRADLE_STORE_MASS_H

#include "base/mem.h"
#include "store/db.h"

/* What a device must be to match; empty and 0: any. enrolled_from <= issued < enrolled_to: of any certificate that it got. */
struct mass_query {
    struct span line, model, batch, country, state, tag, prefix, key_alg;
    int64_t enrolled_from, enrolled_to;
};
struct mass_row {
    int64_t id;
    struct span state;                 /* counting waiting running paused done cancelled */
    struct span to_state, reason, note;
    struct mass_query q;
    struct span created_by, confirmed_by, why;
    int64_t created_at, confirmed_at, changed_at;
    int64_t matched;                   /* once it is counted */
    /* progress: in no event before the end */
    struct span after;                 /* counting: UID of the last device looked at */
    int64_t looked, done, already, refused;
    struct span first, last;           /* "slot:nseq" of its device-state events; empty: none so far */
    int64_t last_at;
};
MUST_USE enum err store_mass_get(struct db *db, struct arena *a, int64_t id, struct mass_row *out, struct fault *f); /* CE_NOT_FOUND */
MUST_USE enum err store_mass_put(struct db *db, const struct mass_row *r, struct fault *f); /* new, or in place of what was there */
MUST_USE enum err store_mass_next_id(struct db *db, int64_t *id, struct fault *f);
/* Those in this state, the oldest first. */
MUST_USE enum err store_mass_in_state(struct db *db, struct arena *a, const char *state, int64_t limit, struct mass_row **out, size_t *n, struct fault *f);

/* A device along the index that the query names; whether it matches the rest is judged by mass_matches. */
struct mass_candidate {
    struct span uid, line, model, batch, country, state, key_alg;
    bool enrolled, tagged;
};
MUST_USE enum err store_mass_candidates(struct db *db, struct arena *a, const struct mass_query *q, struct span after, int64_t limit,
                                        struct mass_candidate **out, size_t *n, struct fault *f);
bool mass_matches(const struct mass_query *q, const struct mass_candidate *c);

/* reason empty: it is still to be changed. */
struct mass_device_row { struct span uid, reason, detail; };
MUST_USE enum err store_mass_device_add(struct db *db, int64_t id, struct span uid, struct fault *f);
MUST_USE enum err store_mass_device_done(struct db *db, int64_t id, struct span uid, struct fault *f);
MUST_USE enum err store_mass_device_refused(struct db *db, int64_t id, struct span uid, const char *reason, const char *detail, struct fault *f);
/* Those still to be changed, the first by UID. */
MUST_USE enum err store_mass_devices_open(struct db *db, struct arena *a, int64_t id, int64_t limit, struct mass_device_row **out, size_t *n, struct fault *f);
/* Forgets those still to be changed, limit at most. *n: so many. */
MUST_USE enum err store_mass_devices_forget(struct db *db, int64_t id, int64_t limit, int64_t *n, struct fault *f);

/* A cancelled job that has such devices still; 0: none. */
MUST_USE enum err store_mass_left(struct db *db, int64_t *id, struct fault *f);

/* -- for the query role; spans live until the next row -- */
void mass_rows(struct db *db, int64_t below, int64_t limit, struct db_rows *out); /* the newest first, ids below that one */
void mass_row_read(const struct db_rows *r, struct mass_row *out);
void mass_rows_one(struct db *db, int64_t id, struct db_rows *out);
void mass_refused_rows(struct db *db, int64_t id, struct span after, int64_t limit, struct db_rows *out); /* uid, line, reason, detail */
void mass_host_rows(struct db *db, struct db_rows *out);                          /* edges that are in service: name, vector, acked_at */

#endif
