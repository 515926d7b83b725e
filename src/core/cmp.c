/* cmp.c: CMP transactions: who may go on with one, confirmation, polling, revocation, protection of answers. See cmp.h. */
#include "core/cmp.h"

#include <stdlib.h>

#include "core/cert.h"
#include "core/device.h"
#include "core/revoke.h"
#include "core/token.h"
#include "crypt/cmp.h"
#include "wire/route.h"

/* -- protection ---------------------------------------------------------------------------------------------------------------------------- */
static struct cmp_mac mac_of(bool pbmac1, struct span salt, int64_t iterations, int64_t hash, int64_t mac)
{
    return (struct cmp_mac){ .pbmac1 = pbmac1, .salt = salt, .iterations = iterations, .hash = (unsigned)hash, .mac = (unsigned)mac };
}

/* Front has judged all of it; what would make us compute for long, or overrun, is judged again. */
static bool mac_sound(const struct cmp_mac *m)
{
    bool hash = m->hash == 160 || m->hash == 256 || m->hash == 384 || m->hash == 512;
    bool mac = m->mac == 160 || m->mac == 256 || m->mac == 384 || m->mac == 512;
    return hash && mac && m->iterations > 0 && m->iterations <= CMP_ITERATIONS_MAX && m->salt.n <= 64;
}

static bool bytes_same(struct span a, struct span b) /* in constant time */
{
    unsigned diff = a.n != b.n;
    for (size_t i = 0; i < a.n && i < b.n; i++)
        diff |= a.p[i] ^ b.p[i];
    return diff == 0;
}

static enum err secret_verify(struct batch *b, const struct caller *c, struct cmp_turn *t, struct fault *f)
{
    const struct cmp_mac mac = mac_of(t->m.pbmac1 != 0, t->m.salt, t->m.iterations, t->m.hash, t->m.mac_bits);
    uint8_t own[SHA512_LEN];
    if (!t->m.by_secret || !mac_sound(&mac))
        return fault_set(f, CE_CMP_UNPROTECTED, "the message is not protected by the secret");
    enum err e = store_secret_get(b->db, b->arena, c->m->cn, &t->secret, f);
    if (e)
        return e == CE_NOT_FOUND ? fault_set(f, CE_SECRET_UNKNOWN, "no device has a secret with this reference") : e;
    if (span_eq_str(t->secret.state, "locked"))
        return secret_judge(b, &t->secret, f);
    if (!t->secret.secret.n)
        return fault_set(f, CE_SECRET_OVER, "the secret of device '" SPAN_FMT "' was used, has expired, or was replaced: make a new one", SPAN_ARG(t->secret.uid));
    size_t n = cmp_mac_make(&mac, t->secret.secret, t->m.part, own);
    if (bytes_same(span_of(own, n), t->m.mac))
        return CE_OK;
    t->wrong_try = true;
    return fault_set(f, CE_CMP_PROTECTION, "RFC 9810 5.1.3: the MAC does not hold: the secret is another, or the message was changed");
}

enum err cmp_turn_judge(struct batch *b, const struct caller *c, struct span packed, struct cmp_turn *t, struct fault *f)
{
    *t = (struct cmp_turn){ .wrong_try = false };
    if (msg_unpack_all(&msg_desc_cmp_turn, packed, &t->m) || !t->m.tx.n)
        return fault_set(f, CE_INTERNAL, "the request between our own processes is malformed (cmp_turn)");
    if (c->kind == CALLER_SECRET)
        return secret_verify(b, c, t, f);
    return t->m.by_secret ? fault_set(f, CE_CMP_UNPROTECTED, "the caller is not known by a secret") : CE_OK;
}

enum err cmp_wrong_try(struct batch *b, const struct caller *c, const struct cmp_turn *t, const struct fault *refusal, struct fault *f)
{
    struct secret_row s = t->secret;
    struct reply_to to;
    enum err e = CE_OK;
    if (span_eq_str(s.state, "open")) { /* one that was used holds a transaction open: strangers must not end that */
        s.tries++;
        e = s.tries >= CMP_TRIES_MAX ? secret_end(b, &s, "locked", "wrong-tries", f) : store_secret_put(b->db, &s, f);
    }
    if (e)
        return e;
    batch_defer(b, &to);
    batch_refuse(b, &to, refusal, c->name);
    return CE_OK;
}

/* -- transactions ---------------------------------------------------------------------------------------------------------------------------- */
/* An IDevID has no name yet: it is known by its key. A certificate may end within a transaction. */
static struct span who_of(struct batch *b, const struct caller *c)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    if (c->kind != CALLER_IDEVID)
        return c->name;
    buf_printf(&text, "idevid:");
    buf_put_hex(&text, c->m->spki);
    return arena_copy(b->arena, buf_span(&text));
}
static int64_t kind_of(const struct caller *c) { return c->kind == CALLER_EXPIRED ? CALLER_DEVICE : c->kind; }

static int64_t confirm_ms(const struct batch *b) { return core_config(b->core)->cmp_confirm_s * 1000; }

static enum err tx_put(struct batch *b, const struct cmp_tx_row *r, struct fault *f)
{
    cmp_due(b, r->until_at);
    return store_cmp_tx_put(b->db, r, f);
}

enum err cmp_begin(struct batch *b, const struct caller *c, const struct msg_enroll *m, const struct cmp_turn *t, struct fault *f)
{
    struct cmp_tx_row r;
    struct span who = who_of(b, c);
    int64_t n = 0;
    enum err e = store_cmp_tx_get(b->db, b->arena, t->m.tx, &r, f);
    if (!e)
        return fault_set(f, CE_TRANSACTION_USED, "RFC 9810 5.1.1: this transactionID was used in the last minutes; each transaction takes a new random one");
    if (e != CE_NOT_FOUND)
        return e;
    e = c->kind == CALLER_SECRET ? secret_judge(b, &t->secret, f) : CE_OK;
    if (!e && c->kind == CALLER_SECRET && !span_eq(m->uid, t->secret.uid))
        e = fault_set(f, CE_NAME_MISMATCH, "the secret is that of device '" SPAN_FMT "': it enrolls no other", SPAN_ARG(t->secret.uid));
    if (!e && t->m.ra_verified && !(c->role & R_STATION))
        e = fault_set(f, CE_ROLE_FORBIDDEN, "RFC 9483 4.1.1: raVerified is the word of a registration authority (role station); prove possession by a signature");
    if (!e && c->kind != CALLER_SECRET) /* nobody gets a certificate in an answer that cannot be signed */
        e = token_ready(b->core, SPAN_LIT("cmp"), "", f);
    e = e ? e : store_cmp_tx_count(b->db, who, &n, f);
    if (!e && n >= CMP_OPEN_MAX)
        e = fault_set(f, CE_RATE, "'" SPAN_FMT "' has %d transactions open; confirm them, or try again later", SPAN_ARG(who), CMP_OPEN_MAX);
    if (e)
        return e;
    r = (struct cmp_tx_row){ .tx = t->m.tx, .kind = kind_of(c), .who = who, .ref = c->kind == CALLER_SECRET ? c->m->cn : span_of(NULL, 0), .uid = m->uid,
                             .answer = t->m.type, .state = SPAN_LIT("signing"), .nonce = t->m.nonce, .began_at = b->now_ms, .until_at = b->now_ms + confirm_ms(b) };
    return tx_put(b, &r, f);
}

enum err cmp_waiting(struct batch *b, const struct msg_enroll *m, const struct cmp_turn *t, struct fault *f)
{
    const struct msg_cmp_turn kept = { .tx = t->m.tx, .type = t->m.type, .implicit = t->m.implicit };
    CLEANUP(buf_free) struct buf turn = BUF_INIT(0), packed = BUF_INIT(0);
    struct msg_enroll again = *m;
    struct cmp_tx_row r;
    msg_pack(&msg_desc_cmp_turn, &kept, &turn);
    again.cmp = buf_span(&turn);
    msg_pack(&msg_desc_enroll, &again, &packed);
    enum err e = store_cmp_tx_get(b->db, b->arena, t->m.tx, &r, f);
    if (e)
        return e;
    r.state = SPAN_LIT("waiting");
    r.enroll = buf_span(&packed);
    r.until_at = b->now_ms + core_config(b->core)->enroll_wait_s * 1000;
    return tx_put(b, &r, f);
}

enum err cmp_issued(struct batch *b, struct span tx, bool implicit, struct span kid, struct span serial, bool fresh, struct fault *f)
{
    struct cmp_tx_row r;
    enum err e = store_cmp_tx_get(b->db, b->arena, tx, &r, f);
    if (e)
        return e == CE_NOT_FOUND ? CE_OK : e;
    r.state = implicit ? SPAN_LIT("confirmed") : SPAN_LIT("issued");
    r.kid = kid;
    r.serial = serial;
    r.fresh = fresh;
    r.enroll = span_of(NULL, 0);
    r.until_at = b->now_ms + (implicit ? CMP_AFTER_MS : confirm_ms(b));
    e = r.ref.n ? secret_used(b, r.ref, kid, serial, r.until_at + CMP_AFTER_MS, f) : CE_OK;
    return e ? e : tx_put(b, &r, f);
}

/* The transaction that the caller goes on with: its own, and the message answers to our last one. */
static enum err tx_of(struct batch *b, const struct caller *c, const struct cmp_turn *t, struct cmp_tx_row *r, struct fault *f)
{
    enum err e = store_cmp_tx_get(b->db, b->arena, t->m.tx, r, f);
    struct span who = who_of(b, c);
    bool own = !e && r->kind == kind_of(c) && span_eq(r->who, who) && (c->kind != CALLER_SECRET || span_eq(r->ref, c->m->cn));
    if (e == CE_NOT_FOUND || (!e && !own))
        return fault_set(f, CE_TRANSACTION_NONE, "'" SPAN_FMT "' has no open transaction with this transactionID", SPAN_ARG(who));
    if (!e && !span_eq(r->nonce, t->m.recip_nonce))
        return fault_set(f, CE_CMP_RECIP_NONCE, "RFC 9810 5.1.1: recipNonce is not the senderNonce of our last message in this transaction");
    return e;
}

/* -- certConf ------------------------------------------------------------------------------------------------------------------------------- */
static void confirmed_event(struct batch *b, const struct cert_row *c, const struct cmp_tx_row *r)
{
    struct json_out *j = event_begin(b, EVENT_CERT_CONFIRMED, c->holder_kind == CERT_HOLDER_DEVICE ? c->holder : span_of(NULL, 0), 0);
    json_hex(j, "kid", c->kid);
    json_hex(j, "serial", c->serial);
    json_hex(j, "transaction", r->tx);
    json_str(j, "by", r->who);
    event_end(b);
}

static enum err confirm_write(struct batch *b, const struct msg_cmp_confirm *m, struct cmp_tx_row *r, struct cert_row *c, struct fault *f)
{
    enum err e = CE_OK;
    r->until_at = b->now_ms + CMP_AFTER_MS;
    if (m->accepted) {
        confirmed_event(b, c, r);
        e = store_cmp_tx_confirmed(b->db, r->kid, r->serial, f);
    } else if (c->state.status != CERT_REVOKED) {
        struct span note = span_str(arena_printf(b->arena, "rejected by its holder (certConf)%s" SPAN_FMT, m->text.n ? ": " : "", SPAN_ARG(m->text)));
        note.n = note.n > 200 ? 200 : note.n;
        e = cmp_unconfirmed_revoke(b, c, span_is_utf8(note) ? note : SPAN_LIT("rejected by its holder (certConf)"), r->who, f);
    }
    r->state = m->accepted ? SPAN_LIT("confirmed") : SPAN_LIT("rejected");
    e = e ? e : tx_put(b, r, f);
    return e || !r->ref.n ? e : secret_wipe_at(b, r->ref, b->now_ms + CMP_AFTER_MS, f);
}

static enum err confirm_judge(struct batch *b, const struct caller *c, const struct msg_cmp_confirm *m, const struct cmp_turn *t, struct cmp_tx_row *r,
                              struct cert_row *cert, struct fault *f)
{
    enum err e = tx_of(b, c, t, r, f);
    if (e)
        return e;
    if (!r->serial.n)
        return fault_set(f, CE_TRANSACTION_NONE, "no certificate was sent in this transaction yet");
    e = store_cert_get(b->db, b->arena, r->kid, r->serial, cert, f);
    if (!e && m->hash.n && !cmp_cert_hash_holds(cert->der, (unsigned)m->hash_bits, m->hash))
        e = fault_set(f, CE_BAD_CERT_ID, "RFC 9810 5.3.18: certHash is not the hash of the certificate that was sent");
    if (!e && m->accepted != span_eq_str(r->state, "confirmed") && !span_eq_str(r->state, "issued"))
        e = fault_set(f, CE_STATE_CHANGE, "the certificate is %s already", m->accepted ? "rejected" : "confirmed");
    return e;
}

enum err cmp_op_confirm(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_cmp_confirm *m = msg;
    struct cmp_turn t;
    struct cmp_tx_row r;
    struct cert_row cert;
    (void)out;
    enum err e = cmp_turn_judge(b, c, m->turn, &t, f);
    if (t.wrong_try)
        return cmp_wrong_try(b, c, &t, f, f);
    e = e ? e : confirm_judge(b, c, m, &t, &r, &cert, f);
    if (e || !span_eq_str(r.state, "issued"))
        return e; /* a repetition: it changes nothing */
    return confirm_write(b, m, &r, &cert, f);
}

/* -- pollReq ---------------------------------------------------------------------------------------------------------------------------------- */
/* The request is judged anew: it may have been approved, refused, or still wait. */
static enum err poll_again(struct batch *b, const struct caller *c, const struct cmp_turn *t, struct cmp_tx_row *r, struct msg_reply *out, struct fault *f)
{
    struct msg_enroll m;
    struct msg_cmp_turn kept;
    r->nonce = t->m.nonce;
    enum err e = tx_put(b, r, f);
    if (!e && (msg_unpack_all(&msg_desc_enroll, r->enroll, &m) || msg_unpack_all(&msg_desc_cmp_turn, m.cmp, &kept)))
        e = fault_set(f, CE_INTERNAL, "the request that waits cannot be read");
    e = e ? e : cert_enroll_again(b, c, &m, &kept, out, f);
    out->rev = r->answer;
    return e;
}

enum err cmp_op_poll(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_cmp_poll *m = msg;
    struct cmp_turn t;
    struct cmp_tx_row r;
    struct cert_row cert;
    enum err e = cmp_turn_judge(b, c, m->turn, &t, f);
    if (t.wrong_try)
        return cmp_wrong_try(b, c, &t, f, f);
    e = e ? e : tx_of(b, c, &t, &r, f);
    if (!e && span_eq_str(r.state, "waiting"))
        return poll_again(b, c, &t, &r, out, f);
    if (!e && !r.serial.n)
        e = fault_set(f, CE_TRANSACTION_NONE, "nothing in this transaction is to be polled for");
    e = e ? e : store_cert_get(b->db, b->arena, r.kid, r.serial, &cert, f);
    if (e)
        return e;
    r.nonce = t.m.nonce;
    out->body_kind = BODY_CERT;
    out->body = cert.der;
    out->rev = r.answer;
    return tx_put(b, &r, f);
}

/* -- rr, and who asks --------------------------------------------------------------------------------------------------------------------------- */
enum err cmp_op_check(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    struct cmp_turn t;
    (void)out;
    enum err e = cmp_turn_judge(b, c, ((const struct msg_cmp_check *)msg)->turn, &t, f);
    return t.wrong_try ? cmp_wrong_try(b, c, &t, f, f) : e;
}

enum err cmp_op_revoke(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_cmp_revoke *m = msg;
    struct cmp_turn t;
    struct cert_row cert;
    enum err e = cmp_turn_judge(b, c, m->turn, &t, f);
    if (t.wrong_try)
        return cmp_wrong_try(b, c, &t, f, f);
    if (!e && c->kind == CALLER_SECRET)
        e = fault_set(f, CE_ROLE_FORBIDDEN, "a secret is for one enrollment; a certificate is revoked by its holder's own signature, or by an operator");
    e = e ? e : store_cert_get(b->db, b->arena, m->kid, m->serial, &cert, f);
    if (e == CE_NOT_FOUND)
        return fault_set(f, CE_BAD_CERT_ID, "no certificate of this site has this issuer and serial number");
    if (!e && c->kind == CALLER_DEVICE && (cert.holder_kind != CERT_HOLDER_DEVICE || !span_eq(cert.holder, c->name)))
        e = fault_set(f, CE_ROLE_FORBIDDEN, "a device revokes its own certificates only");
    if (!e && c->kind != CALLER_DEVICE)
        e = authz_roles(c, R_ADMIN | R_OPERATOR, f);
    return e ? e : revoke_cert(b, c, &cert, (int)m->reason, SPAN_LIT("by CMP"), out, f);
}

/* -- answers -------------------------------------------------------------------------------------------------------------------------------------- */
static enum err protect_signed(struct batch *b, void *data, const struct msg_signed *m)
{
    struct reply_to *to = data;
    struct msg_reply r = { .code = m->code, .text = m->text, .body_kind = BODY_BINARY, .body = m->code ? span_of(NULL, 0) : m->body };
    batch_reply(b, to, &r);
    free(to);
    return CE_OK;
}

enum err cmp_op_protect(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_cmp_protect *m = msg;
    const struct cmp_mac mac = mac_of(m->pbmac1 != 0, m->salt, m->iterations, m->hash, m->mac_bits);
    struct secret_row s;
    uint8_t own[SHA512_LEN];
    (void)c;
    if (!m->ref.n) {
        const struct msg_sign_cmp ask = { .part = m->part };
        enum err e = token_ready(b->core, SPAN_LIT("cmp"), "", f);
        if (e)
            return e;
        struct reply_to *to = mem_calloc(1, sizeof *to);
        batch_defer(b, to);
        batch_sign_msg(b, &msg_desc_sign_cmp, &ask, (struct sign_done){ .fn = protect_signed, .drop = free, .data = to, .read_only = true });
        return CE_OK;
    }
    enum err e = mac_sound(&mac) ? store_secret_get(b->db, b->arena, m->ref, &s, f) : CE_INTERNAL;
    if (e || !s.secret.n)
        return fault_set(f, CE_SECRET_UNKNOWN, "there is no secret to protect the answer with");
    out->body_kind = BODY_BINARY;
    out->body = arena_copy(b->arena, span_of(own, cmp_mac_make(&mac, s.secret, m->part, own)));
    return CE_OK;
}
