/* store/enroll.c: see store/enroll.h. */
#include "store/enroll.h"

#include "store/rows.h"

#define COLUMNS "spki, uid, line, key_alg, proto, addr, asked_by, state, by_whom, note, asked_at, changed_at, until_at"
#define SELECT "SELECT " COLUMNS " FROM enroll_request "

static void enroll_take(const struct db_rows *r, struct arena *a, struct enroll_row *out)
{
    struct span *texts[] = { &out->spki, &out->uid, &out->line, &out->key_alg, &out->proto, &out->addr, &out->asked_by, &out->state, &out->by, &out->note };
    for (int i = 0; i < (int)ARRAY_LEN(texts); i++)
        *texts[i] = arena_copy(a, db_span(r, i));
    out->asked_at = db_i64(r, 10);
    out->changed_at = db_i64(r, 11);
    out->until_at = db_i64(r, 12);
}

static enum err enroll_read(struct db_rows *r, struct arena *a, struct enroll_row **out, size_t *n, struct fault *f)
{
    struct rows_list l = ROWS_LIST(struct enroll_row);
    while (db_next(r))
        enroll_take(r, a, rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(r, f);
}

enum err store_enroll_get(struct db *db, struct arena *a, struct span spki, struct enroll_row *out, struct fault *f)
{
    struct db_rows r;
    bool there;
    db_rows(db, SELECT "WHERE spki = $1", DB_ARGS(DB_B(spki)), &r);
    if ((there = db_next(&r)))
        enroll_take(&r, a, out);
    enum err e = db_rows_end(&r, f);
    return e || there ? e : fault_set(f, CE_NOT_FOUND, "nobody asked for an enrollment of this key");
}

enum err store_enroll_put(struct db *db, const struct enroll_row *r, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO enroll_request (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) "
                  "ON CONFLICT (spki) DO UPDATE SET uid = excluded.uid, line = excluded.line, key_alg = excluded.key_alg, proto = excluded.proto, "
                  "addr = excluded.addr, asked_by = excluded.asked_by, state = excluded.state, by_whom = excluded.by_whom, note = excluded.note, "
                  "asked_at = excluded.asked_at, changed_at = excluded.changed_at, until_at = excluded.until_at",
                  DB_ARGS(DB_B(r->spki), DB_T(r->uid), DB_T(r->line), DB_T(r->key_alg), DB_T(r->proto), DB_T(r->addr), DB_T(r->asked_by), DB_T(r->state),
                          DB_T(r->by), DB_T(r->note), DB_I(r->asked_at), DB_I(r->changed_at), DB_I(r->until_at)),
                  NULL, f);
}

enum err store_enroll_issued(struct db *db, struct span spki, struct span uid, int64_t at, struct fault *f)
{
    return db_run(db,
                  "UPDATE enroll_request SET state = 'done', changed_at = $3, until_at = 0 "
                  "WHERE spki = $1 AND uid = $2 AND state IN ('waiting', 'approved')",
                  DB_ARGS(DB_B(spki), DB_T(uid), DB_I(at)), NULL, f);
}

enum err store_enroll_waiting(struct db *db, struct span line, struct span uid, int64_t max, int64_t *of_line, int64_t *of_uid, struct fault *f)
{
    enum err e = db_get_i64(db, "SELECT count(*) FROM (SELECT 1 FROM enroll_request WHERE line = $1 AND state = 'waiting' LIMIT $2) x",
                            DB_ARGS(DB_T(line), DB_I(max)), 0, of_line, f);
    return e ? e : db_get_i64(db, "SELECT count(*) FROM enroll_request WHERE uid = $1 AND state = 'waiting'", DB_ARGS(DB_T(uid)), 0, of_uid, f);
}

enum err store_enroll_backlog(struct db *db, int64_t *n, int64_t *oldest_at, struct fault *f)
{
    enum err e = db_get_i64(db, "SELECT count(*) FROM enroll_request WHERE state = 'waiting'", DB_NOARGS, 0, n, f);
    return e ? e : db_get_i64(db, "SELECT min(asked_at) FROM enroll_request WHERE state = 'waiting'", DB_NOARGS, 0, oldest_at, f);
}

enum err store_enroll_due(struct db *db, struct arena *a, int64_t now, int64_t limit, struct enroll_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    db_rows(db, SELECT "WHERE until_at > 0 AND until_at <= $1 ORDER BY until_at LIMIT $2", DB_ARGS(DB_I(now), DB_I(limit)), &r);
    return enroll_read(&r, a, out, n, f);
}

enum err store_enroll_next(struct db *db, int64_t *at, struct fault *f)
{
    return db_get_i64(db, "SELECT until_at FROM enroll_request WHERE until_at > 0 ORDER BY until_at LIMIT 1", DB_NOARGS, INT64_MAX, at, f);
}

enum err store_enroll_list(struct db *db, struct arena *a, struct span state, struct span uid, struct span after, int64_t limit,
                           struct enroll_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    if (uid.n)
        db_rows(db, SELECT "WHERE uid = $1 AND spki > $2 ORDER BY spki LIMIT $3", DB_ARGS(DB_T(uid), DB_B(after), DB_I(limit)), &r);
    else if (state.n)
        db_rows(db, SELECT "WHERE state = $1 AND spki > $2 ORDER BY spki LIMIT $3", DB_ARGS(DB_T(state), DB_B(after), DB_I(limit)), &r);
    else
        db_rows(db, SELECT "WHERE spki > $1 ORDER BY spki LIMIT $2", DB_ARGS(DB_B(after), DB_I(limit)), &r);
    return enroll_read(&r, a, out, n, f);
}
