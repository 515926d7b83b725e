/* order.c: the order that the gate let in: kept until the new version runs, because only then the counter floor may rise. See gate.h. */
#include <stdio.h>

#include "agent/record.h"
#include "agent/update_poll.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "gate/gate.h"

struct order {
#define CFG CONFIG_FIELD
#include "gate/order.def"
#undef CFG
};
static const struct config_key keys[] = {
#define CFG(...) CONFIG_ROW(order, __VA_ARGS__)
#include "gate/order.def"
#undef CFG
};

static enum err order_load(const struct gate *g, struct order *o, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/gate-order", g->cfg.update_dir);
    enum err e = record_load(path, keys, ARRAY_LEN(keys), o, f);
    return e == CE_NOT_FOUND ? fault_set(f, e, "cradle-gate has let in no order that is still open") : e;
}

static enum err order_save(const struct gate *g, const struct order *o, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/gate-order", g->cfg.update_dir);
    return record_save(path, keys, ARRAY_LEN(keys), o, f);
}

enum err order_accept(struct gate *g, struct fault *f)
{
    const struct cradle_update_target *t = &g->up.target;
    struct order o = { .sequence = (int64_t)t->sequence, .counter = t->counter };
    snprintf(o.release, sizeof o.release, "%s", t->release);
    snprintf(o.version, sizeof o.version, "%s", t->version);
    return order_save(g, &o, f);
}

enum err order_installed(struct gate *g, struct fault *f)
{
    struct order o = { 0 };
    enum err e = order_load(g, &o, f);
    o.installed = true;
    e = e ? e : order_save(g, &o, f);
    if (!e)
        order_report(g, (uint64_t)o.sequence, "installed", "", "");
    return e;
}

enum err order_confirm(struct gate *g, const char *version, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct order o = { 0 };
    enum err e = order_load(g, &o, f);
    if (e)
        return e;
    if (!version || strcmp(version, o.version) != 0)
        return fault_set(f, CE_STATE_CHANGE, "release %s is version %s, but %s runs: nothing is confirmed", o.release, o.version,
                         version && *version ? version : "an unknown version");
    e = update_store_open(&g->store, g->cfg.update_dir, "", f);
    e = e ? e : update_store_confirm(&g->store, (uint32_t)o.counter, f);
    update_store_close(&g->store);
    path_join(path, "%s/gate-order", g->cfg.update_dir);
    e = e ? e : record_remove(path, f); /* after the floor: a power cut in between confirms once more */
    if (!e)
        order_report(g, (uint64_t)o.sequence, "confirmed", "", "");
    return e;
}

/* Metadata was refused before an order could be believed: which one the server means, for a report to it and for nothing else. */
static uint64_t order_meant(struct gate *g)
{
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    struct update_poll p = { .directive = BUF_INIT(0) };
    struct fault f = { 0 };
    enum err e = net_get(g->net, "/update/v1/poll", &reply, &f);
    e = e ? e : update_poll_read(buf_span(&reply.body), &p, &f);
    update_poll_free(&p);
    return e || p.action != CRADLE_UP_INSTALL ? 0 : p.sequence;
}

void order_report(struct gate *g, uint64_t sequence, const char *state, const char *reason, const char *text)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(4096);
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    struct json_out j = JSON_OUT(&body);
    struct fault f = { 0 };
    if (g->net && !sequence && strcmp(reason, "no-order") != 0)
        sequence = order_meant(g);
    if (!g->net || !sequence)
        return;
    json_obj(&j, NULL);
    json_int(&j, "sequence", (int64_t)sequence);
    json_cstr(&j, "state", state);
    if (*reason)
        json_cstr(&j, "reason", reason);
    if (*text)
        json_cstr(&j, "text", text);
    if (*g->version)
        json_cstr(&j, "version", g->version);
    json_obj_end(&j);
    if (net_json(g->net, "POST", "/update/v1/report", buf_span(&body), &reply, &f))
        log_warn(0, "the server was not told that this device is at '%s': %s", state, f.text);
}
