/* ca.c: see store/ca.h. */
#include "store/ca.h"

#include "store/rows.h"

enum err store_ca_add(struct db *db, const struct ca_row *c, struct fault *f)
{
    enum err e = db_run(db, "INSERT INTO ca (name, kid, der, added_at) VALUES ($1, $2, $3, $4)",
                        DB_ARGS(DB_T(c->name), DB_B(c->kid), DB_B(c->der), DB_I(c->added_at)), NULL, f);
    return e == CE_EXISTS ? fault_set(f, CE_EXISTS, "CA '" SPAN_FMT "' exists already", SPAN_ARG(c->name)) : e;
}

enum err store_ca_list(struct db *db, struct arena *a, struct ca_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct ca_row);
    db_rows(db, "SELECT name, kid, der, added_at FROM ca ORDER BY name", DB_NOARGS, &r);
    while (db_next(&r)) {
        struct ca_row *c = rows_add(&l, a);
        *c = (struct ca_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), arena_copy(a, db_span(&r, 2)), db_i64(&r, 3) };
    }
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_ca_state_put(struct db *db, const struct ca_state_row *s, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO ca_state (name, use, state, reenroll, changed_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET "
                  "use = excluded.use, state = excluded.state, reenroll = excluded.reenroll, changed_at = excluded.changed_at",
                  DB_ARGS(DB_T(s->name), DB_T(s->use), DB_T(s->state), DB_I(s->reenroll), DB_I(s->changed_at)), NULL, f);
}

enum err store_ca_state_list(struct db *db, struct arena *a, struct ca_state_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct ca_state_row);
    db_rows(db, "SELECT name, use, state, reenroll, changed_at FROM ca_state ORDER BY name", DB_NOARGS, &r);
    while (db_next(&r)) {
        struct ca_state_row *s = rows_add(&l, a);
        *s = (struct ca_state_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), arena_copy(a, db_span(&r, 2)), db_i64(&r, 3),
                                    db_i64(&r, 4) };
    }
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_ca_live(struct db *db, struct span kid, int64_t now_s, int64_t most, int64_t *n, struct fault *f)
{
    return db_get_i64(db,
                      "SELECT COUNT(*) FROM (SELECT 1 FROM cert c LEFT JOIN cert_state s ON s.kid = c.kid AND s.serial = c.serial "
                      "WHERE c.kid = $1 AND c.not_after > $2 AND COALESCE(s.status, 0) <> 1 LIMIT $3) x",
                      DB_ARGS(DB_B(kid), DB_I(now_s), DB_I(most)), 0, n, f);
}

enum err store_ca_crls(struct db *db, struct span kid, int64_t *all, int64_t *published, struct fault *f)
{
    enum err e = db_get_i64(db, "SELECT COUNT(*) FROM crl_shard WHERE kid = $1", DB_ARGS(DB_B(kid)), 0, all, f);
    return e ? e : db_get_i64(db, "SELECT COUNT(*) FROM crl_shard WHERE kid = $1 AND this_update > 0", DB_ARGS(DB_B(kid)), 0, published, f);
}
