/* beside.c: see beside.h. */
#include "store/beside.h"

#include "store/rows.h"

enum err store_beside_put(struct db *db, const struct beside_row *r, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO presence_beside (uid, host, run, session, sync, addr, since, keepalive_s, serial) "
                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (uid, host, run) DO UPDATE SET session = excluded.session, "
                  "sync = excluded.sync, addr = excluded.addr, since = excluded.since, keepalive_s = excluded.keepalive_s, "
                  "serial = excluded.serial WHERE excluded.session >= presence_beside.session",
                  DB_ARGS(DB_T(r->uid), DB_T(r->host), DB_T(r->run), DB_I(r->session), DB_I(r->sync), DB_T(r->addr), DB_I(r->since),
                          DB_I(r->keepalive_s), DB_B(r->serial)),
                  NULL, f);
}

#define COLUMNS "SELECT uid, host, run, addr, serial, session, sync, since, keepalive_s FROM presence_beside "

static enum err rows_read(struct db_rows *r, struct arena *a, struct beside_row **out, size_t *n, struct fault *f)
{
    struct rows_list l = ROWS_LIST(struct beside_row);
    while (db_next(r))
        *(struct beside_row *)rows_add(&l, a) =
            (struct beside_row){ arena_copy(a, db_span(r, 0)), arena_copy(a, db_span(r, 1)), arena_copy(a, db_span(r, 2)),
                                 arena_copy(a, db_span(r, 3)), arena_copy(a, db_span(r, 4)), db_i64(r, 5), db_i64(r, 6), db_i64(r, 7), db_i64(r, 8) };
    *out = l.items;
    *n = l.n;
    return db_rows_end(r, f);
}

enum err store_beside_list(struct db *db, struct arena *a, struct span uid, struct beside_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    db_rows(db, COLUMNS "WHERE uid = $1 ORDER BY host, run", DB_ARGS(DB_T(uid)), &r);
    return rows_read(&r, a, out, n, f);
}

enum err store_beside_all(struct db *db, struct arena *a, int64_t limit, struct beside_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    db_rows(db, COLUMNS "ORDER BY uid, host, run LIMIT $1", DB_ARGS(DB_I(limit)), &r);
    return rows_read(&r, a, out, n, f);
}

enum err store_beside_drop(struct db *db, struct span uid, struct span host, struct span run, int64_t session, struct fault *f)
{
    return db_run(db, "DELETE FROM presence_beside WHERE uid = $1 AND host = $2 AND run = $3 AND session <= $4",
                  DB_ARGS(DB_T(uid), DB_T(host), DB_T(run), DB_I(session)), NULL, f);
}

enum err store_beside_end(struct db *db, struct span host, struct span run, int64_t sync, struct fault *f)
{
    return db_run(db, "DELETE FROM presence_beside WHERE host = $1 AND run = $2 AND sync < $3", DB_ARGS(DB_T(host), DB_T(run), DB_I(sync)), NULL, f);
}

enum err store_beside_forget(struct db *db, int64_t before_ms, struct fault *f)
{
    return db_run(db, "DELETE FROM presence_beside WHERE since < $1", DB_ARGS(DB_I(before_ms)), NULL, f);
}
