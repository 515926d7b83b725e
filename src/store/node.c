/* node.c: see node.h. */
#include "store/node.h"

#include "store/schema.h"

static enum err node_read(struct db *db, int64_t slot, int64_t *epoch, int64_t *nseq, struct fault *f)
{
    struct db_rows r;
    bool there = false;
    db_rows(db, "SELECT epoch, nseq FROM node WHERE slot = $1", DB_ARGS(DB_I(slot)), &r);
    if (db_next(&r)) {
        there = true;
        *epoch = db_i64(&r, 0);
        *nseq = db_i64(&r, 1);
    }
    enum err e = db_rows_end(&r, f);
    return e ? e : there ? CE_OK : fault_set(f, CE_NOT_FOUND, "node slot %lld is not in the database", (long long)slot);
}

enum err node_take(struct db *db, int64_t slot, struct node *out, struct fault *f)
{
    enum err e = db_begin(db, f);
    if (!e)
        e = db_run(db, "INSERT INTO node (slot, nseq, epoch, beat, version, schema) VALUES ($1, 0, 0, 0, $2, $3) ON CONFLICT (slot) DO NOTHING",
                   DB_ARGS(DB_I(slot), DB_S(CRADLE_VERSION), DB_I(SCHEMA_VERSION)), NULL, f);
    if (!e)
        e = db_run1(db, "UPDATE node SET epoch = epoch + 1, beat = beat + 1, version = $2 WHERE slot = $1",
                    DB_ARGS(DB_I(slot), DB_S(CRADLE_VERSION)), f);
    if (!e) {
        out->slot = slot;
        e = node_read(db, slot, &out->epoch, &out->nseq, f);
    }
    e = e ? e : db_commit(db, f);
    if (e)
        db_rollback(db);
    return e;
}

enum err node_fence(struct db *db, const struct node *n, struct fault *f)
{
    int64_t touched = 0;
    enum err e = db_run(db, "UPDATE node SET beat = beat + 1 WHERE slot = $1 AND epoch = $2 AND nseq = $3",
                        DB_ARGS(DB_I(n->slot), DB_I(n->epoch), DB_I(n->nseq)), &touched, f);
    if (e || touched == 1)
        return e;
    return fault_set(f, CE_EPOCH, "node slot %lld is not as this process left it (epoch %lld, nseq %lld)", (long long)n->slot,
                     (long long)n->epoch, (long long)n->nseq);
}

enum err node_judge(struct db *db, const struct node *n, int64_t pending, bool *committed, struct fault *f)
{
    int64_t epoch = 0, nseq = 0;
    *committed = false;
    enum err e = node_read(db, n->slot, &epoch, &nseq, f);
    if (e)
        return e == CE_NOT_FOUND ? CE_ROLLBACK : e;
    if (epoch != n->epoch)
        return fault_set(f, CE_EPOCH, "another process has taken node slot %lld (epoch %lld, ours was %lld): this one stops",
                         (long long)n->slot, (long long)epoch, (long long)n->epoch);
    if (nseq == n->nseq)
        return CE_OK;
    if (pending && nseq == n->nseq + pending) {
        *committed = true;
        return CE_OK;
    }
    return fault_set(f, CE_ROLLBACK, "the database ends at event %lld of slot %lld, %lld were committed: it was replaced by another one; stopping",
                     (long long)nseq, (long long)n->slot, (long long)n->nseq);
}

enum err node_advance(struct db *db, const struct node *n, int64_t count, struct fault *f)
{
    return db_run1(db, "UPDATE node SET nseq = nseq + $4 WHERE slot = $1 AND epoch = $2 AND nseq = $3",
                   DB_ARGS(DB_I(n->slot), DB_I(n->epoch), DB_I(n->nseq), DB_I(count)), f);
}

enum err node_vector(struct db *db, struct buf *out, struct fault *f)
{
    struct db_rows r;
    bool first = true;
    db_rows(db, "SELECT slot, nseq FROM node ORDER BY slot", DB_NOARGS, &r);
    while (db_next(&r)) {
        buf_printf(out, "%s%lld:%lld", first ? "" : ",", (long long)db_i64(&r, 0), (long long)db_i64(&r, 1));
        first = false;
    }
    return db_rows_end(&r, f);
}

enum err event_insert(struct db *db, const struct event_row *e, struct fault *f)
{
    return db_run(db, "INSERT INTO event (slot, nseq, at, kind, device, rev, salt, payload) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                  DB_ARGS(DB_I(e->slot), DB_I(e->nseq), DB_I(e->at), DB_T(e->kind), DB_T(e->device), DB_I(e->rev), DB_B(e->salt),
                          DB_T(e->payload)),
                  NULL, f);
}

enum err event_last_at(struct db *db, int64_t slot, int64_t *at, struct fault *f)
{
    return db_get_i64(db, "SELECT at FROM event WHERE slot = $1 ORDER BY nseq DESC LIMIT 1", DB_ARGS(DB_I(slot)), 0, at, f);
}

enum err event_first_at(struct db *db, int64_t slot, int64_t *at, struct fault *f)
{
    return db_get_i64(db, "SELECT at FROM event WHERE slot = $1 ORDER BY nseq LIMIT 1", DB_ARGS(DB_I(slot)), 0, at, f);
}

#define EVENT_COLUMNS "SELECT slot, nseq, at, kind, device, rev, salt, payload, leaf FROM event "

void event_after(struct db *db, int64_t slot, int64_t nseq, int64_t limit, struct db_rows *r)
{
    db_rows(db, EVENT_COLUMNS "WHERE slot = $1 AND nseq > $2 ORDER BY nseq LIMIT $3", DB_ARGS(DB_I(slot), DB_I(nseq), DB_I(limit)), r);
}

void event_of_device(struct db *db, struct span device, int64_t slot, int64_t nseq, int64_t limit, struct db_rows *r)
{
    db_rows(db, EVENT_COLUMNS "WHERE device <> '' AND device = $1 AND slot = $2 AND nseq > $3 ORDER BY nseq DESC LIMIT $4",
            DB_ARGS(DB_T(device), DB_I(slot), DB_I(nseq), DB_I(limit)), r);
}

void event_line_states(struct db *db, int64_t limit, struct db_rows *r)
{
    db_rows(db, EVENT_COLUMNS "WHERE kind = 'line-state' ORDER BY at DESC, slot DESC, nseq DESC LIMIT $1", DB_ARGS(DB_I(limit)), r);
}

void event_drills(struct db *db, int64_t limit, struct db_rows *r)
{
    db_rows(db, EVENT_COLUMNS "WHERE kind = 'drill' ORDER BY at DESC, slot DESC, nseq DESC LIMIT $1", DB_ARGS(DB_I(limit)), r);
}

enum err event_get(struct db *db, struct arena *a, int64_t slot, int64_t nseq, struct event_row *out, struct fault *f)
{
    struct db_rows r;
    bool there = false;
    db_rows(db, EVENT_COLUMNS "WHERE slot = $1 AND nseq = $2", DB_ARGS(DB_I(slot), DB_I(nseq)), &r);
    if (db_next(&r)) {
        there = true;
        event_read(&r, out);
        out->kind = arena_copy(a, out->kind);
        out->device = arena_copy(a, out->device);
        out->payload = arena_copy(a, out->payload);
        out->salt = out->leaf = (struct span){ 0 };
    }
    enum err e = db_rows_end(&r, f);
    return e ? e : there ? CE_OK : fault_set(f, CE_NOT_FOUND, "there is no event %lld:%lld", (long long)slot, (long long)nseq);
}

void event_read(const struct db_rows *r, struct event_row *out)
{
    *out = (struct event_row){ .slot = db_i64(r, 0), .nseq = db_i64(r, 1), .at = db_i64(r, 2), .kind = db_span(r, 3), .device = db_span(r, 4),
                               .rev = db_i64(r, 5), .salt = db_span(r, 6), .payload = db_span(r, 7), .leaf = db_span(r, 8) };
}

enum err meta_get(struct db *db, const char *name, struct buf *out, struct fault *f)
{
    struct db_rows r;
    bool there = false;
    db_rows(db, "SELECT value FROM meta WHERE name = $1", DB_ARGS(DB_S(name)), &r);
    if (db_next(&r)) {
        there = true;
        buf_put_span(out, db_span(&r, 0));
    }
    enum err e = db_rows_end(&r, f);
    return e ? e : there ? CE_OK : fault_set(f, CE_NOT_FOUND, "the database does not say what '%s' is", name);
}

enum err meta_put(struct db *db, const char *name, struct span value, struct fault *f)
{
    return db_run(db, "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                  DB_ARGS(DB_S(name), DB_T(value)), NULL, f);
}
