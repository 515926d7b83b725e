/* cmp_secret.c: one-time secrets of devices: made for a registered device of a line that allows them, shown once, good for one enrollment,
 * locked after wrong tries, wiped when it is over. See cmp.h. The secret itself is in no event and in no log.
 */
#include "base/mem.h"
#include "base/name.h"
#include "core/cmp.h"
#include "core/device.h"
#include "core/line.h"
#include "core/registry.h"
#include "base/file.h"

static struct json_out *secret_event(struct batch *b, enum event_kind k, const struct secret_row *s)
{
    struct json_out *j = event_begin(b, k, s->uid, 0);
    json_str(j, "ref", s->ref);
    return j;
}

enum err secret_end(struct batch *b, struct secret_row *s, const char *state, const char *why, struct fault *f)
{
    s->state = span_str(state);
    s->secret = span_of(NULL, 0);
    s->wipe_at = 0;
    struct json_out *j = secret_event(b, EVENT_SECRET_OVER, s);
    json_cstr(j, "state", state);
    json_cstr(j, "why", why);
    event_end(b);
    return store_secret_put(b->db, s, f);
}

enum err secret_judge(struct batch *b, const struct secret_row *s, struct fault *f)
{
    struct device d;
    struct line line;
    if (span_eq_str(s->state, "locked"))
        return fault_set(f, CE_SECRET_LOCKED, "the secret of device '" SPAN_FMT "' is locked after %d wrong tries: make a new one", SPAN_ARG(s->uid), CMP_TRIES_MAX);
    if (!span_eq_str(s->state, "open") || s->expires_at <= b->now_ms)
        return fault_set(f, CE_SECRET_OVER, "the secret of device '" SPAN_FMT "' was used, has expired, or was replaced: make a new one", SPAN_ARG(s->uid));
    enum err e = device_get(b, s->uid, &d, f);
    e = e ? e : line_get(b, d.line, &line, f);
    if (!e && !line.more.cmp_secret)
        e = fault_set(f, CE_SECRET_FORBIDDEN, "product line " SPAN_FMT " allows no enrollment by a secret (cradle line set --cmp-secret yes)", SPAN_ARG(d.line));
    return e;
}

enum err secret_used(struct batch *b, struct span ref, struct span kid, struct span serial, int64_t wipe_at, struct fault *f)
{
    struct secret_row s;
    enum err e = store_secret_get(b->db, b->arena, ref, &s, f);
    if (e == CE_NOT_FOUND || (!e && !s.secret.n))
        return CE_OK;
    if (e)
        return e;
    bool first = span_eq_str(s.state, "open");
    s.state = SPAN_LIT("used");
    s.wipe_at = wipe_at;
    cmp_due(b, wipe_at);
    if (first) {
        struct json_out *j = secret_event(b, EVENT_SECRET_USED, &s);
        json_hex(j, "kid", kid);
        json_hex(j, "serial", serial);
        event_end(b);
    }
    return store_secret_put(b->db, &s, f);
}

enum err secret_wipe_at(struct batch *b, struct span ref, int64_t at, struct fault *f)
{
    struct secret_row s;
    enum err e = store_secret_get(b->db, b->arena, ref, &s, f);
    if (e == CE_NOT_FOUND || (!e && !s.secret.n))
        return CE_OK;
    s.wipe_at = at;
    cmp_due(b, at);
    return e ? e : store_secret_put(b->db, &s, f);
}

enum err secrets_work(struct batch *b, struct fault *f)
{
    struct secret_row *rows;
    size_t n;
    enum err e = store_secret_over(b->db, b->arena, b->now_ms, 100, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        if (span_eq_str(rows[i].state, "open")) {
            e = secret_end(b, &rows[i], "over", "expired", f);
            continue;
        }
        rows[i].secret = span_of(NULL, 0);
        rows[i].wipe_at = 0;
        e = store_secret_put(b->db, &rows[i], f);
    }
    return e;
}

/* -- making one ------------------------------------------------------------------------------------------------------------------------ */
static enum err add_judge(struct batch *b, const struct caller *c, const struct msg_secret_add *m, struct fault *f)
{
    struct device d;
    struct line line;
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    if (!e && (m->ttl_s < 0 || m->ttl_s > SECRET_TTL_MAX_S))
        e = fault_set(f, CE_BAD_FIELD, "ttl_s is at most %d (90 days)", SECRET_TTL_MAX_S);
    e = e ? e : device_get(b, m->uid, &d, f);
    e = e ? e : authz_line(c, d.line, f);
    e = e ? e : device_usable(&d, f);
    if (!e && d.state != DEVICE_REGISTERED && d.state != DEVICE_PROVISIONED)
        e = fault_set(f, CE_STATE_CHANGE, "device '" SPAN_FMT "' is %s: a secret is for the first enrollment; afterwards it renews by its certificate",
                      SPAN_ARG(m->uid), device_state_name(d.state));
    e = e ? e : line_get(b, d.line, &line, f);
    if (!e && !line.more.cmp_secret)
        e = fault_set(f, CE_SECRET_FORBIDDEN, "product line " SPAN_FMT " allows no enrollment by a secret: cradle line set " SPAN_FMT " --cmp-secret yes",
                      SPAN_ARG(d.line), SPAN_ARG(d.line));
    return e;
}

static enum err others_replace(struct batch *b, struct span uid, struct fault *f)
{
    struct secret_row *rows;
    size_t n;
    enum err e = store_secret_open(b->db, b->arena, uid, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        e = secret_end(b, &rows[i], "over", "replaced", f);
    return e;
}

static void add_reply(struct batch *b, const struct secret_row *s, struct msg_reply *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out o = JSON_OUT(&body);
    json_obj(&o, NULL);
    json_str(&o, "uid", s->uid);
    json_str(&o, "reference", s->ref);
    json_str(&o, "secret", s->secret);
    json_time_ms(&o, "expires_at", s->expires_at);
    json_obj_end(&o);
    out->http = HTTP_CREATED;
    reply_json(b, &body, out);
}

enum err secret_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_secret_add *m = msg;
    uint8_t bytes[8 + SECRET_BYTES];
    CLEANUP(buf_free) struct buf text = BUF_INIT(128);
    enum err e = add_judge(b, c, m, f);
    e = e ? e : others_replace(b, m->uid, f);
    if (!e && random_bytes(bytes, sizeof bytes))
        e = fault_set(f, CE_CRYPTO, "no random numbers");
    if (e)
        return e;
    buf_put_hex(&text, span_of(bytes, sizeof bytes));
    mem_zero(bytes, sizeof bytes);
    struct span all = arena_copy(b->arena, buf_span(&text));
    struct secret_row s = { .uid = m->uid, .ref = span_of(all.p, 16), .secret = span_of(all.p + 16, all.n - 16), .state = SPAN_LIT("open"), .made_at = b->now_ms,
                            .expires_at = (b->now_ms / 1000 + (m->ttl_s ? m->ttl_s : SECRET_TTL_S)) * 1000 };
    s.wipe_at = s.expires_at;
    cmp_due(b, s.expires_at);
    struct json_out *j = secret_event(b, EVENT_SECRET_MADE, &s);
    json_time_ms(j, "expires_at", s.expires_at);
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
    e = store_secret_put(b->db, &s, f);
    if (!e)
        add_reply(b, &s, out);
    return e;
}
