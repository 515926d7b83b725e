/* registry.c: tables line, model, operator and the question who holds a certificate. See registry.h; devices: device.c. */
#include "store/registry.h"

#include "store/rows.h"

static enum err missing(enum err e, bool there, const char *what, struct span name, struct fault *f)
{
    return e ? e : there ? CE_OK : fault_set(f, CE_NOT_FOUND, "%s '" SPAN_FMT "' is not registered", what, SPAN_ARG(name));
}

static enum err taken(enum err e, const char *what, struct span name, struct fault *f)
{
    return e == CE_EXISTS ? fault_set(f, CE_EXISTS, "%s '" SPAN_FMT "' exists already", what, SPAN_ARG(name)) : e;
}

enum err store_line_add(struct db *db, const struct line_row *l, struct fault *f)
{
    return taken(db_run(db, "INSERT INTO line (name, title, validity_s, clone_policy, suspended, added_at) VALUES ($1, $2, $3, $4, $5, $6)",
                        DB_ARGS(DB_T(l->name), DB_T(l->title), DB_I(l->validity_s), DB_T(l->clone_policy), DB_I(l->suspended), DB_I(l->added_at)),
                        NULL, f),
                 "line", l->name, f);
}

enum err store_line_get(struct db *db, struct arena *a, struct span name, struct line_row *out, struct fault *f)
{
    struct db_rows r;
    bool there = false;
    db_rows(db, "SELECT name, title, validity_s, clone_policy, suspended, added_at FROM line WHERE name = $1", DB_ARGS(DB_T(name)), &r);
    if ((there = db_next(&r)))
        *out = (struct line_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), db_i64(&r, 2), arena_copy(a, db_span(&r, 3)),
                                  db_i64(&r, 4), db_i64(&r, 5) };
    return missing(db_rows_end(&r, f), there, "line", name, f);
}

enum err store_line_set(struct db *db, const struct line_row *l, struct fault *f)
{
    return db_run1(db, "UPDATE line SET title = $2, validity_s = $3, clone_policy = $4, suspended = $5 WHERE name = $1",
                   DB_ARGS(DB_T(l->name), DB_T(l->title), DB_I(l->validity_s), DB_T(l->clone_policy), DB_I(l->suspended)), f);
}

enum err store_model_add(struct db *db, const struct model_row *m, struct fault *f)
{
    return taken(db_run(db, "INSERT INTO model (name, line, title, hw_rev, added_at) VALUES ($1, $2, $3, $4, $5)",
                        DB_ARGS(DB_T(m->name), DB_T(m->line), DB_T(m->title), DB_T(m->hw_rev), DB_I(m->added_at)), NULL, f),
                 "model", m->name, f);
}

enum err store_model_get(struct db *db, struct arena *a, struct span name, struct model_row *out, struct fault *f)
{
    struct db_rows r;
    bool there = false;
    db_rows(db, "SELECT name, line, title, hw_rev, added_at FROM model WHERE name = $1", DB_ARGS(DB_T(name)), &r);
    if ((there = db_next(&r)))
        *out = (struct model_row){ arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), arena_copy(a, db_span(&r, 2)),
                                   arena_copy(a, db_span(&r, 3)), db_i64(&r, 4) };
    return missing(db_rows_end(&r, f), there, "model", name, f);
}

enum err store_operator_add(struct db *db, const struct operator_row *o, struct fault *f)
{
    return taken(db_run(db, "INSERT INTO operator (name, role, lines, state, rev, added_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                        DB_ARGS(DB_T(o->name), DB_T(o->role), DB_T(o->lines), DB_T(o->state), DB_I(o->rev), DB_I(o->added_at),
                                DB_I(o->changed_at)),
                        NULL, f),
                 "operator", o->name, f);
}

static void operator_read(const struct db_rows *r, struct arena *a, struct operator_row *o)
{
    *o = (struct operator_row){ arena_copy(a, db_span(r, 0)), arena_copy(a, db_span(r, 1)), arena_copy(a, db_span(r, 2)),
                                arena_copy(a, db_span(r, 3)), db_i64(r, 4), db_i64(r, 5), db_i64(r, 6) };
}

enum err store_operator_get(struct db *db, struct arena *a, struct span name, struct operator_row *out, struct fault *f)
{
    struct db_rows r;
    bool there = false;
    db_rows(db, "SELECT name, role, lines, state, rev, added_at, changed_at FROM operator WHERE name = $1", DB_ARGS(DB_T(name)), &r);
    if ((there = db_next(&r)))
        operator_read(&r, a, out);
    return missing(db_rows_end(&r, f), there, "operator", name, f);
}

enum err store_operator_set(struct db *db, struct span name, int64_t rev, const char *state, int64_t at_ms, struct fault *f)
{
    return db_run1(db, "UPDATE operator SET state = $3, rev = rev + 1, changed_at = $4 WHERE name = $1 AND rev = $2",
                   DB_ARGS(DB_T(name), DB_I(rev), DB_S(state), DB_I(at_ms)), f);
}

enum err store_operator_list(struct db *db, struct arena *a, struct operator_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct operator_row);
    db_rows(db, "SELECT name, role, lines, state, rev, added_at, changed_at FROM operator ORDER BY name", DB_NOARGS, &r);
    while (db_next(&r))
        operator_read(&r, a, rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_operator_count(struct db *db, const char *role, int64_t *n, struct fault *f)
{
    return db_get_i64(db, "SELECT count(*) FROM operator WHERE role = $1 AND state = 'active'", DB_ARGS(DB_S(role)), 0, n, f);
}

static const char holder_sql[] =
    "SELECT c.holder_kind, c.holder, c.spki, c.not_before, c.not_after, coalesce(s.status, 0), o.name, o.role, o.lines, o.state, "
    "d.uid, t.state, d.line, c.profile FROM cert c "
    "LEFT JOIN cert_state s ON s.kid = c.kid AND s.serial = c.serial "
    "LEFT JOIN operator o ON c.holder_kind = 1 AND o.name = c.holder "
    "LEFT JOIN device d ON c.holder_kind = 2 AND d.uid = c.holder "
    "LEFT JOIN device_state t ON t.uid = d.uid WHERE c.kid = $1 AND c.serial = $2";

enum err store_holder_get(struct db *db, struct arena *a, struct span kid, struct span serial, struct holder_row *out, struct fault *f)
{
    struct db_rows r;
    bool there = false;
    db_rows(db, holder_sql, DB_ARGS(DB_B(kid), DB_B(serial)), &r);
    if ((there = db_next(&r)))
        *out = (struct holder_row){ .holder_kind = db_i64(&r, 0), .holder = arena_copy(a, db_span(&r, 1)), .spki = arena_copy(a, db_span(&r, 2)),
                                    .not_before = db_i64(&r, 3), .not_after = db_i64(&r, 4), .status = db_i64(&r, 5),
                                    .has_operator = !db_is_null(&r, 6), .op_role = arena_copy(a, db_span(&r, 7)),
                                    .op_lines = arena_copy(a, db_span(&r, 8)), .op_state = arena_copy(a, db_span(&r, 9)),
                                    .has_device = !db_is_null(&r, 10), .dev_state = arena_copy(a, db_span(&r, 11)),
                                    .dev_line = arena_copy(a, db_span(&r, 12)), .profile = arena_copy(a, db_span(&r, 13)) };
    enum err e = db_rows_end(&r, f);
    return e ? e : there ? CE_OK : fault_set(f, CE_NOT_FOUND, "the certificate is not in the register");
}
