/* tree.c: see tree.h. */
#include "store/tree.h"

static enum err hash_column(const struct db_rows *r, int col, uint8_t out[32])
{
    struct span s = db_span(r, col);
    if (s.n != 32 && s.n != 0)
        return CE_STORE_DAMAGED;
    memset(out, 0, 32);
    if (s.n)
        memcpy(out, s.p, 32);
    return CE_OK;
}

enum err tree_take(struct db *db, struct tree_row *out, struct fault *f)
{
    struct db_rows r;
    enum err bad = CE_NOT_FOUND;
    enum err e = db_run(db,
                        "INSERT INTO tree (id, size, root, epoch, signed_size, signed_root, signed_at) VALUES (1, 0, $1, 0, 0, $1, 0) "
                        "ON CONFLICT (id) DO NOTHING",
                        DB_ARGS(DB_B(span_of("", 0))), NULL, f);
    if (e)
        return e;
    e = db_run1(db, "UPDATE tree SET epoch = epoch + 1 WHERE id = 1", DB_NOARGS, f);
    if (e)
        return e;
    db_rows(db, "SELECT size, epoch, signed_size, root, signed_root FROM tree WHERE id = 1", DB_NOARGS, &r);
    if (db_next(&r)) {
        out->size = db_i64(&r, 0);
        out->epoch = db_i64(&r, 1);
        out->signed_size = db_i64(&r, 2);
        bad = hash_column(&r, 3, out->root);
        bad = bad ? bad : hash_column(&r, 4, out->signed_root);
    }
    e = db_rows_end(&r, f);
    return e || !bad ? e : fault_set(f, CE_STORE_DAMAGED, "the log's row in table tree is damaged; restore the database");
}

static enum err lost(enum err e, struct fault *f)
{
    return e == CE_NOT_FOUND ? fault_set(f, CE_EPOCH, "another process has taken over the evidence log of this database") : e;
}

enum err tree_grow(struct db *db, const struct tree_row *old, int64_t size, const uint8_t root[32], struct fault *f)
{
    return lost(db_run1(db, "UPDATE tree SET size = $1, root = $2 WHERE id = 1 AND size = $3 AND epoch = $4",
                        DB_ARGS(DB_I(size), DB_B(span_of(root, 32)), DB_I(old->size), DB_I(old->epoch)), f),
                f);
}

enum err tree_signed(struct db *db, const struct tree_row *old, int64_t size, const uint8_t root[32], int64_t at_ms, struct fault *f)
{
    return lost(db_run1(db,
                        "UPDATE tree SET signed_size = $1, signed_root = $2, signed_at = $3 "
                        "WHERE id = 1 AND epoch = $4 AND size >= $1 AND signed_size <= $1",
                        DB_ARGS(DB_I(size), DB_B(span_of(root, 32)), DB_I(at_ms), DB_I(old->epoch)), f),
                f);
}

enum err tree_run_add(struct db *db, const struct tree_run *r, struct fault *f)
{
    int64_t changed = 0;
    enum err e =
        db_run(db, "UPDATE run SET n = n + $4 WHERE idx = (SELECT max(idx) FROM run) AND idx + n = $1 AND slot = $2 AND nseq + n = $3",
               DB_ARGS(DB_I(r->idx), DB_I(r->slot), DB_I(r->nseq), DB_I(r->n)), &changed, f);
    if (e || changed)
        return e;
    return db_run(db, "INSERT INTO run (idx, slot, nseq, n) VALUES ($1, $2, $3, $4)",
                  DB_ARGS(DB_I(r->idx), DB_I(r->slot), DB_I(r->nseq), DB_I(r->n)), NULL, f);
}

void tree_streams(struct db *db, struct db_rows *out)
{
    db_rows(db,
            "SELECT slot, nseq, COALESCE((SELECT run.nseq + run.n - 1 FROM run WHERE run.slot = node.slot "
            "ORDER BY run.nseq DESC LIMIT 1), 0) FROM node ORDER BY slot",
            DB_NOARGS, out);
}

void tree_runs(struct db *db, int64_t from_idx, struct db_rows *out)
{
    db_rows(db, "SELECT idx, slot, nseq, n FROM run WHERE idx >= (SELECT COALESCE(max(idx), 0) FROM run WHERE idx <= $1) ORDER BY idx",
            DB_ARGS(DB_I(from_idx)), out);
}

void tree_run_get(const struct db_rows *r, struct tree_run *out)
{
    *out = (struct tree_run){db_i64(r, 0), db_i64(r, 1), db_i64(r, 2), db_i64(r, 3)};
}

void tree_events(struct db *db, int64_t slot, int64_t after, int64_t limit, struct db_rows *out)
{
    db_rows(db, "SELECT nseq, salt, payload, leaf FROM event WHERE slot = $1 AND nseq > $2 ORDER BY nseq LIMIT $3",
            DB_ARGS(DB_I(slot), DB_I(after), DB_I(limit)), out);
}

void tree_event_get(const struct db_rows *r, struct tree_event *out)
{
    *out = (struct tree_event){db_i64(r, 0), db_span(r, 1), db_span(r, 2), db_span(r, 3)};
}
