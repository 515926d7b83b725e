/* rollout_rows.h: the read-only listings about rollouts and what devices run, for the query role; rules as in query_rows.h: each is driven by
 * one index and reads at most `limit` rows. Spans in rows are borrowed until the next db_next.
 */
#ifndef CRADLE_STORE_ROLLOUT_ROWS_H
#define CRADLE_STORE_ROLLOUT_ROWS_H

#include "store/db.h"

struct rollout_item {
    struct span name, line, release, of, model, batch, country, version, tag, note, state, why, created_by;
    int64_t timeout_s, from_min, to_min, forced, max_active, wave, rev, created_at, started_at, changed_at;
};
/* By name, after `after`; line empty: of all. */
void rollout_rows(struct db *db, struct span line, struct span after, int64_t limit, struct db_rows *out);
void rollout_row_one(struct db *db, struct span name, struct db_rows *out);
void rollout_item_read(const struct db_rows *r, struct rollout_item *out);
/* The waves of one: wave percent devices tag success_percent error_percent soak_s opened_at filled_at reached_at. */
void rollout_wave_rows(struct db *db, struct span rollout, struct db_rows *out);
void rollout_count_rows(struct db *db, struct span rollout, struct db_rows *out);    /* wave state n */
/* For the metrics, small tables only: (state, n) of all rollouts; of the members of running and paused ones. */
void rollout_state_rows(struct db *db, struct db_rows *out);
void rollout_open_count_rows(struct db *db, struct db_rows *out);
void rollout_approval_rows(struct db *db, struct span rollout, struct db_rows *out); /* by at */
/* How many of its members confirmed in each hour (scale_s 3600) or second (1) that begins at from_s or later and before to_s: at_s n. */
void rollout_pace_rows(struct db *db, struct span rollout, int64_t scale_s, int64_t from_s, int64_t to_s, struct db_rows *out);
/* When its members confirmed, from from_ms on, the earliest first: since. */
void rollout_confirmed_rows(struct db *db, struct span rollout, int64_t from_ms, int64_t limit, struct db_rows *out);

struct member_item { struct span uid, state, reason, phase; int64_t wave, sequence, since, percent; };
/* Members by UID; with a state by (since, uid), the oldest first: after these. reason, phase, percent: when the order is still the newest one. */
void rollout_member_rows(struct db *db, struct span rollout, struct span state, int64_t since, struct span uid, int64_t limit, struct db_rows *out);
void member_item_read(const struct db_rows *r, struct member_item *out);

struct runs_item { struct span uid, release, version; int64_t confirmed_at; };
/* Devices of a line that run this release, by UID. */
void runs_rows_on(struct db *db, struct span line, struct span release, struct span uid, int64_t limit, struct db_rows *out);
/* Devices of a line that run another one, by (release, uid) after these. */
void runs_rows_other(struct db *db, struct span line, struct span release, struct span after_release, struct span uid, int64_t limit, struct db_rows *out);
void runs_item_read(const struct db_rows *r, struct runs_item *out);
/* How many devices of a line run what: release version n; limit rows at most, those of releases that the site knows first. */
void runs_counts(struct db *db, struct span line, int64_t limit, struct db_rows *out);
void runs_one(struct db *db, struct span uid, struct db_rows *out); /* as runs_item */

/* What happened to a device's firmware, in order after (slot, nseq): slot nseq at kind payload. */
void firmware_rows(struct db *db, struct span uid, int64_t slot, int64_t nseq, int64_t limit, struct db_rows *out);

#endif
