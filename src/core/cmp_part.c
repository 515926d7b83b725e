/* cmp_part.c: what ends by itself in CMP: transactions that nobody went on with, certificates that nobody confirmed, secrets. See cmp.h. */
#include <stdlib.h>

#include "core/cert.h"
#include "core/cmp.h"
#include "core/device.h"
#include "core/revoke.h"

enum err cmp_unconfirmed_revoke(struct batch *b, struct cert_row *c, struct span note, struct span by, struct fault *f)
{
    struct revoke_change change = { .status = CERT_REVOKED, .reason = REVOKE_SUPERSEDED, .why = "certificate-revoked", .note = note, .by = by };
    struct device d = { .rev = 0 };
    enum err e = c->holder_kind == CERT_HOLDER_DEVICE ? device_get(b, c->holder, &d, f) : CE_OK;
    if (!e && c->holder_kind == CERT_HOLDER_DEVICE)
        e = device_touch(b, &d, f);
    change.rev = d.rev;
    return e ? e : cert_status_change(b, c, &change, f);
}

struct cmp_part_state { int64_t due_ms; }; /* wall clock; INT64_MAX: nothing */

void cmp_due(struct batch *b, int64_t at_ms)
{
    struct cmp_part_state *s = core_part(b->core, CORE_PART_CMP);
    if (s && at_ms < s->due_ms)
        s->due_ms = at_ms;
}

static enum err tx_over(struct batch *b, const struct cmp_tx_row *r, struct fault *f)
{
    struct cert_row c;
    bool keep = core_config(b->core)->cmp_keep_unconfirmed;
    enum err e = store_cmp_tx_drop(b->db, r->tx, f);
    if (e || !span_eq_str(r->state, "issued") || !r->fresh)
        return e;
    e = store_cert_get(b->db, b->arena, r->kid, r->serial, &c, f);
    if (e || c.state.first_used_at || c.state.status != CERT_GOOD)
        return e;
    struct json_out *j = event_begin(b, EVENT_CERT_UNCONFIRMED, c.holder_kind == CERT_HOLDER_DEVICE ? c.holder : span_of(NULL, 0), 0);
    json_hex(j, "kid", c.kid);
    json_hex(j, "serial", c.serial);
    json_hex(j, "transaction", r->tx);
    json_str(j, "by", r->who);
    json_bool(j, "kept", keep);
    event_end(b);
    return keep ? CE_OK : cmp_unconfirmed_revoke(b, &c, SPAN_LIT("not confirmed in time (certConf)"), span_of(NULL, 0), f);
}

static enum err part_open(struct core *core, void **state, struct fault *f)
{
    struct cmp_part_state *s = mem_calloc(1, sizeof *s);
    (void)core;
    (void)f;
    *state = s; /* due at once: what ended while nobody looked */
    return CE_OK;
}

static bool part_tick(struct batch *b, void *state, int64_t *next_ms)
{
    const struct cmp_part_state *s = state;
    int64_t wait = s->due_ms - b->now_ms;
    *next_ms = b->mono_ms + (wait > 60000 ? 60000 : wait < 100 ? 100 : wait);
    return wait <= 0;
}

static enum err part_work(struct batch *b, void *state, struct fault *f)
{
    struct cmp_part_state *s = state;
    struct cmp_tx_row *rows;
    size_t n = 0;
    int64_t tx = 0, wipe = 0;
    enum err e = store_cmp_tx_over(b->db, b->arena, b->now_ms, 100, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        e = tx_over(b, &rows[i], f);
    e = e ? e : secrets_work(b, f);
    e = e ? e : store_cmp_tx_next(b->db, &tx, f);
    e = e ? e : store_secret_next(b->db, &wipe, f);
    if (e)
        return e;
    s->due_ms = tx ? tx : INT64_MAX;
    if (wipe && wipe < s->due_ms)
        s->due_ms = wipe;
    return CE_OK;
}

const struct core_part cmp_part = { .name = "cmp", .open = part_open, .close = free, .tick = part_tick, .work = part_work };
