/* store/rollout.c: see store/rollout.h. Members: rollout_member.c. */
#include "store/rollout.h"

#include "store/rows.h"

#define ROLLOUT_COLUMNS "name, line, release, of_rollout, q_model, q_batch, q_country, q_version, q_tag, timeout_s, from_min, to_min, forced, max_active, note, " \
                        "state, why, wave, rev, created_at, created_by, started_at, changed_at"

enum err store_rollout_put(struct db *db, const struct rollout_row *r, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO rollout (" ROLLOUT_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, "
                  "$21, $22, $23) ON CONFLICT (name) DO UPDATE SET release = excluded.release, q_model = excluded.q_model, q_batch = excluded.q_batch, "
                  "q_country = excluded.q_country, q_version = excluded.q_version, q_tag = excluded.q_tag, timeout_s = excluded.timeout_s, "
                  "from_min = excluded.from_min, to_min = excluded.to_min, forced = excluded.forced, max_active = excluded.max_active, note = excluded.note, "
                  "state = excluded.state, why = excluded.why, wave = excluded.wave, rev = excluded.rev, started_at = excluded.started_at, "
                  "changed_at = excluded.changed_at",
                  DB_ARGS(DB_T(r->name), DB_T(r->line), DB_T(r->release), DB_T(r->of), DB_T(r->model), DB_T(r->batch), DB_T(r->country), DB_T(r->version),
                          DB_T(r->tag), DB_I(r->timeout_s), DB_I(r->from_min), DB_I(r->to_min), DB_I(r->forced), DB_I(r->max_active), DB_T(r->note),
                          DB_T(r->state), DB_T(r->why), DB_I(r->wave), DB_I(r->rev), DB_I(r->created_at), DB_T(r->created_by), DB_I(r->started_at),
                          DB_I(r->changed_at)),
                  NULL, f);
}

static void rollout_take(const struct db_rows *r, struct arena *a, struct rollout_row *o)
{
    *o = (struct rollout_row){ .name = arena_copy(a, db_span(r, 0)), .line = arena_copy(a, db_span(r, 1)), .release = arena_copy(a, db_span(r, 2)),
                               .of = arena_copy(a, db_span(r, 3)), .model = arena_copy(a, db_span(r, 4)), .batch = arena_copy(a, db_span(r, 5)),
                               .country = arena_copy(a, db_span(r, 6)), .version = arena_copy(a, db_span(r, 7)), .tag = arena_copy(a, db_span(r, 8)),
                               .timeout_s = db_i64(r, 9), .from_min = db_i64(r, 10), .to_min = db_i64(r, 11), .forced = db_i64(r, 12),
                               .max_active = db_i64(r, 13), .note = arena_copy(a, db_span(r, 14)), .state = arena_copy(a, db_span(r, 15)),
                               .why = arena_copy(a, db_span(r, 16)), .wave = db_i64(r, 17), .rev = db_i64(r, 18), .created_at = db_i64(r, 19),
                               .created_by = arena_copy(a, db_span(r, 20)), .started_at = db_i64(r, 21), .changed_at = db_i64(r, 22) };
}

enum err store_rollout_get(struct db *db, struct arena *a, struct span name, struct rollout_row *out, struct fault *f)
{
    struct db_rows r;
    bool there;
    db_rows(db, "SELECT " ROLLOUT_COLUMNS " FROM rollout WHERE name = $1", DB_ARGS(DB_T(name)), &r);
    if ((there = db_next(&r)))
        rollout_take(&r, a, out);
    enum err e = db_rows_end(&r, f);
    return e || there ? e : fault_set(f, CE_NOT_FOUND, "there is no rollout '" SPAN_FMT "'", SPAN_ARG(name));
}

static enum err rollouts_read(struct db_rows *r, struct arena *a, struct rollout_row **out, size_t *n, struct fault *f)
{
    struct rows_list l = ROWS_LIST(struct rollout_row);
    while (db_next(r))
        rollout_take(r, a, rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(r, f);
}

enum err store_rollout_live(struct db *db, struct arena *a, int64_t limit, struct rollout_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    db_rows(db,
            "SELECT " ROLLOUT_COLUMNS " FROM rollout WHERE state IN ('running', 'paused', 'done') OR (state = 'cancelled' AND EXISTS "
            "(SELECT 1 FROM rollout_count c WHERE c.rollout = name AND c.n > 0 AND c.state IN ('ordered', 'offered', 'downloading', 'postponed', 'silent'))) "
            "ORDER BY started_at DESC, name DESC LIMIT $1",
            DB_ARGS(DB_I(limit)), &r);
    return rollouts_read(&r, a, out, n, f);
}

enum err store_rollout_paused(struct db *db, struct arena *a, int64_t limit, struct rollout_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT " ROLLOUT_COLUMNS " FROM rollout WHERE state = 'paused' ORDER BY name LIMIT $1", DB_ARGS(DB_I(limit)), &r);
    return rollouts_read(&r, a, out, n, f);
}

/* -- approvals ---------------------------------------------------------------------------------------------------------------- */
enum err store_approval_add(struct db *db, struct span rollout, struct span by, int64_t at, struct fault *f)
{
    enum err e = db_run(db, "INSERT INTO rollout_approval (rollout, by_whom, at) VALUES ($1, $2, $3)", DB_ARGS(DB_T(rollout), DB_T(by), DB_I(at)), NULL, f);
    return e == CE_EXISTS ? fault_set(f, e, "'" SPAN_FMT "' has approved it already", SPAN_ARG(by)) : e;
}

enum err store_approval_list(struct db *db, struct arena *a, struct span rollout, struct approval_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct approval_row);
    db_rows(db, "SELECT by_whom, at FROM rollout_approval WHERE rollout = $1 ORDER BY by_whom", DB_ARGS(DB_T(rollout)), &r);
    while (db_next(&r)) {
        struct approval_row *o = rows_add(&l, a);
        o->by = arena_copy(a, db_span(&r, 0));
        o->at = db_i64(&r, 1);
    }
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

/* -- waves --------------------------------------------------------------------------------------------------------------------- */
#define WAVE_COLUMNS "wave, percent, devices, tag, success_percent, error_percent, soak_s, opened_at, filled_at, reached_at, excused"

enum err store_wave_put(struct db *db, struct span rollout, const struct wave_row *w, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO rollout_wave (rollout, " WAVE_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
                  "ON CONFLICT (rollout, wave) DO UPDATE SET opened_at = excluded.opened_at, filled_at = excluded.filled_at, reached_at = excluded.reached_at, "
                  "excused = excluded.excused",
                  DB_ARGS(DB_T(rollout), DB_I(w->wave), DB_I(w->percent), DB_I(w->devices), DB_T(w->tag), DB_I(w->success_percent), DB_I(w->error_percent),
                          DB_I(w->soak_s), DB_I(w->opened_at), DB_I(w->filled_at), DB_I(w->reached_at), DB_I(w->excused)),
                  NULL, f);
}

enum err store_wave_list(struct db *db, struct arena *a, struct span rollout, struct wave_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct wave_row);
    db_rows(db, "SELECT " WAVE_COLUMNS " FROM rollout_wave WHERE rollout = $1 ORDER BY wave", DB_ARGS(DB_T(rollout)), &r);
    while (db_next(&r)) {
        struct wave_row *o = rows_add(&l, a);
        *o = (struct wave_row){ db_i64(&r, 0), db_i64(&r, 1), db_i64(&r, 2), arena_copy(a, db_span(&r, 3)), db_i64(&r, 4), db_i64(&r, 5),
                                db_i64(&r, 6), db_i64(&r, 7), db_i64(&r, 8), db_i64(&r, 9), db_i64(&r, 10) };
    }
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}
