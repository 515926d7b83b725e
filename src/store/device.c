/* device.c: tables device (written once) and device_state (what changes). See registry.h. */
#include "store/registry.h"
#include "store/rows.h"

enum err store_device_add(struct db *db, const struct device_row *d, struct fault *f)
{
    enum err e = db_run(db, "INSERT INTO device (uid, serial, model, line, batch, country, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                        DB_ARGS(DB_T(d->uid), DB_T(d->serial), DB_T(d->model), DB_T(d->line), DB_T(d->batch), DB_T(d->country),
                                DB_I(d->created_at), DB_T(d->created_by)),
                        NULL, f);
    if (e == CE_EXISTS)
        return fault_set(f, CE_EXISTS, "device '" SPAN_FMT "' is registered already", SPAN_ARG(d->uid));
    return e ? e : db_run(db, "INSERT INTO device_state (uid, state, rev, changed_at, last_seen) VALUES ($1, $2, 1, $3, 0)",
                          DB_ARGS(DB_T(d->uid), DB_T(d->state), DB_I(d->created_at)), NULL, f);
}

enum err store_device_get(struct db *db, struct arena *a, struct span uid, struct device_row *out, struct fault *f)
{
    struct db_rows r;
    bool there = false;
    db_rows(db, "SELECT d.uid, d.serial, d.model, d.line, d.batch, d.country, d.created_by, d.created_at, s.state, s.rev, s.changed_at, s.last_seen "
                "FROM device d JOIN device_state s ON s.uid = d.uid WHERE d.uid = $1",
            DB_ARGS(DB_T(uid)), &r);
    if ((there = db_next(&r)))
        *out = (struct device_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), arena_copy(a, db_span(&r, 2)),
                                    arena_copy(a, db_span(&r, 3)), arena_copy(a, db_span(&r, 4)), arena_copy(a, db_span(&r, 5)),
                                    arena_copy(a, db_span(&r, 6)), db_i64(&r, 7), arena_copy(a, db_span(&r, 8)), db_i64(&r, 9),
                                    db_i64(&r, 10), db_i64(&r, 11) };
    enum err e = db_rows_end(&r, f);
    return e ? e : there ? CE_OK : fault_set(f, CE_NOT_FOUND, "device '" SPAN_FMT "' is not registered", SPAN_ARG(uid));
}

enum err store_device_set(struct db *db, struct span uid, int64_t rev, struct span state, int64_t at_ms, struct fault *f)
{
    return db_run1(db, "UPDATE device_state SET state = $3, rev = rev + 1, changed_at = $4 WHERE uid = $1 AND rev = $2",
                   DB_ARGS(DB_T(uid), DB_I(rev), DB_T(state), DB_I(at_ms)), f);
}

enum err store_device_touch(struct db *db, struct span uid, int64_t rev, struct fault *f)
{
    return db_run1(db, "UPDATE device_state SET rev = rev + 1 WHERE uid = $1 AND rev = $2", DB_ARGS(DB_T(uid), DB_I(rev)), f);
}

enum err store_device_seen(struct db *db, struct span uid, int64_t at_ms, struct fault *f)
{
    return db_run(db, "UPDATE device_state SET last_seen = $2 WHERE uid = $1 AND last_seen < $2", DB_ARGS(DB_T(uid), DB_I(at_ms)), NULL, f);
}

enum err store_device_counts(struct db *db, struct arena *a, struct span **states, int64_t **counts, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list s = ROWS_LIST(struct span), c = ROWS_LIST(int64_t);
    db_rows(db, "SELECT state, count(*) FROM device_state GROUP BY state ORDER BY state", DB_NOARGS, &r);
    while (db_next(&r)) {
        *(struct span *)rows_add(&s, a) = arena_copy(a, db_span(&r, 0));
        *(int64_t *)rows_add(&c, a) = db_i64(&r, 1);
    }
    *states = s.items;
    *counts = c.items;
    *n = s.n;
    return db_rows_end(&r, f);
}
