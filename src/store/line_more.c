/* line_more.c: see line_more.h. */
#include "store/line_more.h"

enum err store_line_more_get(struct db *db, struct arena *a, struct span line, struct line_more *out, struct fault *f)
{
    struct db_rows r;
    *out = (struct line_more){ 0 };
    db_rows(db, "SELECT approvals, enroll_approval, cmp_secret, grace_s, grace_any_key, service_until, ca, key_home FROM line_more WHERE line = $1",
            DB_ARGS(DB_T(line)), &r);
    if (db_next(&r))
        *out = (struct line_more){ db_i64(&r, 0), db_i64(&r, 1) != 0, db_i64(&r, 2) != 0, db_i64(&r, 3), db_i64(&r, 4) != 0,
                                   arena_copy(a, db_span(&r, 5)), arena_copy(a, db_span(&r, 6)), arena_copy(a, db_span(&r, 7)) };
    return db_rows_end(&r, f);
}

enum err store_line_more_put(struct db *db, struct span line, const struct line_more *m, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO line_more (line, approvals, enroll_approval, cmp_secret, grace_s, grace_any_key, service_until, ca, key_home) "
                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (line) DO UPDATE SET approvals = excluded.approvals, "
                  "enroll_approval = excluded.enroll_approval, cmp_secret = excluded.cmp_secret, grace_s = excluded.grace_s, "
                  "grace_any_key = excluded.grace_any_key, service_until = excluded.service_until, ca = excluded.ca, key_home = excluded.key_home",
                  DB_ARGS(DB_T(line), DB_I(m->approvals), DB_I(m->enroll_approval), DB_I(m->cmp_secret), DB_I(m->grace_s), DB_I(m->grace_any_key),
                          DB_T(m->service_until), DB_T(m->ca), DB_T(m->key_home)),
                  NULL, f);
}

enum err store_line_ca_count(struct db *db, struct span ca, int64_t *n, struct fault *f)
{
    return db_get_i64(db, "SELECT COUNT(*) FROM line_more WHERE ca = $1", DB_ARGS(DB_T(ca)), 0, n, f);
}
