/* core/order.c: orders to devices, and the states that they go through. See core/order.h. */
#include "core/order.h"

#include "base/log.h"
#include "core/rollout.h"
#include "store/registry.h"
#include "wire/text_list.h"

static const char *const names[ORDER_STATES] = { "",        "ordered",   "offered",  "downloading", "installed", "confirmed", "failed", "rolled-back",
                                                 "refused", "postponed", "declined", "silent",      "cancelled", "reset" };

#define TO(s) (1u << ORDER_##s)
/* A device may skip what it does not report. Silence is ours: whatever comes later counts. What has failed may still end well: devices try again. */
#define ENDS (TO(CONFIRMED) | TO(FAILED) | TO(ROLLED_BACK) | TO(REFUSED) | TO(RESET))
#define STOPS (TO(SILENT) | TO(CANCELLED))
static const unsigned allowed[ORDER_STATES] = {
    [ORDER_ORDERED] = TO(OFFERED) | STOPS,
    [ORDER_OFFERED] = TO(DOWNLOADING) | TO(INSTALLED) | ENDS | TO(POSTPONED) | TO(DECLINED) | STOPS,
    [ORDER_DOWNLOADING] = TO(INSTALLED) | ENDS | TO(POSTPONED) | TO(DECLINED) | STOPS,
    [ORDER_INSTALLED] = ENDS | STOPS,
    [ORDER_POSTPONED] = TO(DOWNLOADING) | TO(INSTALLED) | ENDS | TO(DECLINED) | STOPS,
    [ORDER_DECLINED] = TO(DOWNLOADING) | TO(INSTALLED) | TO(CONFIRMED) | TO(CANCELLED),
    [ORDER_SILENT] = TO(DOWNLOADING) | TO(INSTALLED) | ENDS | TO(POSTPONED) | TO(DECLINED) | TO(CANCELLED),
    [ORDER_FAILED] = TO(CONFIRMED),
    [ORDER_ROLLED_BACK] = TO(CONFIRMED),
    [ORDER_REFUSED] = TO(CONFIRMED),
};

static const enum event_kind events[ORDER_STATES] = {
    [ORDER_DOWNLOADING] = EVENT_FIRMWARE_DOWNLOADING, [ORDER_INSTALLED] = EVENT_FIRMWARE_INSTALLED, [ORDER_CONFIRMED] = EVENT_FIRMWARE_CONFIRMED,
    [ORDER_FAILED] = EVENT_FIRMWARE_FAILED, [ORDER_ROLLED_BACK] = EVENT_FIRMWARE_ROLLED_BACK, [ORDER_REFUSED] = EVENT_FIRMWARE_REFUSED,
    [ORDER_POSTPONED] = EVENT_FIRMWARE_POSTPONED, [ORDER_DECLINED] = EVENT_FIRMWARE_DECLINED, [ORDER_SILENT] = EVENT_FIRMWARE_SILENT,
    [ORDER_CANCELLED] = EVENT_FIRMWARE_CANCELLED, [ORDER_RESET] = EVENT_DEVICE_RESET,
};

const char *order_state_name(enum order_state s) { return names[s]; }

bool order_state_parse(struct span name, enum order_state *out)
{
    for (int i = 1; i < ORDER_STATES; i++)
        if (span_eq_str(name, names[i])) {
            *out = (enum order_state)i;
            return true;
        }
    return false;
}

bool order_state_open(enum order_state s)
{
    return (TO(ORDERED) | TO(OFFERED) | TO(DOWNLOADING) | TO(INSTALLED) | TO(POSTPONED) | TO(SILENT)) >> s & 1;
}
bool order_state_allowed(enum order_state from, enum order_state to) { return allowed[from] >> to & 1; }

enum err order_get(struct batch *b, struct span uid, struct order *out, struct fault *f)
{
    *out = (struct order){ .state = ORDER_NONE };
    enum err e = store_order_get(b->db, b->arena, uid, &out->row, f);
    if (e || !out->row.sequence)
        return e;
    if (!order_state_parse(out->row.state, &out->state))
        return fault_set(f, CE_STORE_DAMAGED, "the order of device '" SPAN_FMT "' has an unknown state in the database", SPAN_ARG(uid));
    out->reset = span_eq_str(out->row.action, "reset");
    return out->reset ? CE_OK : store_release_get(b->db, b->arena, out->row.line, out->row.release, &out->release, f);
}

enum err order_make(struct batch *b, struct order *o, const struct release_row *release, struct span rollout, int64_t wave, struct span note,
                    struct span by, struct fault *f)
{
    const struct order_row row = { .uid = o->row.uid, .sequence = o->row.sequence + 1, .action = release ? SPAN_LIT("install") : SPAN_LIT("reset"),
                                   .rollout = rollout, .wave = wave, .line = release ? release->line : span_str(""),
                                   .release = release ? release->name : span_str(""), .by = by, .state = SPAN_LIT("ordered"), .ordered_at = b->now_ms,
                                   .changed_at = b->now_ms };
    enum err e = store_order_put(b->db, &row, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_FIRMWARE_ORDERED, row.uid, 0);
    json_int(j, "sequence", row.sequence);
    json_str(j, "action", row.action);
    json_str(j, "rollout", rollout);
    json_int(j, "wave", wave);
    json_str(j, "line", row.line);
    json_str(j, "release", row.release);
    json_hex(j, "sbom_sha256", release ? release->sbom_sha256 : span_str(""));
    json_str(j, "note", note);
    json_str(j, "by", by);
    event_end(b);
    order_count(b, ORDER_ORDERED);
    *o = (struct order){ .row = row, .state = ORDER_ORDERED, .reset = !release };
    if (release)
        o->release = *release;
    return member_follow(b, &o->row, f);
}

void order_event(struct batch *b, const struct order *o, enum order_state to, const struct order_word *w)
{
    struct json_out *j = event_begin(b, events[to], o->row.uid, 0);
    json_int(j, "sequence", o->row.sequence);
    json_str(j, "rollout", o->row.rollout);
    json_str(j, "release", o->row.release);
    if (to == ORDER_POSTPONED) {
        json_time_ms(j, "until_at", w->until_ms);
    } else {
        json_str(j, "version", w->version);
        json_str(j, "reason", w->reason);
    }
    json_str(j, "text", w->text);
    event_end(b);
}

enum err order_move(struct batch *b, struct order *o, enum order_state to, const struct order_word *w, struct fault *f)
{
    INVARIANT(order_state_allowed(o->state, to) && to != ORDER_OFFERED);
    o->row.state = span_str(names[to]);
    o->row.reason = to == ORDER_POSTPONED ? span_str("") : w->reason;
    o->row.changed_at = b->now_ms;
    o->row.until_at = to == ORDER_POSTPONED ? w->until_ms : 0;
    o->state = to;
    enum err e = store_order_put(b->db, &o->row, f);
    if (e)
        return e;
    order_event(b, o, to, w);
    order_count(b, to);
    e = member_follow(b, &o->row, f);
    if (e)
        return e;
    return to == ORDER_CONFIRMED ? order_version_confirm(b, o, f) : CE_OK;
}

static bool list_has(struct span list, struct span one)
{
    struct span item;
    while (text_list_next(&list, &item))
        if (span_eq(item, one))
            return true;
    return false;
}

enum err order_fits(struct batch *b, const struct device *d, const struct release_row *r, struct fault *f)
{
    struct model_row m;
    if (r->withdrawn)
        return fault_set(f, CE_BAD_FIELD, "release '" SPAN_FMT "' was withdrawn", SPAN_ARG(r->name));
    if (!list_has(r->models, d->model))
        return fault_set(f, CE_BAD_FIELD, "release '" SPAN_FMT "' is not made for model '" SPAN_FMT "'", SPAN_ARG(r->name), SPAN_ARG(d->model));
    enum err e = store_model_get(b->db, b->arena, d->model, &m, f);
    if (!e && r->hw_revs.n > 1 && !list_has(r->hw_revs, m.hw_rev))
        e = fault_set(f, CE_BAD_FIELD, "release '" SPAN_FMT "' is not made for hardware revision '" SPAN_FMT "'", SPAN_ARG(r->name), SPAN_ARG(m.hw_rev));
    return e;
}
