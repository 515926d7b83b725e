/* line.c: product lines: adding them, what their devices may do at a broker, suspending them as a whole. Decide first, then write. */
#include "base/clock.h"
#include "base/name.h"
#include "core/anchor.h"
#include "core/attest.h"
#include "core/ca.h"
#include "core/enroll.h"
#include "core/line.h"
#include "core/policy.h"
#include "core/registry.h"
#include "core/stream.h"
#include "cradle/snapshot.h"
#include "store/query_rows.h"
#include "wire/policy.h"
#include "wire/text_list.h"

#define LINE_APPROVALS_MAX 8

static void line_reply(struct batch *b, const struct line *line, struct topics_row t, struct msg_reply *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out o = JSON_OUT(&body);
    const struct line_row *l = &line->row;
    const struct line_more *more = &line->more;
    policy_defaults(TOPICS_LINE, &t);
    json_obj(&o, NULL);
    json_str(&o, "name", l->name);
    json_str(&o, "title", l->title);
    json_int(&o, "validity_s", l->validity_s);
    json_str(&o, "clone_policy", l->clone_policy);
    json_bool(&o, "suspended", l->suspended != 0);
    json_int(&o, "approvals", more->approvals);
    json_bool(&o, "enroll_approval", more->enroll_approval);
    json_int(&o, "grace_s", more->grace_s);
    json_cstr(&o, "grace_key", more->grace_any_key ? "any" : "same");
    json_str(&o, "ca", more->ca);
    json_str(&o, "service_until", more->service_until);
    json_bool(&o, "cmp_secret", more->cmp_secret);
    json_str(&o, "key_home", more->key_home.n ? more->key_home : SPAN_LIT("any"));
    text_list_json(&o, "write", t.write);
    text_list_json(&o, "read", t.read);
    text_list_json(&o, "repair", t.repair);
    json_time_ms(&o, "added_at", l->added_at);
    json_obj_end(&o);
    reply_json(b, &body, out);
}

static enum err clone_policy_check(struct span policy, struct fault *f)
{
    enum policy_clones ignored;
    if (policy_clones_from_name(policy, &ignored))
        return CE_OK;
    return fault_set(f, CE_BAD_FIELD, "clone_policy is alarm, quarantine or refuse, not '" SPAN_FMT "'", SPAN_ARG(policy));
}

/* Fronts know the lines: they are the labels of EST. */
static void line_push(struct batch *b, int peer, struct span name)
{
    const struct msg_push_line m = { .name = name };
    batch_push_msg(b, peer, &msg_desc_push_line, &m);
}

enum err registry_lines_push(struct batch *b, int peer, struct fault *f)
{
    struct db_rows r;
    struct line_item l;
    query_lines(b->db, span_str(""), INT64_MAX, &r);
    while (db_next(&r)) {
        query_line_item(&r, &l);
        line_push(b, peer, l.name);
    }
    return db_rows_end(&r, f);
}

enum err registry_op_line_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_line_add *m = msg;
    const struct line_row row = { .name = m->name, .title = m->title, .validity_s = m->validity_s, .added_at = b->now_ms,
                                  .clone_policy = m->clone_policy.n ? m->clone_policy : SPAN_LIT("alarm") };
    enum err e = name_check_label("name", m->name, f);
    if (!e && m->name.n > 7 && memcmp(m->name.p + m->name.n - 7, ".idevid", 7) == 0)
        e = fault_set(f, CE_BAD_NAME, "a product line's name does not end with .idevid: EST labels do, when an IDevID is asked for");
    e = e ? e : name_check_text("title", m->title, TEXT_MAX, f);
    e = e ? e : clone_policy_check(row.clone_policy, f);
    e = e ? e : line_row_add(b, &row, f);
    e = e ? e : policy_changed(b, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_LINE_ADDED, (struct span){ 0 }, 0);
    json_str(j, "name", m->name);
    json_str(j, "title", m->title);
    json_int(j, "validity_s", m->validity_s);
    json_str(j, "clone_policy", row.clone_policy);
    json_str(j, "by", c->name);
    event_end(b);
    out->http = HTTP_CREATED;
    line_push(b, -1, m->name);
    line_reply(b, &(struct line){ .row = row }, (struct topics_row){ 0 }, out);
    return CE_OK;
}

/* -- settings ------------------------------------------------------------------------------------------------------------------------ */
/* Lists of a request over those in force; unset ones stay, or become the defaults again. */
static void topics_merge(const struct msg_line_set *m, struct topics_row *t)
{
    if (m->defaults)
        t->write = t->read = t->repair = (struct span){ 0 };
    t->write = m->write.n ? m->write : t->write;
    t->read = m->read.n ? m->read : t->read;
    t->repair = m->repair.n ? m->repair : t->repair;
}

static enum err settings_write(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_row *l, struct topics_row *t,
                               struct fault *f)
{
    l->title = m->title.n ? m->title : l->title;
    l->validity_s = m->validity_s ? m->validity_s : l->validity_s;
    l->clone_policy = m->clone_policy.n ? m->clone_policy : l->clone_policy;
    topics_merge(m, t);
    enum err e = line_row_put(b, l, f);
    e = e ? e : store_topics_put(b->db, TOPICS_LINE, t, f);
    e = e ? e : policy_changed(b, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_LINE_CHANGED, (struct span){ 0 }, 0);
    json_str(j, "name", l->name);
    json_str(j, "title", l->title);
    json_int(j, "validity_s", l->validity_s);
    json_str(j, "clone_policy", l->clone_policy);
    json_str(j, "write", t->write);
    json_str(j, "read", t->read);
    json_str(j, "repair", t->repair);
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
    return CE_OK;
}

struct json_out *line_event_begin(struct batch *b, enum event_kind kind, struct span line)
{
    struct json_out *j = event_begin(b, kind, (struct span){ 0 }, 0);
    json_str(j, "name", line);
    return j;
}

enum err line_event_end(struct batch *b, struct json_out *j, const struct caller *c, struct span note)
{
    json_str(j, "note", note);
    json_str(j, "by", c->name);
    event_end(b);
    return CE_OK;
}

static enum err state_write(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_row *l, struct fault *f)
{
    l->suspended = !l->suspended;
    enum err e = line_row_put(b, l, f);
    if (e)
        return e;
    struct json_out *j = line_event_begin(b, EVENT_LINE_STATE, l->name);
    json_bool(j, "suspended", l->suspended);
    stream_change_line(b, l->suspended ? SNAPSHOT_OP_ADD : SNAPSHOT_OP_DEL, l->name);
    return line_event_end(b, j, c, m->note);
}

static enum err approvals_write(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_more *more, struct fault *f)
{
    more->approvals = m->approvals;
    enum err e = line_more_put(b, m->name, more, f);
    if (e)
        return e;
    struct json_out *j = line_event_begin(b, EVENT_LINE_APPROVALS, m->name);
    json_int(j, "approvals", m->approvals);
    return line_event_end(b, j, c, m->note);
}

static enum err ca_write(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_more *more, struct fault *f)
{
    struct span ca = span_eq_str(m->ca, "default") ? (struct span){ 0 } : m->ca;
    struct core_ca one;
    if (ca.n && (!core_ca(b->core, ca, &one) || one.use != CA_USE_DEVICE))
        return fault_set(f, CE_BAD_FIELD, "ca: there is no CA '" SPAN_FMT "' for devices", SPAN_ARG(ca));
    if (ca.n && ca_judge_holder(&one))
        return fault_set(f, CE_CA_STATE, "ca: CA " SPAN_FMT " is %s", SPAN_ARG(ca), ca_state_name(one.state));
    more->ca = ca;
    enum err e = line_more_put(b, m->name, more, f);
    if (e)
        return e;
    struct json_out *j = line_event_begin(b, EVENT_LINE_CA, m->name);
    json_str(j, "ca", ca);
    return line_event_end(b, j, c, m->note);
}

static enum err service_check(struct span until, struct fault *f)
{
    char text[40];
    int64_t ms;
    if (!until.n || span_eq_str(until, "none"))
        return CE_OK;
    snprintf(text, sizeof text, SPAN_FMT "T00:00:00Z", SPAN_ARG(until)); /* 10 bytes at most */
    return clock_parse_ms(span_str(text), &ms) ? fault_set(f, CE_BAD_FIELD, "service_until is a day (YYYY-MM-DD) or none, not '" SPAN_FMT "'", SPAN_ARG(until)) : CE_OK;
}

static enum err service_write(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_more *more, struct fault *f)
{
    more->service_until = span_eq_str(m->service_until, "none") ? (struct span){ 0 } : m->service_until;
    enum err e = line_more_put(b, m->name, more, f);
    if (e)
        return e;
    struct json_out *j = line_event_begin(b, EVENT_LINE_SERVICE, m->name);
    json_str(j, "until", more->service_until);
    return line_event_end(b, j, c, m->note);
}

static enum err secrets_write(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_more *more, struct fault *f)
{
    more->cmp_secret = span_eq_str(m->cmp_secret, "yes");
    enum err e = line_more_put(b, m->name, more, f);
    if (e)
        return e;
    struct json_out *j = line_event_begin(b, EVENT_LINE_SECRETS, m->name);
    json_bool(j, "allowed", more->cmp_secret);
    return line_event_end(b, j, c, m->note);
}

static bool settings_given(const struct msg_line_set *m)
{
    return m->title.n || m->validity_s || m->clone_policy.n || m->write.n || m->read.n || m->repair.n || m->defaults;
}

static enum err set_check(const struct msg_line_set *m, struct fault *f)
{
    const struct topics_row t = { .write = m->write, .read = m->read, .repair = m->repair };
    enum err e = name_check_text("title", m->title, TEXT_MAX, f);
    e = e ? e : name_check_text("note", m->note, TEXT_MAX, f);
    if (!e && m->clone_policy.n)
        e = clone_policy_check(m->clone_policy, f);
    if (!e && m->state.n && !span_eq_str(m->state, "active") && !span_eq_str(m->state, "suspended"))
        e = fault_set(f, CE_BAD_FIELD, "state is active or suspended, not '" SPAN_FMT "'", SPAN_ARG(m->state));
    if (!e && (m->approvals < 0 || m->approvals > LINE_APPROVALS_MAX))
        e = fault_set(f, CE_BAD_FIELD, "approvals is 1 to %d", LINE_APPROVALS_MAX);
    if (!e && m->enroll_approval.n && !span_eq_str(m->enroll_approval, "yes") && !span_eq_str(m->enroll_approval, "no"))
        e = fault_set(f, CE_BAD_FIELD, "enroll_approval is yes or no, not '" SPAN_FMT "'", SPAN_ARG(m->enroll_approval));
    e = e ? e : grace_check(m, f);
    e = e ? e : service_check(m->service_until, f);
    if (!e && m->cmp_secret.n && !span_eq_str(m->cmp_secret, "yes") && !span_eq_str(m->cmp_secret, "no"))
        e = fault_set(f, CE_BAD_FIELD, "cmp_secret is yes or no, not '" SPAN_FMT "'", SPAN_ARG(m->cmp_secret));
    if (!e && !m->state.n && !m->approvals && !m->enroll_approval.n && !m->cmp_secret.n && !m->service_until.n && !m->ca.n && !m->key_home.n && !grace_given(m) && !settings_given(m))
        e = fault_set(f, CE_BAD_FIELD,
                      "nothing to change: give title, validity_s, clone_policy, write, read, repair, defaults, approvals, enroll_approval, grace_s, service_until, cmp_secret, ca, key_home or state");
    return e ? e : policy_check_topics(TOPICS_LINE, &t, f);
}

enum err registry_op_line_set(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_line_set *m = msg;
    struct line line;
    struct topics_row t;
    enum err e = set_check(m, f);
    e = e ? e : line_get(b, m->name, &line, f);
    if (e == CE_NOT_FOUND)
        return fault_set(f, CE_LINE_UNKNOWN, "there is no product line '" SPAN_FMT "'", SPAN_ARG(m->name));
    e = e ? e : store_topics_get(b->db, b->arena, TOPICS_LINE, m->name, &t, f);
    if (e)
        return e;
    if (m->state.n && span_eq_str(m->state, "suspended") == (line.row.suspended != 0))
        return fault_set(f, CE_STATE_CHANGE, "line '" SPAN_FMT "' is %s already", SPAN_ARG(line.row.name), line.row.suspended ? "suspended" : "active");
    if (settings_given(m))
        e = settings_write(b, c, m, &line.row, &t, f);
    if (!e && m->state.n)
        e = state_write(b, c, m, &line.row, f);
    if (!e && m->approvals)
        e = approvals_write(b, c, m, &line.more, f);
    if (!e && grace_given(m))
        e = grace_write(b, c, m, &line.more, f);
    if (!e && m->ca.n)
        e = ca_write(b, c, m, &line.more, f);
    if (!e && m->enroll_approval.n)
        e = enroll_line_set(b, c, m, &line.more, f);
    if (!e && m->key_home.n)
        e = key_home_line_set(b, c, m, &line.more, f);
    if (!e && m->service_until.n)
        e = service_write(b, c, m, &line.more, f);
    if (!e && m->cmp_secret.n)
        e = secrets_write(b, c, m, &line.more, f);
    if (!e)
        line_reply(b, &line, t, out);
    return e;
}
