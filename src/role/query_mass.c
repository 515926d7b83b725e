/* query_mass.c: mass changes: the list, one with how far it is and what became of it, and the devices that were refused. */
#include "role/query_priv.h"
#include "store/mass.h"

/* Whoever is limited to lines sees the jobs of one of them, and no others: their counts tell of other lines. */
static bool seen(const struct query_job *job, const struct mass_row *r)
{
    return !job->m->scope.n || (r->q.line.n && in_scope(job, r->q.line));
}

static void put_query(struct json_out *j, const struct mass_query *q)
{
    json_obj(j, "query");
    json_str(j, "line", q->line);
    json_str(j, "model", q->model);
    json_str(j, "batch", q->batch);
    json_str(j, "country", q->country);
    json_str(j, "in_state", q->state);
    json_str(j, "tag", q->tag);
    json_str(j, "prefix", q->prefix);
    json_str(j, "key_alg", q->key_alg);
    put_time_ms(j, "enrolled_from", q->enrolled_from);
    put_time_ms(j, "enrolled_to", q->enrolled_to);
    json_obj_end(j);
}

static void put_text(struct json_out *j, const char *key, struct span text)
{
    if (text.n)
        json_str(j, key, text);
    else
        json_none(j, key);
}

static void put_mass(struct json_out *j, const struct mass_row *r)
{
    json_int(j, "id", r->id);
    json_str(j, "state", r->state);
    json_str(j, "to", r->to_state);
    json_str(j, "reason", r->reason);
    json_str(j, "note", r->note);
    json_str(j, "why", r->why);
    put_query(j, &r->q);
    json_int(j, "looked", r->looked);
    if (span_eq_str(r->state, "counting"))
        json_none(j, "matched");
    else
        json_int(j, "matched", r->matched);
    json_int(j, "done", r->done);
    json_int(j, "already", r->already);
    json_int(j, "refused", r->refused);
    json_str(j, "created_by", r->created_by);
    put_time_ms(j, "created_at", r->created_at);
    json_str(j, "confirmed_by", r->confirmed_by);
    put_time_ms(j, "confirmed_at", r->confirmed_at);
    put_time_ms(j, "changed_at", r->changed_at);
    put_text(j, "first", r->first);
    put_text(j, "last", r->last);
    put_time_ms(j, "last_at", r->last_at);
}

static enum err id_read(const struct query_job *job, int64_t *id, struct fault *f)
{
    return span_to_i64(job->m->key, id) ? CE_OK : fault_set(f, CE_NOT_FOUND, "there is no such mass change");
}

enum err query_do_mass_jobs(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct db_rows r;
    struct mass_row row;
    struct span after = { 0 };
    bool there = false;
    int64_t below = INT64_MAX, rows = 0;
    enum err e = cursor_get(job, &after, 1, &there, f);
    if (!e && there && !span_to_i64(after, &below))
        e = fault_set(f, CE_BAD_CURSOR, "'after' is not a cursor of this list; begin again without it");
    if (e)
        return e;
    page_begin(job, &p);
    query_budget(job->q);
    mass_rows(job->q->db, below, job->limit, &r);
    for (; db_next(&r); rows++) {
        mass_row_read(&r, &row);
        below = row.id;
        if (!seen(job, &row))
            continue;
        json_obj(&p.j, NULL);
        put_mass(&p.j, &row);
        json_obj_end(&p.j);
        p.n++;
    }
    after = span_str(arena_printf(&job->arena, "%lld", (long long)below));
    struct span next = rows == job->limit ? cursor_put(job, &after, 1) : after;
    page_end(job, &p, rows == job->limit ? &next : NULL);
    return db_rows_end(&r, f);
}

/* Has the host taken over everything up to there? Vectors: "slot:nseq,…". */
static bool reaches(struct span vector, struct span place)
{
    struct span one, slot, want_slot;
    int64_t n = 0, want = 0;
    if (!span_cut(&place, ':', &want_slot) || !span_to_i64(place, &want))
        return false;
    while (span_cut(&vector, ',', &one))
        if (span_cut(&one, ':', &slot) && span_eq(slot, want_slot) && span_to_i64(one, &n))
            return n >= want;
    return false;
}

static enum err put_hosts(struct query_job *job, struct json_out *j, struct span last, struct fault *f)
{
    struct db_rows r;
    json_arr(j, "hosts");
    query_budget(job->q);
    mass_host_rows(job->q->db, &r);
    while (db_next(&r)) {
        json_obj(j, NULL);
        json_str(j, "edge", db_span(&r, 0));
        json_bool(j, "follows", reaches(db_span(&r, 1), last));
        put_time_ms(j, "acked_at", db_i64(&r, 2));
        json_obj_end(j);
    }
    json_arr_end(j);
    return db_rows_end(&r, f);
}

enum err query_do_mass_job(struct query_job *job, struct fault *f)
{
    struct db_rows r;
    struct mass_row row;
    struct span last = { 0 };
    struct json_out j = JSON_OUT(&job->body);
    int64_t id = 0;
    bool there = false;
    enum err e = id_read(job, &id, f);
    if (e)
        return e;
    query_budget(job->q);
    mass_rows_one(job->q->db, id, &r);
    if ((there = db_next(&r))) {
        mass_row_read(&r, &row);
        last = arena_copy(&job->arena, row.last);
        if ((there = seen(job, &row))) {
            json_obj(&j, NULL);
            put_mass(&j, &row);
        }
    }
    e = db_rows_end(&r, f);
    if (!e && !there)
        return fault_set(f, CE_NOT_FOUND, "there is no mass change %lld", (long long)id);
    e = e ? e : put_hosts(job, &j, last, f);
    json_obj_end(&j);
    return e;
}

enum err query_do_mass_refused(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct db_rows r;
    struct span after = { 0 }, last = { 0 };
    bool there = false;
    int64_t rows = 0, id = 0;
    enum err e = id_read(job, &id, f);
    e = e ? e : cursor_get(job, &after, 1, &there, f);
    if (e)
        return e;
    page_begin(job, &p);
    query_budget(job->q);
    mass_refused_rows(job->q->db, id, after, job->limit, &r);
    for (; db_next(&r); rows++) {
        last = arena_copy(&job->arena, db_span(&r, 0));
        if (!in_scope(job, db_span(&r, 1)))
            continue;
        json_obj(&p.j, NULL);
        json_str(&p.j, "uid", db_span(&r, 0));
        json_str(&p.j, "reason", db_span(&r, 2));
        json_str(&p.j, "detail", db_span(&r, 3));
        json_obj_end(&p.j);
        p.n++;
    }
    e = db_rows_end(&r, f);
    struct span next = rows == job->limit ? cursor_put(job, &last, 1) : last;
    page_end(job, &p, rows == job->limit ? &next : NULL);
    return e;
}
