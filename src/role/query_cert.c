/* query_cert.c: certificates, and the short lists: operators, lines, models, backends; the brokers' policy. */
#include "core/policy.h"
#include "role/query_priv.h"
#include "wire/text_list.h"

static void put_ca(const struct query_job *job, struct json_out *j, struct span kid)
{
    for (size_t i = 0; i < job->q->ncas; i++)
        if (span_eq(kid, span_of(job->q->ca[i].kid, job->q->ca[i].kid_n))) {
            json_cstr(j, "ca", job->q->ca[i].name);
            return;
        }
    json_none(j, "ca");
}

static void put_cert(const struct query_job *job, struct json_out *j, const struct cert_item *c)
{
    json_obj(j, NULL);
    json_hex(j, "serial", c->serial);
    put_ca(job, j, c->kid);
    json_hex(j, "kid", c->kid);
    json_str(j, "holder", c->holder);
    json_cstr(j, "holder_kind", c->holder_kind == 2 ? "device" : "operator");
    json_str(j, "profile", c->profile);
    json_hex(j, "spki_sha256", c->spki);
    json_time_s(j, "not_before", c->not_before);
    json_time_s(j, "not_after", c->not_after);
    put_time_ms(j, "issued_at", c->issued_at);
    json_cstr(j, "status", cert_status_text(c, clock_now_s()));
    put_time_s(j, "revoked_at", c->revoked_at);
    if (c->status == 1 || c->status == 2)
        json_int(j, "reason", c->reason);
    else
        json_none(j, "reason");
    put_time_ms(j, "first_used_at", c->first_used_at);
    if (c->der.n)
        json_base64(j, "der", c->der);
    json_obj_end(j);
}

static bool wanted(const struct query_job *job, const struct cert_item *c)
{
    const struct msg_query *m = job->m;
    return pass(m->key, c->holder) && pass(m->line, c->line) && pass(m->state, span_str(cert_status_text(c, clock_now_s()))) &&
           in_scope(job, c->line);
}

/* Serial numbers that begin with these hex digits: [from, below). An odd digit stands for 16 bytes. */
static enum err serial_range(struct query_job *job, struct span *from, struct span *below, struct fault *f)
{
    CLEANUP(buf_free) struct buf lo = BUF_INIT(64), text = BUF_INIT(80);
    buf_put_span(&text, job->m->q);
    if (text.len % 2)
        buf_put_u8(&text, '0');
    if (hex_decode(buf_span(&text), &lo) || !lo.len)
        return fault_set(f, CE_BAD_FIELD, "query parameter 'q' must be the beginning of a serial number in hex");
    *from = arena_copy(&job->arena, buf_span(&lo));
    unsigned step = job->m->q.n % 2 ? 16 : 1;
    for (size_t i = lo.len; i-- > 0; step = 1) {
        unsigned v = lo.data[i] + step;
        lo.data[i] = (uint8_t)v;
        if (v < 256) {
            *below = arena_copy(&job->arena, span_of(lo.data, i + 1));
            return CE_OK;
        }
    }
    *below = (struct span){0};
    return CE_OK;
}

struct cert_place {
    int64_t issued_at;
    struct span serial;
    bool full;
};

static enum err certs_page(struct query_job *job, struct query_page *p, struct db_rows *r, struct cert_place *at, struct fault *f)
{
    struct cert_item c;
    int64_t rows = 0, skip_at = at->issued_at;
    struct span skip = at->serial;
    while (!at->full && db_next(r)) {
        rows++;
        query_cert_item(r, &c);
        if (job->m->key.n ? c.issued_at == skip_at && skip.n && span_cmp(c.serial, skip) <= 0 : false)
            continue;
        at->issued_at = c.issued_at;
        at->serial = arena_copy(&job->arena, c.serial);
        if (wanted(job, &c)) {
            put_cert(job, &p->j, &c);
            p->n++;
        }
        at->full = p->n == job->limit;
    }
    at->full |= rows == QUERY_SCAN;
    return db_rows_end(r, f);
}

enum err query_do_certs(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct db_rows r;
    struct span parts[2], from = {0}, below = {0};
    struct cert_place at = {0};
    bool there;
    enum err e = cursor_get(job, parts, 2, &there, f);
    if (!e && job->m->q.n)
        e = serial_range(job, &from, &below, f);
    if (!e && there && !span_to_i64(parts[0], &at.issued_at))
        e = fault_set(f, CE_BAD_CURSOR, "'after' is not a cursor of this list; begin again without it");
    if (e)
        return e;
    page_begin(job, &p);
    query_budget(job->q);
    if (job->m->key.n) {
        at.serial = parts[1];
        query_certs_of(job->q->db, 0, job->m->key, at.issued_at, QUERY_SCAN, &r);
    } else {
        CLEANUP(buf_free) struct buf next = BUF_INIT(64);
        buf_put_span(&next, parts[1]);
        buf_put_u8(&next, 0); /* the smallest serial after this one */
        query_certs(job->q->db, there ? arena_copy(&job->arena, buf_span(&next)) : from, below, QUERY_SCAN, &r);
    }
    e = certs_page(job, &p, &r, &at, f);
    if (e)
        return e;
    struct span end[2] = {span_str(arena_printf(&job->arena, "%lld", (long long)at.issued_at)), at.serial};
    struct span next = at.full ? cursor_put(job, end, 2) : (struct span){0};
    page_end(job, &p, at.full ? &next : NULL);
    return CE_OK;
}

enum err query_do_cert(struct query_job *job, struct fault *f)
{
    CLEANUP(buf_free) struct buf serial = BUF_INIT(64);
    struct db_rows r;
    struct cert_item c;
    struct json_out j = JSON_OUT(&job->body);
    enum err e = fault_set(f, CE_NOT_FOUND, "there is no certificate with serial number " SPAN_FMT, SPAN_ARG(job->m->key));
    if (hex_decode(job->m->key, &serial))
        return fault_set(f, CE_BAD_FIELD, "a serial number is an even number of hex digits");
    query_cert(job->q->db, buf_span(&serial), &r);
    if (db_next(&r)) {
        query_cert_item(&r, &c);
        if (!in_scope(job, c.line)) {
            e = fault_set(f, CE_LINE_FORBIDDEN, "the certificate belongs to a device of a line that is not one of yours");
        } else if (span_eq_str(job->m->kind, "der")) {
            job->body_kind = BODY_CERT;
            buf_put_span(&job->body, c.der);
            e = CE_OK;
        } else {
            put_cert(job, &j, &c);
            e = CE_OK;
        }
    }
    enum err end = db_rows_end(&r, f);
    return end ? end : e;
}

/* -- short lists, by name -------------------------------------------------------------------------------------------------- */
struct by_name {
    void (*rows)(struct db *db, struct span from, int64_t limit, struct db_rows *out);
    /* Writes the row unless a filter keeps it out; says its name. */
    bool (*put)(struct query_job *job, const struct db_rows *r, struct json_out *j, struct span *name);
};

static enum err list_by_name(struct query_job *job, const struct by_name *l, struct fault *f)
{
    struct query_page p;
    struct db_rows r;
    struct span last, name;
    bool there, full = false;
    int64_t rows = 0;
    enum err e = cursor_get(job, &last, 1, &there, f);
    if (e)
        return e;
    page_begin(job, &p);
    l->rows(job->q->db, there ? text_after(&job->arena, last) : last, QUERY_SCAN, &r);
    while (!full && db_next(&r)) {
        rows++;
        p.n += l->put(job, &r, &p.j, &name);
        last = arena_copy(&job->arena, name);
        full = p.n == job->limit || rows == QUERY_SCAN;
    }
    e = db_rows_end(&r, f);
    if (e)
        return e;
    struct span next = full ? cursor_put(job, &last, 1) : (struct span){0};
    page_end(job, &p, full ? &next : NULL);
    return CE_OK;
}

static bool put_operator(struct query_job *job, const struct db_rows *r, struct json_out *j, struct span *name)
{
    struct operator_item o;
    struct span rest, one;
    (void)job;
    query_operator_item(r, &o);
    *name = o.name;
    json_obj(j, NULL);
    json_str(j, "name", o.name);
    json_str(j, "role", o.role);
    json_arr(j, "lines");
    for (rest = o.lines; span_cut(&rest, ',', &one);)
        json_str(j, NULL, span_trim(one));
    json_arr_end(j);
    json_str(j, "state", o.state);
    json_int(j, "rev", o.rev);
    put_time_ms(j, "added_at", o.added_at);
    put_time_ms(j, "changed_at", o.changed_at);
    json_obj_end(j);
    return true;
}

static bool put_line(struct query_job *job, const struct db_rows *r, struct json_out *j, struct span *name)
{
    struct line_item l;
    query_line_item(r, &l);
    *name = l.name;
    if (!in_scope(job, l.name))
        return false;
    json_obj(j, NULL);
    json_str(j, "name", l.name);
    json_str(j, "title", l.title);
    json_int(j, "validity_s", l.validity_s);
    json_str(j, "clone_policy", l.clone_policy);
    json_bool(j, "suspended", l.suspended != 0);
    json_int(j, "approvals", l.approvals);
    json_bool(j, "enroll_approval", l.enroll_approval != 0);
    json_str(j, "key_home", l.key_home.n ? l.key_home : SPAN_LIT("any"));
    json_int(j, "grace_s", l.grace_s);
    json_cstr(j, "grace_key", l.any_key ? "any" : "same");
    json_str(j, "service_until", l.service_until);
    json_bool(j, "cmp_secret", l.secrets != 0);
    struct topics_row t = {.write = l.write, .read = l.read, .repair = l.repair};
    policy_defaults(TOPICS_LINE, &t);
    text_list_json(j, "write", t.write);
    text_list_json(j, "read", t.read);
    text_list_json(j, "repair", t.repair);
    put_time_ms(j, "added_at", l.added_at);
    json_obj_end(j);
    return true;
}

/* What a caller who is bound to lines may know of: none of them, as in the policy. */
static bool put_backend(struct query_job *job, const struct db_rows *r, struct json_out *j, struct span *name)
{
    struct backend_item b;
    query_backend_item(r, &b);
    *name = b.name;
    if (job->m->scope.n)
        return false;
    json_obj(j, NULL);
    json_str(j, "name", b.name);
    json_str(j, "state", b.state);
    text_list_json(j, "write", b.write);
    text_list_json(j, "read", b.read);
    json_obj_end(j);
    return true;
}

static bool put_model(struct query_job *job, const struct db_rows *r, struct json_out *j, struct span *name)
{
    struct model_item m;
    query_model_item(r, &m);
    *name = m.name;
    if (!pass(job->m->line, m.line) || !in_scope(job, m.line))
        return false;
    json_obj(j, NULL);
    json_str(j, "name", m.name);
    json_str(j, "line", m.line);
    json_str(j, "title", m.title);
    json_str(j, "hw_rev", m.hw_rev);
    put_time_ms(j, "added_at", m.added_at);
    json_obj_end(j);
    return true;
}

enum err query_do_operators(struct query_job *job, struct fault *f)
{
    static const struct by_name list = {query_operators, put_operator};
    return list_by_name(job, &list, f);
}

enum err query_do_lines(struct query_job *job, struct fault *f)
{
    static const struct by_name list = {query_lines, put_line};
    return list_by_name(job, &list, f);
}

enum err query_do_backends(struct query_job *job, struct fault *f)
{
    static const struct by_name list = {query_backends, put_backend};
    return list_by_name(job, &list, f);
}

/* The document of the last commit, as the brokers get it; for a caller who is bound to lines, what it says of them. */
enum err query_do_policy(struct query_job *job, struct fault *f)
{
    job->body_kind = BODY_TEXT;
    return policy_build(job->q->db, job->m->scope, &job->body, f);
}

enum err query_do_models(struct query_job *job, struct fault *f)
{
    static const struct by_name list = {query_models, put_model};
    return list_by_name(job, &list, f);
}
