/* store/rollout_member.c: the members of rollouts, and who may become one. See store/rollout.h. */
#include "store/rollout.h"
#include "store/rows.h"

static void member_take(const struct db_rows *r, struct arena *a, struct member_row *o)
{
    *o = (struct member_row){ arena_copy(a, db_span(r, 0)), db_i64(r, 1), arena_copy(a, db_span(r, 2)), db_i64(r, 3), db_i64(r, 4) };
}

enum err store_member_get(struct db *db, struct arena *a, struct span rollout, struct span uid, struct member_row *out, struct fault *f)
{
    struct db_rows r;
    *out = (struct member_row){ .uid = uid };
    db_rows(db, "SELECT uid, wave, state, sequence, since FROM rollout_device WHERE rollout = $1 AND uid = $2", DB_ARGS(DB_T(rollout), DB_T(uid)), &r);
    if (db_next(&r))
        member_take(&r, a, out);
    return db_rows_end(&r, f);
}

enum err store_member_add(struct db *db, struct span rollout, const struct member_row *m, bool *added, struct fault *f)
{
    int64_t changed = 0;
    enum err e = db_run(db, "INSERT INTO rollout_device (rollout, uid, wave, state, sequence, since) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (rollout, uid) DO NOTHING",
                        DB_ARGS(DB_T(rollout), DB_T(m->uid), DB_I(m->wave), DB_T(m->state), DB_I(m->sequence), DB_I(m->since)), &changed, f);
    *added = changed > 0;
    return e;
}

enum err store_member_set(struct db *db, struct span rollout, const struct member_row *m, struct fault *f)
{
    return db_run1(db, "UPDATE rollout_device SET state = $3, sequence = $4, since = $5 WHERE rollout = $1 AND uid = $2",
                   DB_ARGS(DB_T(rollout), DB_T(m->uid), DB_T(m->state), DB_I(m->sequence), DB_I(m->since)), f);
}

static enum err members_read(struct db_rows *r, struct arena *a, struct member_row **out, size_t *n, struct fault *f)
{
    struct rows_list l = ROWS_LIST(struct member_row);
    while (db_next(r))
        member_take(r, a, rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(r, f);
}

enum err store_member_old(struct db *db, struct arena *a, struct span rollout, const char *state, int64_t before, int64_t limit,
                          struct member_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT uid, wave, state, sequence, since FROM rollout_device WHERE rollout = $1 AND state = $2 AND since < $3 ORDER BY since LIMIT $4",
            DB_ARGS(DB_T(rollout), DB_S(state), DB_I(before), DB_I(limit)), &r);
    return members_read(&r, a, out, n, f);
}

enum err store_member_page(struct db *db, struct arena *a, struct span rollout, struct span after, int64_t limit, struct member_row **out, size_t *n,
                           struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT uid, wave, state, sequence, since FROM rollout_device WHERE rollout = $1 AND uid > $2 ORDER BY uid LIMIT $3",
            DB_ARGS(DB_T(rollout), DB_T(after), DB_I(limit)), &r);
    return members_read(&r, a, out, n, f);
}

enum err store_count_add(struct db *db, struct span rollout, int64_t wave, struct span state, int64_t n, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO rollout_count (rollout, wave, state, n) VALUES ($1, $2, $3, $4) ON CONFLICT (rollout, wave, state) "
                  "DO UPDATE SET n = rollout_count.n + excluded.n",
                  DB_ARGS(DB_T(rollout), DB_I(wave), DB_T(state), DB_I(n)), NULL, f);
}

enum err store_pace_add(struct db *db, struct span rollout, int64_t at_ms, int64_t n, struct fault *f)
{
    static const int64_t scales[] = { 3600, 1 };
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < sizeof scales / sizeof scales[0]; i++) {
        int64_t at_s = at_ms / 1000 - at_ms / 1000 % scales[i];
        e = db_run(db, "INSERT INTO rollout_pace (rollout, scale_s, at_s, n) VALUES ($1, $2, $3, $4) ON CONFLICT (rollout, scale_s, at_s) "
                       "DO UPDATE SET n = rollout_pace.n + excluded.n", DB_ARGS(DB_T(rollout), DB_I(scales[i]), DB_I(at_s), DB_I(n)), NULL, f);
        if (!e && n < 0)
            e = db_run(db, "DELETE FROM rollout_pace WHERE rollout = $1 AND scale_s = $2 AND at_s = $3 AND n = 0",
                       DB_ARGS(DB_T(rollout), DB_I(scales[i]), DB_I(at_s)), NULL, f);
    }
    return e;
}

enum err store_count_list(struct db *db, struct arena *a, struct span rollout, struct count_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct count_row);
    db_rows(db, "SELECT wave, state, n FROM rollout_count WHERE rollout = $1 AND n <> 0 ORDER BY wave, state", DB_ARGS(DB_T(rollout)), &r);
    while (db_next(&r)) {
        struct count_row *o = rows_add(&l, a);
        *o = (struct count_row){ db_i64(&r, 0), arena_copy(a, db_span(&r, 1)), db_i64(&r, 2) };
    }
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_candidates(struct db *db, struct arena *a, struct span line, struct span rollout, struct span after, int64_t limit,
                          struct candidate_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct candidate_row);
    db_rows(db,
            "SELECT d.uid, d.model, d.batch, d.country, v.version, v.release, v.counter_floor, m.wave, s.state FROM device d "
            "JOIN device_state s ON s.uid = d.uid LEFT JOIN device_version v ON v.uid = d.uid "
            "LEFT JOIN rollout_device m ON m.rollout = $2 AND m.uid = d.uid WHERE d.line = $1 AND d.uid > $3 ORDER BY d.uid LIMIT $4",
            DB_ARGS(DB_T(line), DB_T(rollout), DB_T(after), DB_I(limit)), &r);
    while (db_next(&r)) {
        struct candidate_row *o = rows_add(&l, a);
        bool holds = span_eq_str(db_span(&r, 8), "active") || span_eq_str(db_span(&r, 8), "provisioned");
        *o = (struct candidate_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, holds ? db_span(&r, 1) : (struct span){ 0 }), arena_copy(a, db_span(&r, 2)),
                                     arena_copy(a, db_span(&r, 3)), arena_copy(a, db_span(&r, 4)), arena_copy(a, db_span(&r, 5)), db_i64(&r, 6), db_i64(&r, 7) };
    }
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}
