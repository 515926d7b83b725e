/* front_rest.c: JSON in, message out; replies with 201, and the two bodies that are not one object: operators with their
 * CSR, edges with their reports.
 */
#include "base/json.h"
#include "crypt/pem.h"
#include "role/front_priv.h"

static struct span *msg_span(const struct msg_desc *d, void *msg, const char *name)
{
    char *at = msg;
    for (size_t i = 0; i < d->nfields; i++) {
        bool number = d->fields[i].type == MSG_F_I64 || d->fields[i].type == MSG_F_BOOL || d->fields[i].type == MSG_F_TIM;
        if (strcmp(d->fields[i].name, name) == 0)
            return number ? NULL : (struct span *)(void *)at;
        at += number ? sizeof(int64_t) : sizeof(struct span);
    }
    return NULL;
}

static bool body_needed(const struct msg_desc *d)
{
    for (size_t i = 0; i < d->nfields; i++)
        if (d->fields[i].from == MSG_FROM_REQ)
            return true;
    return false;
}

enum err front_param(struct front_req *r, struct span *out, struct fault *f)
{
    struct span p = r->match.params[0];
    *out = p;
    if (strcmp(r->handler->param, "uid") == 0)
        return name_check_uid(p, f);
    if (strcmp(r->handler->param, "name") == 0 || strcmp(r->handler->param, "line") == 0)
        return name_check_label(r->handler->param, p, f);
    CLEANUP(buf_free) struct buf serial = BUF_INIT(20);
    if (p.n == 0 || hex_decode(p, &serial) || buf_err(&serial))
        return fault_set(f, CE_BAD_FIELD, "the serial must be 2 to 40 hexadecimal digits");
    struct span s = buf_span(&serial);
    while (s.n > 1 && s.p[0] == 0)
        s = span_of(s.p + 1, s.n - 1);
    *out = arena_copy(&r->arena, s);
    return CE_OK;
}

static enum err body_read(struct front_req *r, struct fault *f)
{
    const struct msg_desc *d = r->handler->desc;
    CLEANUP(json_decref_p) json_t *json = NULL;
    r->desc = d;
    r->msg = arena_alloc(&r->arena, d->size);
    if (r->body.n == 0 && !body_needed(d))
        return CE_OK;
    enum err e = json_parse(r->body, &json, f);
    return e ? e : msg_from_json(d, json, &r->arena, r->msg, f);
}

enum err front_json(struct front_req *r, struct fault *f)
{
    struct span param = {0};
    enum err e = r->handler->param ? front_param(r, &param, f) : CE_OK;
    if (!e)
        e = body_read(r, f);
    if (!e && r->handler->param)
        *msg_span(r->desc, r->msg, r->handler->param) = param;
    return e;
}

void front_reply_created(struct front_req *r, const struct msg_reply *rep)
{
    struct msg_reply made = *rep;
    struct span *name = msg_span(r->desc, r->msg, "uid");
    if (!made.http)
        made.http = 201;
    if (r->handler->location && name)
        front_header(r, "Location", "%s/" SPAN_FMT, r->handler->location, SPAN_ARG(*name));
    front_reply_plain(r, &made);
}

/* -- operators: the key is made by the one who will hold it; we only see its CSR ------------------------------------------------ */
enum err front_operator_add(struct front_req *r, struct fault *f)
{
    struct msg_enroll csr;
    enum err e = body_read(r, f);
    if (e)
        return e;
    struct msg_operator_add *m = r->msg;
    e = name_check_label("name", m->name, f);
    if (!e && !route_role_bit(m->role))
        e = fault_set(f, CE_BAD_FIELD, "field 'role' must be admin, operator, station, auditor, edge or backend");
    if (!e)
        e = front_csr_judge(&r->arena, m->csr, &r->fr->infra, &csr, f);
    if (e)
        return e;
    if (!span_eq(csr.uid, m->name))
        return fault_set(f, CE_NAME_MISMATCH, "the CSR's CN must be the operator's name");
    m->spki = csr.spki;
    return CE_OK;
}

void front_reply_operator(struct front_req *r, const struct msg_reply *rep)
{
    const struct msg_operator_add *m = r->msg;
    CLEANUP(buf_free) struct buf pem = BUF_INIT(32768), body = BUF_INIT(65536);
    struct json_out j = JSON_OUT(&body);
    if (rep->body_kind != BODY_CERT) {
        front_reply_created(r, rep);
        return;
    }
    pem_encode("CERTIFICATE", rep->body, &pem);
    json_obj(&j, NULL);
    json_str(&j, "name", m->name);
    json_str(&j, "role", m->role);
    json_str(&j, "certificate", buf_span(&pem));
    json_obj_end(&j);
    if (rep->rev > 0)
        front_header(r, "ETag", "\"%lld\"", (long long)rep->rev);
    front_header(r, "Location", "/api/v1/operators/" SPAN_FMT, SPAN_ARG(m->name));
    front_send(r, 201, "application/json", buf_span(&body));
}

/* -- reports of edges ------------------------------------------------------------------------------------------------------------ */
#define REPORTS_MAX 1000

enum err front_report(struct front_req *r, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *json = NULL;
    CLEANUP(buf_free) struct buf items = BUF_INIT(4194304);
    struct msg_edge_report *m = arena_alloc(&r->arena, sizeof *m);
    enum err e = json_parse(r->body, &json, f);
    if (e)
        return e;
    if (!json_is_array(json) || json_array_size(json) > REPORTS_MAX)
        return fault_set(f, CE_BAD_FIELD, "the body must be an array of at most %d reports", REPORTS_MAX);
    for (size_t i = 0; i < json_array_size(json); i++) {
        struct msg_report one;
        struct fault why = {0};
        e = msg_from_json(&msg_desc_report, json_array_get(json, i), &r->arena, &one, &why);
        if (e)
            return fault_set(f, e, "report %zu: %.200s", i, why.text);
        msg_pack(&msg_desc_report, &one, &items);
    }
    if (buf_err(&items))
        return fault_set(f, CE_TOO_LARGE, "the reports are too long");
    m->items = arena_copy(&r->arena, buf_span(&items));
    size_t *count = arena_alloc(&r->arena, sizeof *count);
    *count = json_array_size(json);
    r->note = count;
    r->desc = &msg_desc_edge_report;
    r->msg = m;
    return CE_OK;
}

void front_reply_report(struct front_req *r, const struct msg_reply *rep)
{
    (void)rep;
    CLEANUP(buf_free) struct buf body = BUF_INIT(64);
    buf_printf(&body, "{\"accepted\":%zu}", *(size_t *)r->note);
    front_send(r, 200, "application/json", buf_span(&body));
}
