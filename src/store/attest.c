/* store/attest.c: see store/attest.h. */
#include "store/attest.h"

#include "store/rows.h"

enum err store_key_home_get(struct db *db, struct arena *a, struct span uid, struct key_home_row *out, struct fault *f)
{
    struct db_rows r;
    bool there;
    db_rows(db, "SELECT uid, spki, home, ek, vendor, proved, at FROM device_key_home WHERE uid = $1", DB_ARGS(DB_T(uid)), &r);
    if ((there = db_next(&r))) {
        struct span *texts[] = { &out->uid, &out->spki, &out->home, &out->ek, &out->vendor };
        for (int i = 0; i < (int)ARRAY_LEN(texts); i++)
            *texts[i] = arena_copy(a, db_span(&r, i));
        out->proved = db_i64(&r, 5) != 0;
        out->at = db_i64(&r, 6);
    }
    enum err e = db_rows_end(&r, f);
    return e || there ? e : fault_set(f, CE_NOT_FOUND, "nobody said where the key of the device lives");
}

enum err store_key_home_put(struct db *db, const struct key_home_row *r, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO device_key_home (uid, spki, home, proved, ek, vendor, at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (uid) DO UPDATE SET "
                  "spki = excluded.spki, home = excluded.home, proved = excluded.proved, ek = excluded.ek, vendor = excluded.vendor, at = excluded.at",
                  DB_ARGS(DB_T(r->uid), DB_B(r->spki), DB_T(r->home), DB_I(r->proved), DB_B(r->ek), DB_T(r->vendor), DB_I(r->at)), NULL, f);
}

/* The one value of the one row, or nothing. */
static enum err one_span(struct db *db, struct arena *a, const char *sql, const struct db_arg *args, size_t n_args, struct span *out, struct fault *f)
{
    struct db_rows r;
    *out = (struct span){ 0 };
    db_rows(db, sql, args, n_args, &r);
    if (db_next(&r))
        *out = arena_copy(a, db_span(&r, 0));
    return db_rows_end(&r, f);
}

enum err store_device_ek_get(struct db *db, struct arena *a, struct span uid, struct span *ek, struct fault *f)
{
    return one_span(db, a, "SELECT ek FROM device_ek WHERE uid = $1", DB_ARGS(DB_T(uid)), ek, f);
}

enum err store_device_ek_find(struct db *db, struct arena *a, struct span ek, struct span *uid, struct fault *f)
{
    return one_span(db, a, "SELECT uid FROM device_ek WHERE ek = $1", DB_ARGS(DB_B(ek)), uid, f);
}

enum err store_device_ek_put(struct db *db, struct span uid, struct span ek, struct fault *f)
{
    if (!ek.n)
        return db_run(db, "DELETE FROM device_ek WHERE uid = $1", DB_ARGS(DB_T(uid)), NULL, f);
    return db_run(db, "INSERT INTO device_ek (uid, ek) VALUES ($1, $2) ON CONFLICT (uid) DO UPDATE SET ek = excluded.ek", DB_ARGS(DB_T(uid), DB_B(ek)), NULL, f);
}

enum err store_ek_ca_list(struct db *db, struct arena *a, struct span line, struct ek_ca_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct ek_ca_row);
    db_rows(db, "SELECT line, sha256, spki, title, at FROM line_ek_ca WHERE line = $1 ORDER BY sha256", DB_ARGS(DB_T(line)), &r);
    while (db_next(&r)) {
        struct ek_ca_row *row = rows_add(&l, a);
        *row = (struct ek_ca_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), arena_copy(a, db_span(&r, 2)), arena_copy(a, db_span(&r, 3)), db_i64(&r, 4) };
    }
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_ek_ca_put(struct db *db, const struct ek_ca_row *r, struct fault *f)
{
    return db_run(db, "INSERT INTO line_ek_ca (line, sha256, spki, title, at) VALUES ($1, $2, $3, $4, $5)",
                  DB_ARGS(DB_T(r->line), DB_B(r->sha256), DB_B(r->spki), DB_T(r->title), DB_I(r->at)), NULL, f);
}

enum err store_ek_ca_remove(struct db *db, struct span line, struct span sha256, bool *was, struct fault *f)
{
    int64_t n = 0;
    enum err e = db_run(db, "DELETE FROM line_ek_ca WHERE line = $1 AND sha256 = $2", DB_ARGS(DB_T(line), DB_B(sha256)), &n, f);
    *was = n > 0;
    return e;
}
