/* enroll.c: see enroll.h. */
#include "core/enroll.h"

#include <stdlib.h>

#include "base/clock.h"
#include "core/line.h"
#include "core/registry.h"
#include "core/status.h"
#include "store/enroll.h"

#define LOOK_MS 1000    /* between two looks for what has ended */
#define LOOK_ROWS 500   /* ended in one batch */

/* -- asking -------------------------------------------------------------------------------------------------------------------- */
static enum err room_judge(struct batch *b, const struct cert_plan *plan, struct fault *f)
{
    int64_t of_line = 0, of_uid = 0, max = core_config(b->core)->enroll_waiting;
    enum err e = store_enroll_waiting(b->db, plan->line, plan->holder, max, &of_line, &of_uid, f);
    if (!e && of_line >= max)
        e = fault_set(f, CE_RATE, "%lld enrollments of product line " SPAN_FMT " wait for an approval already (enroll_waiting): decide on them first",
                      (long long)of_line, SPAN_ARG(plan->line));
    if (!e && of_uid >= ENROLL_UID_MAX)
        e = fault_set(f, CE_RATE, "%lld keys of this device wait for an approval already: decide on them first", (long long)of_uid);
    return e;
}

static enum err request_write(struct batch *b, const struct caller *c, const struct msg_enroll *m, const struct cert_plan *plan, struct fault *f)
{
    const struct enroll_row r = { .spki = span_of(plan->spki, SHA256_LEN), .uid = plan->holder, .line = plan->line, .key_alg = m->key_alg, .proto = c->m->proto,
                                  .addr = c->m->addr, .asked_by = plan->by, .state = SPAN_LIT("waiting"), .asked_at = b->now_ms, .changed_at = b->now_ms,
                                  .until_at = b->now_ms + core_config(b->core)->enroll_wait_s * 1000 };
    enum err e = room_judge(b, plan, f);
    e = e ? e : store_enroll_put(b->db, &r, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_ENROLL_REQUESTED, plan->holder, 0);
    json_hex(j, "spki", r.spki);
    json_str(j, "line", r.line);
    json_str(j, "key_alg", r.key_alg);
    json_str(j, "proto", r.proto);
    json_str(j, "addr", r.addr);
    json_time_ms(j, "until_at", r.until_at);
    json_str(j, "by", r.asked_by);
    event_end(b);
    return CE_OK;
}

static bool is_state(const struct enroll_row *r, const char *state) { return span_eq_str(r->state, state); }
static bool is_over(const struct batch *b, const struct enroll_row *r) { return r->until_at && r->until_at <= b->now_ms; }

static enum err pending(const struct batch *b, struct cert_plan *plan, int64_t until_at, struct fault *f)
{
    char text[CLOCK_TEXT_MAX];
    clock_text_s(until_at / 1000, text);
    int64_t left_s = (until_at - b->now_ms) / 1000 + 1;
    plan->retry_s = left_s < ENROLL_RETRY_S ? left_s : ENROLL_RETRY_S;
    return fault_set(f, CE_PENDING, "product line " SPAN_FMT " wants an approval for first enrollments: ask again with the same key; it waits until %s",
                     SPAN_ARG(plan->line), text);
}

enum err enroll_approval(struct batch *b, const struct caller *c, const struct msg_enroll *m, struct cert_plan *plan, struct fault *f)
{
    struct enroll_row r;
    struct line line;
    char text[CLOCK_TEXT_MAX];
    enum err e = line_get(b, plan->line, &line, f);
    if (e || !line.more.enroll_approval)
        return e;
    e = store_enroll_get(b->db, b->arena, span_of(plan->spki, SHA256_LEN), &r, f);
    if (e && e != CE_NOT_FOUND)
        return e;
    bool open = !e && !is_over(b, &r) && (is_state(&r, "waiting") || is_state(&r, "approved"));
    if (open && !span_eq(r.uid, plan->holder)) {
        plan->key_of = r.uid;
        plan->key_of_kind = CERT_HOLDER_DEVICE;
        return fault_set(f, CE_KEY_OF_OTHER, "the key waits for an approval for another device already; each device makes a key of its own");
    }
    if (open && is_state(&r, "approved"))
        return CE_OK;
    if (!e && is_state(&r, "refused") && span_eq(r.uid, plan->holder)) {
        clock_text_s(r.changed_at / 1000, text);
        return fault_set(f, CE_ENROLL_REFUSED, "an operator refused this key at %s: %.*s", text, r.note.n < 120 ? (int)r.note.n : 120, (const char *)r.note.p);
    }
    if (open)
        return pending(b, plan, r.until_at, f);
    *f = (struct fault){ 0 };
    e = request_write(b, c, m, plan, f);
    return e ? e : pending(b, plan, b->now_ms + core_config(b->core)->enroll_wait_s * 1000, f);
}

/* -- deciding ------------------------------------------------------------------------------------------------------------------ */
static void decide_reply(struct batch *b, const struct enroll_row *r, struct msg_reply *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out j = JSON_OUT(&body);
    json_obj(&j, NULL);
    json_hex(&j, "spki", r->spki);
    json_str(&j, "uid", r->uid);
    json_str(&j, "line", r->line);
    json_str(&j, "state", r->state);
    json_str(&j, "by", r->by);
    json_obj_end(&j);
    reply_json(b, &body, out);
}

static enum err state_wrong(const struct enroll_row *r, bool approve, struct fault *f)
{
    return fault_set(f, CE_STATE_CHANGE, "the request is " SPAN_FMT ": it cannot be %s", SPAN_ARG(r->state), approve ? "approved" : "refused");
}

static enum err decide_judge(struct batch *b, const struct caller *c, const struct msg_enroll_decide *m, bool approve, struct enroll_row *r, struct fault *f)
{
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    if (!e && !approve && !m->note.n)
        e = fault_set(f, CE_BAD_FIELD, "note: a refusal says why; who asked is told");
    e = e ? e : store_enroll_get(b->db, b->arena, m->spki, r, f);
    e = e ? e : authz_line(c, r->line, f);
    if (e)
        return e;
    if (approve && span_eq(c->name, r->asked_by))
        return fault_set(f, CE_SELF_APPROVAL, "'" SPAN_FMT "' asked for this enrollment: somebody else approves it", SPAN_ARG(c->name));
    if (is_over(b, r))
        r->state = SPAN_LIT("expired");
    if (!is_state(r, "waiting") && !is_state(r, approve ? "refused" : "approved"))
        return state_wrong(r, approve, f);
    const struct enrollment *running = enrollment_find(core_part(b->core, CORE_PART_CERT), CERT_HOLDER_DEVICE, r->uid);
    if (running && memcmp(running->spki, r->spki.p, SHA256_LEN) == 0)
        return fault_set(f, CE_BUSY_UID, "the certificate of this key is being made now; to take it back, revoke it");
    return CE_OK;
}

enum err enroll_op_decide(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_enroll_decide *m = msg;
    struct enroll_row r;
    bool approve = span_eq_str(m->move, "approve");
    enum err e = decide_judge(b, c, m, approve, &r, f);
    if (e)
        return e;
    r.state = approve ? SPAN_LIT("approved") : SPAN_LIT("refused");
    r.by = c->name;
    r.note = m->note;
    r.changed_at = b->now_ms;
    r.until_at = approve ? b->now_ms + core_config(b->core)->enroll_wait_s * 1000 : 0;
    e = store_enroll_put(b->db, &r, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, approve ? EVENT_ENROLL_APPROVED : EVENT_ENROLL_REFUSED, r.uid, 0);
    json_hex(j, "spki", r.spki);
    json_str(j, "proto", r.proto);
    if (approve)
        json_time_ms(j, "until_at", r.until_at);
    json_str(j, "note", r.note);
    json_str(j, "by", r.by);
    event_end(b);
    decide_reply(b, &r, out);
    return CE_OK;
}

enum err enroll_line_set(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_more *more, struct fault *f)
{
    more->enroll_approval = span_eq_str(m->enroll_approval, "yes");
    enum err e = line_more_put(b, m->name, more, f);
    if (e)
        return e;
    struct json_out *j = line_event_begin(b, EVENT_LINE_ENROLL, m->name);
    json_bool(j, "approval", more->enroll_approval);
    return line_event_end(b, j, c, m->note);
}

/* -- the end of what nobody decided on, or came for ------------------------------------------------------------------------------ */
struct enroll_looks {
    int64_t next_ms;           /* monotonic */
};

static enum err part_open(struct core *core, void **state, struct fault *f)
{
    (void)core;
    (void)f;
    *state = mem_calloc(1, sizeof(struct enroll_looks));
    return CE_OK;
}

static bool part_tick(struct batch *b, void *state, int64_t *next_ms)
{
    struct enroll_looks *l = state;
    struct fault f;
    int64_t until_at = INT64_MAX;
    if (l->next_ms <= b->mono_ms) {
        l->next_ms = b->mono_ms + LOOK_MS;
        if (store_enroll_next(b->db, &until_at, &f))
            until_at = INT64_MAX; /* the database says so itself, to whom writes */
    }
    *next_ms = l->next_ms;
    return until_at <= b->now_ms;
}

static enum err part_work(struct batch *b, void *state, struct fault *f)
{
    struct enroll_row *rows;
    size_t n;
    (void)state;
    enum err e = store_enroll_due(b->db, b->arena, b->now_ms, LOOK_ROWS, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        rows[i].state = SPAN_LIT("expired");
        rows[i].changed_at = b->now_ms;
        rows[i].until_at = 0;
        e = store_enroll_put(b->db, &rows[i], f);
        struct json_out *j = event_begin(b, EVENT_ENROLL_EXPIRED, rows[i].uid, 0);
        json_hex(j, "spki", rows[i].spki);
        json_str(j, "proto", rows[i].proto);
        event_end(b);
    }
    return e;
}

/* For the status: how many wait, and since when. */
void enroll_status_put(struct core *core, struct json_out *j)
{
    int64_t n = 0, oldest_at = 0;
    if (store_enroll_backlog(core_db(core), &n, &oldest_at, NULL))
        n = 0; /* the rest is worth saying all the same */
    json_obj(j, "enrollments");
    json_int(j, "waiting", n);
    if (n)
        json_time_ms(j, "oldest_at", oldest_at);
    else
        json_none(j, "oldest_at");
    json_obj_end(j);
}

const struct core_part enroll_part = { .name = "enroll", .open = part_open, .close = free, .tick = part_tick, .work = part_work };
