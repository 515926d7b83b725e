/* core/order_seen.c: what a poll says of the order besides what to do: how far the device said it is, and an order that was taken
 * back. Clients of other protocols (hawkBit's) need it; devices of ours may look. See core/order.h.
 */
#include "core/order.h"

/* Taken back after the device may have heard of it, and it has not said that it knows. */
static bool is_taken_back(const struct order *o)
{
    return o->state == ORDER_CANCELLED && o->row.offered_at && !span_eq_str(o->row.phase, "declined");
}

void order_seen_put(const struct device *d, const struct order *o, struct json_out *j)
{
    json_str(j, "line", d->line);
    json_cstr(j, "reported", order_state_name(o->state));
    json_str(j, "reason", o->row.reason);
    if (is_taken_back(o))
        json_int(j, "cancelled", o->row.sequence);
}
