/* registry.c: models and devices: see registry.h. Lines: line.c. Decide first, then write. */
#include "core/attest.h"
#include "core/registry.h"

#include "base/log.h"
#include "base/name.h"
#include "core/device.h"
#include "core/engine.h"
#include "core/mass.h"
#include "core/revoke.h"
#include "store/registry.h"

void reply_json(struct batch *b, struct buf *out, struct msg_reply *reply)
{
    INVARIANT(!buf_err(out));
    reply->body_kind = BODY_JSON;
    reply->body = arena_copy(b->arena, buf_span(out));
}

/* -- models ---------------------------------------------------------------------------------------------------------------------- */
static enum err model_check(struct batch *b, const struct caller *c, const struct msg_model_add *m, struct fault *f)
{
    struct line line;
    enum err e = name_check_label("name", m->name, f);
    e = e ? e : name_check_label("line", m->line, f);
    e = e ? e : name_check_text("title", m->title, TEXT_MAX, f);
    e = e ? e : name_check_text("hw_rev", m->hw_rev, LABEL_MAX, f);
    e = e ? e : authz_line(c, m->line, f);
    e = e ? e : line_get(b, m->line, &line, f);
    return e == CE_NOT_FOUND ? fault_set(f, CE_LINE_UNKNOWN, "there is no product line '" SPAN_FMT "'", SPAN_ARG(m->line)) : e;
}

enum err registry_op_model_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_model_add *m = msg;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    enum err e = model_check(b, c, m, f);
    const struct model_row row = { .name = m->name, .line = m->line, .title = m->title, .hw_rev = m->hw_rev, .added_at = b->now_ms };
    e = e ? e : store_model_add(b->db, &row, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_MODEL_ADDED, (struct span){ 0 }, 0);
    json_str(j, "name", m->name);
    json_str(j, "line", m->line);
    json_str(j, "title", m->title);
    json_str(j, "hw_rev", m->hw_rev);
    json_str(j, "by", c->name);
    event_end(b);
    struct json_out o = JSON_OUT(&body);
    json_obj(&o, NULL);
    json_str(&o, "name", m->name);
    json_str(&o, "line", m->line);
    json_str(&o, "title", m->title);
    json_str(&o, "hw_rev", m->hw_rev);
    json_time_ms(&o, "added_at", b->now_ms);
    json_obj_end(&o);
    out->http = HTTP_CREATED;
    reply_json(b, &body, out);
    return CE_OK;
}

/* -- devices ------------------------------------------------------------------------------------------------------------------------ */
static void device_json(const struct device *d, struct span decided, struct buf *out)
{
    struct json_out o = JSON_OUT(out);
    json_obj(&o, NULL);
    json_str(&o, "uid", d->uid);
    json_str(&o, "serial", d->serial);
    json_str(&o, "model", d->model);
    json_str(&o, "line", d->line);
    json_str(&o, "batch", d->batch);
    json_str(&o, "country", d->country);
    json_cstr(&o, "state", device_state_name(d->state));
    json_int(&o, "rev", d->rev);
    json_time_ms(&o, "created_at", d->created_at);
    json_time_ms(&o, "changed_at", d->changed_at);
    if (decided.n)
        json_str(&o, "decided", decided);
    json_obj_end(&o);
}

static bool country_is(struct span s)
{
    return s.n == 0 || (s.n == 2 && s.p[0] >= 'A' && s.p[0] <= 'Z' && s.p[1] >= 'A' && s.p[1] <= 'Z');
}

static enum err device_check(const struct msg_device_add *m, struct fault *f)
{
    enum err e = name_check_uid(m->uid, f);
    e = e ? e : name_check_text("serial", m->serial, 64, f);
    e = e ? e : name_check_label("model", m->model, f);
    if (!e && m->batch.n)
        e = name_check_label("batch", m->batch, f);
    if (!e && !country_is(m->country))
        e = fault_set(f, CE_BAD_FIELD, "country is two capital letters (ISO 3166-1 alpha-2), not '" SPAN_FMT "'", SPAN_ARG(m->country));
    return e;
}

/* One name space with the operators: the revocation stream blocks by name, and a broker knows a client by it. A device called like a
 * backend could displace it, and blocking the device would block the backend. Names of removed operators stay taken. */
static enum err uid_judge(struct batch *b, struct span uid, struct fault *f)
{
    struct operator_row op;
    enum err e = store_operator_get(b->db, b->arena, uid, &op, f);
    if (!e)
        return fault_set(f, CE_EXISTS, "there is or was an operator '" SPAN_FMT "'; a device needs another UID", SPAN_ARG(uid));
    if (e != CE_NOT_FOUND)
        return e;
    *f = (struct fault){ 0 };
    return CE_OK;
}

enum err device_register(struct batch *b, const struct device_row *row, struct fault *f)
{
    enum err e = uid_judge(b, row->uid, f);
    e = e ? e : store_device_add(b->db, row, f);
    if (e)
        return e;
    b->work->states[DEVICE_REGISTERED]++;
    struct json_out *j = event_begin(b, EVENT_DEVICE_ADDED, row->uid, 1);
    json_str(j, "serial", row->serial);
    json_str(j, "model", row->model);
    json_str(j, "line", row->line);
    json_str(j, "batch", row->batch);
    json_str(j, "country", row->country);
    json_str(j, "by", row->created_by);
    event_end(b);
    return CE_OK;
}

enum err registry_op_device_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_device_add *m = msg;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct model_row model;
    enum err e = device_check(m, f);
    e = e ? e : store_model_get(b->db, b->arena, m->model, &model, f);
    if (e == CE_NOT_FOUND)
        return fault_set(f, CE_MODEL_UNKNOWN, "there is no model '" SPAN_FMT "'; add it first", SPAN_ARG(m->model));
    e = e ? e : authz_line(c, model.line, f);
    if (e)
        return e;
    const struct device_row row = { .uid = m->uid, .serial = m->serial, .model = m->model, .line = model.line, .batch = m->batch,
                                    .country = m->country, .created_by = c->name, .created_at = b->now_ms, .state = SPAN_LIT("registered") };
    e = device_register(b, &row, f);
    if (!e && m->ek.n)
        e = device_ek_write(b, c, m->uid, m->ek, (struct span){ 0 }, f);
    if (e)
        return e;
    const struct device d = { .uid = m->uid, .serial = m->serial, .model = m->model, .line = model.line, .batch = m->batch, .country = m->country,
                              .state = DEVICE_REGISTERED, .rev = 1, .created_at = b->now_ms, .changed_at = b->now_ms };
    device_json(&d, (struct span){ 0 }, &body);
    out->http = HTTP_CREATED;
    out->rev = 1;
    reply_json(b, &body, out);
    return CE_OK;
}

/* The states that an operator may ask for; the others follow from certificates. */
static bool state_may_be_asked(enum device_state s) { return s == DEVICE_ACTIVE || s == DEVICE_QUARANTINED || device_state_blocked(s); }

enum err device_ask_parse(struct span state, struct span reason, struct span note, struct device_ask *out, struct fault *f)
{
    *out = (struct device_ask){ .reason_name = reason, .note = note, .if_match = -1 };
    if (!device_state_parse(state, &out->to) || !state_may_be_asked(out->to))
        return fault_set(f, CE_BAD_FIELD, "state is active (resume), quarantined, suspended, revoked or decommissioned, not '" SPAN_FMT "'", SPAN_ARG(state));
    enum err e = revoke_reason_parse(reason, &out->reason, f);
    return e ? e : name_check_text("note", note, TEXT_MAX, f);
}

enum err device_ask_judge(struct batch *b, const struct caller *c, const struct device_ask *ask, struct span uid, struct device *d, struct fault *f)
{
    enum err e = device_get(b, uid, d, f);
    e = e ? e : authz_line(c, d->line, f);
    if (e)
        return e;
    if (ask->if_match >= 0 && ask->if_match != d->rev)
        return fault_set(f, CE_REV_MISMATCH, "device '" SPAN_FMT "' is at rev %lld, If-Match asked for %lld: read it again", SPAN_ARG(d->uid),
                         (long long)d->rev, (long long)ask->if_match);
    if (ask->to == DEVICE_ACTIVE && d->state != DEVICE_SUSPENDED && d->state != DEVICE_QUARANTINED)
        return fault_set(f, CE_STATE_CHANGE, "device '" SPAN_FMT "' is %s; only a quarantined or suspended device can be resumed", SPAN_ARG(d->uid),
                         device_state_name(d->state));
    return device_move_check(d, ask->to, f);
}

enum err device_ask_do(struct batch *b, const struct caller *c, const struct device_ask *ask, struct device *d, struct span *decided,
                       struct fault *f)
{
    enum err e = device_move_by_job(b, d, ask->to, ask->reason_name, ask->note, c->name, ask->job, f);
    if (e)
        return e;
    *decided = batch_event_last(b);
    return cert_block_device(b, d, ask->reason, ask->note, c->name, f);
}

enum err registry_op_device_state(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_device_state *m = msg;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct device_ask ask;
    struct span decided;
    struct device d = { 0 };
    enum err e = device_ask_parse(m->state, m->reason, m->note, &ask, f);
    ask.if_match = c->m->if_match;
    e = e ? e : device_ask_judge(b, c, &ask, m->uid, &d, f);
    e = e ? e : mass_pace_judge(b, c, 1, f);
    e = e ? e : device_ask_do(b, c, &ask, &d, &decided, f);
    if (e)
        return e;
    mass_pace_take(b, c, 1);
    device_json(&d, decided, &body);
    out->rev = d.rev;
    reply_json(b, &body, out);
    return CE_OK;
}
