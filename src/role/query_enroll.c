/* query_enroll.c: first enrollments that were asked for of lines that want an approval: those that wait, and what became of others. */
#include "role/query_priv.h"
#include "store/enroll.h"

static void put_enrollment(struct json_out *j, const struct enroll_row *r)
{
    json_obj(j, NULL);
    json_hex(j, "spki", r->spki);
    json_str(j, "uid", r->uid);
    json_str(j, "line", r->line);
    json_str(j, "state", r->state);
    json_str(j, "key_alg", r->key_alg);
    json_str(j, "proto", r->proto);
    json_str(j, "addr", r->addr);
    json_str(j, "asked_by", r->asked_by);
    put_time_ms(j, "asked_at", r->asked_at);
    put_time_ms(j, "until_at", r->until_at);
    json_str(j, "by", r->by);
    json_str(j, "note", r->note);
    put_time_ms(j, "changed_at", r->changed_at);
    json_obj_end(j);
}

static bool wanted(const struct query_job *job, const struct enroll_row *r)
{
    return in_scope(job, r->line) && pass(job->m->line, r->line) && pass(job->m->state, r->state) && pass(job->m->key, r->uid);
}

/* A page looks at QUERY_SCAN rows at most; it may be short, and still have a next one. */
enum err query_do_enrollments(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct enroll_row *rows;
    struct span after = { 0 };
    size_t n, i;
    bool there = false, by_row = job->m->scope.n || job->m->line.n || (job->m->key.n && job->m->state.n);
    const int64_t scan = by_row ? QUERY_SCAN : job->limit;
    enum err e = cursor_get(job, &after, 1, &there, f);
    e = e ? e : store_enroll_list(job->q->db, &job->arena, job->m->state, job->m->key, after, scan, &rows, &n, f);
    if (e)
        return e;
    page_begin(job, &p);
    for (i = 0; i < n && p.n < job->limit; i++)
        if (wanted(job, &rows[i])) {
            put_enrollment(&p.j, &rows[i]);
            p.n++;
        }
    struct span next = i ? cursor_put(job, &rows[i - 1].spki, 1) : after;
    page_end(job, &p, i < n || (int64_t)n == scan ? &next : NULL);
    return CE_OK;
}

enum err query_do_enrollment(struct query_job *job, struct fault *f)
{
    CLEANUP(buf_free) struct buf spki = BUF_INIT(32);
    struct enroll_row r;
    struct json_out j = JSON_OUT(&job->body);
    enum err e = hex_decode(job->m->key, &spki);
    e = e ? e : store_enroll_get(job->q->db, &job->arena, buf_span(&spki), &r, f);
    if (!e && !in_scope(job, r.line))
        e = fault_set(f, CE_NOT_FOUND, "nobody asked for an enrollment of this key");
    if (!e)
        put_enrollment(&j, &r);
    return e;
}
