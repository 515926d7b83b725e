/* cert_finish.c: the back half of the certificate path: the signer's answer is checked against the intent, stored with its evidence
 * and handed to everybody who waits; what could not be signed is asked once more, then closed; what a crash left behind is closed at
 * start. See cert_path.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "core/cert_path.h"
#include "core/cmp.h"
#include "core/crl.h"
#include "core/revoke.h"
#include "core/stream.h"
#include "core/token.h"
#include "cradle/snapshot.h"
#include "crypt/cert.h"
#include "store/crypto.h"
#include "store/enroll.h"
#include "store/intent.h"

static struct span holder_device(const struct enrollment *e)
{
    return e->kind == CERT_HOLDER_DEVICE ? span_str(e->holder) : span_of(NULL, 0);
}

/* -- the end of an enrollment ---------------------------------------------------------------------------------------------------- */
/* The answers of a batch that failed have left as that error, so nobody waits any more, except who joined in the batch itself: the
 * engine answers those. */
static void waiters_answered(struct enrollment *e)
{
    for (struct cert_waiter **at = &e->waiters; *at;) {
        struct cert_waiter *w = *at;
        if (w->fresh) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        e->n_waiters--;
        free(w);
    }
}

/* It was decided in a batch: if that did not commit, it is decided again later; the certificate is not lost. */
static void finish_end(void *data, bool committed)
{
    struct enrollment *e = data;
    if (committed) {
        enrollment_free(e);
        return;
    }
    waiters_answered(e);
    e->state = e->der.len ? ENROLLMENT_SIGNED : ENROLLMENT_FAILED;
    e->path->n_open++;
    enrollment_later(e);
}

/* Comes last, after the answers: they point into e and leave before finish_end frees it. Every way here adds an answer for everybody
 * who waits, also when the batch is about to fail: the engine then puts the error in its place. */
static void finish_decided(struct batch *b, struct enrollment *e)
{
    e->path->n_open--;
    e->state = ENROLLMENT_DONE;
    batch_then(b, finish_end, e);
}

static void answer_cert(struct batch *b, const struct enrollment *e)
{
    struct msg_reply r = { .body_kind = BODY_CERT, .body = span_of(e->der.data, e->der.len) };
    for (const struct cert_waiter *w = e->waiters; w; w = w->next) {
        r.rev = w->answer;
        batch_reply(b, &w->to, &r);
    }
}

static void answer_refused(struct batch *b, const struct enrollment *e, const struct fault *f)
{
    for (const struct cert_waiter *w = e->waiters; w; w = w->next)
        batch_refuse(b, &w->to, f, span_str(e->holder));
}

/* -- a serial that is not to be trusted ------------------------------------------------------------------------------------------------ */
/* The intent ends without a certificate that we know: its serial is revoked, in case the signature exists somewhere. */
static enum err intent_close(struct batch *b, const struct intent_row *i, struct fault *f)
{
    struct cert_state s = { .status = CERT_REVOKED, .revoked_at = b->now_ms / 1000, .shard = crl_shard(b->core, i->serial), .not_after = i->not_after };
    enum err e = store_intent_drop(b->db, i->kid, i->serial, f);
    e = e ? e : store_cert_state_put(b->db, i->kid, i->serial, &s, f);
    e = e ? e : crl_change(b, i->kid, i->serial, &s, f);
    if (e)
        return e;
    stream_change_cert(b, SNAPSHOT_OP_ADD, i->kid, i->serial);
    struct json_out *j = event_begin(b, EVENT_CERT_ORPHAN, i->holder_kind == CERT_HOLDER_DEVICE ? i->holder : span_of(NULL, 0), 0);
    json_hex(j, "kid", i->kid);
    json_hex(j, "serial", i->serial);
    json_int(j, "holder_kind", i->holder_kind);
    json_str(j, "holder", i->holder);
    json_hex(j, "spki", i->spki);
    json_int(j, "not_after", i->not_after);
    json_int(j, "revoked_at", s.revoked_at);
    json_int(j, "reason", s.reason);
    json_int(j, "shard", s.shard);
    event_end(b);
    core_stats(b->core)->orphans++;
    return CE_OK;
}

enum err cert_repair(struct batch *b, struct fault *f)
{
    struct intent_row *rows;
    size_t n;
    enum err e = store_intent_list(b->db, b->arena, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        e = intent_close(b, &rows[i], f);
    if (e || !n)
        return e;
    struct json_out *j = event_begin(b, EVENT_REPAIRED, span_of(NULL, 0), 0);
    json_cstr(j, "what", "intents without a certificate: their serials are revoked");
    json_int(j, "count", (int64_t)n);
    event_end(b);
    log_warn(0, "repaired: %zu certificates were asked for and not stored before the last stop; their serials are revoked", n);
    return CE_OK;
}

static enum err finish_failed(struct batch *b, struct enrollment *e, struct fault *f)
{
    struct intent_row i = { .kid = span_of(e->kid, sizeof e->kid), .serial = span_of(e->serial, sizeof e->serial), .holder_kind = e->kind,
                            .holder = span_str(e->holder), .spki = span_of(e->spki, SHA256_LEN), .not_after = e->not_after };
    enum err err = intent_close(b, &i, f);
    answer_refused(b, e, &e->fault);
    finish_decided(b, e);
    return err;
}

/* -- a certificate ---------------------------------------------------------------------------------------------------------------------- */
/* Is this the certificate that the intent is about? Notes its algorithms. */
static enum err cert_matches(struct enrollment *e, struct fault *f)
{
    struct cert x;
    struct spki_info key;
    enum err err = cert_parse(span_of(e->der.data, e->der.len), &x, f);
    if (err)
        return fault_set(f, CE_SIGNER, "the signer's certificate cannot be decoded");
    const struct { bool ok; const char *what; } rules[] = {
        { span_eq(x.serial, span_of(e->serial, sizeof e->serial)), "serial number" },
        { span_eq(x.aki, span_of(e->kid, sizeof e->kid)), "issuer" },
        { memcmp(x.spki_sha256, e->spki, SHA256_LEN) == 0, "key" },
        { span_eq_str(x.cn, e->holder), "common name" },
        { x.not_before == e->not_before && x.not_after == e->not_after, "validity" },
        { !x.is_ca, "basic constraints" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (!rules[i].ok)
            return fault_set(f, CE_SIGNER, "the signer's certificate does not have the %s that was asked for", rules[i].what);
    err = spki_parse(x.spki, &key, f);
    if (err)
        return err;
    snprintf(e->key_alg, sizeof e->key_alg, "%s", key.name);
    snprintf(e->sig_alg, sizeof e->sig_alg, "%s", sig_alg_name(x.sig_alg));
    return CE_OK;
}

static void issued_event(struct batch *b, const struct enrollment *e, const struct cert_row *c, int64_t rev)
{
    uint8_t digest[SHA256_LEN];
    sha256(c->der, digest);
    struct json_out *j = event_begin(b, EVENT_CERT_ISSUED, holder_device(e), rev);
    json_hex(j, "kid", c->kid);
    json_hex(j, "serial", c->serial);
    json_int(j, "holder_kind", c->holder_kind);
    json_str(j, "holder", c->holder);
    json_hex(j, "spki", c->spki);
    json_str(j, "profile", c->profile);
    json_int(j, "not_before", c->not_before);
    json_int(j, "not_after", c->not_after);
    json_hex(j, "sha256", span_of(digest, sizeof digest));
    json_cstr(j, "key_alg", e->key_alg);
    json_cstr(j, "sig_alg", e->sig_alg);
    ca_signature_put(j, &e->signature);
    event_end(b);
}

/* The holder may have lost its standing while the signer worked: then the certificate begins its life revoked or on hold. Sets the
 * refusal for those who wait. */
static enum err holder_again(struct batch *b, const struct enrollment *e, struct device *d, struct revoke_change *change,
                             struct fault *refusal, struct fault *f)
{
    enum err err;
    *refusal = (struct fault){ 0 };
    if (e->kind == CERT_HOLDER_OPERATOR) {
        struct operator_row op;
        err = store_operator_get(b->db, b->arena, span_str(e->holder), &op, f);
        if (!err && !span_eq_str(op.state, "active")) {
            fault_set(refusal, CE_OPERATOR_REMOVED, "%s was removed while its certificate was made", e->holder);
            *change = (struct revoke_change){ .status = CERT_REVOKED, .reason = REVOKE_CESSATION, .why = "operator-removed" };
        }
        return err;
    }
    err = device_get(b, span_str(e->holder), d, f);
    if (!err && device_usable(d, refusal) != CE_OK) {
        bool held = d->state == DEVICE_SUSPENDED || d->state == DEVICE_QUARANTINED;
        *change = (struct revoke_change){ .status = held ? CERT_HELD : CERT_REVOKED, .reason = held ? REVOKE_HOLD : REVOKE_CESSATION,
                                          .why = err_reason(refusal->code) };
    }
    return err;
}

static enum err cert_write(struct batch *b, struct enrollment *e, struct fault *refusal, struct fault *f)
{
    struct cert_row c = {
        .kid = span_of(e->kid, sizeof e->kid), .serial = span_of(e->serial, sizeof e->serial), .holder_kind = e->kind,
        .holder = span_str(e->holder), .profile = span_str(e->profile), .spki = span_of(e->spki, SHA256_LEN),
        .not_before = e->not_before, .not_after = e->not_after, .issued_at = b->now_ms, .der = span_of(e->der.data, e->der.len),
    };
    const struct crypto_row crypto = { c.holder, c.kid, c.serial, span_str(e->key_alg), span_str(e->sig_alg), c.not_after };
    struct device d = { 0 };
    struct revoke_change change = { 0 };
    enum err err = holder_again(b, e, &d, &change, refusal, f);
    err = err ? err : store_intent_drop(b->db, c.kid, c.serial, f);
    err = err ? err : store_cert_add(b->db, &c, f);
    if (!err && e->kind == CERT_HOLDER_DEVICE)
        err = store_enroll_issued(b->db, c.spki, c.holder, b->now_ms, f);
    if (!err && e->kind == CERT_HOLDER_DEVICE)
        err = store_crypto_put(b->db, b->arena, &crypto, f);
    bool first = e->kind == CERT_HOLDER_DEVICE && d.state == DEVICE_REGISTERED && strcmp(e->profile, PROFILE_IDEVID) != 0; /* with an IDevID it can only enroll */
    if (!err && e->kind == CERT_HOLDER_DEVICE && !first)
        err = device_touch(b, &d, f);
    if (err)
        return err;
    issued_event(b, e, &c, first ? 0 : d.rev);
    if (first)
        err = device_move(b, &d, DEVICE_PROVISIONED, SPAN_LIT("certificate-issued"), span_of(NULL, 0), span_of(NULL, 0), f);
    if (!err && refusal->code)
        err = cert_status_change(b, &c, &change, f);
    for (const struct cert_waiter *w = e->waiters; w && !err && !refusal->code; w = w->next)
        err = w->ntx ? cmp_issued(b, span_of(w->tx, w->ntx), w->implicit, c.kid, c.serial, true, f) : CE_OK;
    return err;
}

static enum err finish_signed(struct batch *b, struct enrollment *e, struct fault *f)
{
    struct fault refusal;
    struct core_stats *stats = core_stats(b->core);
    enum err err = cert_write(b, e, &refusal, f);
    if (refusal.code)
        answer_refused(b, e, &refusal);
    else
        answer_cert(b, e);
    finish_decided(b, e);
    struct core_ca ca;
    if (!err && strcmp(e->profile, PROFILE_IDEVID) == 0 && e->path->idevid.use == CA_USE_IDEVID)
        stats->idevids_by_device_ca += core_ca(b->core, span_str(e->ca), &ca) && ca.use == CA_USE_DEVICE;
    *(e->kind == CERT_HOLDER_DEVICE ? &stats->issued_device : &stats->issued_infra) += !err;
    stats->renewed += !err && e->renew;
    return err;
}

/* -- a token that is gone ------------------------------------------------------------------------------------------------------------------ */
static void park_end(void *data, bool committed)
{
    struct enrollment *e = data;
    (void)committed; /* those who waited were answered, with this or with an error of the batch */
    waiters_answered(e);
    e->state = ENROLLMENT_FAILED;
    e->path->n_open++;
    e->parked = true;
    e->undone = 1;
    enrollment_later(e);
}

/* The intent stays open. Whoever waits is told to come again; the certificate is made when the token is back. */
static enum err park(struct batch *b, struct enrollment *e)
{
    struct fault f;
    if (e->parked && token_ready(b->core, span_str(e->ca), "", &f) == CE_OK) {
        e->parked = false;
        e->path->n_open--;
        enrollment_ask(b, e);
        return CE_OK;
    }
    answer_refused(b, e, &e->fault);
    e->asked = 0;
    e->path->n_open--;
    e->state = ENROLLMENT_DONE;
    batch_then(b, park_end, e);
    return CE_OK;
}

/* -- the signer's answer ------------------------------------------------------------------------------------------------------------------- */
enum err cert_finish(struct batch *b, struct enrollment *e, struct fault *f)
{
    if (e->state == ENROLLMENT_SIGNED)
        return finish_signed(b, e, f);
    if (e->fault.code == CE_TOKEN_LOST)
        return park(b, e);
    if (e->fault.code != CE_SIGNER || e->asked >= CERT_ASK_MAX)
        return finish_failed(b, e, f);
    e->path->n_open--;
    enrollment_ask(b, e);
    return CE_OK;
}

enum err cert_signed(struct batch *b, void *enrollment, const struct msg_signed *m)
{
    struct enrollment *e = enrollment;
    struct fault f = { 0 };
    if (m->code)
        fault_set(&e->fault, (enum err)m->code, SPAN_FMT, SPAN_ARG(m->text));
    else
        buf_put_span(&e->der, m->body);
    e->signature = ca_signature_of(m);
    if (!m->code && (e->der.err || cert_matches(e, &e->fault))) {
        log_error(0, "the certificate made for %s is refused: %s", e->holder, e->fault.text);
        buf_free(&e->der);
        ca_signature_unused(b->core, &e->signature, "refused");
        e->asked = CERT_ASK_MAX; /* a signer that answers wrongly is not asked again */
    }
    e->state = e->der.len ? ENROLLMENT_SIGNED : ENROLLMENT_FAILED;
    e->path->n_open++;
    return cert_finish(b, e, &f);
}
