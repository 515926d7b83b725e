/* query_rollout.c: rollouts: the list, one with its waves and counts, its members by state. The counts are kept by core with every change
 * (tables rollout_count and rollout_pace), so that one answer costs the same at a million devices.
 */
#include "role/query_priv.h"
#include "store/rollout_rows.h"

static void put_minutes(struct json_out *j, const char *key, int64_t min)
{
    char text[16];
    snprintf(text, sizeof text, "%02d:%02d", (int)(min / 60 % 24), (int)(min % 60));
    json_cstr(j, key, text);
}

static void put_settings(struct json_out *j, const struct rollout_item *r)
{
    json_str(j, "name", r->name);
    json_str(j, "line", r->line);
    json_str(j, "release", r->release);
    json_str(j, "of", r->of);
    json_str(j, "state", r->state);
    json_str(j, "why", r->why);
    json_obj(j, "query");
    json_str(j, "model", r->model);
    json_str(j, "batch", r->batch);
    json_str(j, "country", r->country);
    json_str(j, "version", r->version);
    json_str(j, "tag", r->tag);
    json_obj_end(j);
    json_int(j, "timeout_s", r->timeout_s);
    if (r->from_min != r->to_min) {
        json_obj(j, "window");
        put_minutes(j, "from", r->from_min);
        put_minutes(j, "to", r->to_min);
        json_obj_end(j);
    } else
        json_none(j, "window");
    json_bool(j, "forced", r->forced != 0);
    json_int(j, "max_active", r->max_active);
    json_str(j, "note", r->note);
    json_int(j, "wave", r->wave);
    json_int(j, "rev", r->rev);
    json_str(j, "created_by", r->created_by);
    put_time_ms(j, "created_at", r->created_at);
    put_time_ms(j, "started_at", r->started_at);
    put_time_ms(j, "changed_at", r->changed_at);
}

enum err query_do_rollouts(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct db_rows r;
    struct rollout_item item;
    struct span after = { 0 }, last = { 0 };
    bool there;
    int64_t rows = 0;
    enum err e = cursor_get(job, &after, 1, &there, f);
    if (e)
        return e;
    query_budget(job->q);
    page_begin(job, &p);
    rollout_rows(job->q->db, job->m->line, after, job->limit, &r);
    for (; db_next(&r); rows++) {
        rollout_item_read(&r, &item);
        last = arena_copy(&job->arena, item.name);
        if (!in_scope(job, item.line))
            continue;
        json_obj(&p.j, NULL);
        put_settings(&p.j, &item);
        json_obj_end(&p.j);
        p.n++;
    }
    e = db_rows_end(&r, f);
    struct span next = rows == job->limit ? cursor_put(job, &last, 1) : last;
    page_end(job, &p, rows == job->limit ? &next : NULL);
    return e;
}

/* -- one ------------------------------------------------------------------------------------------------------------------------------ */
/* What people want to know of the many states, in the order of the answer. */
enum tally { T_WAITING, T_OFFERED, T_DOWNLOADING, T_INSTALLED, T_CONFIRMED, T_FAILED, T_SILENT, T_DECLINED, T_CANNOT, T_OTHER, TALLIES };
static const char *const tally_names[TALLIES] = { "waiting", "offered", "downloading", "installed", "confirmed", "failed", "silent", "declined", "cannot", "other" };
static const struct { const char *state; enum tally as; } tally_of[] = {
    { "waiting", T_WAITING },     { "absent", T_SILENT },      { "ordered", T_WAITING },   { "offered", T_OFFERED },    { "downloading", T_DOWNLOADING },
    { "installed", T_INSTALLED }, { "confirmed", T_CONFIRMED }, { "current", T_CONFIRMED }, { "failed", T_FAILED },     { "rolled-back", T_FAILED },
    { "refused", T_FAILED },      { "silent", T_SILENT },      { "declined", T_DECLINED }, { "postponed", T_DECLINED }, { "cannot", T_CANNOT },
};
struct tallies { int64_t n[TALLIES], total, current; }; /* current: of the confirmed, those that ran it before */

static void tally_add(struct tallies *t, struct span state, int64_t n)
{
    enum tally as = T_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(tally_of); i++)
        if (span_eq_str(state, tally_of[i].state))
            as = tally_of[i].as;
    t->n[as] += n;
    t->total += n;
    t->current += span_eq_str(state, "current") ? n : 0;
}

static enum err counts_read(struct query_job *job, struct span rollout, int64_t wave, struct tallies *out, struct fault *f)
{
    struct db_rows r;
    *out = (struct tallies){ .total = 0 };
    query_budget(job->q);
    rollout_count_rows(job->q->db, rollout, &r);
    while (db_next(&r))
        if (!wave || db_i64(&r, 0) == wave)
            tally_add(out, db_span(&r, 1), db_i64(&r, 2));
    return db_rows_end(&r, f);
}

static void put_counts(struct json_out *j, const struct tallies *t)
{
    json_obj(j, "counts");
    json_int(j, "total", t->total);
    for (int i = 0; i < TALLIES; i++)
        json_int(j, tally_names[i], t->n[i]);
    json_obj_end(j);
}

static enum err put_waves(struct query_job *job, struct json_out *j, struct span rollout, struct fault *f)
{
    struct db_rows r;
    struct tallies t;
    enum err e = CE_OK;
    json_arr(j, "waves");
    query_budget(job->q);
    rollout_wave_rows(job->q->db, rollout, &r);
    while (!e && db_next(&r)) {
        json_obj(j, NULL);
        json_int(j, "wave", db_i64(&r, 0));
        json_int(j, "percent", db_i64(&r, 1));
        json_int(j, "devices", db_i64(&r, 2));
        json_str(j, "tag", db_span(&r, 3));
        json_int(j, "success_percent", db_i64(&r, 4));
        json_int(j, "error_percent", db_i64(&r, 5));
        json_int(j, "soak_s", db_i64(&r, 6));
        put_time_ms(j, "opened_at", db_i64(&r, 7));
        put_time_ms(j, "filled_at", db_i64(&r, 8));
        put_time_ms(j, "reached_at", db_i64(&r, 9));
        e = counts_read(job, rollout, db_i64(&r, 0), &t, f);
        put_counts(j, &t);
        json_obj_end(j);
    }
    json_arr_end(j);
    enum err end = db_rows_end(&r, f);
    return e ? e : end;
}

enum err query_put_approvals(struct query_job *job, struct json_out *j, struct span rollout, struct fault *f)
{
    struct db_rows r;
    query_budget(job->q);
    json_arr(j, "approvals");
    rollout_approval_rows(job->q->db, rollout, &r);
    while (db_next(&r)) {
        json_obj(j, NULL);
        json_str(j, "by", db_span(&r, 0));
        put_time_ms(j, "at", db_i64(&r, 1));
        json_obj_end(j);
    }
    json_arr_end(j);
    return db_rows_end(&r, f);
}

/* The hour or second in which the rank-th confirmation was; rank becomes its place in it, from 1. Not found: rank stays above what there is. */
static enum err pace_find(struct query_job *job, struct span rollout, int64_t scale_s, int64_t *from_s, int64_t to_s, int64_t *rank, bool *found, struct fault *f)
{
    struct db_rows r;
    *found = false;
    query_budget(job->q);
    rollout_pace_rows(job->q->db, rollout, scale_s, *from_s, to_s, &r);
    while (!*found && db_next(&r)) {
        *found = *rank <= db_i64(&r, 1);
        if (*found)
            *from_s = db_i64(&r, 0);
        else
            *rank -= db_i64(&r, 1);
    }
    return db_rows_end(&r, f);
}

/* When the rank-th confirmation was: by the hour, the second, and then the index, so that a million cost what a thousand do. */
static enum err confirmed_at(struct query_job *job, struct span rollout, int64_t rank, int64_t *ms, struct fault *f)
{
    struct db_rows r;
    bool found;
    int64_t from_s = 0;
    enum err e = pace_find(job, rollout, 3600, &from_s, INT64_MAX, &rank, &found, f);
    if (!e && found)
        e = pace_find(job, rollout, 1, &from_s, from_s + 3600, &rank, &found, f);
    if (e || !found)
        return e;
    query_budget(job->q);
    rollout_confirmed_rows(job->q->db, rollout, from_s * 1000, rank, &r); /* rank: within one second */
    while (db_next(&r))
        *ms = db_i64(&r, 0);
    return db_rows_end(&r, f);
}

/* Seconds from the start until this share of the group ran the release; null: not reached. Who ran it before counts from the start. */
static enum err put_times(struct query_job *job, struct json_out *j, const struct rollout_item *item, const struct tallies *t, struct fault *f)
{
    static const struct { int percent; const char *name; } marks[] = { { 50, "p50_s" }, { 90, "p90_s" }, { 99, "p99_s" } };
    int64_t base = t->total - t->n[T_CANNOT];
    enum err e = CE_OK;
    json_obj(j, "times");
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        int64_t rank = (base * marks[i].percent + 99) / 100 - t->current, ms = rank <= 0 ? item->started_at : -1;
        if (!e && base && item->started_at && rank > 0 && rank <= t->n[T_CONFIRMED] - t->current)
            e = confirmed_at(job, item->name, rank, &ms, f);
        if (ms < item->started_at || !base || !item->started_at)
            json_none(j, marks[i].name);
        else
            json_int(j, marks[i].name, (ms - item->started_at) / 1000);
    }
    json_obj_end(j);
    return e;
}

enum err query_put_rollout(struct query_job *job, struct json_out *j, const struct rollout_item *item, struct fault *f)
{
    struct tallies all;
    enum err e = counts_read(job, item->name, 0, &all, f);
    if (e)
        return e;
    json_obj(j, NULL);
    put_settings(j, item);
    put_counts(j, &all);
    e = put_times(job, j, item, &all, f);
    e = e ? e : query_put_approvals(job, j, item->name, f);
    e = e ? e : put_waves(job, j, item->name, f);
    json_obj_end(j);
    return e;
}

/* The rollout of the path, if it is the caller's to see; put NULL: is it there? */
static enum err rollout_find(struct query_job *job, struct json_out *put, struct fault *f)
{
    struct db_rows r;
    struct rollout_item item;
    enum err e = fault_set(f, CE_NOT_FOUND, "there is no rollout '" SPAN_FMT "'", SPAN_ARG(job->m->key));
    query_budget(job->q);
    rollout_row_one(job->q->db, job->m->key, &r);
    if (db_next(&r)) {
        rollout_item_read(&r, &item);
        job->rev = put ? item.rev : 0;
        e = in_scope(job, item.line) ? CE_OK : fault_set(f, CE_LINE_FORBIDDEN, "the rollout is of line '" SPAN_FMT "', which is not one of yours", SPAN_ARG(item.line));
        if (!e && put)
            e = query_put_rollout(job, put, &item, f);
    }
    enum err end = db_rows_end(&r, f);
    return end ? end : e;
}

enum err query_do_rollout(struct query_job *job, struct fault *f)
{
    struct json_out j = JSON_OUT(&job->body);
    return rollout_find(job, &j, f);
}

/* -- its members ------------------------------------------------------------------------------------------------------------------------ */
enum err query_do_rollout_devices(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct db_rows r;
    struct member_item m;
    struct span parts[2] = { { 0 } }, last[2] = { { 0 } };
    bool there;
    int64_t since = -1;
    enum err e = cursor_get(job, parts, 2, &there, f);
    if (!e && there && !span_to_i64(parts[0], &since))
        e = fault_set(f, CE_BAD_CURSOR, "'after' is not a cursor of this list; begin again without it");
    e = e ? e : rollout_find(job, NULL, f);
    if (e)
        return e;
    query_budget(job->q);
    page_begin(job, &p);
    rollout_member_rows(job->q->db, job->m->key, job->m->state, since, parts[1], job->limit, &r);
    for (; db_next(&r); p.n++) {
        member_item_read(&r, &m);
        last[0] = span_str(arena_printf(&job->arena, "%lld", (long long)m.since));
        last[1] = arena_copy(&job->arena, m.uid);
        json_obj(&p.j, NULL);
        json_str(&p.j, "uid", m.uid);
        json_int(&p.j, "wave", m.wave);
        json_str(&p.j, "state", m.state);
        json_int(&p.j, "sequence", m.sequence);
        put_time_ms(&p.j, "since", m.since);
        json_str(&p.j, "reason", m.reason);
        json_str(&p.j, "phase", m.phase);
        json_int(&p.j, "percent", m.percent);
        json_obj_end(&p.j);
    }
    e = db_rows_end(&r, f);
    bool full = p.n == job->limit;
    struct span next = full ? cursor_put(job, last, 2) : (struct span){ 0 };
    page_end(job, &p, full ? &next : NULL);
    return e;
}
