/* query_artifact.c: the files for devices that are here, and how many signed releases name each. */
#include "role/query_priv.h"
#include "store/artifact.h"

enum err query_do_artifacts(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct artifact_row *rows;
    struct span after = { 0 };
    size_t n;
    bool there = false;
    enum err e = cursor_get(job, &after, 1, &there, f);
    e = e ? e : store_artifact_list(job->q->db, &job->arena, after, job->limit, &rows, &n, f);
    if (e)
        return e;
    struct span next = n ? cursor_put(job, &rows[n - 1].sha256, 1) : after;
    page_begin(job, &p);
    for (size_t i = 0; i < n; i++, p.n++) {
        json_obj(&p.j, NULL);
        json_hex(&p.j, "sha256", rows[i].sha256);
        json_int(&p.j, "length", rows[i].length);
        json_str(&p.j, "name", rows[i].name);
        json_bool(&p.j, "encrypted", rows[i].encrypted != 0);
        json_int(&p.j, "releases", rows[i].releases);
        put_time_ms(&p.j, "added_at", rows[i].added_at);
        json_str(&p.j, "added_by", rows[i].added_by);
        json_obj_end(&p.j);
    }
    page_end(job, &p, p.n == job->limit ? &next : NULL);
    return CE_OK;
}
