/* store/topics.c: see store/topics.h. */
#include "store/topics.h"

enum err store_topics_put(struct db *db, enum topics_of of, const struct topics_row *t, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO topics (holder, name, may_write, may_read, repair) VALUES ($1, $2, $3, $4, $5) "
                  "ON CONFLICT (holder, name) DO UPDATE SET may_write = excluded.may_write, may_read = excluded.may_read, repair = excluded.repair",
                  DB_ARGS(DB_I(of), DB_T(t->name), DB_T(t->write), DB_T(t->read), DB_T(t->repair)), NULL, f);
}

enum err store_topics_get(struct db *db, struct arena *a, enum topics_of of, struct span name, struct topics_row *out, struct fault *f)
{
    struct db_rows r;
    *out = (struct topics_row){ .name = name };
    db_rows(db, "SELECT may_write, may_read, repair FROM topics WHERE holder = $1 AND name = $2", DB_ARGS(DB_I(of), DB_T(name)), &r);
    if (db_next(&r)) {
        out->write = arena_copy(a, db_span(&r, 0));
        out->read = arena_copy(a, db_span(&r, 1));
        out->repair = arena_copy(a, db_span(&r, 2));
    }
    return db_rows_end(&r, f);
}

enum err store_topics_each(struct db *db, enum topics_of of, store_topics_fn *fn, void *ctx, struct fault *f)
{
    struct db_rows r;
    db_rows(db,
            of == TOPICS_LINE
                ? "SELECT l.name, coalesce(t.may_write, ''), coalesce(t.may_read, ''), coalesce(t.repair, ''), l.clone_policy FROM line l "
                  "LEFT JOIN topics t ON t.holder = 1 AND t.name = l.name ORDER BY l.name"
                : "SELECT o.name, coalesce(t.may_write, ''), coalesce(t.may_read, ''), '', '' FROM operator o "
                  "LEFT JOIN topics t ON t.holder = 2 AND t.name = o.name WHERE o.role = 'backend' AND o.state = 'active' ORDER BY o.name",
            DB_NOARGS, &r);
    while (db_next(&r)) {
        const struct topics_row t = { db_span(&r, 0), db_span(&r, 1), db_span(&r, 2), db_span(&r, 3) };
        if (!fn(ctx, &t, db_span(&r, 4)))
            break;
    }
    return db_rows_end(&r, f);
}
