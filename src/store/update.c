/* store/update.c: see store/update.h. */
#include "store/update.h"

#include "store/rows.h"

#define TUF_COLUMNS "role, version, envelope, sha256, length, expires_at, added_at"

enum err store_tuf_add(struct db *db, const struct tuf_row *r, struct fault *f)
{
    enum err e = db_run(db, "INSERT INTO tuf (" TUF_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7)",
                        DB_ARGS(DB_T(r->role), DB_I(r->version), DB_B(r->envelope), DB_B(r->sha256), DB_I(r->length), DB_I(r->expires_at), DB_I(r->added_at)),
                        NULL, f);
    return e == CE_EXISTS ? fault_set(f, e, "version %lld of '" SPAN_FMT "' is here already", (long long)r->version, SPAN_ARG(r->role)) : e;
}

static void tuf_take(const struct db_rows *r, struct arena *a, struct tuf_row *out)
{
    *out = (struct tuf_row){ arena_copy(a, db_span(r, 0)), db_i64(r, 1), arena_copy(a, db_span(r, 2)), arena_copy(a, db_span(r, 3)), db_i64(r, 4),
                             db_i64(r, 5), db_i64(r, 6) };
}

enum err store_tuf_newest(struct db *db, struct arena *a, struct span role, struct tuf_row *out, struct fault *f)
{
    struct db_rows r;
    *out = (struct tuf_row){ .role = role };
    db_rows(db, "SELECT " TUF_COLUMNS " FROM tuf WHERE role = $1 ORDER BY version DESC LIMIT 1", DB_ARGS(DB_T(role)), &r);
    if (db_next(&r))
        tuf_take(&r, a, out);
    return db_rows_end(&r, f);
}

enum err store_tuf_get(struct db *db, struct arena *a, struct span role, int64_t version, struct tuf_row *out, struct fault *f)
{
    struct db_rows r;
    bool there;
    db_rows(db, "SELECT " TUF_COLUMNS " FROM tuf WHERE role = $1 AND version = $2", DB_ARGS(DB_T(role), DB_I(version)), &r);
    if ((there = db_next(&r)))
        tuf_take(&r, a, out);
    enum err e = db_rows_end(&r, f);
    return e || there ? e : fault_set(f, CE_NOT_FOUND, "there is no version %lld of '" SPAN_FMT "'", (long long)version, SPAN_ARG(role));
}

enum err store_tuf_list(struct db *db, struct arena *a, struct tuf_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct tuf_row);
    db_rows(db,
            "SELECT t.role, t.version, '', t.sha256, t.length, t.expires_at, t.added_at FROM tuf t JOIN "
            "(SELECT role AS name, max(version) AS newest FROM tuf GROUP BY role) m ON m.name = t.role AND m.newest = t.version ORDER BY t.role",
            DB_NOARGS, &r);
    while (db_next(&r))
        tuf_take(&r, a, rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

#define RELEASE_COLUMNS "line, name, version, path, sha256, sbom_sha256, support_end, counter, length, security_only, withdrawn, added_at, " \
    "min_version, handler, models, hw_revs"

enum err store_release_add(struct db *db, const struct release_row *r, struct fault *f)
{
    enum err e = db_run(db, "INSERT INTO release (" RELEASE_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
                        DB_ARGS(DB_T(r->line), DB_T(r->name), DB_T(r->version), DB_T(r->path), DB_B(r->sha256), DB_B(r->sbom_sha256), DB_T(r->support_end),
                                DB_I(r->counter), DB_I(r->length), DB_I(r->security_only), DB_I(r->withdrawn), DB_I(r->added_at), DB_T(r->min_version), DB_T(r->handler),
                                DB_T(r->models), DB_T(r->hw_revs)),
                        NULL, f);
    return e == CE_EXISTS ? fault_set(f, e, "line '" SPAN_FMT "' had a release '" SPAN_FMT "' before", SPAN_ARG(r->line), SPAN_ARG(r->name)) : e;
}

enum err store_release_withdraw(struct db *db, struct span line, struct span name, struct fault *f)
{
    return db_run1(db, "UPDATE release SET withdrawn = 1 WHERE line = $1 AND name = $2", DB_ARGS(DB_T(line), DB_T(name)), f);
}

static void release_take(const struct db_rows *r, struct arena *a, struct release_row *o)
{
    *o = (struct release_row){ .line = arena_copy(a, db_span(r, 0)), .name = arena_copy(a, db_span(r, 1)), .version = arena_copy(a, db_span(r, 2)),
                               .path = arena_copy(a, db_span(r, 3)), .sha256 = arena_copy(a, db_span(r, 4)), .sbom_sha256 = arena_copy(a, db_span(r, 5)),
                               .support_end = arena_copy(a, db_span(r, 6)), .counter = db_i64(r, 7), .length = db_i64(r, 8), .security_only = db_i64(r, 9),
                               .withdrawn = db_i64(r, 10), .added_at = db_i64(r, 11), .min_version = arena_copy(a, db_span(r, 12)),
                               .handler = arena_copy(a, db_span(r, 13)), .models = arena_copy(a, db_span(r, 14)), .hw_revs = arena_copy(a, db_span(r, 15)) };
}

enum err store_release_get(struct db *db, struct arena *a, struct span line, struct span name, struct release_row *out, struct fault *f)
{
    struct db_rows r;
    bool there;
    db_rows(db, "SELECT " RELEASE_COLUMNS " FROM release WHERE line = $1 AND name = $2", DB_ARGS(DB_T(line), DB_T(name)), &r);
    if ((there = db_next(&r)))
        release_take(&r, a, out);
    enum err e = db_rows_end(&r, f);
    return e || there ? e : fault_set(f, CE_NOT_FOUND, "line '" SPAN_FMT "' has no release '" SPAN_FMT "'", SPAN_ARG(line), SPAN_ARG(name));
}

enum err store_release_find(struct db *db, struct arena *a, struct span line, struct span version, struct release_row *out, struct fault *f)
{
    struct db_rows r;
    *out = (struct release_row){ .line = line };
    db_rows(db, "SELECT " RELEASE_COLUMNS " FROM release WHERE line = $1 AND version = $2 AND withdrawn = 0 ORDER BY added_at DESC, name DESC LIMIT 1",
            DB_ARGS(DB_T(line), DB_T(version)), &r);
    if (db_next(&r))
        release_take(&r, a, out);
    return db_rows_end(&r, f);
}

enum err store_release_ending(struct db *db, struct arena *a, struct span before, int64_t limit, struct release_use **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct release_use);
    db_rows(db,
            "SELECT r.line, r.name, r.support_end, (SELECT sum(c.n) FROM version_count c WHERE c.line = r.line AND c.release = r.name) FROM release r "
            "WHERE r.support_end <> '' AND r.support_end < $1 AND EXISTS (SELECT 1 FROM version_count c WHERE c.line = r.line AND c.release = r.name) "
            "ORDER BY r.support_end, r.line, r.name LIMIT $2",
            DB_ARGS(DB_T(before), DB_I(limit)), &r);
    while (db_next(&r)) {
        struct release_use *o = rows_add(&l, a);
        *o = (struct release_use){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), arena_copy(a, db_span(&r, 2)), db_i64(&r, 3) };
    }
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_release_list(struct db *db, struct arena *a, struct span line, struct span after, int64_t limit, struct release_row **out, size_t *n,
                            struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct release_row);
    db_rows(db, "SELECT " RELEASE_COLUMNS " FROM release WHERE line = $1 AND name > $2 ORDER BY name LIMIT $3", DB_ARGS(DB_T(line), DB_T(after), DB_I(limit)),
            &r);
    while (db_next(&r))
        release_take(&r, a, rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}
