/* device_bulk.c: one change of state for many devices, decided and written in one batch, so that they leave in one frame of the
 * revocation stream. Each device is judged first and by the rules of a single change; what one is refused concerns no other. An error of
 * the database undoes them all.
 */
#include "base/log.h"
#include "base/name.h"
#include "core/engine.h"
#include "core/mass.h"
#include "core/registry.h"
#include "wire/text_list.h"

struct bulk {
    struct batch *b;
    const struct caller *c;
    struct device_ask ask;
    struct json_out items;
    int64_t done, already, refused;
    struct span decided; /* the last decision */
};

static void item_begin(struct bulk *k, struct span uid, const char *result)
{
    json_obj(&k->items, NULL);
    json_str(&k->items, "uid", uid);
    json_cstr(&k->items, "result", result);
}

static void item_refuse(struct bulk *k, struct span uid, enum err e, const struct fault *f)
{
    refusal_note(k->b, e, f->text, k->c->name, k->c->m->addr, uid, "device_states");
    k->refused++;
    item_begin(k, uid, "refused");
    json_cstr(&k->items, "reason", err_reason(e));
    json_cstr(&k->items, "detail", f->text);
    json_obj_end(&k->items);
}

/* Returns only errors that end the whole. */
static enum err bulk_one(struct bulk *k, struct span uid, struct fault *f)
{
    struct device d = { 0 };
    struct fault why = { 0 };
    enum err e = device_ask_judge(k->b, k->c, &k->ask, uid, &d, &why);
    bool already = e == CE_STATE_CHANGE && d.state == k->ask.to;
    if (e && db_err_fatal(e)) {
        *f = why;
        return e;
    }
    if (e && !already) {
        item_refuse(k, uid, e, &why);
        return CE_OK;
    }
    e = already ? CE_OK : device_ask_do(k->b, k->c, &k->ask, &d, &k->decided, f);
    if (e)
        return e;
    k->done += !already;
    k->already += already;
    item_begin(k, uid, already ? "already" : "done");
    json_int(&k->items, "rev", d.rev);
    json_obj_end(&k->items);
    return CE_OK;
}

static void bulk_reply(struct bulk *k, struct span items, struct msg_reply *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out j = JSON_OUT(&body);
    json_obj(&j, NULL);
    json_cstr(&j, "state", device_state_name(k->ask.to));
    json_int(&j, "done", k->done);
    json_int(&j, "already", k->already);
    json_int(&j, "refused", k->refused);
    if (k->done) {
        json_str(&j, "decided", k->decided);
        json_time_ms(&j, "decided_at", k->b->now_ms);
    }
    json_raw(&j, "items", items);
    json_obj_end(&j);
    INVARIANT(!buf_err(&body));
    out->body_kind = BODY_JSON;
    out->body = arena_copy(k->b->arena, buf_span(&body));
}

/* *out: how many. */
static enum err uids_check(struct span list, int64_t *out, struct fault *f)
{
    struct span uid;
    struct fault why = { 0 };
    int n = 0;
    if (!text_list_valid(list))
        return fault_set(f, CE_BAD_FIELD, "uids: the list is malformed");
    for (; text_list_next(&list, &uid); n++)
        if (name_check_uid(uid, &why))
            return fault_set(f, CE_BAD_UID, "uids, element %d: %.200s", n, why.text);
    if (n < 1 || n > DEVICE_STATES_MAX)
        return fault_set(f, CE_BAD_FIELD, "uids: 1 to %d at once, not %d", DEVICE_STATES_MAX, n);
    *out = n;
    return CE_OK;
}

enum err registry_op_device_states(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_device_states *m = msg;
    CLEANUP(buf_free) struct buf items = BUF_INIT(0);
    struct bulk k = { .b = b, .c = c, .items = JSON_OUT(&items) };
    struct span in = m->uids, uid;
    int64_t n = 0;
    enum err e = device_ask_parse(m->state, m->reason, m->note, &k.ask, f);
    e = e ? e : uids_check(m->uids, &n, f);
    e = e ? e : mass_pace_judge(b, c, n, f);
    json_arr(&k.items, NULL);
    while (!e && text_list_next(&in, &uid))
        e = bulk_one(&k, uid, f);
    json_arr_end(&k.items);
    if (e)
        return e;
    mass_pace_take(b, c, k.done);
    bulk_reply(&k, buf_span(&items), out);
    return CE_OK;
}
