/* cert_seen.c: a certificate was used for the first time. See cert.h. */
#include "core/cert.h"
#include "core/crl.h"
#include "core/device.h"
#include "crypt/profile.h"
#include "store/cert.h"

static void seen_event(struct batch *b, enum event_kind kind, const struct cert_row *c, int64_t shard)
{
    struct json_out *j = event_begin(b, kind, c->holder_kind == CERT_HOLDER_DEVICE ? c->holder : span_of(NULL, 0), 0);
    json_hex(j, "kid", c->kid);
    json_hex(j, "serial", c->serial);
    json_int(j, "not_after", c->not_after);
    json_int(j, "shard", shard);
    event_end(b);
}

static enum err state_write(struct batch *b, enum event_kind kind, const struct cert_row *c, struct fault *f)
{
    struct cert_state s = c->state;
    s.not_after = c->not_after;
    if (!c->has_state)
        s.shard = crl_shard(b->core, c->serial);
    if (kind == EVENT_CERT_FIRST_USE)
        s.first_used_at = b->now_ms;
    else
        s.status = CERT_SUPERSEDED;
    seen_event(b, kind, c, s.shard);
    return store_cert_state_put(b->db, c->kid, c->serial, &s, f);
}

/* Everything good that the holder got before c is superseded, and what it got in the same millisecond: the device uses one of them. */
static enum err older_supersede(struct batch *b, const struct cert_row *c, struct fault *f)
{
    struct cert_row *rows;
    size_t n;
    enum err e = store_cert_list(b->db, b->arena, c->holder_kind, c->holder, b->now_ms / 1000, &rows, &n, f);
    for (size_t i = 0; !e && i < n && rows[i].issued_at <= c->issued_at; i++)
        if (!span_eq(rows[i].serial, c->serial) && rows[i].state.status == CERT_GOOD && !span_eq_str(rows[i].profile, PROFILE_IDEVID))
            e = state_write(b, EVENT_CERT_SUPERSEDED, &rows[i], f);
    return e;
}

enum err cert_seen(struct batch *b, struct span uid, struct span kid, struct span serial, struct fault *f)
{
    struct cert_row c;
    enum err e = kid.n ? store_cert_get(b->db, b->arena, kid, serial, &c, f) : store_cert_find(b->db, b->arena, serial, &c, f);
    if (e == CE_NOT_FOUND || (!e && (!span_eq(c.holder, uid) || c.state.first_used_at)))
        return CE_OK;
    e = e ? e : state_write(b, EVENT_CERT_FIRST_USE, &c, f);
    e = e ? e : older_supersede(b, &c, f);
    if (e || c.holder_kind != CERT_HOLDER_DEVICE)
        return e;
    struct device d;
    e = device_get(b, uid, &d, f);
    if (!e && d.state == DEVICE_PROVISIONED)
        e = device_move(b, &d, DEVICE_ACTIVE, SPAN_LIT("first-use"), span_of(NULL, 0), span_of(NULL, 0), f);
    return e;
}
