/* store/artifact.c: see store/artifact.h. */
#include "store/artifact.h"

#include "store/rows.h"

#define COLUMNS "sha256, length, name, encrypted, sha1, added_at, added_by"
#define SELECT "SELECT " COLUMNS ", (SELECT count(*) FROM release r WHERE r.sha256 = artifact.sha256 AND r.withdrawn = 0) FROM artifact "

enum err store_artifact_add(struct db *db, const struct artifact_row *r, struct fault *f)
{
    enum err e = db_run(db, "INSERT INTO artifact (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7)",
                        DB_ARGS(DB_B(r->sha256), DB_I(r->length), DB_T(r->name), DB_I(r->encrypted), DB_B(r->sha1), DB_I(r->added_at), DB_T(r->added_by)), NULL, f);
    return e == CE_EXISTS ? fault_set(f, e, "a file with this digest is here already") : e;
}

static void artifact_take(const struct db_rows *r, struct arena *a, struct artifact_row *out)
{
    *out = (struct artifact_row){ .sha256 = arena_copy(a, db_span(r, 0)), .length = db_i64(r, 1), .name = arena_copy(a, db_span(r, 2)),
                                  .encrypted = db_i64(r, 3), .sha1 = arena_copy(a, db_span(r, 4)), .added_at = db_i64(r, 5), .added_by = arena_copy(a, db_span(r, 6)),
                                  .releases = db_i64(r, 7) };
}

enum err store_artifact_get(struct db *db, struct arena *a, struct span sha256, struct artifact_row *out, struct fault *f)
{
    struct db_rows r;
    bool there;
    db_rows(db, SELECT "WHERE sha256 = $1", DB_ARGS(DB_B(sha256)), &r);
    if ((there = db_next(&r)))
        artifact_take(&r, a, out);
    enum err e = db_rows_end(&r, f);
    return e || there ? e : fault_set(f, CE_NOT_FOUND, "there is no file with this digest");
}

enum err store_artifact_remove(struct db *db, struct span sha256, struct fault *f)
{
    return db_run1(db, "DELETE FROM artifact WHERE sha256 = $1", DB_ARGS(DB_B(sha256)), f);
}

enum err store_artifact_list(struct db *db, struct arena *a, struct span after, int64_t limit, struct artifact_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct artifact_row);
    db_rows(db, SELECT "WHERE sha256 > $1 ORDER BY sha256 LIMIT $2", DB_ARGS(DB_B(after), DB_I(limit)), &r);
    while (db_next(&r))
        artifact_take(&r, a, rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}
