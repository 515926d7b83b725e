/* core/order_sign.c: the directive of an order: asked of the signer, stored with its number in the signer's account, handed on. See core/order.h.
 */
#include <stdlib.h>

#include "core/rollout.h"
#include "crypt/hash.h"
#include "store/registry.h"
#include "wire/directive.h"

struct order_ask {
    struct core *core;
    struct order_done done;
    char uid[65];
    int64_t sequence, expires_s;
    uint8_t spki[SHA256_LEN];
    struct ca_signature signature;
};

bool order_signed(const struct batch *b, const struct order *o, struct span spki)
{
    int64_t margin_s = core_config(b->core)->directive_s / 7;
    return o->row.envelope.n && span_eq(o->row.spki, spki) && o->row.expires_at > b->now_ms / 1000 + margin_s;
}

static void ask_drop(void *data)
{
    struct order_ask *a = data;
    a->done.drop(a->done.data);
    free(a);
}

static void ask_then(void *data, bool committed)
{
    struct order_ask *a = data;
    if (!committed)
        ca_signature_unused(a->core, &a->signature, "not-stored");
    free(a);
}

static void offered_event(struct batch *b, const struct order *o, const struct order_ask *a)
{
    uint8_t digest[SHA256_LEN];
    sha256(o->row.envelope, digest);
    struct json_out *j = event_begin(b, EVENT_FIRMWARE_OFFERED, o->row.uid, 0);
    json_int(j, "sequence", o->row.sequence);
    json_hex(j, "sha256", span_of(digest, sizeof digest));
    json_int(j, "length", (int64_t)o->row.envelope.n);
    json_time_ms(j, "expires_at", o->row.expires_at * 1000);
    json_hex(j, "spki", o->row.spki);
    json_hex(j, "kid", span_of(a->signature.kid, sizeof a->signature.kid));
    ca_signature_put(j, &a->signature);
    event_end(b);
}

static enum err envelope_store(struct batch *b, struct order *o, const struct order_ask *a, struct span envelope, struct fault *f)
{
    o->row.envelope = arena_copy(b->arena, envelope);
    o->row.spki = arena_copy(b->arena, span_of(a->spki, sizeof a->spki));
    o->row.expires_at = a->expires_s;
    if (!o->row.offered_at)
        o->row.offered_at = b->now_ms;
    if (o->state == ORDER_ORDERED) {
        o->state = ORDER_OFFERED;
        o->row.state = SPAN_LIT("offered");
        o->row.changed_at = b->now_ms;
        order_count(b, ORDER_OFFERED);
    }
    offered_event(b, o, a);
    enum err e = store_order_put(b->db, &o->row, f);
    return e ? e : member_follow(b, &o->row, f);
}

/* An order that was overtaken, or ended, while the signer worked: nobody gets this directive. */
static enum err directive_signed(struct batch *b, void *data, const struct msg_signed *m)
{
    struct order_ask *a = data;
    struct order o = { 0 };
    struct fault f = { 0 };
    a->signature = ca_signature_of(m);
    enum err e = m->code ? fault_set(&f, CE_SIGNER, "the directive was not signed: " SPAN_FMT, SPAN_ARG(m->text))
                         : order_get(b, arena_copy(b->arena, span_str(a->uid)), &o, &f);
    if (!e && (o.row.sequence != a->sequence || !order_state_open(o.state)))
        e = fault_set(&f, CE_BUSY, "the order changed while its directive was signed; ask again");
    if (e && !db_err_fatal(e)) {
        ca_signature_unused(a->core, &a->signature, "overtaken");
        a->signature.counter = 0;
    }
    e = e ? e : envelope_store(b, &o, a, m->body, &f);
    batch_then(b, ask_then, a);
    a->done.fn(b, a->done.data, e ? NULL : &o, &f);
    return db_err_fatal(e) ? e : CE_OK;
}

/* Who wanted it, and who agreed. */
static enum err approvals_of(struct batch *b, const struct order *o, struct span *packed, struct fault *f)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(1024);
    const struct msg_approval first = { .by = o->row.by, .at = o->row.ordered_at / 1000 };
    struct approval_row *rows = NULL;
    size_t n = 0;
    enum err e = o->row.rollout.n ? store_approval_list(b->db, b->arena, o->row.rollout, &rows, &n, f) : CE_OK;
    if (!n)
        msg_pack(&msg_desc_approval, &first, &out);
    for (size_t i = 0; !e && i < n && i < DIRECTIVE_APPROVALS; i++) {
        const struct msg_approval one = { .by = rows[i].by, .at = rows[i].at / 1000 };
        msg_pack(&msg_desc_approval, &one, &out);
    }
    *packed = arena_copy(b->arena, buf_span(&out));
    return e;
}

enum err order_sign(struct batch *b, const struct order *o, const struct device *d, struct span spki, struct order_done done, struct fault *f)
{
    struct model_row model;
    struct version_row v;
    struct span approvals = { 0 };
    enum err e = spki.n == SHA256_LEN ? batch_clock_check(b, f) : fault_set(f, CE_INTERNAL, "the caller has no key");
    e = e ? e : store_model_get(b->db, b->arena, d->model, &model, f);
    e = e ? e : store_version_get(b->db, b->arena, d->uid, &v, f);
    e = e ? e : approvals_of(b, o, &approvals, f);
    if (e)
        return e;
    struct order_ask *a = mem_calloc(1, sizeof *a);
    *a = (struct order_ask){ .core = b->core, .done = done, .sequence = o->row.sequence, .expires_s = b->now_ms / 1000 + core_config(b->core)->directive_s };
    snprintf(a->uid, sizeof a->uid, SPAN_FMT, SPAN_ARG(d->uid));
    memcpy(a->spki, spki.p, SHA256_LEN);
    struct msg_sign_directive m = { .action = o->reset ? DIRECTIVE_RESET : DIRECTIVE_INSTALL, .device = d->uid, .line = d->line, .model = d->model, .hw_rev = model.hw_rev, .spki = spki,
                                    .sequence = o->row.sequence, .issued = b->now_ms / 1000, .expires = a->expires_s };
    if (!o->reset) {
        m.release = o->release.name;
        m.path = o->release.path;
        m.version = o->release.version;
        m.sha256 = o->release.sha256;
        m.sbom_sha256 = o->release.sbom_sha256;
        m.length = o->release.length;
        m.counter_floor = v.counter_floor;
        m.approvals = approvals;
    }
    batch_sign_msg(b, &msg_desc_sign_directive, &m, (struct sign_done){ .fn = directive_signed, .drop = ask_drop, .data = a });
    return CE_OK;
}
