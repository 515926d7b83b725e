/* decision.c: see decision.h. */
#include "core/decision.h"

#include "core/engine.h"
#include "store/node.h"

static struct span text(const json_t *payload, const char *key)
{
    const json_t *v = json_object_get(payload, key);
    return span_of(json_string_value(v), json_string_length(v));
}

static bool serial_is(const json_t *payload, struct span serial)
{
    CLEANUP(buf_free) struct buf hex = BUF_INIT(0);
    buf_put_hex(&hex, serial);
    return !serial.n || span_eq(text(payload, "serial"), buf_span(&hex));
}

/* False: the event takes nothing away. */
static bool decision_of(const struct event_row *ev, struct span serial, struct decision *out)
{
    CLEANUP(json_decref_p) json_t *payload = NULL;
    struct fault ignored;
    bool state = span_eq_str(ev->kind, "device-state"), cert = span_eq_str(ev->kind, "cert-revoked");
    if ((!state && !cert) || !ev->payload.n || json_parse(ev->payload, &payload, &ignored))
        return false;
    *out = (struct decision){ ev->slot, ev->nseq, ev->at, DEVICE_STATES };
    if (state)
        return device_state_parse(text(payload, "to"), &out->to) &&
               (device_state_blocked(out->to) || out->to == DEVICE_QUARANTINED);
    return json_integer_value(json_object_get(payload, "status")) != 0 && serial_is(payload, serial);
}

/* A change of state revokes or holds certificates in the same batch: then it is the decision, and not what followed from it. */
enum err decision_newest(struct batch *b, struct span uid, struct span serial, int64_t frame_at, struct decision *out, struct fault *f)
{
    struct db_rows r;
    struct event_row ev;
    struct decision one;
    *out = (struct decision){ 0 };
    event_of_device(b->db, uid, b->core->node.slot, 0, DECISION_SCAN, &r);
    while (db_next(&r)) {
        event_read(&r, &ev);
        if (out->slot && (out->to != DEVICE_STATES || ev.at != out->at))
            break;
        if (frame_at && ev.at > frame_at)
            continue;
        if (decision_of(&ev, serial, &one)) {
            if (!out->slot || one.to != DEVICE_STATES)
                *out = one;
        } else if (out->slot && span_eq_str(ev.kind, "device-state"))
            break; /* it was let in again since: what took it away before that, within the same millisecond, is not the reason */
    }
    return db_rows_end(&r, f);
}

enum err decision_line(struct batch *b, struct span uid, int64_t frame_at, struct decision *out, struct fault *f)
{
    struct db_rows r;
    struct event_row ev;
    struct device d;
    bool found = false;
    *out = (struct decision){ 0 };
    enum err e = device_get(b, uid, &d, f);
    if (e)
        return e == CE_UID_UNKNOWN ? CE_OK : e; /* an operator has no line */
    event_line_states(b->db, DECISION_SCAN, &r);
    while (!found && db_next(&r)) {
        CLEANUP(json_decref_p) json_t *payload = NULL;
        struct fault ignored;
        event_read(&r, &ev);
        found = (!frame_at || ev.at <= frame_at) && ev.payload.n && !json_parse(ev.payload, &payload, &ignored) && span_eq(text(payload, "name"), d.line);
        if (found && json_is_true(json_object_get(payload, "suspended")))
            *out = (struct decision){ ev.slot, ev.nseq, ev.at, DEVICE_STATES };
    }
    return db_rows_end(&r, f);
}

enum err decision_named(struct batch *b, struct span uid, struct span name, struct decision *out, struct fault *f)
{
    struct span rest = name, slot_text;
    struct event_row ev;
    int64_t slot, nseq;
    if (!span_cut(&rest, ':', &slot_text) || !span_to_i64(slot_text, &slot) || !span_to_i64(rest, &nseq))
        return fault_set(f, CE_BAD_FIELD, "decided names an event as slot:nseq");
    enum err e = event_get(b->db, b->arena, slot, nseq, &ev, f);
    if (e && e != CE_NOT_FOUND)
        return e;
    if (e || !span_eq(ev.device, uid) || !span_eq_str(ev.kind, "device-state") || !decision_of(&ev, (struct span){ 0 }, out))
        return fault_set(f, CE_BAD_FIELD, "event " SPAN_FMT " is no decision that takes access away from '" SPAN_FMT "'", SPAN_ARG(name), SPAN_ARG(uid));
    return CE_OK;
}

void decision_put(struct json_out *j, struct batch *b, const struct decision *d)
{
    if (d->slot)
        json_cstr(j, "decided", arena_printf(b->arena, "%lld:%lld", (long long)d->slot, (long long)d->nseq));
    else
        json_cstr(j, "decided", "");
}
