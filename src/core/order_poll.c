/* core/order_poll.c: what a device is told when it asks: the versions of the metadata, and its order. See core/order.h. */
#include <stdlib.h>

#include "base/span.h"
#include "core/cert.h"
#include "core/registry.h"
#include "core/rollout.h"
#include "store/artifact.h"
#include "store/registry.h"

#define POLL_KEEP_S 900
#define POLL_SEEN_MS 300000 /* last_seen is as exact as these two together */

struct poll {             /* of an answer that waits for the signer */
    struct reply_to to;
    bool raw;
};

/* -- the body -------------------------------------------------------------------------------------------------------------------- */
static enum err metadata_put(struct batch *b, struct span line, struct json_out *j, struct fault *f)
{
    static const char *const online[] = { "root", "timestamp", "snapshot", "targets" };
    struct tuf_row *rows;
    int64_t v[5] = { 0 };
    size_t n;
    enum err e = rollout_metadata(b, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        for (size_t k = 0; k < ARRAY_LEN(online); k++)
            if (span_eq_str(rows[i].role, online[k]))
                v[k] = rows[i].version;
        if (span_eq(rows[i].role, line))
            v[4] = rows[i].version;
    }
    json_obj(j, "metadata");
    for (size_t k = 0; k < ARRAY_LEN(online); k++)
        json_int(j, online[k], v[k]);
    json_int(j, "line", v[4]);
    json_obj_end(j);
    return e;
}

static void release_put(struct batch *b, const struct release_row *r, struct json_out *j)
{
    struct artifact_row file = { 0 };
    struct fault none;
    bool stored = !store_artifact_get(b->db, b->arena, r->sha256, &file, &none);
    CLEANUP(buf_free) struct buf url = BUF_INIT(0);
    json_str(j, "release", r->name);
    json_str(j, "version", r->version);
    json_obj(j, "artifact");
    json_hex(j, "sha256", r->sha256);
    json_int(j, "length", r->length);
    buf_put_str(&url, "/update/v1/artifact/");
    buf_put_hex(&url, r->sha256);
    json_str(j, "url", buf_span(&url));
    json_bool(j, "encrypted", stored && file.encrypted);
    if (stored) {
        json_str(j, "name", file.name);
        json_hex(j, "sha1", file.sha1);
    }
    json_obj_end(j);
}

/* Idle: no order is open and none is near. Ready: the order's directive goes with it. */
static enum err body_make(struct batch *b, const struct device *d, const struct order *o, const struct offer *offer, struct buf *out, struct fault *f)
{
    struct json_out j = JSON_OUT(out);
    bool open = order_state_open(o->state), idle = !open && !offer->wait, ready = !idle && !offer->wait;
    json_obj(&j, NULL);
    json_str(&j, "device", d->uid);
    json_int(&j, "sleep_s", core_config(b->core)->poll_s);
    enum err e = metadata_put(b, d->line, &j, f);
    json_cstr(&j, "action", idle ? "none" : open && o->reset ? "reset" : "install");
    json_int(&j, "sequence", o->row.sequence);
    json_cstr(&j, "state", idle ? "idle" : ready ? "ready" : "waiting");
    if (ready)
        json_raw(&j, "directive", o->row.envelope);
    else
        json_none(&j, "directive");
    if (!idle && !(open && o->reset))
        release_put(b, open ? &o->release : &offer->release, &j);
    json_int(&j, "wait_s", offer->wait_s);
    order_seen_put(d, o, &j);
    json_obj_end(&j);
    return e;
}

static enum err poll_reply(struct batch *b, const struct device *d, const struct order *o, const struct offer *offer, bool raw, struct msg_reply *out,
                           struct fault *f)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    bool open = order_state_open(o->state);
    out->body_kind = BODY_JSON;
    if (raw) {
        out->body = o->row.envelope;
        return open && !offer->wait ? CE_OK : fault_set(f, CE_NOT_FOUND, "there is no directive for this device now");
    }
    enum err e = body_make(b, d, o, offer, &body, f);
    out->body = arena_copy(b->arena, buf_span(&body));
    out->retry_s = open || offer->wait ? 0 : POLL_KEEP_S; /* so long a front may say the same by itself */
    return e;
}

/* -- with a new directive ---------------------------------------------------------------------------------------------------------- */
static void poll_signed(struct batch *b, void *data, const struct order *o, const struct fault *why)
{
    struct poll *p = data;
    struct msg_reply r = { 0 };
    struct device d;
    struct fault f = *why;
    const struct offer now = { .wait = false };
    enum err e = o ? device_get(b, o->row.uid, &d, &f) : f.code;
    e = e ? e : poll_reply(b, &d, o, &now, p->raw, &r, &f);
    if (e)
        batch_refuse(b, &p->to, &f, span_str(p->to.who));
    else
        batch_reply(b, &p->to, &r);
    free(p);
}

static enum err poll_sign(struct batch *b, const struct caller *c, const struct device *d, const struct order *o, bool raw, struct fault *f)
{
    struct poll *p = mem_calloc(1, sizeof *p);
    p->raw = raw;
    enum err e = order_sign(b, o, d, c->m->spki, (struct order_done){ .fn = poll_signed, .drop = free, .data = p }, f);
    if (e)
        free(p);
    else
        batch_defer(b, &p->to);
    return e;
}

enum err order_op_poll(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_update_poll *m = msg;
    struct device d;
    struct order o;
    struct offer offer = { 0 };
    order_count_poll(b);
    enum err e = cert_seen(b, c->name, c->m->kid, c->m->serial, f);
    e = e ? e : device_get(b, c->name, &d, f);
    e = e ? e : order_get(b, c->name, &o, f);
    e = e ? e : order_version_seen(b, &d, &o, m->version, f);
    if (!e && b->now_ms - d.last_seen > POLL_SEEN_MS)
        e = store_device_seen(b->db, d.uid, b->now_ms, f);
    if (!e && !order_state_open(o.state))
        e = rollout_offer(b, &d, &o, m, &offer, f);
    if (!e && order_state_open(o.state))
        e = rollout_hold(b, &o, m, &offer, f);
    if (e)
        return e;
    if (order_state_open(o.state) && !offer.wait && !order_signed(b, &o, c->m->spki))
        return poll_sign(b, c, &d, &o, m->raw != 0, f);
    return poll_reply(b, &d, &o, &offer, m->raw != 0, out, f);
}

static enum err order_names(struct batch *b, struct span uid, struct span sha256, struct msg_reply *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out j = JSON_OUT(&body);
    struct artifact_row file = { 0 };
    struct fault none;
    struct order o;
    enum err e = order_get(b, uid, &o, f);
    if (e)
        return e;
    if (!order_state_open(o.state) || o.reset || !o.row.offered_at || !span_eq(o.release.sha256, sha256))
        return fault_set(f, CE_NOT_ORDERED, "no order to device '" SPAN_FMT "' names this file now", SPAN_ARG(uid));
    json_obj(&j, NULL);
    json_int(&j, "sequence", o.row.sequence);
    json_str(&j, "line", o.row.line);
    json_str(&j, "release", o.row.release);
    json_str(&j, "version", o.release.version);
    json_str(&j, "handler", o.release.handler);
    json_bool(&j, "encrypted", !store_artifact_get(b->db, b->arena, sha256, &file, &none) && file.encrypted);
    json_obj_end(&j);
    reply_json(b, &body, out);
    return CE_OK;
}

enum err order_op_get(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    return order_names(b, c->name, ((const struct msg_order_get *)msg)->sha256, out, f);
}

enum err order_op_of(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_order_of *m = msg;
    struct device d;
    (void)c;
    enum err e = device_get(b, m->uid, &d, f);
    e = e ? e : device_usable(&d, f);
    return e ? e : order_names(b, m->uid, m->sha256, out, f);
}
