/* depot_role.c: the process around role/depot: channels to the fronts, and the ends of uploads that take longer than one turn of the
 * event loop: a step of the first of them each time round, so that nobody waits long for a large file.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "role/channel.h"
#include "role/depot.h"
#include "role/depot_delta.h"
#include "role/jail.h"
#include "role/link.h"
#include "wire/seal.h"

#define DEPOT_FRONTS 16
#define DEPOT_WAITING_MAX 64
#define DEPOT_TIDY_S 600

struct finish {              /* somebody waits for the end of an upload */
    struct finish *next;
    struct channel *ch;      /* NULL: its front is gone; the work goes on, the next who asks finds it done */
    uint64_t rid;
    uint8_t sha256[32];
};

struct depot_role {
    struct event_base *base;
    struct depot *depot;
    struct depot_delta *delta;
    struct channel *fronts[DEPOT_FRONTS];
    struct finish *first, **last;
    size_t waiting;
    bool stop;
};

static void reply_fault(struct channel *ch, uint64_t rid, enum err e, const struct fault *f)
{
    const struct msg_reply r = { .code = e, .text = span_str(f->code == e && f->text[0] ? f->text : err_text(e)), .retry_s = err_class(e) == ERRC_BUSY ? 5 : 0 };
    channel_send_msg(ch, &msg_desc_reply, rid, &r);
}

static void reply_item(struct channel *ch, uint64_t rid, struct span sha256, const struct depot_item *i)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0), id = BUF_INIT(0);
    struct json_out o = JSON_OUT(&body);
    buf_put_hex(&id, sha256);
    json_obj(&o, NULL);
    json_str(&o, "id", buf_span(&id));
    json_str(&o, "sha256", buf_span(&id));
    json_int(&o, "length", i->length);
    json_int(&o, "offset", i->offset);
    json_bool(&o, "stored", i->stored);
    json_obj_end(&o);
    const struct msg_reply r = { .http = i->stored ? 200 : 0, .body_kind = BODY_JSON, .body = buf_span(&body) };
    channel_send_msg(ch, &msg_desc_reply, rid, &r);
}

/* What core is to be told of a file in place. */
static void reply_stored(struct channel *ch, uint64_t rid, struct span sha256, const struct depot_item *i)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    const struct msg_artifact_add m = { .sha256 = sha256, .length = i->length, .name = span_str(i->name), .encrypted = i->encrypted,
                                        .sha1 = span_of(i->sha1, sizeof i->sha1) };
    msg_pack(&msg_desc_artifact_add, &m, &body);
    const struct msg_reply r = { .http = 200, .body_kind = BODY_BINARY, .body = buf_span(&body) };
    channel_send_msg(ch, &msg_desc_reply, rid, &r);
}

/* -- requests --------------------------------------------------------------------------------------------------------------------- */
struct request {
    struct depot_role *d;
    struct channel *ch;
    uint64_t rid;
};

static enum err on_open(struct request *r, const void *msg, struct fault *f)
{
    const struct msg_upload_open *m = msg;
    struct depot_item i;
    enum err e = depot_upload_open(r->d->depot, m, &i, f);
    if (!e && i.stored)
        reply_stored(r->ch, r->rid, m->sha256, &i);
    else if (!e)
        reply_item(r->ch, r->rid, m->sha256, &i);
    return e;
}

static enum err on_put(struct request *r, const void *msg, struct fault *f)
{
    const struct msg_upload_put *m = msg;
    struct depot_item i;
    enum err e = depot_upload_put(r->d->depot, m, &i, f);
    if (!e)
        reply_item(r->ch, r->rid, m->sha256, &i);
    return e;
}

static enum err on_get(struct request *r, const void *msg, struct fault *f)
{
    const struct msg_upload_get *m = msg;
    struct depot_item i;
    enum err e = depot_upload_get(r->d->depot, m->sha256, &i, f);
    if (!e)
        reply_item(r->ch, r->rid, m->sha256, &i);
    return e;
}

static enum err on_finish(struct request *r, const void *msg, struct fault *f)
{
    const struct msg_upload_finish *m = msg;
    if (m->sha256.n != sizeof r->d->first->sha256)
        return fault_set(f, CE_BAD_FIELD, "a SHA-256 has 64 hexadecimal digits");
    if (r->d->waiting == DEPOT_WAITING_MAX)
        return fault_set(f, CE_BUSY, "%d uploads are being verified", DEPOT_WAITING_MAX);
    struct finish *w = mem_calloc(1, sizeof *w);
    *w = (struct finish){ .ch = r->ch, .rid = r->rid };
    memcpy(w->sha256, m->sha256.p, sizeof w->sha256);
    *r->d->last = w;
    r->d->last = &w->next;
    r->d->waiting++;
    return CE_OK;
}

static enum err on_drop(struct request *r, const void *msg, struct fault *f)
{
    const struct msg_artifact_drop *m = msg;
    const struct msg_reply rep = { .http = 204 };
    enum err e = depot_drop(r->d->depot, m->sha256, f);
    if (!e)
        channel_send_msg(r->ch, &msg_desc_reply, r->rid, &rep);
    return e;
}

static void token_fill(struct captoken *t, struct span uid, struct span sha256, int64_t expires)
{
    *t = (struct captoken){ .expires_s = expires };
    INVARIANT(span_to_cstr(uid, t->uid, sizeof t->uid) == CE_OK && sha256.n == sizeof t->sha256);
    memcpy(t->sha256, sha256.p, sizeof t->sha256);
}

static enum err on_token_make(struct request *r, const void *msg, struct fault *f)
{
    const struct msg_token_make *m = msg;
    CLEANUP(buf_free) struct buf text = BUF_INIT(CAPTOKEN_MAX);
    struct captoken t;
    (void)f;
    token_fill(&t, m->uid, m->sha256, m->expires);
    depot_token_make(r->d->depot, &t);
    captoken_encode(&t, &text);
    const struct msg_reply rep = { .body_kind = BODY_TEXT, .body = buf_span(&text) };
    channel_send_msg(r->ch, &msg_desc_reply, r->rid, &rep);
    return CE_OK;
}

static enum err on_token_check(struct request *r, const void *msg, struct fault *f)
{
    const struct msg_token_check *m = msg;
    const struct msg_reply good = { 0 };
    struct captoken t;
    token_fill(&t, m->uid, m->sha256, m->expires);
    memcpy(t.mac, m->mac.p, m->mac.n == sizeof t.mac ? sizeof t.mac : 0);
    enum err e = depot_token_check(r->d->depot, &t, clock_now_s(), f);
    if (!e)
        channel_send_msg(r->ch, &msg_desc_reply, r->rid, &good);
    return e;
}

static enum err on_delta(struct request *r, const void *msg, struct fault *f)
{
    const struct msg_delta_get *m = msg;
    const struct msg_reply good = { 0 };
    if (m->from.n != SHA256_LEN || m->to.n != SHA256_LEN)
        return fault_set(f, CE_BAD_FIELD, "a SHA-256 has 64 hexadecimal digits");
    enum err e = depot_delta_want(r->d->delta, m->from.p, m->to.p, f);
    if (!e)
        channel_send_msg(r->ch, &msg_desc_reply, r->rid, &good);
    return e;
}

static enum err on_key(struct request *r, const void *msg, struct fault *f)
{
    CLEANUP(buf_free) struct buf wrapped = BUF_INIT(SEAL_WRAPPED);
    enum err e = depot_key_wrap(r->d->depot, msg, &wrapped, f);
    const struct msg_reply rep = { .body_kind = BODY_BINARY, .body = buf_span(&wrapped) };
    if (!e)
        channel_send_msg(r->ch, &msg_desc_reply, r->rid, &rep);
    return e;
}

static const struct {
    enum msg_type type;
    const struct msg_desc *desc;
    enum err (*fn)(struct request *r, const void *msg, struct fault *f);
} table[] = {
    { MSG_UPLOAD_OPEN, &msg_desc_upload_open, on_open },       { MSG_UPLOAD_PUT, &msg_desc_upload_put, on_put },
    { MSG_UPLOAD_GET, &msg_desc_upload_get, on_get },          { MSG_UPLOAD_FINISH, &msg_desc_upload_finish, on_finish },
    { MSG_ARTIFACT_DROP, &msg_desc_artifact_drop, on_drop },   { MSG_TOKEN_MAKE, &msg_desc_token_make, on_token_make },
    { MSG_TOKEN_CHECK, &msg_desc_token_check, on_token_check }, { MSG_DELTA_GET, &msg_desc_delta_get, on_delta },
    { MSG_KEY_GET, &msg_desc_key_get, on_key },
};

static void on_frame(void *ctx, struct channel *ch, const struct ipc_frame *frame)
{
    struct request r = { ctx, ch, frame->rid };
    uint64_t message[16];
    struct msg_caller who;
    struct span in = frame->body;
    struct fault f = { 0 };
    if (msg_unpack(&msg_desc_caller, &in, &who))
        channel_bad(ch, frame->type, "caller");
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].type != frame->type)
            continue;
        INVARIANT(table[i].desc->size <= sizeof message);
        if (msg_unpack_all(table[i].desc, in, message))
            channel_bad(ch, frame->type, table[i].desc->name);
        enum err e = table[i].fn(&r, message, &f);
        if (e)
            reply_fault(ch, frame->rid, e, &f);
        return;
    }
    channel_bad(ch, frame->type, "type");
}

/* -- the ends of uploads ------------------------------------------------------------------------------------------------------------ */
static void finish_step(struct depot_role *d)
{
    struct finish *w = d->first;
    struct depot_item i;
    struct fault f = { 0 };
    bool more;
    const struct span sha256 = span_of(w->sha256, sizeof w->sha256);
    enum err e = depot_upload_finish(d->depot, sha256, &i, &more, &f);
    if (!e && more)
        return;
    if (w->ch && e)
        reply_fault(w->ch, w->rid, e, &f);
    else if (w->ch)
        reply_stored(w->ch, w->rid, sha256, &i);
    d->first = w->next;
    if (!d->first)
        d->last = &d->first;
    d->waiting--;
    free(w);
}

/* -- peers, life ---------------------------------------------------------------------------------------------------------------------- */
static void on_gone(void *ctx, struct channel *ch)
{
    struct depot_role *d = ctx;
    for (struct finish *w = d->first; w; w = w->next)
        if (w->ch == ch)
            w->ch = NULL;
    d->fronts[channel_peer_index(ch)] = NULL;
    channel_free(ch);
}

static void on_peer(void *ctx, const struct role_peer *p)
{
    struct depot_role *d = ctx;
    INVARIANT(p->role == ROLE_FRONT && p->index < DEPOT_FRONTS);
    if (d->fronts[p->index])
        on_gone(d, d->fronts[p->index]);
    const struct channel_config c = { d->base, p->fd, ROLE_DEPOT, ROLE_FRONT, p->index, on_frame, on_gone, d };
    d->fronts[p->index] = channel_new(&c);
}

static void on_stop(void *ctx) { ((struct depot_role *)ctx)->stop = true; }

static void on_tidy(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    depot_tidy(((struct depot_role *)arg)->depot, clock_now_s());
}

static void work(struct depot_role *d)
{
    while (!d->stop) {
        event_base_loop(d->base, d->first ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
        if (d->first && !d->stop)
            finish_step(d);
    }
}

int role_depot_main(struct role_context *c)
{
    struct fault f = { 0 };
    struct depot_role d = { .base = event_base_new() };
    const struct role_events ev = { .ctx = &d, .peer = on_peer, .stop = on_stop };
    INVARIANT(d.base != NULL);
    d.last = &d.first;
    if (depot_open(c->site, c->settings->upload_keep, &d.depot, &f) || jail_files(JAIL_DEPOT, c->site, &f) ||
        depot_delta_open(c->site, c->settings->delta_cache, &d.delta, &f) || jail_calls(JAIL_DEPOT, &f)) {
        log_error(0, "%s", f.text);
        return 1;
    }
    struct role_link *link = role_link_new(d.base, c, &ev);
    struct event *tidy = event_new(d.base, -1, EV_PERSIST, on_tidy, &d);
    INVARIANT(tidy && event_add(tidy, &(struct timeval){ DEPOT_TIDY_S, 0 }) == 0);
    depot_tidy(d.depot, clock_now_s());
    for (size_t i = 0; i < c->npeers; i++)
        on_peer(&d, &c->peers[i]);
    role_ready(c);
    work(&d);
    event_free(tidy);
    role_link_free(link);
    depot_delta_close(d.delta);
    depot_close(d.depot);
    return 0;
}
