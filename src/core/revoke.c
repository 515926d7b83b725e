/* revoke.c: see revoke.h. */
#include "core/revoke.h"

#include "base/clock.h"
#include "cradle/snapshot.h"
#include "core/crl.h"
#include "core/stream.h"
#include "crypt/crl.h"
#include "store/crypto.h"
#include "wire/route.h"

enum err revoke_reason_parse(struct span name, int *reason, struct fault *f)
{
    *reason = name.n ? crl_reason_from_name(name) : REVOKE_UNSPECIFIED;
    if (*reason >= 0 && *reason != REVOKE_HOLD && *reason != 8)
        return CE_OK;
    return fault_set(f, CE_BAD_FIELD,
                     "reason: one of unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, cessationOfOperation, "
                     "privilegeWithdrawn, aACompromise (RFC 5280 5.3.1)");
}

static bool listed(enum cert_status s) { return s == CERT_REVOKED || s == CERT_HELD; }

static void change_event(struct batch *b, const struct cert_row *c, const struct cert_state *s, const struct revoke_change *change, bool key)
{
    struct span device = c->holder_kind == CERT_HOLDER_DEVICE ? c->holder : span_of(NULL, 0);
    struct json_out *j = event_begin(b, EVENT_CERT_REVOKED, device, change->rev);
    json_hex(j, "kid", c->kid);
    json_hex(j, "serial", c->serial);
    json_int(j, "holder_kind", c->holder_kind);
    json_str(j, "holder", c->holder);
    json_hex(j, "spki", c->spki);
    json_int(j, "not_after", c->not_after);
    json_int(j, "status", s->status);
    json_int(j, "revoked_at", s->revoked_at);
    json_int(j, "reason", s->reason);
    json_int(j, "shard", s->shard);
    json_bool(j, "key", key);
    json_str(j, "note", change->note);
    json_str(j, "by", change->by);
    event_end(b);
}

static void change_push(struct batch *b, const struct cert_row *c, const struct revoke_change *change)
{
    struct msg_push_cert m = { .kid = c->kid, .serial = c->serial, .uid = c->holder, .reason = span_str(change->why),
                               .lifted = !listed(change->status) };
    batch_push_msg(b, -1, &msg_desc_push_cert, &m);
}

enum err cert_status_change(struct batch *b, const struct cert_row *c, const struct revoke_change *change, struct fault *f)
{
    struct cert_state s = c->state;
    bool bad = listed(change->status), key = change->status == CERT_REVOKED && change->reason != REVOKE_SUPERSEDED;
    s.status = change->status;
    s.not_after = c->not_after;
    s.shard = c->has_state ? s.shard : crl_shard(b->core, c->serial);
    s.revoked_at = bad ? b->now_ms / 1000 : 0;
    s.reason = bad ? change->reason : 0;
    enum err e = store_cert_state_put(b->db, c->kid, c->serial, &s, f);
    if (!e && key)
        e = store_key_revoke(b->db, c->spki, s.revoked_at, f);
    if (!e && change->status == CERT_REVOKED && c->holder_kind == CERT_HOLDER_DEVICE)
        e = store_crypto_drop(b->db, c->holder, c->kid, c->serial, f);
    if (!e && (bad || listed(c->state.status)))
        e = crl_change(b, c->kid, c->serial, &s, f);
    if (e)
        return e;
    change_event(b, c, &s, change, key);
    change_push(b, c, change);
    if (change->status == CERT_REVOKED) {
        stream_change_cert(b, SNAPSHOT_OP_ADD, c->kid, c->serial);
        core_stats(b->core)->revoked_certs++;
    }
    return CE_OK;
}

/* -- whole holders ------------------------------------------------------------------------------------------------------------ */
/* A held certificate comes back as what it was: superseded when a newer one was used since. */
static enum cert_status status_lifted(const struct cert_row *rows, size_t n, size_t i)
{
    for (size_t k = i + 1; k < n; k++)
        if (rows[k].state.first_used_at)
            return CERT_SUPERSEDED;
    return CERT_GOOD;
}

/* Applies change to every live certificate of the holder that it means; CERT_GOOD lifts a hold. */
static enum err holder_change(struct batch *b, enum cert_holder kind, struct span holder, const struct revoke_change *change, struct fault *f)
{
    struct cert_row *rows;
    size_t n;
    enum err e = store_cert_list(b->db, b->arena, kind, holder, b->now_ms / 1000, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        struct revoke_change one = *change;
        bool due = rows[i].state.status != CERT_REVOKED && rows[i].state.status != change->status;
        if (change->status == CERT_GOOD) {
            due = rows[i].state.status == CERT_HELD;
            one.status = status_lifted(rows, n, i);
        }
        if (due)
            e = cert_status_change(b, &rows[i], &one, f);
    }
    return e;
}

/* Fronts refuse a quarantined device although its certificates are good, and let it in again when it is resumed. */
static enum err quarantine_push(struct batch *b, const struct device *d, struct fault *f)
{
    bool now = d->state == DEVICE_QUARANTINED, over = d->was == DEVICE_QUARANTINED && !device_state_blocked(d->state);
    struct cert_row *rows;
    size_t n = 0;
    enum err e = now || over ? store_cert_list(b->db, b->arena, CERT_HOLDER_DEVICE, d->uid, b->now_ms / 1000, &rows, &n, f) : CE_OK;
    for (size_t i = 0; !e && i < n; i++) {
        const struct revoke_change change = { .status = now ? CERT_HELD : CERT_GOOD, .why = now ? "device-quarantined" : "resumed" };
        if (!listed(rows[i].state.status))
            change_push(b, &rows[i], &change);
    }
    return e;
}

enum err cert_block_device(struct batch *b, const struct device *d, int reason, struct span note, struct span by, struct fault *f)
{
    static const struct revoke_change changes[DEVICE_STATES] = {
        [DEVICE_REGISTERED] = { .status = CERT_GOOD, .why = "resumed" },
        [DEVICE_PROVISIONED] = { .status = CERT_GOOD, .why = "resumed" },
        [DEVICE_ACTIVE] = { .status = CERT_GOOD, .why = "resumed" },
        [DEVICE_QUARANTINED] = { .status = CERT_GOOD, .why = "device-quarantined" },
        [DEVICE_SUSPENDED] = { .status = CERT_HELD, .reason = REVOKE_HOLD, .why = "device-suspended" },
        [DEVICE_REVOKED] = { .status = CERT_REVOKED, .why = "device-revoked" },
        [DEVICE_DECOMMISSIONED] = { .status = CERT_REVOKED, .reason = REVOKE_CESSATION, .why = "device-decommissioned" },
    };
    struct revoke_change change = changes[d->state];
    if (change.status == CERT_REVOKED && reason != REVOKE_UNSPECIFIED)
        change.reason = reason;
    change.note = note;
    change.by = by;
    bool blocked = device_state_blocked(d->state);
    if (blocked || device_state_blocked(d->was))
        stream_change_ident(b, blocked ? SNAPSHOT_OP_ADD : SNAPSHOT_OP_DEL, d->uid);
    if (d->state == DEVICE_QUARANTINED || d->was == DEVICE_QUARANTINED)
        stream_change_repair(b, d->state == DEVICE_QUARANTINED ? SNAPSHOT_OP_ADD : SNAPSHOT_OP_DEL, d->uid);
    core_stats(b->core)->blocked_devices += blocked;
    enum err e = holder_change(b, CERT_HOLDER_DEVICE, d->uid, &change, f);
    return e ? e : quarantine_push(b, d, f);
}

enum err cert_block_operator(struct batch *b, struct span name, struct span note, struct span by, struct fault *f)
{
    struct revoke_change change = { .status = CERT_REVOKED, .reason = REVOKE_CESSATION, .why = "operator-removed", .note = note, .by = by };
    stream_change_ident(b, SNAPSHOT_OP_ADD, name);
    return holder_change(b, CERT_HOLDER_OPERATOR, name, &change, f);
}

/* -- one serial ------------------------------------------------------------------------------------------------------------------ */
static enum err revoke_allowed(struct batch *b, const struct caller *c, const struct cert_row *row, struct device *d, struct fault *f)
{
    char text[CLOCK_TEXT_MAX];
    if (c->kind != CALLER_DEVICE && span_eq(row->kid, c->m->kid) && span_eq(row->serial, c->m->serial))
        return fault_set(f, CE_SELF_REMOVE, "this is the certificate of this very call: let another operator revoke it");
    clock_text_s(row->state.revoked_at, text);
    if (row->state.status == CERT_REVOKED)
        return fault_set(f, CE_STATE_CHANGE, "the certificate is revoked already, since %s", text);
    if (row->holder_kind == CERT_HOLDER_OPERATOR)
        return authz_roles(c, R_ADMIN, f);
    enum err e = device_get(b, row->holder, d, f);
    return e ? e : authz_line(c, d->line, f);
}

enum err revoke_cert(struct batch *b, const struct caller *c, struct cert_row *row, int reason, struct span note, struct msg_reply *out, struct fault *f)
{
    struct revoke_change change = { .status = CERT_REVOKED, .reason = reason, .why = "certificate-revoked", .note = note, .by = c->name };
    struct device d = { 0 };
    enum err e = revoke_allowed(b, c, row, &d, f);
    if (!e && row->holder_kind == CERT_HOLDER_DEVICE)
        e = device_touch(b, &d, f);
    change.rev = d.rev;
    e = e ? e : cert_status_change(b, row, &change, f);
    if (e)
        return e;
    struct buf body = BUF_INIT(4096);
    struct json_out j = JSON_OUT(&body);
    json_obj(&j, NULL);
    json_hex(&j, "serial", row->serial);
    json_str(&j, "holder", row->holder);
    json_cstr(&j, "status", "revoked");
    json_time_s(&j, "revoked_at", b->now_ms / 1000);
    json_cstr(&j, "reason", crl_reason_name(change.reason));
    json_obj_end(&j);
    out->body_kind = BODY_JSON;
    out->body = arena_copy(b->arena, span_of(body.data, body.len));
    buf_free(&body);
    return CE_OK;
}

enum err revoke_op_cert(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_cert_revoke *m = msg;
    struct cert_row row;
    int reason;
    enum err e = revoke_reason_parse(m->reason, &reason, f);
    e = e ? e : store_cert_find(b->db, b->arena, m->serial, &row, f);
    if (e == CE_NOT_FOUND)
        return fault_set(f, e, "no certificate of this site has this serial number");
    return e ? e : revoke_cert(b, c, &row, reason, m->note, out, f);
}
