/* idem.c: see idem.h. */
#include "store/idem.h"

enum err store_idem_get(struct db *db, struct arena *a, struct span caller, struct span key, struct idem_row *out, struct fault *f)
{
    struct db_rows r;
    bool there = false;
    db_rows(db, "SELECT caller, key, digest, code, http, rev, body_kind, text, body, at FROM idem WHERE caller = $1 AND key = $2",
            DB_ARGS(DB_T(caller), DB_T(key)), &r);
    if ((there = db_next(&r)))
        *out = (struct idem_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), arena_copy(a, db_span(&r, 2)), db_i64(&r, 3),
                                  db_i64(&r, 4), db_i64(&r, 5), db_i64(&r, 6), arena_copy(a, db_span(&r, 7)), arena_copy(a, db_span(&r, 8)),
                                  db_i64(&r, 9) };
    enum err e = db_rows_end(&r, f);
    return e ? e : there ? CE_OK : CE_NOT_FOUND;
}

enum err store_idem_add(struct db *db, const struct idem_row *i, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO idem (caller, key, digest, code, http, rev, body_kind, text, body, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
                  "ON CONFLICT (caller, key) DO UPDATE SET digest = excluded.digest, code = excluded.code, http = excluded.http, rev = excluded.rev, "
                  "body_kind = excluded.body_kind, text = excluded.text, body = excluded.body, at = excluded.at",
                  DB_ARGS(DB_T(i->caller), DB_T(i->key), DB_B(i->digest), DB_I(i->code), DB_I(i->http), DB_I(i->rev), DB_I(i->body_kind),
                          DB_T(i->text), DB_B(i->body), DB_I(i->at)),
                  NULL, f);
}

enum err store_idem_forget(struct db *db, int64_t before_ms, struct fault *f)
{
    return db_run(db, "DELETE FROM idem WHERE (caller, key) IN (SELECT caller, key FROM idem WHERE at < $1 LIMIT 1000)", DB_ARGS(DB_I(before_ms)), NULL, f);
}
