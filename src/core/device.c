/* device.c: see device.h. */
#include "core/device.h"

#include "core/clone.h"
#include "core/engine.h"
#include "store/registry.h"

static const char *const names[DEVICE_STATES] = { "registered", "provisioned", "active", "quarantined", "suspended", "revoked",
                                                   "decommissioned" };

/* Rows: from; bits: to. provisioned: holds a certificate, not seen with it yet. active -> provisioned: only by the
 * device's own receipt of a factory reset that was ordered; then it may be enrolled with another key, like one that was reset on the line. Quarantine and suspension lift to active, also of a device that never was; who holds
 * no certificate has nothing to be quarantined. */
#define TO(s) (1u << DEVICE_##s)
static const unsigned allowed[DEVICE_STATES] = {
    [DEVICE_REGISTERED] = TO(PROVISIONED) | TO(SUSPENDED) | TO(REVOKED) | TO(DECOMMISSIONED),
    [DEVICE_PROVISIONED] = TO(ACTIVE) | TO(QUARANTINED) | TO(SUSPENDED) | TO(REVOKED) | TO(DECOMMISSIONED),
    [DEVICE_ACTIVE] = TO(PROVISIONED) | TO(QUARANTINED) | TO(SUSPENDED) | TO(REVOKED) | TO(DECOMMISSIONED),
    [DEVICE_QUARANTINED] = TO(ACTIVE) | TO(SUSPENDED) | TO(REVOKED) | TO(DECOMMISSIONED),
    [DEVICE_SUSPENDED] = TO(ACTIVE) | TO(QUARANTINED) | TO(REVOKED) | TO(DECOMMISSIONED),
    [DEVICE_REVOKED] = 0,
    [DEVICE_DECOMMISSIONED] = 0,
};

const char *device_state_name(enum device_state s) { return names[s]; }

bool device_state_parse(struct span name, enum device_state *out)
{
    for (int i = 0; i < DEVICE_STATES; i++)
        if (span_eq_str(name, names[i])) {
            *out = (enum device_state)i;
            return true;
        }
    return false;
}

bool device_state_allowed(enum device_state from, enum device_state to) { return allowed[from] >> to & 1; }
bool device_state_blocked(enum device_state s) { return s >= DEVICE_SUSPENDED; }

void device_state_table(struct buf *out)
{
    for (int from = 0; from < DEVICE_STATES; from++) {
        buf_printf(out, "%s ->", names[from]);
        for (int to = 0; to < DEVICE_STATES; to++)
            if (device_state_allowed((enum device_state)from, (enum device_state)to))
                buf_printf(out, " %s", names[to]);
        buf_put_str(out, allowed[from] ? "\n" : " (terminal)\n");
    }
}

enum err device_get(struct batch *b, struct span uid, struct device *out, struct fault *f)
{
    struct device_row r;
    enum err e = store_device_get(b->db, b->arena, uid, &r, f);
    if (e == CE_NOT_FOUND)
        return fault_set(f, CE_UID_UNKNOWN, "no device '" SPAN_FMT "' is registered", SPAN_ARG(uid));
    if (e)
        return e;
    *out = (struct device){ .uid = r.uid, .serial = r.serial, .model = r.model, .line = r.line, .batch = r.batch, .country = r.country,
                            .rev = r.rev, .created_at = r.created_at, .changed_at = r.changed_at, .last_seen = r.last_seen };
    if (!device_state_parse(r.state, &out->state))
        return fault_set(f, CE_STORE_DAMAGED, "device '" SPAN_FMT "' has an unknown state in the database", SPAN_ARG(uid));
    out->was = out->state;
    return CE_OK;
}

static enum err rev_taken(enum err e, const struct device *d, struct fault *f)
{
    if (e != CE_NOT_FOUND)
        return e;
    return fault_set(f, CE_REV_MISMATCH, "device '" SPAN_FMT "' has changed since rev %lld", SPAN_ARG(d->uid), (long long)d->rev);
}

enum err device_touch(struct batch *b, struct device *d, struct fault *f)
{
    enum err e = store_device_touch(b->db, d->uid, d->rev, f);
    if (e)
        return rev_taken(e, d, f);
    d->rev++;
    return CE_OK;
}

enum err device_move_check(const struct device *d, enum device_state to, struct fault *f)
{
    if (device_state_allowed(d->state, to))
        return CE_OK;
    return fault_set(f, CE_STATE_CHANGE, "device '" SPAN_FMT "' is %s and cannot become %s", SPAN_ARG(d->uid), names[d->state], names[to]);
}

enum err device_move(struct batch *b, struct device *d, enum device_state to, struct span reason, struct span note, struct span by, struct fault *f)
{
    return device_move_by_job(b, d, to, reason, note, by, 0, f);
}

enum err device_move_by_job(struct batch *b, struct device *d, enum device_state to, struct span reason, struct span note, struct span by, int64_t job, struct fault *f)
{
    enum err e = device_move_check(d, to, f);
    e = e ? e : store_device_set(b->db, d->uid, d->rev, span_str(names[to]), b->now_ms, f);
    if (e)
        return rev_taken(e, d, f);
    enum device_state from = d->state;
    d->rev++;
    d->state = to;
    d->was = from;
    if (to == DEVICE_ACTIVE)
        clone_pardon(b, d->uid);
    d->changed_at = b->now_ms;
    b->work->states[from]--;
    b->work->states[to]++;
    struct json_out *j = event_begin(b, EVENT_DEVICE_STATE, d->uid, d->rev);
    json_cstr(j, "from", names[from]);
    json_cstr(j, "to", names[to]);
    json_str(j, "reason", reason);
    json_str(j, "note", note);
    json_str(j, "by", by);
    json_int(j, "job", job);
    event_end(b);
    return CE_OK;
}

enum err device_usable(const struct device *d, struct fault *f)
{
    switch (d->state) {
    case DEVICE_QUARANTINED:
        return fault_set(f, CE_DEVICE_QUARANTINED, "device '" SPAN_FMT "' is in quarantine: it may use its repair topics only", SPAN_ARG(d->uid));
    case DEVICE_SUSPENDED: return fault_set(f, CE_DEVICE_SUSPENDED, "device '" SPAN_FMT "' is suspended", SPAN_ARG(d->uid));
    case DEVICE_REVOKED: return fault_set(f, CE_DEVICE_REVOKED, "device '" SPAN_FMT "' is revoked", SPAN_ARG(d->uid));
    case DEVICE_DECOMMISSIONED: return fault_set(f, CE_DEVICE_RETIRED, "device '" SPAN_FMT "' is decommissioned", SPAN_ARG(d->uid));
    default: return CE_OK;
    }
}
