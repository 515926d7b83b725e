/* presence.c: see presence.h. */
#include "store/presence.h"

#include "store/rows.h"

enum err store_presence_get(struct db *db, struct arena *a, struct span uid, struct presence_row *out, bool *there, struct fault *f)
{
    struct db_rows r;
    *out = (struct presence_row){ 0 };
    *there = false;
    db_rows(db, "SELECT host, run, addr, tls, session, sync, resumed, online, since, at, keepalive_s, serial FROM presence WHERE uid = $1", DB_ARGS(DB_T(uid)), &r);
    while (db_next(&r)) {
        *there = true;
        *out = (struct presence_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), arena_copy(a, db_span(&r, 2)),
                                      arena_copy(a, db_span(&r, 3)), db_i64(&r, 4), db_i64(&r, 5), db_i64(&r, 6), db_i64(&r, 7),
                                      db_i64(&r, 8), db_i64(&r, 9), db_i64(&r, 10), arena_copy(a, db_span(&r, 11)) };
    }
    return db_rows_end(&r, f);
}

enum err store_presence_put(struct db *db, struct span uid, const struct presence_row *r, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO presence (uid, host, run, addr, tls, session, sync, resumed, online, since, at, keepalive_s, serial) "
                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (uid) DO UPDATE SET "
                  "host = excluded.host, run = excluded.run, addr = excluded.addr, tls = excluded.tls, session = excluded.session, "
                  "sync = excluded.sync, resumed = excluded.resumed, online = excluded.online, since = excluded.since, at = excluded.at, "
                  "keepalive_s = excluded.keepalive_s, serial = excluded.serial",
                  DB_ARGS(DB_T(uid), DB_T(r->host), DB_T(r->run), DB_T(r->addr), DB_T(r->tls), DB_I(r->session), DB_I(r->sync),
                          DB_I(r->resumed), DB_I(r->online), DB_I(r->since), DB_I(r->at), DB_I(r->keepalive_s), DB_B(r->serial)),
                  NULL, f);
}

#define BARRED(uid) \
    "(EXISTS (SELECT 1 FROM device_state d WHERE d.uid = " uid " AND d.state IN ('suspended', 'revoked', 'decommissioned')) " \
    "OR EXISTS (SELECT 1 FROM operator o WHERE o.name = " uid " AND o.state = 'removed'))"

enum err store_presence_barred(struct db *db, struct arena *a, struct span host, struct span run, int64_t sync, int64_t max,
                               struct presence_open **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct presence_open);
    db_rows(db,
            "SELECT uid, addr, tls, serial FROM presence WHERE online = 1 AND host = $1 AND run = $2 AND sync < $3 AND " BARRED("presence.uid") " LIMIT $4",
            DB_ARGS(DB_T(host), DB_T(run), DB_I(sync), DB_I(max)), &r);
    while (db_next(&r))
        *(struct presence_open *)rows_add(&l, a) = (struct presence_open){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)),
                                                                          arena_copy(a, db_span(&r, 2)), arena_copy(a, db_span(&r, 3)) };
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_presence_is_barred(struct db *db, struct span uid, bool *barred, struct fault *f)
{
    struct db_rows r;
    *barred = false;
    db_rows(db, "SELECT 1 FROM presence WHERE uid = $1 AND " BARRED("presence.uid"), DB_ARGS(DB_T(uid)), &r);
    while (db_next(&r))
        *barred = true;
    return db_rows_end(&r, f);
}

enum err store_presence_close(struct db *db, struct span uid, int64_t at_ms, struct fault *f)
{
    return db_run(db, "UPDATE presence SET online = 0, at = $2 WHERE uid = $1", DB_ARGS(DB_T(uid), DB_I(at_ms)), NULL, f);
}

enum err store_presence_end(struct db *db, struct span host, struct span run, int64_t sync, int64_t at_ms, int64_t max, int64_t *n,
                            struct fault *f)
{
    return db_run(db,
                  "UPDATE presence SET online = 0, at = $4 WHERE uid IN (SELECT uid FROM presence WHERE online = 1 AND host = $1 AND run = $2 "
                  "AND sync < $3 LIMIT $5)",
                  DB_ARGS(DB_T(host), DB_T(run), DB_I(sync), DB_I(at_ms), DB_I(max)), n, f);
}

enum err store_broker_runs(struct db *db, struct arena *a, struct span edge, struct broker_run_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct broker_run_row);
    db_rows(db, "SELECT edge, run, counts, at, ended, end_below, end_at FROM broker_run WHERE edge = $1 OR $1 = '' ORDER BY edge, run",
            DB_ARGS(DB_T(edge)), &r);
    while (db_next(&r))
        *(struct broker_run_row *)rows_add(&l, a) =
            (struct broker_run_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), arena_copy(a, db_span(&r, 2)),
                                     db_i64(&r, 3), db_i64(&r, 4), db_i64(&r, 5), db_i64(&r, 6) };
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_broker_run_put(struct db *db, const struct broker_run_row *r, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO broker_run (edge, run, counts, at, ended, end_below, end_at) VALUES ($1, $2, $3, $4, $5, $6, $7) "
                  "ON CONFLICT (edge, run) DO UPDATE SET counts = excluded.counts, at = excluded.at, ended = excluded.ended, "
                  "end_below = excluded.end_below, end_at = excluded.end_at",
                  DB_ARGS(DB_T(r->edge), DB_T(r->run), DB_T(r->counts), DB_I(r->at), DB_I(r->ended), DB_I(r->end_below), DB_I(r->end_at)),
                  NULL, f);
}

enum err store_broker_run_drop(struct db *db, struct span edge, struct span run, struct fault *f)
{
    return db_run(db, "DELETE FROM broker_run WHERE edge = $1 AND run = $2", DB_ARGS(DB_T(edge), DB_T(run)), NULL, f);
}

enum err store_broker_totals(struct db *db, struct arena *a, struct broker_total_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct broker_total_row);
    db_rows(db, "SELECT edge, name, n FROM broker_total ORDER BY edge, name", DB_NOARGS, &r);
    while (db_next(&r))
        *(struct broker_total_row *)rows_add(&l, a) =
            (struct broker_total_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), db_i64(&r, 2) };
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_broker_total_add(struct db *db, struct span edge, struct span name, int64_t add, int64_t max, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO broker_total (edge, name, n) VALUES ($1, $2, $3) ON CONFLICT (edge, name) DO UPDATE SET "
                  "n = CASE WHEN broker_total.n > $4 - $3 THEN $4 ELSE broker_total.n + $3 END",
                  DB_ARGS(DB_T(edge), DB_T(name), DB_I(add), DB_I(max)), NULL, f);
}
