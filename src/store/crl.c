/* store/crl.c: SQL of crl_shard. See crl.h. */
#include "store/crl.h"

#include "store/rows.h"

enum err store_crl_ensure(struct db *db, struct span kid, int64_t n_shards, struct fault *f)
{
    enum err e = CE_OK;
    for (int64_t i = 0; !e && i < n_shards; i++)
        e = db_run(db,
                   "INSERT INTO crl_shard (kid, shard, number, this_update, next_update, dirty) VALUES ($1, $2, 0, 0, 0, 1) "
                   "ON CONFLICT DO NOTHING",
                   DB_ARGS(DB_B(kid), DB_I(i)), NULL, f);
    return e;
}

enum err store_crl_mark(struct db *db, struct span kid, int64_t shard, struct fault *f)
{
    return db_run(db, "UPDATE crl_shard SET dirty = dirty + 1 WHERE kid = $1 AND shard = $2", DB_ARGS(DB_B(kid), DB_I(shard)), NULL, f);
}

static void row_read(const struct db_rows *r, struct span kid, struct crl_shard_row *out)
{
    *out = (struct crl_shard_row){ kid, db_i64(r, 1), db_i64(r, 2), db_i64(r, 3), db_i64(r, 4), db_i64(r, 5) };
}

enum err store_crl_list(struct db *db, struct arena *a, struct crl_shard_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct crl_shard_row);
    db_rows(db, "SELECT kid, shard, number, this_update, next_update, dirty FROM crl_shard ORDER BY kid, shard", DB_NOARGS, &r);
    while (db_next(&r))
        row_read(&r, arena_copy(a, db_span(&r, 0)), rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_crl_get(struct db *db, struct span kid, int64_t shard, struct crl_shard_row *out, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT kid, shard, number, this_update, next_update, dirty FROM crl_shard WHERE kid = $1 AND shard = $2",
            DB_ARGS(DB_B(kid), DB_I(shard)), &r);
    bool found = db_next(&r);
    if (found)
        row_read(&r, kid, out);
    enum err e = db_rows_end(&r, f);
    return e ? e : found ? CE_OK : CE_NOT_FOUND;
}

enum err store_crl_claim(struct db *db, struct span kid, int64_t shard, int64_t number, int64_t next, struct fault *f)
{
    return db_run1(db, "UPDATE crl_shard SET number = $4 WHERE kid = $1 AND shard = $2 AND number = $3",
                   DB_ARGS(DB_B(kid), DB_I(shard), DB_I(number), DB_I(next)), f);
}

enum err store_crl_done(struct db *db, const struct crl_shard_row *r, int64_t dirty_seen, struct fault *f)
{
    return db_run1(db,
                   "UPDATE crl_shard SET this_update = $4, next_update = $5, dirty = CASE WHEN dirty = $6 THEN 0 ELSE dirty END "
                   "WHERE kid = $1 AND shard = $2 AND number = $3",
                   DB_ARGS(DB_B(r->kid), DB_I(r->shard), DB_I(r->number), DB_I(r->this_update), DB_I(r->next_update), DB_I(dirty_seen)), f);
}
