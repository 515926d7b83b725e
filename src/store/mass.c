/* store/mass.c: see store/mass.h. */
#include "store/mass.h"

#include "store/rows.h"

#define COLUMNS \
    "id, state, to_state, reason, note, q_line, q_model, q_batch, q_country, q_state, q_tag, q_prefix, q_key_alg, enrolled_from, enrolled_to, created_by, " \
    "confirmed_by, why, created_at, confirmed_at, changed_at, matched, after_uid, looked, done, already, refused, first_event, last_event, last_at"
#define SELECT "SELECT " COLUMNS " FROM mass_job "

void mass_row_read(const struct db_rows *r, struct mass_row *o)
{
    *o = (struct mass_row){
        .id = db_i64(r, 0), .state = db_span(r, 1), .to_state = db_span(r, 2), .reason = db_span(r, 3), .note = db_span(r, 4),
        .q = { db_span(r, 5), db_span(r, 6), db_span(r, 7), db_span(r, 8), db_span(r, 9), db_span(r, 10), db_span(r, 11), db_span(r, 12), db_i64(r, 13), db_i64(r, 14) },
        .created_by = db_span(r, 15), .confirmed_by = db_span(r, 16), .why = db_span(r, 17), .created_at = db_i64(r, 18), .confirmed_at = db_i64(r, 19),
        .changed_at = db_i64(r, 20), .matched = db_i64(r, 21), .after = db_span(r, 22), .looked = db_i64(r, 23), .done = db_i64(r, 24),
        .already = db_i64(r, 25), .refused = db_i64(r, 26), .first = db_span(r, 27), .last = db_span(r, 28), .last_at = db_i64(r, 29),
    };
}

static void mass_take(const struct db_rows *r, struct arena *a, struct mass_row *o)
{
    mass_row_read(r, o);
    struct span *texts[] = { &o->state, &o->to_state, &o->reason, &o->note, &o->q.line, &o->q.model, &o->q.batch, &o->q.country, &o->q.state, &o->q.tag,
                             &o->q.prefix, &o->q.key_alg, &o->created_by, &o->confirmed_by, &o->why, &o->after, &o->first, &o->last };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = arena_copy(a, *texts[i]);
}

enum err store_mass_get(struct db *db, struct arena *a, int64_t id, struct mass_row *out, struct fault *f)
{
    struct db_rows r;
    bool there;
    mass_rows_one(db, id, &r);
    if ((there = db_next(&r)))
        mass_take(&r, a, out);
    enum err e = db_rows_end(&r, f);
    return e || there ? e : fault_set(f, CE_NOT_FOUND, "there is no mass change %lld", (long long)id);
}

enum err store_mass_put(struct db *db, const struct mass_row *r, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO mass_job (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, "
                  "$22, $23, $24, $25, $26, $27, $28, $29, $30) "
                  "ON CONFLICT (id) DO UPDATE SET state = excluded.state, confirmed_by = excluded.confirmed_by, why = excluded.why, "
                  "confirmed_at = excluded.confirmed_at, changed_at = excluded.changed_at, matched = excluded.matched, after_uid = excluded.after_uid, "
                  "looked = excluded.looked, done = excluded.done, already = excluded.already, refused = excluded.refused, "
                  "first_event = excluded.first_event, last_event = excluded.last_event, last_at = excluded.last_at",
                  DB_ARGS(DB_I(r->id), DB_T(r->state), DB_T(r->to_state), DB_T(r->reason), DB_T(r->note), DB_T(r->q.line), DB_T(r->q.model), DB_T(r->q.batch),
                          DB_T(r->q.country), DB_T(r->q.state), DB_T(r->q.tag), DB_T(r->q.prefix), DB_T(r->q.key_alg), DB_I(r->q.enrolled_from),
                          DB_I(r->q.enrolled_to), DB_T(r->created_by), DB_T(r->confirmed_by), DB_T(r->why), DB_I(r->created_at), DB_I(r->confirmed_at),
                          DB_I(r->changed_at), DB_I(r->matched), DB_T(r->after), DB_I(r->looked), DB_I(r->done), DB_I(r->already), DB_I(r->refused),
                          DB_T(r->first), DB_T(r->last), DB_I(r->last_at)),
                  NULL, f);
}

enum err store_mass_next_id(struct db *db, int64_t *id, struct fault *f)
{
    return db_get_i64(db, "SELECT COALESCE(MAX(id), 0) + 1 FROM mass_job", DB_NOARGS, 1, id, f);
}

enum err store_mass_in_state(struct db *db, struct arena *a, const char *state, int64_t limit, struct mass_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct mass_row);
    db_rows(db, SELECT "WHERE state = $1 ORDER BY id LIMIT $2", DB_ARGS(DB_S(state), DB_I(limit)), &r);
    while (db_next(&r))
        mass_take(&r, a, rows_add(&l, a));
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

/* -- who matches --------------------------------------------------------------------------------------------------------------- */
#define HAS_CERT "EXISTS (SELECT 1 FROM cert c WHERE c.holder = d.uid AND c.holder_kind = 2 AND c.issued_at >= $4 AND c.issued_at < $5)"
#define HAS_TAG "EXISTS (SELECT 1 FROM device_tag g WHERE g.uid = d.uid AND g.tag = $6)"
#define CANDIDATE                                                                                                                             \
    "SELECT d.uid, d.line, d.model, d.batch, d.country, s.state, COALESCE(x.key_alg, ''), CASE WHEN $5 = 0 OR " HAS_CERT " THEN 1 ELSE 0 END, " \
    "CASE WHEN $6 = '' OR " HAS_TAG " THEN 1 ELSE 0 END FROM device d JOIN device_state s ON s.uid = d.uid LEFT JOIN device_crypto x ON x.uid = d.uid WHERE "
#define CANDIDATE_END "d.uid > $2 ORDER BY d.uid LIMIT $3"

enum err store_mass_candidates(struct db *db, struct arena *a, const struct mass_query *q, struct span after, int64_t limit,
                               struct mass_candidate **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct mass_candidate);
    struct span value = q->batch.n ? q->batch : q->model.n ? q->model : q->line;
    const char *sql = q->batch.n   ? CANDIDATE "d.batch <> '' AND d.batch = $1 AND " CANDIDATE_END
                      : q->model.n ? CANDIDATE "d.model = $1 AND " CANDIDATE_END
                      : q->line.n  ? CANDIDATE "d.line = $1 AND " CANDIDATE_END
                                   : CANDIDATE "$1 = '' AND " CANDIDATE_END;
    int64_t to = q->enrolled_to ? q->enrolled_to : q->enrolled_from ? INT64_MAX : 0;
    db_rows(db, sql, DB_ARGS(DB_T(value), DB_T(after), DB_I(limit), DB_I(q->enrolled_from), DB_I(to), DB_T(q->tag)), &r);
    while (db_next(&r)) {
        struct mass_candidate *c = rows_add(&l, a);
        struct span *texts[] = { &c->uid, &c->line, &c->model, &c->batch, &c->country, &c->state, &c->key_alg };
        for (int i = 0; i < (int)ARRAY_LEN(texts); i++)
            *texts[i] = arena_copy(a, db_span(&r, i));
        c->enrolled = db_i64(&r, 7) != 0;
        c->tagged = db_i64(&r, 8) != 0;
    }
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

static bool pass(struct span want, struct span is) { return !want.n || span_eq(want, is); }

bool mass_matches(const struct mass_query *q, const struct mass_candidate *c)
{
    return pass(q->line, c->line) && pass(q->model, c->model) && pass(q->batch, c->batch) && pass(q->country, c->country) && pass(q->state, c->state) &&
           pass(q->key_alg, c->key_alg) && c->enrolled && c->tagged && (c->uid.n >= q->prefix.n && memcmp(c->uid.p, q->prefix.p, q->prefix.n) == 0);
}

/* -- the devices of a job ------------------------------------------------------------------------------------------------------ */
enum err store_mass_device_add(struct db *db, int64_t id, struct span uid, struct fault *f)
{
    return db_run(db, "INSERT INTO mass_device (job, is_open, uid, reason, detail) VALUES ($1, 1, $2, '', '')", DB_ARGS(DB_I(id), DB_T(uid)), NULL, f);
}

enum err store_mass_device_done(struct db *db, int64_t id, struct span uid, struct fault *f)
{
    return db_run(db, "DELETE FROM mass_device WHERE job = $1 AND is_open = 1 AND uid = $2", DB_ARGS(DB_I(id), DB_T(uid)), NULL, f);
}

enum err store_mass_device_refused(struct db *db, int64_t id, struct span uid, const char *reason, const char *detail, struct fault *f)
{
    return db_run(db, "UPDATE mass_device SET is_open = 0, reason = $3, detail = $4 WHERE job = $1 AND is_open = 1 AND uid = $2",
                  DB_ARGS(DB_I(id), DB_T(uid), DB_S(reason), DB_S(detail)), NULL, f);
}

enum err store_mass_devices_open(struct db *db, struct arena *a, int64_t id, int64_t limit, struct mass_device_row **out, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct mass_device_row);
    db_rows(db, "SELECT uid FROM mass_device WHERE job = $1 AND is_open = 1 ORDER BY uid LIMIT $2", DB_ARGS(DB_I(id), DB_I(limit)), &r);
    while (db_next(&r))
        *(struct mass_device_row *)rows_add(&l, a) = (struct mass_device_row){ .uid = arena_copy(a, db_span(&r, 0)) };
    *out = l.items;
    *n = l.n;
    return db_rows_end(&r, f);
}

enum err store_mass_devices_forget(struct db *db, int64_t id, int64_t limit, int64_t *n, struct fault *f)
{
    return db_run(db,
                  "DELETE FROM mass_device WHERE job = $1 AND is_open = 1 AND uid IN (SELECT uid FROM mass_device WHERE job = $1 AND is_open = 1 "
                  "ORDER BY uid LIMIT $2)",
                  DB_ARGS(DB_I(id), DB_I(limit)), n, f);
}

enum err store_mass_left(struct db *db, int64_t *id, struct fault *f)
{
    return db_get_i64(db,
                      "SELECT j.id FROM mass_job j WHERE j.state = 'cancelled' AND EXISTS (SELECT 1 FROM mass_device m WHERE m.job = j.id AND m.is_open = 1) "
                      "ORDER BY j.id LIMIT 1",
                      DB_NOARGS, 0, id, f);
}

/* -- for the query role -------------------------------------------------------------------------------------------------------- */
void mass_rows(struct db *db, int64_t below, int64_t limit, struct db_rows *out)
{
    db_rows(db, SELECT "WHERE id < $1 ORDER BY id DESC LIMIT $2", DB_ARGS(DB_I(below), DB_I(limit)), out);
}

void mass_rows_one(struct db *db, int64_t id, struct db_rows *out) { db_rows(db, SELECT "WHERE id = $1", DB_ARGS(DB_I(id)), out); }

void mass_refused_rows(struct db *db, int64_t id, struct span after, int64_t limit, struct db_rows *out)
{
    db_rows(db,
            "SELECT m.uid, d.line, m.reason, m.detail FROM mass_device m JOIN device d ON d.uid = m.uid "
            "WHERE m.job = $1 AND m.is_open = 0 AND m.uid > $2 ORDER BY m.uid LIMIT $3",
            DB_ARGS(DB_I(id), DB_T(after), DB_I(limit)), out);
}

void mass_host_rows(struct db *db, struct db_rows *out)
{
    db_rows(db,
            "SELECT o.name, COALESCE(e.vector, ''), COALESCE(e.acked_at, 0) FROM operator o LEFT JOIN edge e ON e.name = o.name "
            "WHERE o.role = 'edge' AND o.state = 'active' ORDER BY o.name",
            DB_NOARGS, out);
}
