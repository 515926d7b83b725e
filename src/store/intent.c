/* store/intent.c: SQL of intent. See intent.h. */
#include "store/intent.h"

#include "store/rows.h"

enum err store_intent_add(struct db *db, const struct intent_row *i, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO intent (kid, serial, holder_kind, holder, spki, key_der, profile, not_before, not_after, at) "
                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                  DB_ARGS(DB_B(i->kid), DB_B(i->serial), DB_I(i->holder_kind), DB_T(i->holder), DB_B(i->spki), DB_B(i->key_der),
                          DB_T(i->profile), DB_I(i->not_before), DB_I(i->not_after), DB_I(i->at)),
                  NULL, f);
}

enum err store_intent_drop(struct db *db, struct span kid, struct span serial, struct fault *f)
{
    return db_run1(db, "DELETE FROM intent WHERE kid = $1 AND serial = $2", DB_ARGS(DB_B(kid), DB_B(serial)), f);
}

enum err store_intent_list(struct db *db, struct arena *a, struct intent_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct intent_row);
    db_rows(db, "SELECT kid, serial, holder_kind, holder, profile, spki, not_before, not_after, at FROM intent ORDER BY at, kid, serial",
            DB_NOARGS, &r);
    while (db_next(&r))
        *(struct intent_row *)rows_add(&l, a) = (struct intent_row){
            .kid = arena_copy(a, db_span(&r, 0)),
            .serial = arena_copy(a, db_span(&r, 1)),
            .holder_kind = (enum cert_holder)db_i64(&r, 2),
            .holder = arena_copy(a, db_span(&r, 3)),
            .profile = arena_copy(a, db_span(&r, 4)),
            .spki = arena_copy(a, db_span(&r, 5)),
            .not_before = db_i64(&r, 6),
            .not_after = db_i64(&r, 7),
            .at = db_i64(&r, 8),
        };
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}
