/* store/idevid.c: see store/idevid.h. */
#include "store/idevid.h"

#include "store/rows.h"

#define ANCHOR_COLUMNS "line, sha256, root, inters, rule, hw_type, model, title, added_at, added_by"

enum err store_anchor_add(struct db *db, const struct anchor_row *r, struct fault *f)
{
    enum err e = db_run(db, "INSERT INTO line_anchor (" ANCHOR_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                        DB_ARGS(DB_T(r->line), DB_B(r->sha256), DB_B(r->root), DB_B(r->inters), DB_T(r->rule), DB_T(r->hw_type), DB_T(r->model), DB_T(r->title),
                                DB_I(r->added_at), DB_T(r->added_by)), NULL, f);
    return e == CE_EXISTS ? fault_set(f, e, "line '" SPAN_FMT "' has this anchor already: remove it first", SPAN_ARG(r->line)) : e;
}

static void anchor_take(const struct db_rows *r, struct arena *a, struct anchor_row *out)
{
    *out = (struct anchor_row){ .line = arena_copy(a, db_span(r, 0)), .sha256 = arena_copy(a, db_span(r, 1)), .root = arena_copy(a, db_span(r, 2)),
                                .inters = arena_copy(a, db_span(r, 3)), .rule = arena_copy(a, db_span(r, 4)), .hw_type = arena_copy(a, db_span(r, 5)),
                                .model = arena_copy(a, db_span(r, 6)), .title = arena_copy(a, db_span(r, 7)), .added_at = db_i64(r, 8),
                                .added_by = arena_copy(a, db_span(r, 9)) };
}

enum err store_anchor_get(struct db *db, struct arena *a, struct span line, struct span sha256, struct anchor_row *out, struct fault *f)
{
    struct db_rows r;
    bool there;
    db_rows(db, "SELECT " ANCHOR_COLUMNS " FROM line_anchor WHERE line = $1 AND sha256 = $2", DB_ARGS(DB_T(line), DB_B(sha256)), &r);
    if ((there = db_next(&r)))
        anchor_take(&r, a, out);
    enum err e = db_rows_end(&r, f);
    return e ? e : there ? CE_OK : fault_set(f, CE_NOT_FOUND, "line '" SPAN_FMT "' has no such anchor", SPAN_ARG(line));
}

enum err store_anchor_list(struct db *db, struct arena *a, struct span line, struct anchor_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct anchor_row);
    db_rows(db, "SELECT " ANCHOR_COLUMNS " FROM line_anchor WHERE line = $1 OR $1 = '' ORDER BY line, sha256", DB_ARGS(DB_T(line)), &r);
    while (db_next(&r))
        anchor_take(&r, a, rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_anchor_remove(struct db *db, struct span line, struct span sha256, struct fault *f)
{
    enum err e = db_run(db, "DELETE FROM anchor_crl WHERE line = $1 AND sha256 = $2", DB_ARGS(DB_T(line), DB_B(sha256)), NULL, f);
    return e ? e : db_run1(db, "DELETE FROM line_anchor WHERE line = $1 AND sha256 = $2", DB_ARGS(DB_T(line), DB_B(sha256)), f);
}

#define CRL_COLUMNS "line, sha256, issuer, digest, number, this_update, next_update, entries, revoked, stale, added_at, added_by"

enum err store_anchor_crl_put(struct db *db, const struct anchor_crl_row *r, struct fault *f)
{
    return db_run(db, "INSERT INTO anchor_crl (" CRL_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (line, sha256, issuer) DO UPDATE SET "
                      "digest = excluded.digest, number = excluded.number, this_update = excluded.this_update, next_update = excluded.next_update, entries = excluded.entries, "
                      "revoked = excluded.revoked, stale = excluded.stale, added_at = excluded.added_at, added_by = excluded.added_by",
                  DB_ARGS(DB_T(r->line), DB_B(r->sha256), DB_B(r->issuer), DB_B(r->digest), DB_I(r->number), DB_I(r->this_update), DB_I(r->next_update), DB_I(r->entries),
                          DB_T(r->revoked), DB_T(r->stale), DB_I(r->added_at), DB_T(r->added_by)), NULL, f);
}

enum err store_anchor_crls(struct db *db, struct arena *a, struct span line, struct span sha256, struct anchor_crl_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct anchor_crl_row);
    db_rows(db, "SELECT " CRL_COLUMNS " FROM anchor_crl WHERE line = $1 AND sha256 = $2 ORDER BY issuer", DB_ARGS(DB_T(line), DB_B(sha256)), &r);
    while (db_next(&r))
        *(struct anchor_crl_row *)rows_add(&l, a) = (struct anchor_crl_row){
            arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), arena_copy(a, db_span(&r, 2)), arena_copy(a, db_span(&r, 3)), db_i64(&r, 4), db_i64(&r, 5),
            db_i64(&r, 6), db_i64(&r, 7), arena_copy(a, db_span(&r, 8)), arena_copy(a, db_span(&r, 9)), db_i64(&r, 10), arena_copy(a, db_span(&r, 11)),
        };
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

/* -- IDevIDs that devices are known by ----------------------------------------------------------------------------------------------- */
enum err store_idevid_put(struct db *db, const struct idevid_row *r, struct fault *f)
{
    return db_run(db, "INSERT INTO device_idevid (uid, spki, anchor, serial, name, at) VALUES ($1, $2, $3, $4, $5, $6)",
                  DB_ARGS(DB_T(r->uid), DB_B(r->spki), DB_B(r->anchor), DB_B(r->serial), DB_T(r->name), DB_I(r->at)), NULL, f);
}

static enum err idevid_one(struct db_rows *r, struct arena *a, struct idevid_row *out, struct fault *f)
{
    bool there = db_next(r);
    if (there)
        *out = (struct idevid_row){ arena_copy(a, db_span(r, 0)), arena_copy(a, db_span(r, 1)), arena_copy(a, db_span(r, 2)), arena_copy(a, db_span(r, 3)),
                                    arena_copy(a, db_span(r, 4)), db_i64(r, 5) };
    enum err e = db_rows_end(r, f);
    return e ? e : there ? CE_OK : fault_set(f, CE_NOT_FOUND, "the device is known by no IDevID of another maker");
}

enum err store_idevid_get(struct db *db, struct arena *a, struct span uid, struct idevid_row *out, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT uid, spki, anchor, serial, name, at FROM device_idevid WHERE uid = $1", DB_ARGS(DB_T(uid)), &r);
    return idevid_one(&r, a, out, f);
}

enum err store_idevid_by_key(struct db *db, struct arena *a, struct span spki, struct idevid_row *out, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT uid, spki, anchor, serial, name, at FROM device_idevid WHERE spki = $1", DB_ARGS(DB_B(spki)), &r);
    return idevid_one(&r, a, out, f);
}

enum err store_idevid_forget(struct db *db, struct span uid, struct fault *f)
{
    return db_run1(db, "DELETE FROM device_idevid WHERE uid = $1", DB_ARGS(DB_T(uid)), f);
}
