/* rollout_rows.c: see rollout_rows.h. */
#include "store/rollout_rows.h"

#define ROLLOUT_SQL                                                                                                                     \
    "SELECT name, line, release, of_rollout, q_model, q_batch, q_country, q_version, q_tag, note, state, why, created_by, timeout_s, " \
    "from_min, to_min, forced, max_active, wave, rev, created_at, started_at, changed_at FROM rollout "

void rollout_rows(struct db *db, struct span line, struct span after, int64_t limit, struct db_rows *out)
{
    if (line.n)
        db_rows(db, ROLLOUT_SQL "WHERE line = $1 AND name > $2 ORDER BY name LIMIT $3", DB_ARGS(DB_T(line), DB_T(after), DB_I(limit)), out);
    else
        db_rows(db, ROLLOUT_SQL "WHERE name > $1 ORDER BY name LIMIT $2", DB_ARGS(DB_T(after), DB_I(limit)), out);
}

void rollout_row_one(struct db *db, struct span name, struct db_rows *out) { db_rows(db, ROLLOUT_SQL "WHERE name = $1", DB_ARGS(DB_T(name)), out); }

void rollout_item_read(const struct db_rows *r, struct rollout_item *out)
{
    *out = (struct rollout_item){ db_span(r, 0),  db_span(r, 1),  db_span(r, 2),  db_span(r, 3), db_span(r, 4), db_span(r, 5), db_span(r, 6), db_span(r, 7),
                                  db_span(r, 8),  db_span(r, 9),  db_span(r, 10), db_span(r, 11), db_span(r, 12), db_i64(r, 13), db_i64(r, 14),
                                  db_i64(r, 15), db_i64(r, 16), db_i64(r, 17),  db_i64(r, 18), db_i64(r, 19), db_i64(r, 20), db_i64(r, 21), db_i64(r, 22) };
}

void rollout_wave_rows(struct db *db, struct span rollout, struct db_rows *out)
{
    db_rows(db,
            "SELECT wave, percent, devices, tag, success_percent, error_percent, soak_s, opened_at, filled_at, reached_at FROM rollout_wave "
            "WHERE rollout = $1 ORDER BY wave",
            DB_ARGS(DB_T(rollout)), out);
}

void rollout_count_rows(struct db *db, struct span rollout, struct db_rows *out)
{
    db_rows(db, "SELECT wave, state, n FROM rollout_count WHERE rollout = $1 ORDER BY wave, state", DB_ARGS(DB_T(rollout)), out);
}

void rollout_state_rows(struct db *db, struct db_rows *out)
{
    db_rows(db, "SELECT state, count(*) FROM rollout GROUP BY state ORDER BY state", DB_NOARGS, out);
}

void rollout_open_count_rows(struct db *db, struct db_rows *out)
{
    db_rows(db,
            "SELECT c.state, sum(c.n) FROM rollout r JOIN rollout_count c ON c.rollout = r.name WHERE r.state IN ('running', 'paused') AND c.n <> 0 "
            "GROUP BY c.state ORDER BY c.state",
            DB_NOARGS, out);
}

void rollout_approval_rows(struct db *db, struct span rollout, struct db_rows *out)
{
    db_rows(db, "SELECT by_whom, at FROM rollout_approval WHERE rollout = $1 ORDER BY by_whom", DB_ARGS(DB_T(rollout)), out);
}

void rollout_pace_rows(struct db *db, struct span rollout, int64_t scale_s, int64_t from_s, int64_t to_s, struct db_rows *out)
{
    db_rows(db, "SELECT at_s, n FROM rollout_pace WHERE rollout = $1 AND scale_s = $2 AND at_s >= $3 AND at_s < $4 ORDER BY at_s",
            DB_ARGS(DB_T(rollout), DB_I(scale_s), DB_I(from_s), DB_I(to_s)), out);
}

void rollout_confirmed_rows(struct db *db, struct span rollout, int64_t from_ms, int64_t limit, struct db_rows *out)
{
    db_rows(db, "SELECT since FROM rollout_device WHERE rollout = $1 AND state = 'confirmed' AND since >= $2 ORDER BY since LIMIT $3",
            DB_ARGS(DB_T(rollout), DB_I(from_ms), DB_I(limit)), out);
}

#define MEMBER_SQL                                                                                                                          \
    "SELECT m.uid, m.state, COALESCE(o.reason, ''), COALESCE(o.phase, ''), m.wave, m.sequence, m.since, COALESCE(o.percent, 0) "            \
    "FROM rollout_device m LEFT JOIN device_order o ON o.uid = m.uid AND o.rollout = m.rollout AND o.sequence = m.sequence "
void rollout_member_rows(struct db *db, struct span rollout, struct span state, int64_t since, struct span uid, int64_t limit, struct db_rows *out)
{
    if (state.n)
        db_rows(db, MEMBER_SQL "WHERE m.rollout = $1 AND m.state = $2 AND (m.since, m.uid) > ($3, $4) ORDER BY m.since, m.uid LIMIT $5",
                DB_ARGS(DB_T(rollout), DB_T(state), DB_I(since), DB_T(uid), DB_I(limit)), out);
    else
        db_rows(db, MEMBER_SQL "WHERE m.rollout = $1 AND m.uid > $2 ORDER BY m.uid LIMIT $3", DB_ARGS(DB_T(rollout), DB_T(uid), DB_I(limit)), out);
}

void member_item_read(const struct db_rows *r, struct member_item *out)
{
    *out = (struct member_item){ db_span(r, 0), db_span(r, 1), db_span(r, 2), db_span(r, 3), db_i64(r, 4), db_i64(r, 5), db_i64(r, 6), db_i64(r, 7) };
}

#define RUNS_SQL "SELECT uid, release, version, confirmed_at FROM device_version "
void runs_rows_on(struct db *db, struct span line, struct span release, struct span uid, int64_t limit, struct db_rows *out)
{
    db_rows(db, RUNS_SQL "WHERE line = $1 AND release = $2 AND uid > $3 ORDER BY uid LIMIT $4", DB_ARGS(DB_T(line), DB_T(release), DB_T(uid), DB_I(limit)), out);
}

/* Two ranges around the release, so that those who run it are not looked at. */
void runs_rows_other(struct db *db, struct span line, struct span release, struct span after_release, struct span uid, int64_t limit, struct db_rows *out)
{
    if (span_cmp(after_release, release) < 0)
        db_rows(db, RUNS_SQL "WHERE line = $1 AND (release, uid) > ($2, $3) AND release < $4 ORDER BY release, uid LIMIT $5",
                DB_ARGS(DB_T(line), DB_T(after_release), DB_T(uid), DB_T(release), DB_I(limit)), out);
    else if (span_eq(after_release, release))
        db_rows(db, RUNS_SQL "WHERE line = $1 AND release > $2 ORDER BY release, uid LIMIT $3", DB_ARGS(DB_T(line), DB_T(release), DB_I(limit)), out);
    else
        db_rows(db, RUNS_SQL "WHERE line = $1 AND (release, uid) > ($2, $3) ORDER BY release, uid LIMIT $4",
                DB_ARGS(DB_T(line), DB_T(after_release), DB_T(uid), DB_I(limit)), out);
}

void runs_item_read(const struct db_rows *r, struct runs_item *out)
{
    *out = (struct runs_item){ db_span(r, 0), db_span(r, 1), db_span(r, 2), db_i64(r, 3) };
}

void runs_counts(struct db *db, struct span line, int64_t limit, struct db_rows *out)
{
    db_rows(db, "SELECT release, version, n FROM version_count WHERE line = $1 ORDER BY release DESC, version DESC LIMIT $2", DB_ARGS(DB_T(line), DB_I(limit)), out);
}

void runs_one(struct db *db, struct span uid, struct db_rows *out) { db_rows(db, RUNS_SQL "WHERE uid = $1", DB_ARGS(DB_T(uid)), out); }

void firmware_rows(struct db *db, struct span uid, int64_t slot, int64_t nseq, int64_t limit, struct db_rows *out)
{
    db_rows(db,
            "SELECT e.slot, e.nseq, e.at, e.kind, e.payload FROM event e WHERE e.device <> '' AND e.device = $1 AND (e.slot, e.nseq) > ($2, $3) "
            "AND e.kind IN ('firmware-ordered', 'firmware-confirmed', 'firmware-failed', 'firmware-rolled-back', 'firmware-refused', 'firmware-postponed', "
            "'firmware-declined', 'firmware-silent', 'firmware-cancelled', 'firmware-running', 'device-reset') ORDER BY e.slot, e.nseq LIMIT $4",
            DB_ARGS(DB_T(uid), DB_I(slot), DB_I(nseq), DB_I(limit)), out);
}
