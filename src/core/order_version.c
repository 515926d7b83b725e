/* core/order_version.c: what a device runs, as it says. See core/order.h. */
#include "core/order.h"

enum err order_version_seen(struct batch *b, const struct device *d, const struct order *o, struct span version, struct fault *f)
{
    struct version_row v;
    struct release_row r;
    /* the trial run of an order that is open: its confirmation will say so */
    if (!version.n || (order_state_open(o->state) && !o->reset && span_eq(o->release.version, version)))
        return CE_OK;
    enum err e = store_version_get(b->db, b->arena, d->uid, &v, f);
    if (e || span_eq(v.version, version))
        return e;
    e = store_release_find(b->db, b->arena, d->line, version, &r, f);
    v.line = d->line;
    v.release = r.name;
    v.version = version;
    e = e ? e : store_version_put(b->db, &v, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_FIRMWARE_RUNNING, d->uid, 0);
    json_str(j, "line", v.line);
    json_str(j, "release", v.release);
    json_str(j, "version", v.version);
    event_end(b);
    return CE_OK;
}

enum err order_version_confirm(struct batch *b, const struct order *o, struct fault *f)
{
    struct version_row v;
    enum err e = store_version_get(b->db, b->arena, o->row.uid, &v, f);
    if (e)
        return e;
    if (v.release.n && !span_eq(v.release, o->row.release))
        v.before_release = v.release;
    v.line = o->row.line;
    v.release = o->row.release;
    v.version = o->release.version;
    v.confirmed_at = b->now_ms;
    v.sequence = o->row.sequence;
    if (o->release.counter > v.counter_floor)
        v.counter_floor = o->release.counter;
    return store_version_put(b->db, &v, f);
}
