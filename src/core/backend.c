/* backend.c: the topics of backends: applications with an infrastructure certificate of their own, which may use at a broker what is set
 * here and nothing else. They are added as operators are (cert_enroll.c).
 */
#include "base/name.h"
#include "core/policy.h"
#include "core/registry.h"
#include "store/registry.h"
#include "wire/route.h"
#include "wire/text_list.h"

static void scopes_event(struct batch *b, const struct caller *c, const struct topics_row *t, struct span note)
{
    struct json_out *j = event_begin(b, EVENT_BACKEND_SCOPES, (struct span){ 0 }, 0);
    json_str(j, "name", t->name);
    json_str(j, "write", t->write);
    json_str(j, "read", t->read);
    json_str(j, "note", note);
    json_str(j, "by", c->name);
    event_end(b);
}

enum err backend_write(struct batch *b, const struct caller *c, const struct topics_row *t, struct span note, struct fault *f)
{
    enum err e = store_topics_put(b->db, TOPICS_BACKEND, t, f);
    e = e ? e : policy_changed(b, f);
    if (!e)
        scopes_event(b, c, t, note);
    return e;
}

static enum err backend_get(struct batch *b, struct span name, struct operator_row *o, struct topics_row *t, struct fault *f)
{
    enum err e = store_operator_get(b->db, b->arena, name, o, f);
    if (e == CE_NOT_FOUND || (!e && route_role_bit(o->role) != R_BACKEND))
        return fault_set(f, CE_NOT_FOUND, "there is no backend '" SPAN_FMT "'", SPAN_ARG(name));
    if (!e && !span_eq_str(o->state, "active"))
        return fault_set(f, CE_STATE_CHANGE, "backend '" SPAN_FMT "' was removed", SPAN_ARG(name));
    return e ? e : store_topics_get(b->db, b->arena, TOPICS_BACKEND, name, t, f);
}

enum err registry_op_backend_set(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_backend_set *m = msg;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    const struct topics_row asked = { .write = m->write, .read = m->read };
    struct operator_row o;
    struct topics_row t;
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    if (!e && !m->write.n && !m->read.n)
        e = fault_set(f, CE_BAD_FIELD, "nothing to change: give write or read");
    e = e ? e : policy_check_topics(TOPICS_BACKEND, &asked, f);
    e = e ? e : backend_get(b, m->name, &o, &t, f);
    if (e)
        return e;
    t.write = m->write.n ? m->write : t.write;
    t.read = m->read.n ? m->read : t.read;
    e = backend_write(b, c, &t, m->note, f);
    if (e)
        return e;
    struct json_out j = JSON_OUT(&body);
    json_obj(&j, NULL);
    json_str(&j, "name", t.name);
    json_str(&j, "state", o.state);
    text_list_json(&j, "write", t.write);
    text_list_json(&j, "read", t.read);
    json_obj_end(&j);
    reply_json(b, &body, out);
    return CE_OK;
}
