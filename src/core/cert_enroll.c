/* cert_enroll.c: the front half of the certificate path: the operations, intents, and the table of enrollments that wait for the
 * signer. Who may have what is cert_authz.c; what happens to the signer's answer is cert_finish.c.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/attest.h"
#include "core/cert_path.h"
#include "core/line.h"
#include "core/token.h"
#include "core/clone.h"
#include "core/cmp.h"
#include "core/enroll.h"
#include "core/policy.h"
#include "core/registry.h"
#include "crypt/cert.h"
#include "store/intent.h"
#include "wire/route.h"

/* -- the table --------------------------------------------------------------------------------------------------------------- */
static size_t bucket_of(enum cert_holder kind, struct span holder)
{
    uint64_t h = 1469598103934665603u ^ (uint64_t)kind; /* FNV-1a; names are ours, not a stranger's choice */
    for (size_t i = 0; i < holder.n; i++)
        h = (h ^ holder.p[i]) * 1099511628211u;
    return (size_t)((h ^ h >> 32) % CERT_BUCKETS);
}

struct enrollment *enrollment_find(struct cert_path *p, enum cert_holder kind, struct span holder)
{
    for (struct enrollment *e = p->bucket[bucket_of(kind, holder)]; e; e = e->next)
        if (e->kind == kind && e->state != ENROLLMENT_DONE && span_eq_str(holder, e->holder))
            return e;
    return NULL;
}

void enrollment_free(struct enrollment *e)
{
    if (e->path) {
        struct enrollment **at = &e->path->bucket[bucket_of(e->kind, span_str(e->holder))];
        while (*at != e)
            at = &(*at)->next;
        *at = e->next;
        e->path->n--;
    }
    while (e->waiters) {
        struct cert_waiter *w = e->waiters;
        e->waiters = w->next;
        free(w);
    }
    buf_free(&e->key_der);
    buf_free(&e->der);
    free(e);
}

/* A batch that asked the signer did not commit, or the core closes. */
static void ask_drop(void *data)
{
    struct enrollment *e = data;
    if (!e->firm || !e->path) {
        enrollment_free(e);
        return;
    }
    e->state = ENROLLMENT_FAILED;
    e->path->n_open++;
    enrollment_later(e);
}

void enrollment_later(struct enrollment *e)
{
    e->retry_ms = clock_mono_ms() + ((int64_t)CERT_RETRY_MS << (e->undone < 7 ? e->undone : 7));
    e->undone++;
    core_wake(e->path->core);
}

static void ask_firm(void *data, bool committed)
{
    struct enrollment *e = data;
    if (committed)
        e->firm = true;
}

void enrollment_ask(struct batch *b, struct enrollment *e)
{
    struct msg_sign_cert m = {
        .profile = span_str(e->profile),
        .ca = span_str(e->ca),
        .serial = span_of(e->serial, sizeof e->serial),
        .spki = span_of(e->key_der.data, e->key_der.len),
        .uid = span_str(e->holder),
        .dev_serial = span_str(e->dev_serial),
        .line = span_str(e->line),
        .role = span_str(e->role),
        .not_before = e->not_before,
        .not_after = e->not_after,
    };
    e->state = ENROLLMENT_AT_SIGNER;
    e->asked++;
    if (!e->firm)
        batch_then(b, ask_firm, e);
    batch_sign_msg(b, &msg_desc_sign_cert, &m, (struct sign_done){ .fn = cert_signed, .drop = ask_drop, .data = e, .patient = true });
}

/* The request that joined is undone: the engine answers it. */
static void join_end(void *data, bool committed)
{
    struct cert_waiter *w = data;
    w->fresh = false;
    if (committed)
        return;
    struct cert_waiter **at = &w->of->waiters;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    w->of->n_waiters--;
    free(w);
}

enum err enrollment_join(struct batch *b, struct enrollment *e, const struct msg_cmp_turn *cmp, struct fault *f)
{
    if (e->n_waiters >= CERT_WAITERS_MAX)
        return fault_set(f, CE_BUSY_UID, "%d callers wait for this certificate already", CERT_WAITERS_MAX);
    struct cert_waiter *w = mem_calloc(1, sizeof *w);
    w->of = e;
    if (cmp && cmp->tx.n <= sizeof w->tx) {
        w->ntx = cmp->tx.n;
        memcpy(w->tx, cmp->tx.p, w->ntx);
        w->implicit = cmp->implicit != 0;
        w->answer = cmp->type;
    }
    batch_defer(b, &w->to);
    struct cert_waiter **at = &e->waiters;
    while (*at)
        at = &(*at)->next;
    *at = w;
    e->n_waiters++;
    w->fresh = e->firm;
    if (w->fresh)
        batch_then(b, join_end, w);
    return CE_OK;
}

/* -- intent ------------------------------------------------------------------------------------------------------------------------ */
static struct enrollment *enrollment_new(struct cert_path *p, const struct cert_plan *plan)
{
    struct enrollment *e = mem_calloc(1, sizeof *e);
    struct span text[] = { plan->holder, span_str(plan->issuer->profile.name), plan->ca.name, plan->dev_serial, plan->line, plan->role };
    char *to[] = { e->holder, e->profile, e->ca, e->dev_serial, e->line, e->role };
    size_t cap[] = { sizeof e->holder, sizeof e->profile, sizeof e->ca, sizeof e->dev_serial, sizeof e->line, sizeof e->role };
    for (size_t i = 0; i < ARRAY_LEN(text); i++)
        INVARIANT(span_to_cstr(text[i], to[i], cap[i]) == CE_OK); /* the registry has checked all of them */
    INVARIANT(plan->ca.kid.n == sizeof e->kid);
    memcpy(e->kid, plan->ca.kid.p, sizeof e->kid);
    memcpy(e->spki, plan->spki, sizeof e->spki);
    e->key_der = BUF_INIT(KEY_SPKI_MAX);
    buf_put_span(&e->key_der, plan->key_der);
    e->der = BUF_INIT(CERT_MAX);
    e->kind = plan->kind;
    e->renew = plan->renew;
    e->not_before = plan->not_before;
    e->not_after = plan->not_after;
    size_t at = bucket_of(e->kind, plan->holder);
    e->path = p;
    e->next = p->bucket[at];
    p->bucket[at] = e;
    p->n++;
    return e;
}

static void intent_event(struct batch *b, const struct cert_plan *plan, const struct intent_row *i)
{
    struct json_out *j = event_begin(b, EVENT_CERT_INTENT, plan->kind == CERT_HOLDER_DEVICE ? plan->holder : span_of(NULL, 0), 0);
    json_hex(j, "kid", i->kid);
    json_hex(j, "serial", i->serial);
    json_int(j, "holder_kind", i->holder_kind);
    json_str(j, "holder", i->holder);
    json_hex(j, "spki", i->spki);
    json_str(j, "profile", i->profile);
    json_int(j, "not_before", i->not_before);
    json_int(j, "not_after", i->not_after);
    json_str(j, "by", plan->by);
    event_end(b);
}

/* Writes the intent and its evidence, binds the key to its holder, and asks the signer when all of it is durable. */
static enum err intent_write(struct batch *b, struct cert_path *p, const struct cert_plan *plan, const struct msg_cmp_turn *cmp, struct fault *f)
{
    uint8_t serial[ISSUE_SERIAL];
    enum err e = batch_clock_check(b, f);
    if (!e && p->n >= CERT_PENDING_MAX)
        e = fault_set(f, CE_BUSY, "%d certificates wait for the signer already", CERT_PENDING_MAX);
    e = e ? e : token_ready(b->core, plan->ca.name, "", f);
    e = e ? e : issue_serial(serial);
    struct intent_row i = {
        .kid = plan->ca.kid, .serial = span_of(serial, sizeof serial), .holder_kind = plan->kind, .holder = plan->holder,
        .profile = span_str(plan->issuer->profile.name), .spki = span_of(plan->spki, SHA256_LEN), .key_der = plan->key_der,
        .not_before = plan->not_before, .not_after = plan->not_after, .at = b->now_ms,
    };
    e = e ? e : store_intent_add(b->db, &i, f);
    e = e ? e : store_key_add(b->db, i.spki, plan->kind, plan->holder, b->now_ms, f);
    if (e)
        return e;
    intent_event(b, plan, &i);
    struct enrollment *en = enrollment_new(p, plan);
    memcpy(en->serial, serial, sizeof serial);
    e = enrollment_join(b, en, cmp, f);
    enrollment_ask(b, en);
    return e;
}

/* One enrollment of an identity at a time: the same key joins it, another key is refused. */
static enum err enroll_run(struct batch *b, struct cert_path *p, const struct cert_plan *plan, const struct msg_cmp_turn *cmp, struct fault *f)
{
    struct enrollment *en = enrollment_find(p, plan->kind, plan->holder);
    if (!en)
        return intent_write(b, p, plan, cmp, f);
    if (memcmp(en->spki, plan->spki, SHA256_LEN) != 0)
        return fault_set(f, CE_BUSY_UID, "another enrollment of this identity, with another key, waits for the signer");
    if (en->parked)
        return fault_set(f, CE_TOKEN_LOST, "the certificate is made when the token with its CA's key is back; try again later");
    return enrollment_join(b, en, cmp, f);
}

/* -- operations ------------------------------------------------------------------------------------------------------------------------ */
/* A key in two hands is an alarm, at most once a minute for each key. */
static void clone_alarm(struct batch *b, struct cert_path *p, const struct caller *c, const struct cert_plan *plan, enum err code)
{
    for (size_t i = 0; i < CERT_CLONES; i++)
        if (p->clones[i].until_ms > b->mono_ms && memcmp(p->clones[i].spki, plan->spki, SHA256_LEN) == 0)
            return;
    memcpy(p->clones[p->clone_next].spki, plan->spki, SHA256_LEN);
    p->clones[p->clone_next].until_ms = b->mono_ms + CERT_CLONE_QUIET_MS;
    p->clone_next = (p->clone_next + 1) % CERT_CLONES;
    struct span device = plan->key_of_kind == CERT_HOLDER_DEVICE ? plan->key_of : span_of(NULL, 0);
    char *text = arena_printf(b->arena, code == CE_IDEVID_OTHER ? "an IDevID that is not the one of " SPAN_FMT ", or not of it alone, was presented for a certificate of " SPAN_FMT
                                                                : "the key of " SPAN_FMT " was presented for a certificate of " SPAN_FMT, SPAN_ARG(plan->key_of),
                              SPAN_ARG(plan->holder));
    clone_event_write(b, device, &(struct clone_event){ .reason = span_str(err_reason(code)), .addr = c->m->addr, .seen_at = b->now_ms,
                                                        .count = 1, .text = span_str(text) });
}

/* Nothing is refused: who asks is told to come again, and the request stays. */
static enum err pending_answer(struct batch *b, const struct cert_plan *plan, const struct fault *f)
{
    struct reply_to to;
    const struct msg_reply r = { .code = f->code, .text = arena_copy(b->arena, span_str(f->text)), .retry_s = plan->retry_s };
    batch_defer(b, &to);
    batch_reply(b, &to, &r);
    return CE_OK;
}

/* The alarm must outlive the refusal, so the refusal is an answer of its own and the operation succeeds. */
static enum err clone_refuse(struct batch *b, struct cert_path *p, const struct caller *c, const struct cert_plan *plan, const struct fault *f)
{
    struct reply_to to;
    clone_alarm(b, p, c, plan, f->code);
    batch_defer(b, &to);
    batch_refuse(b, &to, f, plan->holder);
    return CE_OK;
}

/* turn: of CMP, NULL without. begun: the transaction was there before. */
static enum err enroll_decide(struct batch *b, const struct caller *c, const struct msg_enroll *m, const struct cmp_turn *turn, bool begun, struct msg_reply *out,
                              struct fault *f)
{
    struct cert_path *p = core_part(b->core, CORE_PART_CERT);
    struct cert_plan plan;
    enum err e = turn && !begun ? cmp_begin(b, c, m, turn, f) : CE_OK;
    if (!e && m->renew && c->kind != CALLER_EXPIRED) /* what has ended supersedes nothing */
        e = cert_seen(b, c->name, c->m->kid, c->m->serial, f);
    e = e ? e : cert_judge_enroll(b, p, c, m, &plan, f);
    if (!e && !plan.has_same)
        e = key_home_judge(b, &plan, f);
    if (!e && !m->renew && !plan.has_same)
        e = enroll_approval(b, c, m, &plan, f);
    if (e == CE_PENDING) {
        struct fault waits = *f;
        e = turn && !begun ? cmp_waiting(b, m, turn, f) : CE_OK;
        return e ? e : pending_answer(b, &plan, &waits);
    }
    if (e == CE_KEY_OF_OTHER || e == CE_IDEVID_OTHER)
        return clone_refuse(b, p, c, &plan, f);
    if (e == CE_TOO_EARLY || e == CE_RATE)
        out->retry_s = plan.retry_s;
    if (!e && c->kind == CALLER_IDEVID)
        e = cert_idevid_write(b, c, m, &plan, f);
    if (e)
        return e;
    core_stats(b->core)->idevid_enrolls += c->kind == CALLER_IDEVID;
    if (c->kind == CALLER_EXPIRED)
        cert_grace_write(b, c, &plan);
    if (plan.has_same) {
        out->body_kind = BODY_CERT;
        out->body = plan.same.der;
        return turn ? cmp_issued(b, turn->m.tx, turn->m.implicit != 0, plan.same.kid, plan.same.serial, false, f) : CE_OK;
    }
    e = key_home_note(b, &plan, m->key_home, f);
    if (e)
        return e;
    return enroll_run(b, p, &plan, turn ? &turn->m : NULL, f);
}

enum err cert_op_enroll(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_enroll *m = msg;
    struct cmp_turn turn;
    if (!m->cmp.n)
        return c->kind == CALLER_SECRET ? fault_set(f, CE_CMP_UNPROTECTED, "a secret enrolls by CMP only") : enroll_decide(b, c, m, NULL, false, out, f);
    enum err e = cmp_turn_judge(b, c, m->cmp, &turn, f);
    if (turn.wrong_try)
        return cmp_wrong_try(b, c, &turn, f, f);
    return e ? e : enroll_decide(b, c, m, &turn, false, out, f);
}

enum err cert_enroll_again(struct batch *b, const struct caller *c, const struct msg_enroll *m, const struct msg_cmp_turn *cmp, struct msg_reply *out,
                           struct fault *f)
{
    const struct cmp_turn turn = { .m = *cmp };
    return enroll_decide(b, c, m, &turn, true, out, f);
}

/* An operator that is there already may be given a certificate once more when it has none that lives (the first was never made, is
 * revoked or has expired) and nothing else about it changes. */
static enum err operator_again(struct batch *b, const struct msg_operator_add *m, const struct operator_row *op, struct fault *f)
{
    struct cert_row *rows;
    size_t n;
    enum err e = store_cert_list(b->db, b->arena, CERT_HOLDER_OPERATOR, m->name, b->now_ms / 1000, &rows, &n, f);
    if (e)
        return e;
    for (size_t i = 0; i < n; i++)
        if (rows[i].state.status != CERT_REVOKED)
            return fault_set(f, CE_EXISTS, "there is an operator " SPAN_FMT " with a live certificate", SPAN_ARG(m->name));
    if (!span_eq_str(op->state, "active") || !span_eq(op->role, m->role) || !span_eq(op->lines, m->lines))
        return fault_set(f, CE_EXISTS, "there is or was an operator " SPAN_FMT " with another role or other lines; names are not used twice",
                         SPAN_ARG(m->name));
    struct topics_row t;
    e = store_topics_get(b->db, b->arena, TOPICS_BACKEND, m->name, &t, f);
    if (!e && (!span_eq(t.write, m->write) || !span_eq(t.read, m->read)))
        e = fault_set(f, CE_EXISTS, "there is a backend " SPAN_FMT " with other topics; give the same, and set others afterwards", SPAN_ARG(m->name));
    return e;
}

static enum err topics_judge(const struct msg_operator_add *m, struct fault *f)
{
    const struct topics_row t = { .write = m->write, .read = m->read };
    if ((m->write.n || m->read.n) && route_role_bit(m->role) != R_BACKEND)
        return fault_set(f, CE_BAD_FIELD, "write, read: only backends have topics, not role " SPAN_FMT, SPAN_ARG(m->role));
    return policy_check_topics(TOPICS_BACKEND, &t, f);
}

static enum err operator_judge(struct batch *b, const struct msg_operator_add *m, bool *again, struct fault *f)
{
    struct operator_row op;
    struct device d;
    struct fault ignored;
    struct span rest = m->lines, line;
    struct line known;
    enum err e = name_check_label("name", m->name, f);
    if (!e && !(route_role_bit(m->role) & (R_ADMIN | R_OPERATOR | R_STATION | R_AUDITOR | R_EDGE | R_BACKEND)))
        e = fault_set(f, CE_BAD_FIELD, "role: one of admin, operator, station, auditor, edge, backend");
    /* an admin of some lines could make an admin of all; an edge holds the revocations of all */
    if (!e && m->lines.n && (route_role_bit(m->role) & (R_ADMIN | R_EDGE | R_BACKEND)))
        e = fault_set(f, CE_BAD_FIELD, "lines: only operators, stations and auditors can be bound to lines, not role " SPAN_FMT, SPAN_ARG(m->role));
    if (!e)
        e = topics_judge(m, f);
    while (!e && span_cut(&rest, ',', &line)) {
        e = line_get(b, line, &known, f);
        if (e == CE_NOT_FOUND)
            e = fault_set(f, CE_LINE_UNKNOWN, "lines: there is no product line " SPAN_FMT, SPAN_ARG(line));
    }
    if (e)
        return e;
    e = store_operator_get(b->db, b->arena, m->name, &op, f);
    *again = !e;
    if (e != CE_NOT_FOUND)
        return e ? e : operator_again(b, m, &op, f);
    /* one name space with the devices: the revocation stream blocks by name */
    e = device_get(b, m->name, &d, &ignored);
    if (!e)
        return fault_set(f, CE_EXISTS, "there is a device " SPAN_FMT "; an operator needs another name", SPAN_ARG(m->name));
    return e == CE_UID_UNKNOWN ? CE_OK : e;
}

static enum err operator_write(struct batch *b, const struct caller *c, const struct msg_operator_add *m, struct fault *f)
{
    struct operator_row op = { .name = m->name, .role = m->role, .lines = m->lines, .state = SPAN_LIT("active"), .rev = 1,
                               .added_at = b->now_ms, .changed_at = b->now_ms };
    enum err e = store_operator_add(b->db, &op, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_OPERATOR_ADDED, span_of(NULL, 0), 0);
    json_str(j, "name", m->name);
    json_str(j, "role", m->role);
    json_str(j, "lines", m->lines);
    json_str(j, "by", c->name);
    event_end(b);
    struct msg_push_ident push = { .name = m->name, .role = m->role, .lines = m->lines };
    batch_push_msg(b, -1, &msg_desc_push_ident, &push);
    const struct topics_row topics = { .name = m->name, .write = m->write, .read = m->read };
    return route_role_bit(m->role) == R_BACKEND ? backend_write(b, c, &topics, span_of(NULL, 0), f) : CE_OK;
}

enum err cert_op_operator_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_operator_add *m = msg;
    struct cert_path *p = core_part(b->core, CORE_PART_CERT);
    struct cert_plan plan = { .kind = CERT_HOLDER_OPERATOR, .holder = m->name, .issuer = &p->infra, .role = m->role, .key_der = m->spki,
                              .by = c->name };
    bool again = false;
    (void)out;
    enum err e = operator_judge(b, m, &again, f);
    e = e ? e : cert_judge_key(b, &plan, span_of(NULL, 0), f);
    if (e == CE_KEY_OF_OTHER)
        return clone_refuse(b, p, c, &plan, f);
    e = e ? e : cert_plan_dates(b, &plan, 0, f);
    if (!e && !again)
        e = operator_write(b, c, m, f);
    return e ? e : enroll_run(b, p, &plan, NULL, f);
}
