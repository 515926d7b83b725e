/* query_key.c: the list of compromised keys. */
#include "role/query_priv.h"
#include "store/key_block.h"

enum err query_do_keys(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct key_block_row *rows;
    struct span after = { 0 };
    size_t n;
    bool there = false;
    enum err e = cursor_get(job, &after, 1, &there, f);
    query_budget(job->q);
    e = e ? e : store_key_block_list(job->q->db, &job->arena, after, job->limit, &rows, &n, f);
    if (e)
        return e;
    page_begin(job, &p);
    for (size_t i = 0; i < n; i++, p.n++) {
        json_obj(&p.j, NULL);
        json_hex(&p.j, "key", rows[i].id);
        json_cstr(&p.j, "kind", rows[i].id.n == 32 ? "spki-sha256" : "openssl-blacklist");
        json_hex(&p.j, "file", rows[i].file);
        json_str(&p.j, "note", rows[i].note);
        json_str(&p.j, "by", rows[i].by);
        put_time_ms(&p.j, "at", rows[i].at);
        json_obj_end(&p.j);
    }
    struct span next = n ? cursor_put(job, &rows[n - 1].id, 1) : after;
    page_end(job, &p, (int64_t)n == job->limit ? &next : NULL);
    return CE_OK;
}
