/* core/order_report.c: what devices report about their orders. Repeats change nothing; neither does what comes too late or out of order. See
 * core/order.h.
 */
#include "base/clock.h"
#include "core/engine.h"
#include "core/registry.h"
#include "core/rollout.h"

#define POSTPONE_LONGEST_MS (7 * 86400000LL)

/* The words of a report; phases are observations within a state. */
static const struct word { const char *text; enum order_state state; bool phase; } words[] = {
    { "downloading", ORDER_DOWNLOADING, true }, { "downloaded", ORDER_DOWNLOADING, true }, { "installing", ORDER_DOWNLOADING, true },
    { "installed", ORDER_INSTALLED, false },    { "confirmed", ORDER_CONFIRMED, false },   { "failed", ORDER_FAILED, false },
    { "rolled-back", ORDER_ROLLED_BACK, false }, { "refused", ORDER_REFUSED, false },      { "postponed", ORDER_POSTPONED, false },
    { "declined", ORDER_DECLINED, false },      { "reset", ORDER_RESET, false },           { "running", ORDER_NONE, false },
};

static const struct word *word_find(struct span text)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (span_eq_str(text, words[i].text))
            return &words[i];
    return NULL;
}

static enum err report_check(const struct msg_update_report *m, const struct word *w, struct fault *f)
{
    if (!w)
        return fault_set(f, CE_BAD_FIELD, "field 'state' must be downloading, downloaded, installing, installed, confirmed, failed, rolled-back, refused, "
                         "postponed, declined, reset or running");
    if ((w->state == ORDER_CONFIRMED || w->state == ORDER_NONE) && !m->version.n)
        return fault_set(f, CE_BAD_FIELD, "a report of '%s' names the version that runs", w->text);
    for (size_t i = 0; i < m->reason.n; i++)
        if (!((m->reason.p[i] >= 'a' && m->reason.p[i] <= 'z') || (m->reason.p[i] >= '0' && m->reason.p[i] <= '9') || m->reason.p[i] == '-'))
            return fault_set(f, CE_BAD_FIELD, "field 'reason' must be a word of a-z, 0-9 and dashes");
    return CE_OK;
}

/* How far it is: no state, no evidence. */
static enum err phase_note(struct batch *b, struct order *o, const struct msg_update_report *m, struct fault *f)
{
    if (span_eq(o->row.phase, m->state) && o->row.percent == m->percent)
        return CE_OK;
    o->row.phase = m->state;
    o->row.percent = m->percent;
    return store_order_put(b->db, &o->row, f);
}

/* A user may put a forced rollout off for a day, and not decline it. */
static enum err postpone_limit(struct batch *b, const struct order *o, enum order_state *to, struct order_word *said, struct fault *f)
{
    struct rollout r = { 0 };
    bool there;
    enum err e = rollout_of(b, o, &r, &there, f);
    bool forced = there && r.row.forced;
    int64_t longest = forced ? ROLLOUT_FORCED_POSTPONE_MS : POSTPONE_LONGEST_MS;
    if (forced && *to == ORDER_DECLINED)
        *to = ORDER_POSTPONED;
    if (forced && o->row.offered_at + longest < b->now_ms + longest) /* counted from the offer: a second time is no longer */
        longest = o->row.offered_at + longest > b->now_ms ? o->row.offered_at + longest - b->now_ms : 1;
    if (*to == ORDER_POSTPONED && (said->until_ms <= b->now_ms || said->until_ms > b->now_ms + longest))
        said->until_ms = b->now_ms + longest;
    return e;
}

/* It has wiped itself and holds its key no more, or soon: it may be enrolled with another one. Its certificate stays good until the next one is used,
 * because a wipe that failed half-way must be able to say so. A receipt that is told when the key is gone comes
 * from the identity that followed, which keeps its standing. */
static enum err reset_note(struct batch *b, struct device *d, struct span reason, struct fault *f)
{
    if (d->state != DEVICE_ACTIVE || span_eq_str(reason, ORDER_KEY_GONE))
        return CE_OK;
    return device_move(b, d, DEVICE_PROVISIONED, SPAN_LIT("factory-reset"), span_str(""), d->uid, f);
}

static enum err report_apply(struct batch *b, struct device *d, struct order *o, const struct word *w, const struct msg_update_report *m, struct fault *f)
{
    enum order_state to = w->state;
    struct order_word said = { m->version, m->reason, m->text, m->until };
    bool fits = (to == ORDER_RESET) == o->reset || (to != ORDER_RESET && to != ORDER_CONFIRMED && to != ORDER_INSTALLED);
    if (to == ORDER_CONFIRMED && !o->reset && !span_eq(m->version, o->release.version)) { /* it runs something else: no success */
        to = ORDER_FAILED;
        said.reason = SPAN_LIT("wrong-version");
    }
    enum err e = to == ORDER_POSTPONED || to == ORDER_DECLINED ? postpone_limit(b, o, &to, &said, f) : CE_OK;
    if (e)
        return e;
    if (fits && o->state != to && order_state_allowed(o->state, to)) {
        e = order_move(b, o, to, &said, f);
        if (!e && to == ORDER_RESET)
            e = reset_note(b, d, m->reason, f);
        if (e)
            return e;
    }
    bool known = o->state == ORDER_CANCELLED && w->state == ORDER_DECLINED; /* the device has heard that the order was taken back */
    return known || (w->phase && o->state == ORDER_DOWNLOADING) ? phase_note(b, o, m, f) : CE_OK;
}

/* Nobody ordered it: somebody had the device in hand. */
static enum err reset_at_device(struct batch *b, struct device *d, const struct msg_update_report *m, struct fault *f)
{
    const struct order none = { .row.uid = d->uid };
    order_event(b, &none, ORDER_RESET, &(struct order_word){ m->version, m->reason, m->text, 0 });
    return reset_note(b, d, m->reason, f);
}

enum err order_op_report(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_update_report *m = msg;
    const struct word *w = word_find(m->state);
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out j = JSON_OUT(&body);
    struct device d;
    struct order o;
    enum err e = report_check(m, w, f);
    e = e ? e : device_get(b, c->name, &d, f);
    e = e ? e : order_get(b, c->name, &o, f);
    if (e)
        return e;
    if (w->state == ORDER_NONE)
        e = order_version_seen(b, &d, &o, m->version, f);
    else if (m->sequence == o.row.sequence && o.state != ORDER_NONE)
        e = report_apply(b, &d, &o, w, m, f);
    else if (w->state == ORDER_RESET && m->sequence == 0)
        e = reset_at_device(b, &d, m, f);
    else
        refusal_note(b, CE_OTHER_ORDER, err_text(CE_OTHER_ORDER), c->name, c->m->addr, c->name, "update_report");
    json_obj(&j, NULL);
    json_int(&j, "sequence", o.row.sequence);
    if (!e)
        order_count_report(b);
    json_obj_end(&j);
    reply_json(b, &body, out);
    return e;
}
