/* cmp.c: see store/cmp.h. */
#include "store/cmp.h"

#define TX_COLUMNS "tx, kind, who, ref, uid, state, nonce, kid, serial, fresh, enroll, began_at, until_at, answer"

static void tx_read(const struct db_rows *r, struct arena *a, struct cmp_tx_row *out)
{
    *out = (struct cmp_tx_row){
        .tx = arena_copy(a, db_span(r, 0)), .kind = db_i64(r, 1), .who = arena_copy(a, db_span(r, 2)), .ref = arena_copy(a, db_span(r, 3)),
        .uid = arena_copy(a, db_span(r, 4)), .state = arena_copy(a, db_span(r, 5)), .nonce = arena_copy(a, db_span(r, 6)),
        .kid = arena_copy(a, db_span(r, 7)), .serial = arena_copy(a, db_span(r, 8)), .fresh = db_i64(r, 9), .enroll = arena_copy(a, db_span(r, 10)),
        .began_at = db_i64(r, 11), .until_at = db_i64(r, 12), .answer = db_i64(r, 13),
    };
}

enum err store_cmp_tx_get(struct db *db, struct arena *a, struct span tx, struct cmp_tx_row *out, struct fault *f)
{
    struct db_rows r;
    bool there = false;
    db_rows(db, "SELECT " TX_COLUMNS " FROM cmp_tx WHERE tx = $1", DB_ARGS(DB_B(tx)), &r);
    if ((there = db_next(&r)))
        tx_read(&r, a, out);
    enum err e = db_rows_end(&r, f);
    return e ? e : there ? CE_OK : CE_NOT_FOUND;
}

enum err store_cmp_tx_put(struct db *db, const struct cmp_tx_row *r, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO cmp_tx (" TX_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) "
                  "ON CONFLICT (tx) DO UPDATE SET state = excluded.state, nonce = excluded.nonce, kid = excluded.kid, serial = excluded.serial, "
                  "fresh = excluded.fresh, enroll = excluded.enroll, until_at = excluded.until_at",
                  DB_ARGS(DB_B(r->tx), DB_I(r->kind), DB_T(r->who), DB_T(r->ref), DB_T(r->uid), DB_T(r->state), DB_B(r->nonce), DB_B(r->kid),
                          DB_B(r->serial), DB_I(r->fresh), DB_B(r->enroll), DB_I(r->began_at), DB_I(r->until_at), DB_I(r->answer)),
                  NULL, f);
}

enum err store_cmp_tx_drop(struct db *db, struct span tx, struct fault *f)
{
    return db_run(db, "DELETE FROM cmp_tx WHERE tx = $1", DB_ARGS(DB_B(tx)), NULL, f);
}

enum err store_cmp_tx_count(struct db *db, struct span who, int64_t *n, struct fault *f)
{
    return db_get_i64(db, "SELECT count(*) FROM cmp_tx WHERE who = $1", DB_ARGS(DB_T(who)), 0, n, f);
}

enum err store_cmp_tx_over(struct db *db, struct arena *a, int64_t now, int64_t limit, struct cmp_tx_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    *out = arena_alloc(a, (size_t)limit * sizeof **out);
    *n = 0;
    db_rows(db, "SELECT " TX_COLUMNS " FROM cmp_tx WHERE until_at <= $1 ORDER BY until_at LIMIT $2", DB_ARGS(DB_I(now), DB_I(limit)), &r);
    while (*n < (size_t)limit && db_next(&r))
        tx_read(&r, a, &(*out)[(*n)++]);
    return db_rows_end(&r, f);
}

enum err store_cmp_tx_next(struct db *db, int64_t *until, struct fault *f)
{
    return db_get_i64(db, "SELECT until_at FROM cmp_tx ORDER BY until_at LIMIT 1", DB_NOARGS, 0, until, f);
}

enum err store_cmp_tx_confirmed(struct db *db, struct span kid, struct span serial, struct fault *f)
{
    return db_run(db, "UPDATE cmp_tx SET state = 'confirmed' WHERE serial = $1 AND kid = $2 AND state = 'issued'", DB_ARGS(DB_B(serial), DB_B(kid)), NULL, f);
}

/* -- secrets ------------------------------------------------------------------------------------------------------------------------ */
#define SECRET_COLUMNS "ref, uid, secret, state, tries, made_at, expires_at, wipe_at"

static void secret_read(const struct db_rows *r, struct arena *a, struct secret_row *out)
{
    *out = (struct secret_row){ arena_copy(a, db_span(r, 0)), arena_copy(a, db_span(r, 1)), arena_copy(a, db_span(r, 2)), arena_copy(a, db_span(r, 3)),
                                db_i64(r, 4), db_i64(r, 5), db_i64(r, 6), db_i64(r, 7) };
}

enum err store_secret_get(struct db *db, struct arena *a, struct span ref, struct secret_row *out, struct fault *f)
{
    struct db_rows r;
    bool there = false;
    db_rows(db, "SELECT " SECRET_COLUMNS " FROM device_secret WHERE ref = $1", DB_ARGS(DB_T(ref)), &r);
    if ((there = db_next(&r)))
        secret_read(&r, a, out);
    enum err e = db_rows_end(&r, f);
    return e ? e : there ? CE_OK : CE_NOT_FOUND;
}

enum err store_secret_put(struct db *db, const struct secret_row *r, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO device_secret (" SECRET_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (ref) DO UPDATE SET "
                  "secret = excluded.secret, state = excluded.state, tries = excluded.tries, expires_at = excluded.expires_at, wipe_at = excluded.wipe_at",
                  DB_ARGS(DB_T(r->ref), DB_T(r->uid), DB_B(r->secret), DB_T(r->state), DB_I(r->tries), DB_I(r->made_at), DB_I(r->expires_at), DB_I(r->wipe_at)),
                  NULL, f);
}

static enum err secret_list(struct db_rows *r, struct arena *a, int64_t limit, struct secret_row **out, size_t *n, struct fault *f)
{
    *out = arena_alloc(a, (size_t)limit * sizeof **out);
    *n = 0;
    while (*n < (size_t)limit && db_next(r))
        secret_read(r, a, &(*out)[(*n)++]);
    return db_rows_end(r, f);
}

enum err store_secret_open(struct db *db, struct arena *a, struct span uid, struct secret_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT " SECRET_COLUMNS " FROM device_secret WHERE uid = $1 AND state = 'open' ORDER BY ref LIMIT 16", DB_ARGS(DB_T(uid)), &r);
    return secret_list(&r, a, 16, out, n, f);
}

enum err store_secret_over(struct db *db, struct arena *a, int64_t now, int64_t limit, struct secret_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT " SECRET_COLUMNS " FROM device_secret WHERE wipe_at > 0 AND wipe_at <= $1 ORDER BY wipe_at LIMIT $2", DB_ARGS(DB_I(now), DB_I(limit)), &r);
    return secret_list(&r, a, limit, out, n, f);
}

enum err store_secret_next(struct db *db, int64_t *wipe, struct fault *f)
{
    return db_get_i64(db, "SELECT wipe_at FROM device_secret WHERE wipe_at > 0 ORDER BY wipe_at LIMIT 1", DB_NOARGS, 0, wipe, f);
}
