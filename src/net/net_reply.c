/* net_reply.c: what an HTTP answer says: headers, RFC 9457 problems, the error that they mean. Pure functions. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "net/net_priv.h"
#include "wire/msg.h"

#define PROBLEM_MAX 65536 /* bytes of a refusal that are looked at */

static void header_copy(char *out, size_t cap, struct span v)
{
    if (span_to_cstr(v, out, cap) != CE_OK)
        out[0] = 0;
}

static void header_etag(struct net_reply *r, struct span v)
{
    if (span_starts(v, "W/"))
        v = span_of(v.p + 2, v.n - 2);
    if (v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"')
        v = span_of(v.p + 1, v.n - 2);
    header_copy(r->etag, sizeof r->etag, v);
}

static void header_type(struct net_reply *r, struct span v)
{
    struct span head;
    if (span_cut(&v, ';', &head))
        header_copy(r->type, sizeof r->type, span_trim(head));
}

static void header_retry(struct net_reply *r, struct span v)
{
    int64_t s;
    if (span_to_i64(v, &s) && s >= 0 && s <= 86400)
        r->retry_s = s;
}

static void header_reason(struct net_reply *r, struct span v) { header_copy(r->reason, sizeof r->reason, v); }

void net_reply_header(struct net_reply *r, struct span line)
{
    static const struct { const char *name; void (*set)(struct net_reply *, struct span); } rows[] = {
        { "etag", header_etag },
        { "content-type", header_type },
        { "retry-after", header_retry },
        { "x-cradle-reason", header_reason },
    };
    if (span_starts(line, "HTTP/")) {
        r->etag[0] = r->type[0] = r->reason[0] = 0;
        r->retry_s = 0;
        return;
    }
    struct span name, value = line;
    if (!memchr(line.p, ':', line.n) || !span_cut(&value, ':', &name))
        return;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (span_eq_nocase(name, rows[i].name))
            rows[i].set(r, span_trim(value));
}

int64_t net_range_from(struct span line)
{
    struct span name, unit, first, value = line;
    int64_t from;
    if (!memchr(line.p, ':', line.n) || !span_cut(&value, ':', &name) || !span_eq_nocase(name, "content-range"))
        return -1;
    value = span_trim(value);
    if (!span_cut(&value, ' ', &unit) || !span_eq_nocase(unit, "bytes") || !span_cut(&value, '-', &first) || !span_to_i64(first, &from))
        return -1;
    return from;
}

static bool json_text_is(const json_t *o, const char *key, char *out, size_t cap)
{
    const char *s = json_string_value(json_object_get(o, key));
    if (!s || !*s)
        return false;
    snprintf(out, cap, "%s", s);
    return true;
}

/* Reason and detail of a refusal's body. */
static void reply_problem(struct net_reply *r, char *text, size_t cap)
{
    text[0] = 0;
    struct span body = buf_span(&r->body);
    json_t *o = NULL;
    if (body.n && body.n <= PROBLEM_MAX && json_parse(body, &o, NULL) == CE_OK) {
        json_text_is(o, "reason", r->reason, sizeof r->reason);
        if (!json_text_is(o, "detail", text, cap))
            json_text_is(o, "title", text, cap);
        json_decref(o);
        return;
    }
    if (strcmp(r->type, "text/plain") != 0)
        return;
    body = span_trim(body); /* EST: "reason: sentence" and a line end; whoever prints it says the reason besides */
    size_t n = strlen(r->reason);
    if (n && body.n > n + 2 && memcmp(body.p, r->reason, n) == 0 && memcmp(body.p + n, ": ", 2) == 0)
        body = span_of(body.p + n + 2, body.n - n - 2);
    if (body.n)
        snprintf(text, cap, "%.*s", (int)(body.n < cap ? body.n : cap - 1), (const char *)body.p);
}

static enum err status_err(int status)
{
    static const struct { int status; enum err e; } rows[] = {
        { 400, CE_BAD_INPUT }, { 401, CE_NO_CERT },     { 403, CE_ROLE_FORBIDDEN }, { 404, CE_NOT_FOUND },  { 405, CE_METHOD },
        { 409, CE_EXISTS },    { 412, CE_REV_MISMATCH }, { 413, CE_TOO_LARGE },     { 415, CE_MEDIA_TYPE }, { 428, CE_REV_REQUIRED },
        { 429, CE_RATE },      { 502, CE_ROLE_GONE },    { 503, CE_BUSY },          { 504, CE_TIMEOUT },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].e;
    return CE_INTERNAL;
}

enum err net_judge(struct net_reply *r, struct fault *f)
{
    if (r->status >= 200 && r->status < 300)
        return CE_OK;
    char text[200];
    reply_problem(r, text, sizeof text);
    enum err e = r->reason[0] ? err_from_reason(r->reason) : CE_INTERNAL;
    if (e == CE_INTERNAL || e == CE_OK)
        e = status_err(r->status);
    if (text[0])
        return fault_set(f, e, "%s", text);
    return fault_set(f, e, "%s (HTTP status %d)", err_text(e), r->status);
}

void net_escape(struct buf *out, struct span s)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < s.n; i++) {
        if (memchr(safe, s.p[i], sizeof safe - 1))
            buf_put_u8(out, s.p[i]);
        else
            buf_printf(out, "%%%02X", s.p[i]);
    }
}
