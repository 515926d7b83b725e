/* query_anchor.c: makers whose IDevIDs may enroll devices of a line, and the IDevID that a device is known by. */
#include "crypt/cert.h"
#include "role/query_priv.h"
#include "store/idevid.h"

static void put_anchor(struct json_out *j, const struct anchor_row *a)
{
    struct cert c;
    json_obj(j, NULL);
    json_str(j, "line", a->line);
    json_hex(j, "sha256", a->sha256);
    json_str(j, "rule", a->rule);
    json_str(j, "hw_type", a->hw_type);
    json_str(j, "model", a->model);
    json_str(j, "title", a->title);
    if (cert_parse(a->root, &c, NULL) == CE_OK) {
        json_str(j, "subject", c.cn.n ? c.cn : c.o);
        json_time_s(j, "not_after", c.not_after);
    } else { /* core has judged it, so it is whole */
        json_none(j, "subject");
        json_none(j, "not_after");
    }
    json_base64(j, "cert", a->root);
    json_base64(j, "intermediates", a->inters);
    put_time_ms(j, "added_at", a->added_at);
    json_str(j, "added_by", a->added_by);
    json_obj_end(j);
}

/* At most 16 of a line (core/anchor.h), so one page holds them. */
enum err query_do_anchors(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct anchor_row *rows;
    size_t n;
    if (!in_scope(job, job->m->key))
        return fault_set(f, CE_LINE_FORBIDDEN, "the caller is not allowed on product line '" SPAN_FMT "'", SPAN_ARG(job->m->key));
    query_budget(job->q);
    enum err e = store_anchor_list(job->q->db, &job->arena, job->m->key, &rows, &n, f);
    if (e)
        return e;
    page_begin(job, &p);
    for (size_t i = 0; i < n; i++, p.n++)
        put_anchor(&p.j, &rows[i]);
    page_end(job, &p, NULL);
    return CE_OK;
}

enum err query_put_idevid(struct query_job *job, struct json_out *j, struct span uid, struct fault *f)
{
    struct idevid_row r;
    query_budget(job->q);
    enum err e = store_idevid_get(job->q->db, &job->arena, uid, &r, f);
    if (e == CE_NOT_FOUND) {
        *f = (struct fault){ 0 };
        json_none(j, "idevid");
        return CE_OK;
    }
    if (e)
        return e;
    json_obj(j, "idevid");
    json_str(j, "name", r.name);
    json_hex(j, "serial", r.serial);
    json_hex(j, "spki_sha256", r.spki);
    json_hex(j, "anchor", r.anchor);
    put_time_ms(j, "at", r.at);
    json_obj_end(j);
    return CE_OK;
}
