/* front_request.c: the life of a request as a table of steps, and the ways in which it ends: refused, answered by front itself,
 * answered by core or query, or out of time. A client that goes away is noticed when the answer is written (evhttp does not
 * look before), so everything that is open has a deadline and there is a limit on how much is open.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypt/hash.h"
#include "role/front_priv.h"

/* -- small helpers --------------------------------------------------------------------------------------------------------- */
struct span front_in_header(const struct front_req *r, const char *name)
{
    return span_str(evhttp_find_header(evhttp_request_get_input_headers(r->http), name));
}

void front_header(struct front_req *r, const char *name, const char *fmt, ...)
{
    char value[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(value, sizeof value, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof value)
        evhttp_add_header(evhttp_request_get_output_headers(r->http), name, value);
}

static struct span rid_key(const uint64_t *rid) { return span_of(rid, sizeof *rid); }

struct front_req *front_req_find(struct front *fr, uint64_t rid)
{
    struct front_req **r = front_map_get(&fr->requests, rid_key(&rid));
    return r ? *r : NULL;
}

static void query_done(struct front_req *r)
{
    for (size_t i = 0; i < ROLE_PEERS_MAX; i++)
        if (r->sent_to && r->fr->query[i].ch == r->sent_to)
            r->fr->query[i].waiting--;
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

/* -- ends -------------------------------------------------------------------------------------------------------------------- */
static const char *status_phrase(int status)
{
    static const struct { int status; const char *phrase; } phrases[] = {
        { 200, "OK" }, { 201, "Created" }, { 204, "No Content" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
        { 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 409, "Conflict" },
        { 412, "Precondition Failed" }, { 413, "Content Too Large" }, { 415, "Unsupported Media Type" },
        { 428, "Precondition Required" }, { 429, "Too Many Requests" }, { 500, "Internal Server Error" },
        { 503, "Service Unavailable" },
    };
    for (size_t i = 0; i < ARRAY_LEN(phrases); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Status";
}

void front_send(struct front_req *r, int status, const char *media, struct span body)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(r->http);
    struct evbuffer *out = evhttp_request_get_output_buffer(r->http);
    if (media && body.n)
        front_header(r, "Content-Type", "%s", media);
    front_header(r, "X-Request-Id", "%s", r->id);
    if (!evhttp_find_header(headers, "Cache-Control"))
        front_header(r, "Cache-Control", "no-store");
    if (r->head)
        front_header(r, "Content-Length", "%zu", body.n);
    else
        evbuffer_add(out, body.p, body.n);
    log_debug(r->rid, SPAN_FMT " " SPAN_FMT " %d %lld us id %s", SPAN_ARG(r->method), SPAN_ARG(r->path), status,
              (long long)(clock_mono_us() - r->began_us), r->id);
    evhttp_send_reply(r->http, status, status_phrase(status), NULL);
    front_req_end(r);
}

static const struct span span_none = { 0 };

/* Core makes the evidence of what front refused alone. What is our own trouble is no refusal. */
static void refusal_report(struct front_req *r, enum err code, const char *text)
{
    enum err_class class = err_class(code);
    if (!r->fr->core || channel_full(r->fr->core) || class == ERRC_BUSY || class == ERRC_INTERNAL || class == ERRC_RATE)
        return;
    struct msg_refused m = { .code = code, .text = span_str(text && text[0] ? text : err_text(code)), .uid = r->caller.cn };
    if (m.text.n > 255)
        m.text.n = 255;
    if (!span_is_utf8(m.text))
        m.text = span_str(err_text(code));
    m.path = span_of(r->path.p, r->path.n < 128 ? r->path.n : 128);
    if (!span_is_utf8(m.path))
        m.path = span_none;
    if (r->note && r->desc == &msg_desc_enroll && ((struct msg_enroll *)r->note)->uid.n)
        m.uid = ((struct msg_enroll *)r->note)->uid;
    channel_send_call(r->fr->core, 0, &r->caller, &msg_desc_refused, &m);
}

void front_refuse(struct front_req *r, enum err code, const char *text, const struct msg_reply *rep)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(8192);
    enum front_style style = r->handler ? r->handler->style : STYLE_PROBLEM;
    struct problem p = { .code = code, .status = rep ? (int)rep->http : 0, .detail = span_str(text), .instance = span_str(r->id) };
    r->fr->count[COUNT_REFUSED]++;
    r->fr->refused[code < CE_COUNT ? code : CE_INTERNAL]++;
    if (!rep)
        refusal_report(r, code, text);
    front_header(r, "X-Cradle-Reason", "%s", err_reason(code));
    if (rep && rep->retry_s > 0)
        front_header(r, "Retry-After", "%lld", (long long)rep->retry_s);
    else if (err_class(code) == ERRC_BUSY || err_class(code) == ERRC_RATE)
        front_header(r, "Retry-After", "%d", code == CE_DRAINING ? 5 : 1);
    if (style == STYLE_OCSP) {
        front_ocsp_refuse(r, code);
        return;
    }
    if (style == STYLE_EST)
        problem_text(&p, &body);
    else
        problem_json(&p, &body);
    front_send(r, problem_status(&p), style == STYLE_EST ? "text/plain; charset=utf-8" : PROBLEM_MEDIA, buf_span(&body));
}

void front_reply_plain(struct front_req *r, const struct msg_reply *rep)
{
    static const char *const media[] = {
        [BODY_JSON] = "application/json", [BODY_CERT] = "application/pkix-cert", [BODY_OCSP] = "application/ocsp-response",
        [BODY_TEXT] = "text/plain; charset=utf-8", [BODY_BINARY] = "application/octet-stream",
    };
    int status = rep->http ? (int)rep->http : rep->body.n ? 200 : 204;
    if (rep->rev > 0)
        front_header(r, "ETag", "\"%lld\"", (long long)rep->rev);
    size_t kind = (size_t)rep->body_kind < ARRAY_LEN(media) ? (size_t)rep->body_kind : BODY_BINARY;
    front_send(r, status, media[kind], rep->body);
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
        return fault_set(f, CE_TOO_LARGE, max ? "the body has %zu bytes; this route takes %zu" : "the body has %zu bytes; this route takes none%.0zu", n, max);
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
    return r->handler->local && span_eq_str(front_in_header(r, "X-Cradle-Port"), "plain") && (span_eq_str(addr, "127.0.0.1") || span_eq_str(addr, "::1"));
}

static enum err step_caller(struct front_req *r, struct fault *f)
{
    front_caller_read(r);
    if (is_open(r) || r->who.err == CE_OK)
        return CE_OK;
    return fault_set(f, r->who.err, "%s", r->who.text[0] ? r->who.text : err_text(r->who.err));
}

static enum err step_role(struct front_req *r, struct fault *f)
{
    if (is_open(r) || (r->match.route->roles & r->who.role))
        return CE_OK;
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

static struct channel *query_pick(struct front *fr)
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

static bool answered_here(const struct front_req *r) { return r->here || r->handler->to == FRONT_SELF; }

static enum err step_forward(struct front_req *r, struct fault *f)
{
    struct front *fr = r->fr;
    if (answered_here(r))
        return CE_OK;
    struct channel *ch = r->handler->to == FRONT_CORE ? fr->core : query_pick(fr);
    if (!ch)
        return fault_set(f, CE_ROLE_GONE, "the part that answers searches is starting; try again");
    r->sent_to = ch;
    if (channel_full(ch))
        return fault_set(f, CE_BUSY, "the queue is full");
    r->deadline_ms = clock_mono_ms() + fr->config.request_ms;
    channel_send_call(ch, r->rid, &r->caller, r->desc, r->msg);
    return CE_OK;
}

typedef enum err step_fn(struct front_req *r, struct fault *f);
static step_fn *const steps[] = {
    step_route, step_draining, step_limit, step_body, step_media, step_ready, step_caller, step_role, step_headers, step_decode,
    step_forward,
};

/* -- beginning --------------------------------------------------------------------------------------------------------------------- */
static const char *method_text(enum evhttp_cmd_type t)
{
    switch (t) {
    case EVHTTP_REQ_GET: return "GET";
    case EVHTTP_REQ_HEAD: return "HEAD";
    case EVHTTP_REQ_POST: return "POST";
    case EVHTTP_REQ_PATCH: return "PATCH";
    case EVHTTP_REQ_DELETE: return "DELETE";
    case EVHTTP_REQ_PUT: return "PUT";
    case EVHTTP_REQ_OPTIONS: return "OPTIONS";
    default: return "OTHER";
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
    struct fault f = { 0 };
    enum err e = CE_OK;
    front_conn_arrived(fr, http);
    struct front_req *r = mem_calloc(1, sizeof *r);
    *r = (struct front_req){ .fr = fr, .http = http, .rid = ++fr->next_rid, .began_us = clock_mono_us(), .out = BUF_INIT(0) };
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
static void refuse_each(struct front *fr, bool (*which)(const struct front_req *, const void *), const void *arg, enum err code, const char *text)
{
    struct span key;
    struct front_req **at;
    for (size_t i = 0; (at = front_map_next(&fr->requests, &i, &key));)
        if (which(*at, arg))
            front_refuse(*at, code, text, NULL);
}

static bool waits_for(const struct front_req *r, const void *ch) { return r->sent_to == ch; }
static bool is_late(const struct front_req *r, const void *now) { return r->sent_to && r->deadline_ms < *(const int64_t *)now; }

void front_requests_lost(struct front *fr, const struct channel *ch)
{
    refuse_each(fr, waits_for, ch, CE_ROLE_GONE, "a part of the service is restarting; whether the change was made is not known: ask, then try again");
}

/* A search that nobody awaits any more need not go on. */
static void queries_cancel(struct front *fr, int64_t now_ms)
{
    const struct msg_query_cancel m = { .reason = CE_TIMEOUT };
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
