/* operator.c: the removal of operators, stations and edges. Adding them is the certificate path's (cert.h). */
#include "base/name.h"
#include "core/policy.h"
#include "core/registry.h"
#include "core/revoke.h"
#include "store/registry.h"

static enum err remove_check(struct batch *b, const struct caller *c, const struct msg_operator_remove *m, struct operator_row *o, struct fault *f)
{
    int64_t admins = 0;
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    e = e ? e : store_operator_get(b->db, b->arena, m->name, o, f);
    if (e)
        return e;
    if (!span_eq_str(o->state, "active"))
        return fault_set(f, CE_STATE_CHANGE, "'" SPAN_FMT "' was removed before", SPAN_ARG(m->name));
    if (span_eq(o->name, c->name))
        return fault_set(f, CE_SELF_REMOVE, "'" SPAN_FMT "' cannot remove itself; let another administrator do it", SPAN_ARG(c->name));
    if (!span_eq_str(o->role, "admin"))
        return CE_OK;
    e = store_operator_count(b->db, "admin", &admins, f);
    if (!e && admins < 2)
        e = fault_set(f, CE_STATE_CHANGE, "'" SPAN_FMT "' is the last administrator; add another one first", SPAN_ARG(m->name));
    return e;
}

enum err operator_op_remove(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_operator_remove *m = msg;
    struct operator_row o;
    enum err e = remove_check(b, c, m, &o, f);
    e = e ? e : store_operator_set(b->db, o.name, o.rev, "removed", b->now_ms, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_OPERATOR_REMOVED, (struct span){ 0 }, 0);
    json_str(j, "name", o.name);
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
    if (span_eq_str(o.role, "backend") && (e = policy_changed(b, f)))
        return e;
    const struct msg_push_ident push = { .name = o.name, .role = o.role, .lines = o.lines, .removed = 1 };
    batch_push_msg(b, -1, &msg_desc_push_ident, &push);
    out->rev = o.rev + 1;
    return cert_block_operator(b, o.name, m->note, c->name, f);
}
