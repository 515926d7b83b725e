/* fold_order.c: what the events about orders to devices do to the tables, written a second time on purpose. See fold.h. */
#include "base/clock.h"
#include "core/fold_priv.h"
#include "store/order.h"
#include "store/rollout.h"
#include "store/update.h"

/* The row of the device, and of the rollout's member: what it was before an order no event says. */
static enum err order_store(struct fold *x, const struct order_row *o)
{
    bool added = false, working = span_eq_str(o->state, "offered") || span_eq_str(o->state, "downloading") || span_eq_str(o->state, "installed");
    const struct member_row m = { .uid = o->uid, .wave = o->wave, .state = o->state, .sequence = o->sequence,
                                  .since = working ? o->offered_at : span_eq_str(o->state, "postponed") ? o->until_at : o->changed_at };
    struct member_row was = { .wave = 0 };
    enum err e = store_order_put(x->to, o, x->f);
    if (e || !o->rollout.n)
        return e;
    e = store_member_get(x->to, &x->arena, o->rollout, o->uid, &was, x->f);
    if (!e && span_eq_str(was.state, "confirmed"))
        e = store_pace_add(x->to, o->rollout, was.since, -1, x->f);
    if (!e && span_eq_str(m.state, "confirmed"))
        e = store_pace_add(x->to, o->rollout, m.since, 1, x->f);
    e = e ? e : store_member_add(x->to, o->rollout, &m, &added, x->f);
    return e || added ? e : store_member_set(x->to, o->rollout, &m, x->f);
}

enum err fold_ordered(struct fold *x)
{
    const struct order_row r = { .uid = x->ev->device, .sequence = fold_number(x, "sequence"), .action = fold_text(x, "action"), .rollout = fold_text(x, "rollout"),
                                 .wave = fold_number(x, "wave"), .line = fold_text(x, "line"), .release = fold_text(x, "release"), .by = fold_text(x, "by"),
                                 .state = SPAN_LIT("ordered"), .ordered_at = x->ev->at, .changed_at = x->ev->at };
    return x->err ? x->err : order_store(x, &r);
}

/* The order that the event speaks of: the newest of the device. */
static enum err order_of(struct fold *x, struct order_row *r)
{
    int64_t sequence = fold_number(x, "sequence");
    enum err e = x->err ? x->err : store_order_get(x->to, &x->arena, x->ev->device, r, x->f);
    if (!e && r->sequence != sequence)
        e = fault_set(x->f, CE_LOG_INCONSISTENT, "it speaks of order %lld, the newest is %lld", (long long)sequence, (long long)r->sequence);
    return e;
}

enum err fold_offered(struct fold *x)
{
    struct order_row r;
    enum err e = order_of(x, &r);
    r.envelope = fold_hexed(x, "sha256");
    r.spki = fold_hexed(x, "spki");
    r.expires_at = fold_time_s(x, "expires_at");
    if (e || x->err)
        return e ? e : x->err;
    if (!r.offered_at)
        r.offered_at = x->ev->at;
    if (span_eq_str(r.state, "ordered")) {
        r.state = SPAN_LIT("offered");
        r.changed_at = x->ev->at;
    }
    return order_store(x, &r);
}

static enum err confirmed(struct fold *x, const struct order_row *o)
{
    struct version_row v;
    struct release_row r;
    enum err e = store_release_get(x->to, &x->arena, o->line, o->release, &r, x->f);
    e = e ? e : store_version_get(x->to, &x->arena, o->uid, &v, x->f);
    if (e)
        return e;
    const struct version_row now = { .uid = o->uid, .line = o->line, .release = o->release, .version = r.version,
                                     .counter_floor = v.counter_floor > r.counter ? v.counter_floor : r.counter,
                                     .before_release = v.release.n && !span_eq(v.release, o->release) ? v.release : v.before_release,
                                     .confirmed_at = x->ev->at, .sequence = o->sequence };
    return store_version_put(x->to, &now, x->f);
}

/* "firmware-STATE", and device-reset. */
enum err fold_moved(struct fold *x)
{
    if (fold_number(x, "sequence") == 0) /* a reset at the device is nobody's order */
        return x->err;
    static const struct span prefix = SPAN_LIT("firmware-");
    struct span kind = x->ev->kind;
    struct order_row r;
    enum err e = order_of(x, &r);
    if (e)
        return e;
    r.state = kind.n > prefix.n && memcmp(kind.p, prefix.p, prefix.n) == 0 ? span_of(kind.p + prefix.n, kind.n - prefix.n) : SPAN_LIT("reset");
    r.reason = fold_text(x, "reason");
    r.changed_at = x->ev->at;
    r.until_at = 0;
    e = x->err ? x->err : order_store(x, &r);
    return !e && span_eq_str(r.state, "confirmed") ? confirmed(x, &r) : e;
}

enum err fold_postponed(struct fold *x)
{
    struct order_row r;
    enum err e = order_of(x, &r);
    if (e)
        return e;
    if (clock_parse_ms(fold_text(x, "until_at"), &r.until_at))
        return fault_set(x->f, CE_LOG_INCONSISTENT, "field 'until_at' is no time");
    r.state = SPAN_LIT("postponed");
    r.reason = span_str("");
    r.changed_at = x->ev->at;
    return order_store(x, &r);
}

enum err fold_running(struct fold *x)
{
    struct version_row v;
    enum err e = store_version_get(x->to, &x->arena, x->ev->device, &v, x->f);
    v.line = fold_text(x, "line");
    v.release = fold_text(x, "release");
    v.version = fold_text(x, "version");
    return e ? e : x->err ? x->err : store_version_put(x->to, &v, x->f);
}
