/* store/cert.c: SQL of cert, cert_state and key. See cert.h. */
#include "store/cert.h"

#include "store/rows.h"

enum err store_cert_add(struct db *db, const struct cert_row *c, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO cert (kid, serial, holder_kind, holder, profile, spki, not_before, not_after, issued_at, der) "
                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                  DB_ARGS(DB_B(c->kid), DB_B(c->serial), DB_I(c->holder_kind), DB_T(c->holder), DB_T(c->profile), DB_B(c->spki),
                          DB_I(c->not_before), DB_I(c->not_after), DB_I(c->issued_at), DB_B(c->der)),
                  NULL, f);
}

/* The columns that every query of certificates selects, in this order; der is the last one, or an empty text. */
#define CERT_COLUMNS                                                                                                          \
    "c.kid, c.serial, c.holder_kind, c.holder, c.profile, c.spki, c.not_before, c.not_after, c.issued_at, s.status, "          \
    "s.revoked_at, s.reason, s.shard, s.first_used_at, "
#define CERT_TABLES " FROM cert c LEFT JOIN cert_state s ON s.kid = c.kid AND s.serial = c.serial "

static void row_read(struct db_rows *r, struct arena *a, struct cert_row *out)
{
    *out = (struct cert_row){
        .kid = arena_copy(a, db_span(r, 0)),
        .serial = arena_copy(a, db_span(r, 1)),
        .holder_kind = (enum cert_holder)db_i64(r, 2),
        .holder = arena_copy(a, db_span(r, 3)),
        .profile = arena_copy(a, db_span(r, 4)),
        .spki = arena_copy(a, db_span(r, 5)),
        .not_before = db_i64(r, 6),
        .not_after = db_i64(r, 7),
        .issued_at = db_i64(r, 8),
        .has_state = !db_is_null(r, 9),
        .state = { .status = (enum cert_status)db_i64(r, 9),
                   .revoked_at = db_i64(r, 10),
                   .reason = (int)db_i64(r, 11),
                   .shard = db_i64(r, 12),
                   .not_after = db_i64(r, 7),
                   .first_used_at = db_i64(r, 13) },
        .der = arena_copy(a, db_span(r, 14)),
    };
}

static enum err row_one(struct db_rows *r, struct arena *a, struct cert_row *out, struct fault *f)
{
    bool found = db_next(r);
    if (found)
        row_read(r, a, out);
    enum err e = db_rows_end(r, f);
    return e ? e : found ? CE_OK : CE_NOT_FOUND;
}

enum err store_cert_get(struct db *db, struct arena *a, struct span kid, struct span serial, struct cert_row *out, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT " CERT_COLUMNS "c.der" CERT_TABLES "WHERE c.kid = $1 AND c.serial = $2", DB_ARGS(DB_B(kid), DB_B(serial)), &r);
    return row_one(&r, a, out, f);
}

enum err store_cert_find(struct db *db, struct arena *a, struct span serial, struct cert_row *out, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT " CERT_COLUMNS "c.der" CERT_TABLES "WHERE c.serial = $1 ORDER BY c.issued_at DESC LIMIT 1", DB_ARGS(DB_B(serial)), &r);
    return row_one(&r, a, out, f);
}

/* All rows into the arena. */
static enum err rows_all(struct db_rows *r, struct arena *a, struct cert_row **out, size_t *n, struct fault *f)
{
    struct rows_list l = ROWS_LIST(struct cert_row);
    while (db_next(r))
        row_read(r, a, rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(r, f);
}

enum err store_cert_list(struct db *db, struct arena *a, enum cert_holder kind, struct span holder, int64_t now_s, struct cert_row **out,
                         size_t *n, struct fault *f)
{
    struct db_rows r;
    db_rows(db,
            "SELECT " CERT_COLUMNS "''" CERT_TABLES
            "WHERE c.holder = $1 AND c.holder_kind = $2 AND c.not_after >= $3 ORDER BY c.issued_at, c.serial",
            DB_ARGS(DB_T(holder), DB_I(kind), DB_I(now_s)), &r);
    return rows_all(&r, a, out, n, f);
}

enum err store_cert_list_blocked(struct db *db, struct arena *a, int64_t now_s, struct cert_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    db_rows(db,
            "SELECT " CERT_COLUMNS "'' FROM operator o CROSS JOIN cert c ON c.holder = o.name AND c.holder_kind = $1 "
            "JOIN cert_state s ON s.kid = c.kid AND s.serial = c.serial "
            "WHERE s.status > 0 AND s.status < 3 AND s.not_after >= $2 ORDER BY s.kid, s.serial",
            DB_ARGS(DB_I(CERT_HOLDER_OPERATOR), DB_I(now_s)), &r);
    return rows_all(&r, a, out, n, f);
}

/* -- cert_state ----------------------------------------------------------------------------------------------------------- */
enum err store_cert_state_put(struct db *db, struct span kid, struct span serial, const struct cert_state *s, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO cert_state (kid, serial, status, revoked_at, reason, shard, not_after, first_used_at) "
                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (kid, serial) DO UPDATE SET status = excluded.status, "
                  "revoked_at = excluded.revoked_at, reason = excluded.reason, first_used_at = excluded.first_used_at",
                  DB_ARGS(DB_B(kid), DB_B(serial), DB_I(s->status), DB_I(s->revoked_at), DB_I(s->reason), DB_I(s->shard),
                          DB_I(s->not_after), DB_I(s->first_used_at)),
                  NULL, f);
}

enum err store_cert_status(struct db *db, struct span kid, struct span serial, struct cert_state *out, struct fault *f)
{
    struct db_rows r;
    *out = (struct cert_state){ 0 };
    db_rows(db, "SELECT status, revoked_at, reason, shard, not_after, first_used_at FROM cert_state WHERE kid = $1 AND serial = $2",
            DB_ARGS(DB_B(kid), DB_B(serial)), &r);
    bool found = db_next(&r);
    if (found)
        *out = (struct cert_state){ (enum cert_status)db_i64(&r, 0), db_i64(&r, 1), (int)db_i64(&r, 2),
                                    db_i64(&r, 3),                   db_i64(&r, 4), db_i64(&r, 5) };
    enum err e = db_rows_end(&r, f);
    int64_t issued = 0;
    if (!e && !found)
        e = db_get_i64(db, "SELECT 1 FROM cert WHERE kid = $1 AND serial = $2", DB_ARGS(DB_B(kid), DB_B(serial)), 0, &issued, f);
    return e ? e : found || issued ? CE_OK : CE_NOT_FOUND;
}

/* Columns kid, serial, status, revoked_at, reason, shard, not_after. */
static enum err states_each(struct db_rows *r, store_cert_state_fn *fn, void *ctx, size_t *n, struct fault *f)
{
    *n = 0;
    while (db_next(r)) {
        struct cert_state s = { .status = (enum cert_status)db_i64(r, 2), .revoked_at = db_i64(r, 3), .reason = (int)db_i64(r, 4),
                                .shard = db_i64(r, 5), .not_after = db_i64(r, 6) };
        ++*n;
        if (!fn(ctx, db_span(r, 0), db_span(r, 1), &s))
            break;
    }
    return db_rows_end(r, f);
}

enum err store_cert_revoked_each(struct db *db, struct span kid, struct span serial, int64_t limit, store_cert_state_fn *fn, void *ctx,
                                 size_t *n, struct fault *f)
{
    struct db_rows r;
    db_rows(db,
            "SELECT kid, serial, status, revoked_at, reason, shard, not_after FROM cert_state WHERE (kid, serial) > ($1, $2) AND status = 1 "
            "ORDER BY kid, serial LIMIT $3",
            DB_ARGS(DB_B(kid), DB_B(serial), DB_I(limit)), &r);
    return states_each(&r, fn, ctx, n, f);
}

/* -- blocked names -------------------------------------------------------------------------------------------------------- */
static enum err names_each(struct db *db, const char *sql, store_name_fn *fn, void *ctx, struct fault *f)
{
    struct db_rows r;
    db_rows(db, sql, DB_NOARGS, &r);
    while (db_next(&r) && fn(ctx, db_span(&r, 0)))
        ;
    return db_rows_end(&r, f);
}

enum err store_blocked_idents_each(struct db *db, store_name_fn *fn, void *ctx, struct fault *f)
{
    return names_each(db,
                      "SELECT uid FROM device_state WHERE state IN ('suspended', 'revoked', 'decommissioned') "
                      "UNION ALL SELECT name FROM operator WHERE state = 'removed'",
                      fn, ctx, f);
}

enum err store_quarantined_each(struct db *db, store_name_fn *fn, void *ctx, struct fault *f)
{
    return names_each(db, "SELECT uid FROM device_state WHERE state = 'quarantined'", fn, ctx, f);
}

enum err store_blocked_lines_each(struct db *db, store_name_fn *fn, void *ctx, struct fault *f)
{
    return names_each(db, "SELECT name FROM line WHERE suspended <> 0", fn, ctx, f);
}

/* -- key ------------------------------------------------------------------------------------------------------------------ */
enum err store_key_get(struct db *db, struct arena *a, struct span spki, struct key_row *out, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT holder_kind, holder, added_at, revoked_at FROM key WHERE spki = $1", DB_ARGS(DB_B(spki)), &r);
    bool found = db_next(&r);
    if (found)
        *out = (struct key_row){ (enum cert_holder)db_i64(&r, 0), arena_copy(a, db_span(&r, 1)), db_i64(&r, 2), db_i64(&r, 3) };
    enum err e = db_rows_end(&r, f);
    return e ? e : found ? CE_OK : CE_NOT_FOUND;
}

enum err store_key_add(struct db *db, struct span spki, enum cert_holder kind, struct span holder, int64_t at_ms, struct fault *f)
{
    return db_run(db, "INSERT INTO key (spki, holder_kind, holder, added_at, revoked_at) VALUES ($1, $2, $3, $4, 0) ON CONFLICT DO NOTHING",
                  DB_ARGS(DB_B(spki), DB_I(kind), DB_T(holder), DB_I(at_ms)), NULL, f);
}

enum err store_key_revoke(struct db *db, struct span spki, int64_t at_s, struct fault *f)
{
    return db_run(db, "UPDATE key SET revoked_at = $2 WHERE spki = $1 AND revoked_at = 0", DB_ARGS(DB_B(spki), DB_I(at_s)), NULL, f);
}
