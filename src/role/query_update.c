/* query_update.c: update metadata as it was signed, what there is of it, and the releases that it names. */
#include "base/name.h"
#include "role/query_priv.h"
#include "store/update.h"

/* VERSION.ROLE.json, or timestamp.json for the newest one (TUF 3.2, consistent snapshots). */
static enum err file_parse(struct span name, struct span *role, int64_t *version, struct fault *f)
{
    struct span rest = name, first;
    *version = 0;
    if (span_eq_str(name, "timestamp.json")) {
        *role = SPAN_LIT("timestamp");
        return CE_OK;
    }
    if (!span_cut(&rest, '.', &first) || !span_to_i64(first, version) || *version < 1 || rest.n <= 5 ||
        memcmp(rest.p + rest.n - 5, ".json", 5) != 0)
        return fault_set(f, CE_NOT_FOUND, "metadata files are called timestamp.json and VERSION.ROLE.json");
    *role = span_of(rest.p, rest.n - 5);
    return CE_OK;
}

enum err query_do_metadata(struct query_job *job, struct fault *f)
{
    struct tuf_row row;
    struct span role;
    int64_t version;
    enum err e = file_parse(job->m->key, &role, &version, f);
    if (!e)
        e = version ? store_tuf_get(job->q->db, &job->arena, role, version, &row, f) : store_tuf_newest(job->q->db, &job->arena, role, &row, f);
    if (!e && !row.version)
        e = fault_set(f, CE_NOT_FOUND, "this site publishes no update metadata yet");
    if (e)
        return e;
    buf_put_span(&job->body, row.envelope);
    return CE_OK;
}

enum err query_do_tuf(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct tuf_row *rows;
    size_t n;
    enum err e = store_tuf_list(job->q->db, &job->arena, &rows, &n, f);
    page_begin(job, &p);
    for (size_t i = 0; !e && i < n; i++, p.n++) {
        json_obj(&p.j, NULL);
        json_str(&p.j, "role", rows[i].role);
        json_int(&p.j, "version", rows[i].version);
        json_hex(&p.j, "sha256", rows[i].sha256);
        put_time_s(&p.j, "expires_at", rows[i].expires_at);
        put_time_ms(&p.j, "added_at", rows[i].added_at);
        json_obj_end(&p.j);
    }
    page_end(job, &p, NULL);
    return e;
}

void query_put_release(struct json_out *j, const struct release_row *r)
{
    json_str(j, "line", r->line);
    json_str(j, "name", r->name);
    json_str(j, "version", r->version);
    json_int(j, "counter", r->counter);
    json_str(j, "path", r->path);
    json_int(j, "length", r->length);
    json_hex(j, "sha256", r->sha256);
    json_hex(j, "sbom_sha256", r->sbom_sha256);
    json_str(j, "support_end", r->support_end);
    json_bool(j, "security_only", r->security_only != 0);
    json_cstr(j, "state", r->withdrawn ? "withdrawn" : "signed");
    put_time_ms(j, "added_at", r->added_at);
}

enum err query_do_releases(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct release_row *rows;
    struct span after = { 0 };
    size_t n;
    bool there = false;
    enum err e = cursor_get(job, &after, 1, &there, f);
    e = e ? e : name_check_label("line", job->m->line, f);
    e = e ? e : store_release_list(job->q->db, &job->arena, job->m->line, after, job->limit, &rows, &n, f);
    if (e)
        return e;
    struct span next = n ? cursor_put(job, &rows[n - 1].name, 1) : after;
    page_begin(job, &p);
    for (size_t i = 0; i < n; i++, p.n++) {
        json_obj(&p.j, NULL);
        query_put_release(&p.j, &rows[i]);
        json_obj_end(&p.j);
    }
    page_end(job, &p, p.n == job->limit ? &next : NULL);
    return CE_OK;
}
