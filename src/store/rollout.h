/* store/rollout.h: tables rollout, rollout_approval, rollout_wave, rollout_device (its members), rollout_count (how many of them are in which
 * state) and rollout_pace (how many confirmed when). SQL only. Spans in rows read are in the arena.
 */
#ifndef CRADLE_STORE_ROLLOUT_H
#define CRADLE_STORE_ROLLOUT_H

#include "base/mem.h"
#include "store/db.h"

struct rollout_row {
    struct span name, line, release, of;               /* of: the rollout that it takes back; then release is empty */
    struct span model, batch, country, version, tag;   /* the query; empty: any */
    int64_t timeout_s, from_min, to_min, forced, max_active;
    struct span note, state, why;
    int64_t wave;                                      /* the newest open one, from 1; 0: none */
    int64_t rev, created_at;
    struct span created_by;
    int64_t started_at, changed_at;
};
MUST_USE enum err store_rollout_put(struct db *db, const struct rollout_row *r, struct fault *f); /* new, or in the place of the one before */
MUST_USE enum err store_rollout_get(struct db *db, struct arena *a, struct span name, struct rollout_row *out, struct fault *f); /* CE_NOT_FOUND */
/* Those that concern devices: running, paused, done, and cancelled ones whose orders still stand; the newest start first, limit at most. */
MUST_USE enum err store_rollout_live(struct db *db, struct arena *a, int64_t limit, struct rollout_row **out, size_t *n, struct fault *f);

MUST_USE enum err store_rollout_paused(struct db *db, struct arena *a, int64_t limit, struct rollout_row **out, size_t *n, struct fault *f); /* by name */

struct approval_row { struct span by; int64_t at; };
MUST_USE enum err store_approval_add(struct db *db, struct span rollout, struct span by, int64_t at, struct fault *f); /* CE_EXISTS */
MUST_USE enum err store_approval_list(struct db *db, struct arena *a, struct span rollout, struct approval_row **out, size_t *n, struct fault *f);

struct wave_row { int64_t wave, percent, devices; struct span tag; int64_t success_percent, error_percent, soak_s, opened_at, filled_at, reached_at, excused; }; /* excused: failures that somebody accepted by resuming */
MUST_USE enum err store_wave_put(struct db *db, struct span rollout, const struct wave_row *w, struct fault *f);
MUST_USE enum err store_wave_list(struct db *db, struct arena *a, struct span rollout, struct wave_row **out, size_t *n, struct fault *f);

struct member_row { struct span uid; int64_t wave; struct span state; int64_t sequence, since; };
/* wave 0: it is no member. */
MUST_USE enum err store_member_get(struct db *db, struct arena *a, struct span rollout, struct span uid, struct member_row *out, struct fault *f);
/* added: it was none before. Counts are the caller's: store_count_add. */
MUST_USE enum err store_member_add(struct db *db, struct span rollout, const struct member_row *m, bool *added, struct fault *f);
MUST_USE enum err store_member_set(struct db *db, struct span rollout, const struct member_row *m, struct fault *f);
/* In one state since before `before`, the oldest first. */
MUST_USE enum err store_member_old(struct db *db, struct arena *a, struct span rollout, const char *state, int64_t before, int64_t limit,
                                   struct member_row **out, size_t *n, struct fault *f);
/* By uid, after `after`. */
MUST_USE enum err store_member_page(struct db *db, struct arena *a, struct span rollout, struct span after, int64_t limit, struct member_row **out, size_t *n,
                                    struct fault *f);

MUST_USE enum err store_count_add(struct db *db, struct span rollout, int64_t wave, struct span state, int64_t n, struct fault *f);
/* Counts n more (or less) that confirmed at this time: table rollout_pace. */
MUST_USE enum err store_pace_add(struct db *db, struct span rollout, int64_t at_ms, int64_t n, struct fault *f);
struct count_row { int64_t wave; struct span state; int64_t n; };
MUST_USE enum err store_count_list(struct db *db, struct arena *a, struct span rollout, struct count_row **out, size_t *n, struct fault *f);

/* A page of a line's devices, with what they run: by uid, after `after`. model is empty when the device holds no certificate, or may not use it.
 * member_wave: of this rollout, 0: none. */
struct candidate_row { struct span uid, model, batch, country, version, release; int64_t counter_floor, member_wave; };
MUST_USE enum err store_candidates(struct db *db, struct arena *a, struct span line, struct span rollout, struct span after, int64_t limit,
                                   struct candidate_row **out, size_t *n, struct fault *f);

#endif
