/* query_release.c: one release with what became of it, the devices that run it or something older, and what one device has run: what,
 * when, by whose approval, with which parts list.
 */
#include "role/query_priv.h"
#include "store/rollout_rows.h"
#include "store/update.h"
#include "wire/directive.h"

#define COUNTS_MAX 20000 /* different versions of a line: devices say what they run, and may say nonsense */

static enum err release_key(struct query_job *job, struct release_row *out, struct fault *f)
{
    if (!in_scope(job, job->m->line))
        return fault_set(f, CE_LINE_FORBIDDEN, "line '" SPAN_FMT "' is not one of yours", SPAN_ARG(job->m->line));
    query_budget(job->q);
    return store_release_get(job->q->db, &job->arena, job->m->line, job->m->key, out, f);
}

struct runs_sum { int64_t on, behind; bool all; };

/* Who runs it, and who runs less, by the rule of the list below. */
static enum err runs_sum_read(struct query_job *job, const struct release_row *row, struct runs_sum *out, struct fault *f)
{
    struct db_rows r;
    int64_t rows = 0;
    *out = (struct runs_sum){ .on = 0 };
    query_budget(job->q);
    runs_counts(job->q->db, row->line, COUNTS_MAX, &r);
    for (; db_next(&r); rows++) {
        struct span version = db_span(&r, 1);
        if (span_eq(db_span(&r, 0), row->name))
            out->on += db_i64(&r, 2);
        else if (!version.n || version_cmp(version, row->version) < 0)
            out->behind += db_i64(&r, 2);
    }
    out->all = rows < COUNTS_MAX;
    return db_rows_end(&r, f);
}

static enum err put_rollouts(struct query_job *job, struct json_out *j, const struct release_row *row, struct fault *f)
{
    struct db_rows r;
    struct rollout_item item;
    enum err e = CE_OK;
    json_arr(j, "rollouts");
    query_budget(job->q);
    rollout_rows(job->q->db, row->line, (struct span){ 0 }, QUERY_SCAN, &r);
    while (!e && db_next(&r)) {
        rollout_item_read(&r, &item);
        if (span_eq(item.release, row->name))
            e = query_put_rollout(job, j, &item, f);
    }
    enum err end = db_rows_end(&r, f);
    json_arr_end(j);
    return e ? e : end;
}

enum err query_do_release(struct query_job *job, struct fault *f)
{
    struct json_out j = JSON_OUT(&job->body);
    struct release_row row;
    struct runs_sum sum;
    enum err e = release_key(job, &row, f);
    e = e ? e : runs_sum_read(job, &row, &sum, f);
    if (e)
        return e;
    json_obj(&j, NULL);
    query_put_release(&j, &row);
    json_int(&j, "on", sum.on);
    json_int(&j, "behind", sum.behind);
    json_bool(&j, "behind_exact", sum.all);
    e = put_rollouts(job, &j, &row, f);
    json_obj_end(&j);
    return e;
}

/* -- who runs it, who is behind ------------------------------------------------------------------------------------------------------- */
static void put_runs(struct json_out *j, const struct runs_item *d)
{
    json_obj(j, NULL);
    json_str(j, "uid", d->uid);
    json_str(j, "release", d->release);
    json_str(j, "version", d->version);
    put_time_ms(j, "since", d->confirmed_at);
    json_obj_end(j);
}

struct runs_place { struct span release, uid; };

/* One page of rows; *rows: how many were looked at, at: the last of them. */
static enum err runs_page(struct query_job *job, struct query_page *p, const struct release_row *row, bool on, struct runs_place *at, int64_t limit,
                          int64_t *rows, struct fault *f)
{
    struct db_rows r;
    struct runs_item d;
    query_budget(job->q);
    if (on)
        runs_rows_on(job->q->db, row->line, row->name, at->uid, limit, &r);
    else
        runs_rows_other(job->q->db, row->line, row->name, at->release, at->uid, limit, &r);
    for (*rows = 0; db_next(&r); ++*rows) {
        runs_item_read(&r, &d);
        at->uid = arena_copy(&job->arena, d.uid);
        at->release = arena_copy(&job->arena, d.release);
        if (!on && d.version.n && version_cmp(d.version, row->version) >= 0)
            continue;
        put_runs(&p->j, &d);
        p->n++;
    }
    return db_rows_end(&r, f);
}

enum err query_do_release_devices(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct release_row row;
    struct runs_place at = { 0 };
    struct span parts[2] = { { 0 } };
    bool there, on = !span_eq_str(job->m->kind, "behind");
    int64_t rows = 0;
    enum err e = cursor_get(job, parts, 2, &there, f);
    e = e ? e : release_key(job, &row, f);
    if (!e && on && job->m->kind.n && !span_eq_str(job->m->kind, "on"))
        e = fault_set(f, CE_BAD_FIELD, "which is on or behind, not '" SPAN_FMT "'", SPAN_ARG(job->m->kind));
    if (e)
        return e;
    if (there)
        at = (struct runs_place){ parts[0], parts[1] };
    page_begin(job, &p);
    e = runs_page(job, &p, &row, on, &at, job->limit, &rows, f);
    bool full = rows == job->limit;
    if (!e && !on && !full && span_cmp(at.release, row.name) < 0) { /* the releases before it in the index are through: now those after it */
        at = (struct runs_place){ row.name, { 0 } };
        e = runs_page(job, &p, &row, on, &at, job->limit - rows, &rows, f);
        full = rows && p.n + rows >= job->limit;
    }
    struct span last[2] = { at.release, at.uid }, next = full ? cursor_put(job, last, 2) : (struct span){ 0 };
    page_end(job, &p, full ? &next : NULL);
    return e;
}

/* -- what a device has run ---------------------------------------------------------------------------------------------------------------- */
static enum err put_now(struct query_job *job, struct json_out *j, struct fault *f)
{
    struct db_rows r;
    struct runs_item d;
    query_budget(job->q);
    runs_one(job->q->db, job->m->key, &r);
    bool there = db_next(&r);
    json_obj(j, "now");
    if (there) {
        runs_item_read(&r, &d);
        json_str(j, "release", d.release);
        json_str(j, "version", d.version);
        put_time_ms(j, "since", d.confirmed_at);
    }
    json_obj_end(j);
    return db_rows_end(&r, f);
}

/* An event with what it does not say itself: who approved its rollout, and what the release is made of. */
static enum err put_step(struct query_job *job, struct json_out *j, const struct db_rows *r, struct span line, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    struct fault ignored;
    struct release_row row = { .line = { 0 } };
    json_obj(j, NULL);
    json_cstr(j, "event", arena_printf(&job->arena, "%lld:%lld", (long long)db_i64(r, 0), (long long)db_i64(r, 1)));
    put_time_ms(j, "at", db_i64(r, 2));
    json_str(j, "kind", db_span(r, 3));
    enum err e = CE_OK;
    if (!json_parse(db_span(r, 4), &o, &ignored)) {
        static const char *const copied[] = { "rollout", "release", "version", "reason", "text", "by", "note" };
        for (size_t i = 0; i < ARRAY_LEN(copied); i++)
            if (json_is_string(json_object_get(o, copied[i])))
                json_cstr(j, copied[i], json_string_value(json_object_get(o, copied[i])));
        json_int(j, "sequence", (int64_t)json_integer_value(json_object_get(o, "sequence")));
        const char *rollout = json_string_value(json_object_get(o, "rollout")), *release = json_string_value(json_object_get(o, "release"));
        if (release && *release && !store_release_get(job->q->db, &job->arena, line, span_str(release), &row, &ignored)) {
            json_hex(j, "sha256", row.sha256);
            json_hex(j, "sbom_sha256", row.sbom_sha256);
        }
        if (rollout && *rollout)
            e = query_put_approvals(job, j, span_str(rollout), f);
    }
    json_obj_end(j);
    return e;
}

enum err query_do_firmware(struct query_job *job, struct fault *f)
{
    struct db_rows r;
    struct device_item d;
    struct json_out j = JSON_OUT(&job->body);
    struct span parts[2] = { { 0 } }, line = { 0 };
    bool there;
    int64_t slot = 0, nseq = 0, n = 0;
    enum err e = cursor_get(job, parts, 2, &there, f);
    if (!e && there && (!span_to_i64(parts[0], &slot) || !span_to_i64(parts[1], &nseq)))
        e = fault_set(f, CE_BAD_CURSOR, "'after' is not a cursor of this list; begin again without it");
    if (e)
        return e;
    e = fault_set(f, CE_UID_UNKNOWN, "no device with UID '" SPAN_FMT "' is registered", SPAN_ARG(job->m->key));
    query_budget(job->q);
    query_device(job->q->db, job->m->key, &r);
    if (db_next(&r)) {
        query_device_item(&r, &d);
        line = arena_copy(&job->arena, d.line);
        e = in_scope(job, line) ? CE_OK : fault_set(f, CE_LINE_FORBIDDEN, "the device is of line '" SPAN_FMT "', which is not one of yours", SPAN_ARG(line));
    }
    enum err end = db_rows_end(&r, f);
    if (end || e)
        return end ? end : e;
    json_obj(&j, NULL);
    e = put_now(job, &j, f);
    json_arr(&j, "items");
    query_budget(job->q);
    firmware_rows(job->q->db, job->m->key, slot, nseq, job->limit, &r);
    for (; !e && db_next(&r); n++) {
        slot = db_i64(&r, 0);
        nseq = db_i64(&r, 1);
        e = put_step(job, &j, &r, line, f);
    }
    end = db_rows_end(&r, f);
    struct query_page p = { .j = j, .n = n };
    struct span last[2] = { span_str(arena_printf(&job->arena, "%lld", (long long)slot)), span_str(arena_printf(&job->arena, "%lld", (long long)nseq)) };
    struct span next = n == job->limit ? cursor_put(job, last, 2) : last[0];
    page_end(job, &p, n == job->limit ? &next : NULL);
    return e ? e : end;
}
