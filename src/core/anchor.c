/* anchor.c: see anchor.h. Decide first, then write. */
#include "core/anchor.h"

#include "base/name.h"
#include "core/line.h"
#include "core/registry.h"
#include "crypt/cert.h"
#include "crypt/hash.h"
#include "crypt/oid_text.h"
#include "store/registry.h"

static void anchor_reply(struct batch *b, const struct anchor_row *r, int64_t http, struct msg_reply *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out o = JSON_OUT(&body);
    json_obj(&o, NULL);
    json_str(&o, "line", r->line);
    json_hex(&o, "sha256", r->sha256);
    json_str(&o, "rule", r->rule);
    json_str(&o, "hw_type", r->hw_type);
    json_str(&o, "model", r->model);
    json_str(&o, "title", r->title);
    json_time_ms(&o, "added_at", r->added_at);
    json_obj_end(&o);
    out->http = http;
    reply_json(b, &body, out);
}

static void anchor_push(struct batch *b, int peer, const struct anchor_row *r, bool removed)
{
    struct msg_push_anchor m = { .line = r->line, .sha256 = r->sha256, .removed = removed };
    if (!removed) {
        m.root = r->root;
        m.inters = r->inters;
    }
    batch_push_msg(b, peer, &msg_desc_push_anchor, &m);
}

enum err anchors_push(struct batch *b, int peer, struct fault *f)
{
    struct anchor_row *rows;
    size_t n;
    enum err e = store_anchor_list(b->db, b->arena, (struct span){ 0 }, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        anchor_push(b, peer, &rows[i], false);
    return e;
}

static enum err rule_check(const struct msg_anchor_add *m, struct fault *f)
{
    CLEANUP(buf_free) struct buf oid = BUF_INIT(0);
    if (!span_eq_str(m->rule, "serial") && !span_eq_str(m->rule, "cn") && !span_eq_str(m->rule, "hwserial"))
        return fault_set(f, CE_BAD_FIELD, "rule is serial, cn or hwserial, not '" SPAN_FMT "'", SPAN_ARG(m->rule));
    return m->hw_type.n ? oid_from_text("hw_type", m->hw_type, &oid, f) : CE_OK;
}

static enum err room_check(struct batch *b, struct span line, struct fault *f)
{
    struct anchor_row *rows;
    size_t n, of_line = 0;
    enum err e = store_anchor_list(b->db, b->arena, (struct span){ 0 }, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        of_line += span_eq(rows[i].line, line);
    if (!e && (n >= ANCHORS_OF_SITE || of_line >= ANCHORS_OF_LINE))
        e = fault_set(f, CE_TOO_LARGE, "a line has %d anchors at most, a site %d", ANCHORS_OF_LINE, ANCHORS_OF_SITE);
    return e;
}

static enum err names_check(struct batch *b, const struct msg_anchor_add *m, struct fault *f)
{
    struct line line;
    struct model_row model;
    struct core_ca ca;
    struct cert x;
    enum err e = line_get(b, m->line, &line, f);
    if (e)
        return e == CE_NOT_FOUND ? fault_set(f, CE_LINE_UNKNOWN, "there is no product line '" SPAN_FMT "'", SPAN_ARG(m->line)) : e;
    e = cert_parse(m->cert, &x, f);
    if (!e && core_ca_by_kid(b->core, x.ski, &ca))
        e = fault_set(f, CE_CERT_FOREIGN, "CA " SPAN_FMT " is this site's own: its devices need no anchor", SPAN_ARG(ca.name));
    if (e)
        return e;
    e = m->model.n ? store_model_get(b->db, b->arena, m->model, &model, f) : CE_OK;
    if (e == CE_NOT_FOUND)
        return fault_set(f, CE_MODEL_UNKNOWN, "there is no model '" SPAN_FMT "'; add it first", SPAN_ARG(m->model));
    if (!e && m->model.n && !span_eq(model.line, m->line))
        e = fault_set(f, CE_BAD_FIELD, "model '" SPAN_FMT "' is of line '" SPAN_FMT "'", SPAN_ARG(m->model), SPAN_ARG(model.line));
    return e;
}

enum err anchor_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_anchor_add *m = msg;
    uint8_t digest[SHA256_LEN];
    sha256(m->cert, digest);
    const struct anchor_row row = { .line = m->line, .sha256 = arena_copy(b->arena, span_of(digest, sizeof digest)), .root = m->cert, .inters = m->intermediates,
                                    .rule = m->rule, .hw_type = m->hw_type, .model = m->model, .title = m->title, .added_at = b->now_ms, .added_by = c->name };
    enum err e = name_check_label("line", m->line, f);
    e = e ? e : name_check_text("title", m->title, TEXT_MAX, f);
    e = e ? e : name_check_text("note", m->note, TEXT_MAX, f);
    e = e ? e : rule_check(m, f);
    e = e ? e : names_check(b, m, f);
    e = e ? e : room_check(b, m->line, f);
    e = e ? e : store_anchor_add(b->db, &row, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_ANCHOR_ADDED, (struct span){ 0 }, 0);
    json_str(j, "line", row.line);
    json_hex(j, "sha256", row.sha256);
    json_base64(j, "root", row.root);
    json_base64(j, "inters", row.inters);
    json_str(j, "rule", row.rule);
    json_str(j, "hw_type", row.hw_type);
    json_str(j, "model", row.model);
    json_str(j, "title", row.title);
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
    anchor_push(b, -1, &row, false);
    anchor_reply(b, &row, HTTP_CREATED, out);
    return CE_OK;
}

enum err anchor_op_remove(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_anchor_remove *m = msg;
    struct anchor_row row;
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    e = e ? e : store_anchor_get(b->db, b->arena, m->line, m->sha256, &row, f);
    e = e ? e : store_anchor_remove(b->db, m->line, m->sha256, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_ANCHOR_REMOVED, (struct span){ 0 }, 0);
    json_str(j, "line", row.line);
    json_hex(j, "sha256", row.sha256);
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
    anchor_push(b, -1, &row, true);
    anchor_reply(b, &row, 0, out);
    return CE_OK;
}

enum err idevid_op_forget(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_idevid_forget *m = msg;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct idevid_row row;
    struct device d;
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    e = e ? e : device_get(b, m->uid, &d, f);
    e = e ? e : authz_line(c, d.line, f);
    e = e ? e : store_idevid_get(b->db, b->arena, m->uid, &row, f);
    e = e ? e : store_idevid_forget(b->db, m->uid, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_IDEVID_FORGOTTEN, m->uid, 0);
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
    struct json_out o = JSON_OUT(&body);
    json_obj(&o, NULL);
    json_str(&o, "uid", m->uid);
    json_str(&o, "name", row.name);
    json_hex(&o, "spki", row.spki);
    json_obj_end(&o);
    reply_json(b, &body, out);
    return CE_OK;
}

/* -- grace ------------------------------------------------------------------------------------------------------------------------ */
bool grace_given(const struct msg_line_set *m) { return m->grace_s || m->grace_key.n || m->no_grace; }

enum err grace_check(const struct msg_line_set *m, struct fault *f)
{
    if (m->grace_s < 0 || (m->grace_s && m->no_grace))
        return fault_set(f, CE_BAD_FIELD, "grace_s is a number of seconds; for none give no_grace alone");
    if (m->grace_key.n && !span_eq_str(m->grace_key, "same") && !span_eq_str(m->grace_key, "any"))
        return fault_set(f, CE_BAD_FIELD, "grace_key is same or any, not '" SPAN_FMT "'", SPAN_ARG(m->grace_key));
    return CE_OK;
}

enum err grace_write(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_more *more, struct fault *f)
{
    more->grace_s = m->no_grace ? 0 : m->grace_s ? m->grace_s : more->grace_s;
    more->grace_any_key = m->grace_key.n ? span_eq_str(m->grace_key, "any") : more->grace_any_key;
    enum err e = line_more_put(b, m->name, more, f);
    if (e)
        return e;
    struct json_out *j = line_event_begin(b, EVENT_LINE_GRACE, m->name);
    json_int(j, "grace_s", more->grace_s);
    json_cstr(j, "key", more->grace_any_key ? "any" : "same");
    return line_event_end(b, j, c, m->note);
}
