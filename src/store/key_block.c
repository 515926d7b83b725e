/* store/key_block.c: see store/key_block.h. */
#include "store/key_block.h"

#include "store/rows.h"

#define COLUMNS "id, file, note, by_whom, at"

enum err store_key_block_put(struct db *db, const struct key_block_row *r, struct fault *f)
{
    return db_run(db, "INSERT INTO key_block (" COLUMNS ") VALUES ($1, $2, $3, $4, $5)", DB_ARGS(DB_B(r->id), DB_B(r->file), DB_T(r->note), DB_T(r->by), DB_I(r->at)), NULL, f);
}

static void take(const struct db_rows *r, struct arena *a, struct key_block_row *out)
{
    *out = (struct key_block_row){ arena_copy(a, db_span(r, 0)), arena_copy(a, db_span(r, 1)), arena_copy(a, db_span(r, 2)), arena_copy(a, db_span(r, 3)), db_i64(r, 4) };
}

enum err store_key_block_get(struct db *db, struct arena *a, struct span id, struct key_block_row *out, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT " COLUMNS " FROM key_block WHERE id = $1", DB_ARGS(DB_B(id)), &r);
    bool there = db_next(&r);
    if (there)
        take(&r, a, out);
    enum err e = db_rows_end(&r, f);
    return e ? e : there ? CE_OK : fault_set(f, CE_NOT_FOUND, "the key is not on the list of compromised keys");
}

enum err store_key_block_drop(struct db *db, struct span id, struct fault *f)
{
    return db_run1(db, "DELETE FROM key_block WHERE id = $1", DB_ARGS(DB_B(id)), f);
}

enum err store_key_block_list(struct db *db, struct arena *a, struct span after, int64_t limit, struct key_block_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct key_block_row);
    db_rows(db, "SELECT " COLUMNS " FROM key_block WHERE id > $1 ORDER BY id LIMIT $2", DB_ARGS(DB_B(after), DB_I(limit)), &r);
    while (db_next(&r))
        take(&r, a, rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}
