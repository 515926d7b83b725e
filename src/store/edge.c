/* edge.c: see edge.h. */
#include "store/edge.h"

#include "store/rows.h"

enum err store_report_take(struct db *db, struct span edge, struct span id, int64_t at_ms, bool *fresh, struct fault *f)
{
    int64_t n = 0;
    enum err e = db_run(db, "INSERT INTO report_seen (edge, id, at) VALUES ($1, $2, $3) ON CONFLICT (edge, id) DO NOTHING",
                        DB_ARGS(DB_T(edge), DB_T(id), DB_I(at_ms)), &n, f);
    *fresh = n == 1;
    return e;
}

enum err store_report_forget(struct db *db, int64_t before_ms, struct fault *f)
{
    return db_run(db, "DELETE FROM report_seen WHERE (edge, id) IN (SELECT edge, id FROM report_seen WHERE at < $1 LIMIT 1000)",
                  DB_ARGS(DB_I(before_ms)), NULL, f);
}

enum err store_edge_put(struct db *db, struct span name, struct span vector, int64_t stale, int64_t at_ms, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO edge (name, vector, acked_at, stale, seen_at) VALUES ($1, $2, CASE WHEN $2 <> '' THEN $4 ELSE 0 END, "
                  "CASE WHEN $3 < 0 THEN 0 ELSE $3 END, $4) ON CONFLICT (name) DO UPDATE SET "
                  "vector = CASE WHEN $2 <> '' THEN $2 ELSE edge.vector END, acked_at = CASE WHEN $2 <> '' THEN $4 ELSE edge.acked_at END, "
                  "stale = CASE WHEN $3 < 0 THEN edge.stale ELSE $3 END, seen_at = $4",
                  DB_ARGS(DB_T(name), DB_T(vector), DB_I(stale), DB_I(at_ms)), NULL, f);
}

enum err store_edge_list(struct db *db, struct arena *a, struct edge_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct edge_row);
    db_rows(db, "SELECT name, vector, acked_at, stale, seen_at FROM edge ORDER BY name", DB_NOARGS, &r);
    while (db_next(&r))
        *(struct edge_row *)rows_add(&l, a) =
            (struct edge_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), db_i64(&r, 2), db_i64(&r, 3), db_i64(&r, 4) };
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}
