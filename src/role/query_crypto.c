/* query_crypto.c: which algorithms are in use, by counts that were kept, and which devices have a key of one. What is good for how long is no matter of the
 * server: `cradle crypto inventory` judges by a policy.
 */
#include "crypt/cert.h"
#include "role/query_priv.h"
#include "store/ca.h"
#include "store/crypto.h"

static void put_ca(struct json_out *j, const struct ca_row *ca)
{
    struct cert c;
    struct spki_info key;
    if (cert_parse(ca->der, &c, NULL) || spki_parse(c.spki, &key, NULL))
        return;
    json_obj(j, NULL);
    json_str(j, "name", ca->name);
    json_cstr(j, "key_alg", key.name);
    json_cstr(j, "sig_alg", sig_alg_name(c.sig_alg));
    put_time_s(j, "not_after", c.not_after);
    json_obj_end(j);
}

static enum err put_cas(struct query_job *job, struct json_out *j, struct fault *f)
{
    struct ca_row *cas;
    size_t n = 0;
    query_budget(job->q);
    enum err e = store_ca_list(job->q->db, &job->arena, &cas, &n, f);
    json_arr(j, "cas");
    for (size_t i = 0; !e && i < n; i++)
        put_ca(j, &cas[i]);
    json_arr_end(j);
    return e;
}

static enum err put_totals(struct query_job *job, struct json_out *j, struct fault *f)
{
    struct db_rows r;
    char month[16];
    query_budget(job->q);
    crypto_total_rows(job->q->db, &r);
    json_arr(j, "devices");
    while (db_next(&r)) {
        if (!in_scope(job, db_span(&r, 0)))
            continue;
        snprintf(month, sizeof month, "%04d-%02d", (int)(db_i64(&r, 3) / 100 % 10000), (int)(db_i64(&r, 3) % 100));
        json_obj(j, NULL);
        json_str(j, "line", db_span(&r, 0));
        json_str(j, "key_alg", db_span(&r, 1));
        json_str(j, "sig_alg", db_span(&r, 2));
        json_cstr(j, "ends", month);
        json_int(j, "devices", db_i64(&r, 4));
        json_obj_end(j);
    }
    json_arr_end(j);
    return db_rows_end(&r, f);
}

static enum err put_service(struct query_job *job, struct json_out *j, struct fault *f)
{
    struct db_rows r;
    query_budget(job->q);
    crypto_service_rows(job->q->db, &r);
    json_arr(j, "service");
    while (db_next(&r)) {
        if (!in_scope(job, db_span(&r, 0)))
            continue;
        json_obj(j, NULL);
        json_str(j, "line", db_span(&r, 0));
        json_str(j, "release", db_span(&r, 1));
        json_str(j, "support_end", db_span(&r, 2));
        json_str(j, "service_until", db_span(&r, 3));
        json_str(j, "key_alg", db_span(&r, 4));
        json_str(j, "sig_alg", db_span(&r, 5));
        json_int(j, "devices", db_i64(&r, 6));
        json_obj_end(j);
    }
    json_arr_end(j);
    return db_rows_end(&r, f);
}

enum err query_do_crypto(struct query_job *job, struct fault *f)
{
    struct json_out j = JSON_OUT(&job->body);
    json_obj(&j, NULL);
    enum err e = put_cas(job, &j, f);
    e = e ? e : put_totals(job, &j, f);
    e = e ? e : put_service(job, &j, f);
    json_obj_end(&j);
    return e;
}

enum err query_do_crypto_devices(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct db_rows r;
    struct span at[3] = { { 0 } }, line = job->m->line;
    bool there;
    int64_t rows = 0;
    enum err e = cursor_get(job, at, 3, &there, f);
    if (!e && !job->m->kind.n)
        e = fault_set(f, CE_BAD_FIELD, "query parameter 'alg' is missing: a key algorithm such as ec:P-256");
    if (e)
        return e;
    page_begin(job, &p);
    query_budget(job->q);
    crypto_device_rows(job->q->db, job->m->kind, line, at, job->limit, &r);
    for (; db_next(&r); rows++) {
        at[0] = arena_copy(&job->arena, db_span(&r, 1));
        at[1] = arena_copy(&job->arena, db_span(&r, 2));
        at[2] = arena_copy(&job->arena, db_span(&r, 0));
        if (!in_scope(job, at[0]))
            continue;
        json_obj(&p.j, NULL);
        json_str(&p.j, "uid", at[2]);
        json_str(&p.j, "line", at[0]);
        json_str(&p.j, "release", at[1]);
        json_str(&p.j, "key_alg", job->m->kind);
        json_str(&p.j, "sig_alg", db_span(&r, 3));
        put_time_s(&p.j, "not_after", db_i64(&r, 4));
        json_obj_end(&p.j);
        p.n++;
    }
    e = db_rows_end(&r, f);
    struct span next = rows == job->limit ? cursor_put(job, at, 3) : (struct span){ 0 };
    page_end(job, &p, rows == job->limit ? &next : NULL);
    return e;
}
