/* core/order_ask.c: orders to one device by somebody: a release, or a factory reset. See core/order.h. */
#include "core/registry.h"
#include "core/rollout.h"

static enum err target_get(struct batch *b, const struct caller *c, struct span uid, struct device *d, struct order *o, struct fault *f)
{
    enum err e = device_get(b, uid, d, f);
    e = e ? e : authz_line(c, d->line, f);
    if (!e && d->state != DEVICE_ACTIVE && d->state != DEVICE_PROVISIONED)
        e = fault_set(f, CE_STATE_CHANGE, "device '" SPAN_FMT "' is %s: it takes no orders", SPAN_ARG(uid), device_state_name(d->state));
    return e ? e : order_get(b, uid, o, f);
}

/* The one before is taken back first, so that each order has an end in the evidence. */
static enum err order_replace(struct batch *b, struct order *o, const struct release_row *r, struct span note, struct span by, struct fault *f)
{
    const struct order_word w = { .reason = SPAN_LIT("overtaken") };
    enum err e = o->state != ORDER_NONE && order_state_allowed(o->state, ORDER_CANCELLED) ? order_move(b, o, ORDER_CANCELLED, &w, f) : CE_OK;
    return e ? e : order_make(b, o, r, span_str(""), 0, note, by, f);
}

static void ask_reply(struct batch *b, const struct order *o, struct msg_reply *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out j = JSON_OUT(&body);
    rollout_changed(b, o->row.uid);
    json_obj(&j, NULL);
    json_str(&j, "device", o->row.uid);
    json_int(&j, "sequence", o->row.sequence);
    json_str(&j, "action", o->row.action);
    json_obj_end(&j);
    reply_json(b, &body, out);
    out->http = 201;
}

enum err order_op_device(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_device_order *m = msg;
    struct release_row r;
    struct device d;
    struct order o;
    enum err e = target_get(b, c, m->uid, &d, &o, f);
    e = e ? e : store_release_get(b->db, b->arena, d.line, m->release, &r, f);
    e = e ? e : order_fits(b, &d, &r, f);
    e = e ? e : order_replace(b, &o, &r, m->note, c->name, f);
    if (!e)
        ask_reply(b, &o, out);
    return e;
}

enum err order_op_reset(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_device_reset *m = msg;
    struct device d;
    struct order o;
    enum err e = target_get(b, c, m->uid, &d, &o, f);
    e = e ? e : order_replace(b, &o, NULL, m->note, c->name, f);
    if (!e)
        ask_reply(b, &o, out);
    return e;
}
