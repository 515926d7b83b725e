/* front_answer.c: how answers and refusals look outside: headers, RFC 9457 problems, EST's line of text, OCSP's error words; and that
 * core hears of what front refuses alone.
 */
#include <stdarg.h>
#include <stdio.h>

#include "role/front_priv.h"

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

static const char *status_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
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

static const struct span span_none = {0};

/* Core makes the evidence of what front refused alone. What is our own trouble is no refusal. */
static void refusal_report(struct front_req *r, enum err code, const char *text)
{
    enum err_class class = err_class(code);
    if (!r->fr->core || channel_full(r->fr->core) || class == ERRC_BUSY || class == ERRC_INTERNAL || class == ERRC_RATE)
        return;
    struct msg_refused m = {.code = code, .text = span_str(text && text[0] ? text : err_text(code)),
                            .uid = r->who.kind == CALLER_INFRA || r->caller.kind == CALLER_SECRET ? span_none : r->caller.cn};
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

/* Our own trouble is always worth a line; a known caller who may not, too; the noise of strangers only when debugging. */
static void refusal_log(const struct front_req *r, enum err code, const char *text)
{
    enum err_class class = err_class(code);
    enum log_level level = class == ERRC_BUSY || class == ERRC_INTERNAL ? LOG_LEVEL_WARN : r->who.role ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
    log_at(level, r->rid, "request %s of %s: %.10s %.100s refused: %s: %s", r->id, r->who.cn[0] ? r->who.cn : "nobody",
           r->method.p ? (const char *)r->method.p : "", evhttp_request_get_uri(r->http), err_reason(code),
           text && text[0] ? text : err_text(code));
}

void front_refuse(struct front_req *r, enum err code, const char *text, const struct msg_reply *rep)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(8192);
    enum front_style style = r->handler ? r->handler->style : STYLE_PROBLEM;
    struct problem p = {.code = code, .status = rep ? (int)rep->http : 0, .detail = span_str(text), .instance = span_str(r->id)};
    r->fr->count[COUNT_REFUSED]++;
    r->fr->refused[code < CE_COUNT ? code : CE_INTERNAL]++;
    if (rep && r->fr->depot && r->sent_to == r->fr->depot && (code == CE_DISK_FULL || code == CE_IO))
        r->fr->count[COUNT_DEPOT_FAILED]++;
    refusal_log(r, code, text);
    if (!rep)
        refusal_report(r, code, text);
    evhttp_remove_header(evhttp_request_get_output_headers(r->http), "X-Cradle-Reason"); /* of what was to be answered first */
    front_header(r, "X-Cradle-Reason", "%s", err_reason(code));
    if (rep && rep->retry_s > 0)
        front_header(r, "Retry-After", "%lld", (long long)rep->retry_s);
    else if (err_class(code) == ERRC_BUSY || err_class(code) == ERRC_RATE)
        front_header(r, "Retry-After", "%d", code == CE_DRAINING ? 5 : 1);
    if (style == STYLE_CMP && r->note) { /* without it, it is a fault of HTTP, and answered as such */
        front_cmp_refuse(r, code, text);
        return;
    }
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
        [BODY_JSON] = "application/json",          [BODY_CERT] = "application/pkix-cert",      [BODY_OCSP] = "application/ocsp-response",
        [BODY_TEXT] = "text/plain; charset=utf-8", [BODY_BINARY] = "application/octet-stream",
    };
    int status = rep->http ? (int)rep->http : rep->body.n ? 200 : 204;
    if (rep->rev > 0)
        front_header(r, "ETag", "\"%lld\"", (long long)rep->rev);
    size_t kind = (size_t)rep->body_kind < ARRAY_LEN(media) ? (size_t)rep->body_kind : BODY_BINARY;
    front_send(r, status, media[kind], rep->body);
}
