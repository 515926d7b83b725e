/* front_request.c: the life of a request as a table of steps. It ends refused, answered by front itself, answered by core or query,
 * or out of time. A client that goes away is noticed when the answer is written (evhttp does not look before), so everything
 * that is open has a deadline and there is a limit on how much is open. How an answer looks is front_answer.c.
 */
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/queue.h>

#include "crypt/hash.h"
#include "role/front_priv.h"

static struct span rid_key(const uint64_t *rid)
{
    return span_of(rid, sizeof *rid);
}

struct front_req *front_req_find(struct front *fr, uint64_t rid)
{
    struct front_req **r = front_map_get(&fr->requests, rid_key(&rid));
    return r ? *r : NULL;
}

void front_query_over(struct front *fr, const struct channel *ch)
{
    for (size_t i = 0; i < ROLE_PEERS_MAX; i++)
        if (fr->query[i].ch == ch)
            fr->query[i].waiting--;
}

static void query_done(struct front_req *r)
{
    if (r->sent_to)
        front_query_over(r->fr, r->sent_to);
    r->sent_to = NULL;
}

void front_req_end(struct front_req *r)
{
    query_done(r);
    front_map_del(&r->fr->requests, rid_key(&r->rid));
    buf_free(&r->out);
    arena_free(&r->arena);
    free(r);
}

/* -- steps: CE_OK goes on; an error refuses ------------------------------------------------------------------------------------- */
static enum err step_route(struct front_req *r, struct fault *f)
{
    enum err e = http_target_split(span_str(evhttp_request_get_uri(r->http)), &r->path, &r->query, f);
    if (!e)
        e = route_find(r->head ? SPAN_LIT("GET") : r->method, r->path, &r->arena, &r->match, f);
    if (e == CE_METHOD) {
        CLEANUP(buf_free) struct buf allow = BUF_INIT(128);
        route_allow(r->match.route, &allow);
        front_header(r, "Allow", "%s", buf_cstr(&allow));
    }
    if (e)
        return e;
    r->handler = front_handlers[r->match.index];
    r->caller.proto = span_str(r->handler->proto);
    return CE_OK;
}

static enum err step_draining(struct front_req *r, struct fault *f)
{
    return r->fr->draining ? fault_set(f, CE_DRAINING, "the service is shutting down; try again") : CE_OK;
}

static enum err step_limit(struct front_req *r, struct fault *f)
{
    if ((int64_t)r->fr->requests.live <= r->fr->config.open_max)
        return CE_OK;
    r->fr->count[COUNT_BUSY]++;
    return fault_set(f, CE_BUSY, "%lld requests are open already", (long long)r->fr->config.open_max);
}

static enum err step_body(struct front_req *r, struct fault *f)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(r->http);
    size_t n = evbuffer_get_length(in), max = r->match.route->body_max;
    if (n > max)
        return fault_set(f, CE_TOO_LARGE,
                         max ? "the body has %zu bytes; this route takes %zu" : "the body has %zu bytes; this route takes none%.0zu", n,
                         max);
    r->body = span_of(n ? evbuffer_pullup(in, -1) : NULL, n);
    return CE_OK;
}

static enum err step_media(struct front_req *r, struct fault *f)
{
    const char *want = r->handler->media;
    if (!want || (r->body.n == 0 && r->match.route->body_max == 0) || http_media_is(front_in_header(r, "Content-Type"), want))
        return CE_OK;
    if (r->body.n == 0)
        return CE_OK; /* the decoder says what is missing */
    return fault_set(f, CE_MEDIA_TYPE, "Content-Type must be %s", want);
}

static bool core_needed(const struct front_req *r)
{
    return r->handler->to == FRONT_CORE || !(r->match.route->roles & R_PUBLIC);
}

/* Without core's pushes nobody's role is known. */
static enum err step_ready(struct front_req *r, struct fault *f)
{
    if (!core_needed(r) || (r->fr->core && r->fr->ready))
        return CE_OK;
    return fault_set(f, CE_ROLE_GONE, "core is starting; try again");
}

/* Needs no certificate: public routes, and metrics on the plain port, which nginx opens to this host alone (local_metrics). */
static bool is_open(const struct front_req *r)
{
    struct span addr = front_in_header(r, "X-Cradle-Addr");
    if (r->match.route->roles & R_PUBLIC)
        return true;
    return r->handler->local && span_eq_str(front_in_header(r, "X-Cradle-Port"), "plain") &&
           (span_eq_str(addr, "127.0.0.1") || span_eq_str(addr, "::1"));
}

/* An ingress that adds its word beside a client's own instead of replacing it must not let the client choose. */
static bool is_repeated(const struct front_req *r, const char *name)
{
    const struct evkeyval *h;
    unsigned n = 0;
    TAILQ_FOREACH(h, evhttp_request_get_input_headers(r->http), next)
    n += strcasecmp(h->key, name) == 0;
    return n > 1;
}

static enum err step_caller(struct front_req *r, struct fault *f)
{
    static const char *const ours[] = {"X-Cradle-Verify", "X-Cradle-Client-Cert", "X-Cradle-Addr", "X-Cradle-Port", "X-Cradle-Body"};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (is_repeated(r, ours[i]))
            return fault_set(f, CE_BAD_INPUT, "header %s is there twice: the ingress must replace what clients send", ours[i]);
    front_caller_read(r);
    if (is_open(r) || r->who.err == CE_OK)
        return CE_OK;
    return fault_set(f, r->who.err, "%s", r->who.text[0] ? r->who.text : err_text(r->who.err));
}

static enum err step_role(struct front_req *r, struct fault *f)
{
    if (is_open(r) || (r->match.route->roles & r->who.role))
        return CE_OK;
    if (r->who.kind == CALLER_IDEVID)
        return fault_set(f, CE_IDEVID_ONLY, "%s (simpleenroll)", err_text(CE_IDEVID_ONLY));
    if (r->who.kind == CALLER_EXPIRED)
        return fault_set(f, CE_CERT_EXPIRED, "%s; with it one may ask for a renewal (simplereenroll) and nothing else", err_text(CE_CERT_EXPIRED));
    return fault_set(f, CE_ROLE_FORBIDDEN, "%s may not do this", r->who.kind == CALLER_DEVICE ? "a device" : "the caller's role");
}

static enum err step_headers(struct front_req *r, struct fault *f)
{
    const struct route *route = r->match.route;
    struct span match = front_in_header(r, "If-Match");
    uint8_t *digest = arena_alloc(&r->arena, SHA256_LEN);
    struct sha256 h;
    enum err e = http_if_match(match, &r->caller.if_match, f);
    r->caller.idem = front_in_header(r, "Idempotency-Key");
    if (!e)
        e = http_idem_check(r->caller.idem, f);
    if (e)
        return e;
    if (r->fr->config.require_rev && (route->method == ROUTE_PATCH || route->method == ROUTE_DELETE) && match.n == 0)
        return fault_set(f, CE_REV_REQUIRED, "this site wants If-Match with the ETag of the object on every change (RFC 6585 3)");
    sha256_begin(&h);
    sha256_add(&h, r->method);
    sha256_add(&h, SPAN_LIT(" "));
    sha256_add(&h, r->path);
    sha256_add(&h, SPAN_LIT("\n"));
    sha256_add(&h, r->body);
    sha256_end(&h, digest);
    r->caller.digest = span_of(digest, SHA256_LEN);
    return CE_OK;
}

static enum err step_decode(struct front_req *r, struct fault *f)
{
    return r->handler->decode ? r->handler->decode(r, f) : CE_OK;
}

struct channel *front_query_pick(struct front *fr)
{
    struct front_query_peer *best = NULL;
    for (size_t i = 0; i < ROLE_PEERS_MAX; i++) {
        struct front_query_peer *q = &fr->query[(fr->next_query + i) % ROLE_PEERS_MAX];
        if (q->ch && (!best || q->waiting < best->waiting))
            best = q;
    }
    fr->next_query++;
    if (best)
        best->waiting++;
    return best ? best->ch : NULL;
}

static bool answered_here(const struct front_req *r)
{
    return r->here || r->handler->to == FRONT_SELF;
}

enum err front_ask(struct front_req *r, struct channel *ch, const struct msg_desc *d, void *msg, struct fault *f)
{
    r->sent_to = ch;
    if (!ch)
        return fault_set(f, CE_ROLE_GONE, "the part of the service that answers this is starting; try again");
    if (channel_full(ch))
        return fault_set(f, CE_BUSY, "the queue is full");
    r->deadline_ms = clock_mono_ms() + r->fr->config.request_ms;
    r->desc = d;
    r->msg = msg;
    channel_send_call(ch, r->rid, &r->caller, d, msg);
    return CE_OK;
}

static enum err step_forward(struct front_req *r, struct fault *f)
{
    struct front *fr = r->fr;
    if (answered_here(r))
        return CE_OK;
    struct channel *ch = r->handler->to == FRONT_CORE ? fr->core : r->handler->to == FRONT_DEPOT ? fr->depot : front_query_pick(fr);
    return front_ask(r, ch, r->desc, r->msg, f);
}

typedef enum err step_fn(struct front_req *r, struct fault *f);
static step_fn *const steps[] = {
    step_route,  step_draining, step_limit,   step_body,   step_media,   step_ready,
    step_caller, step_role,     step_headers, step_decode, step_forward,
};

/* -- beginning --------------------------------------------------------------------------------------------------------------------- */
static const char *method_text(enum evhttp_cmd_type t)
{
    switch (t) {
    case EVHTTP_REQ_GET:
        return "GET";
    case EVHTTP_REQ_HEAD:
        return "HEAD";
    case EVHTTP_REQ_POST:
        return "POST";
    case EVHTTP_REQ_PATCH:
        return "PATCH";
    case EVHTTP_REQ_DELETE:
        return "DELETE";
    case EVHTTP_REQ_PUT:
        return "PUT";
    case EVHTTP_REQ_OPTIONS:
        return "OPTIONS";
    default:
        return "OTHER";
    }
}

static void request_id(struct front_req *r)
{
    struct span given = front_in_header(r, "X-Request-Id");
    bool good = given.n >= 8 && given.n < sizeof r->id;
    for (size_t i = 0; good && i < given.n; i++)
        good = (given.p[i] >= '0' && given.p[i] <= '9') || ((given.p[i] | 0x20) >= 'a' && (given.p[i] | 0x20) <= 'z') || given.p[i] == '-';
    if (good)
        snprintf(r->id, sizeof r->id, SPAN_FMT, SPAN_ARG(given));
    else
        snprintf(r->id, sizeof r->id, "f%u-%llx", r->fr->config.index, (unsigned long long)r->rid);
}

void front_request(struct evhttp_request *http, void *arg)
{
    struct front *fr = arg;
    struct fault f = {0};
    enum err e = CE_OK;
    front_conn_arrived(fr, http);
    struct front_req *r = mem_calloc(1, sizeof *r);
    *r = (struct front_req){.fr = fr, .http = http, .rid = ++fr->next_rid, .began_us = clock_mono_us(), .out = BUF_INIT(0)};
    r->deadline_ms = clock_mono_ms() + fr->config.request_ms;
    r->head = evhttp_request_get_command(http) == EVHTTP_REQ_HEAD;
    r->method = span_str(method_text(evhttp_request_get_command(http)));
    r->caller.if_match = -1;
    request_id(r);
    *(struct front_req **)front_map_set(&fr->requests, rid_key(&r->rid)) = r;
    fr->count[COUNT_REQUESTS]++;
    for (size_t i = 0; i < ARRAY_LEN(steps) && !e; i++)
        e = steps[i](r, &f);
    if (e)
        front_refuse(r, e, f.text, NULL);
    else if (answered_here(r))
        front_send(r, r->out_status ? r->out_status : 200, r->out_media, buf_span(&r->out));
}

/* -- from outside the steps ------------------------------------------------------------------------------------------------------ */
static void refuse_each(struct front *fr, bool (*which)(const struct front_req *, const void *), const void *arg, enum err code,
                        const char *text)
{
    struct span key;
    struct front_req **at;
    for (size_t i = 0; (at = front_map_next(&fr->requests, &i, &key));)
        if (which(*at, arg))
            front_refuse(*at, code, text, NULL);
}

static bool waits_for(const struct front_req *r, const void *ch)
{
    return r->sent_to == ch;
}
static bool is_late(const struct front_req *r, const void *now)
{
    return r->sent_to && r->deadline_ms < *(const int64_t *)now;
}

void front_requests_lost(struct front *fr, const struct channel *ch)
{
    refuse_each(fr, waits_for, ch, CE_ROLE_GONE,
                "a part of the service is restarting; whether the change was made is not known: ask, then try again");
}

/* A search that nobody awaits any more need not go on. */
static void queries_cancel(struct front *fr, int64_t now_ms)
{
    const struct msg_query_cancel m = {};
    struct span key;
    struct front_req **at;
    for (size_t i = 0; (at = front_map_next(&fr->requests, &i, &key));)
        for (size_t k = 0; k < ROLE_PEERS_MAX && is_late(*at, &now_ms); k++)
            if (fr->query[k].ch == (*at)->sent_to)
                channel_send_msg(fr->query[k].ch, &msg_desc_query_cancel, (*at)->rid, &m);
}

void front_requests_sweep(struct front *fr, int64_t now_ms)
{
    size_t before = fr->requests.live;
    queries_cancel(fr, now_ms);
    refuse_each(fr, is_late, &now_ms, CE_TIMEOUT, "no answer in time; whether a change was made is not known: ask, then try again");
    fr->count[COUNT_TIMEOUT] += before - fr->requests.live;
}
