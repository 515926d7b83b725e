/* query_attest.c: the CAs that vouch for the TPMs of a product line. */
#include "role/query_priv.h"
#include "store/attest.h"

enum err query_do_ek_cas(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct ek_ca_row *rows;
    size_t n;
    enum err e = store_ek_ca_list(job->q->db, &job->arena, job->m->key, &rows, &n, f);
    page_begin(job, &p);
    for (size_t i = 0; !e && i < n; i++, p.n++) {
        json_obj(&p.j, NULL);
        json_hex(&p.j, "sha256", rows[i].sha256);
        json_str(&p.j, "title", rows[i].title);
        put_time_ms(&p.j, "added_at", rows[i].at);
        json_obj_end(&p.j);
    }
    page_end(job, &p, NULL);
    return e;
}
