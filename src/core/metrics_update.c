/* metrics_update.c: what Prometheus reads about updates: orders by what became of them, rollouts and their devices by state. The counts of rollouts are
 * kept in tables of their own; no row of a device is read.
 */
#include "base/log.h"
#include "core/engine.h"
#include "core/order.h"
#include "core/status.h"
#include "store/rollout_rows.h"

_Static_assert(STATS_ORDERS == ORDER_STATES, "one counter for each state of an order");

static void counted(void *counter, bool committed) { *(uint64_t *)counter += committed; }

void order_count(struct batch *b, enum order_state to) { batch_then(b, counted, &b->core->stats.orders[to]); }
void order_count_poll(struct batch *b) { b->core->stats.polls++; }
void order_count_report(struct batch *b) { batch_then(b, counted, &b->core->stats.reports); }

static void family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Rows of (state, n). What cannot be read is left out: the rest is worth saying all the same. */
static void states_put(struct db *db, void (*rows)(struct db *, struct db_rows *), const char *name, const char *help, struct buf *out)
{
    struct db_rows r;
    family(out, name, "gauge", help);
    rows(db, &r);
    while (db_next(&r))
        buf_printf(out, "%s{state=\"" SPAN_FMT "\"} %lld\n", name, SPAN_ARG(db_span(&r, 0)), (long long)db_i64(&r, 1));
    if (db_rows_end(&r, NULL))
        log_warn(0, "%s could not be read for the metrics", name);
}

void update_metrics_put(struct core *core, struct buf *out)
{
    family(out, "cradle_orders_total", "counter", "orders of updates that came into a state");
    for (int i = ORDER_ORDERED; i < ORDER_STATES; i++)
        buf_printf(out, "cradle_orders_total{state=\"%s\"} %llu\n", order_state_name((enum order_state)i), (unsigned long long)core->stats.orders[i]);
    states_put(core->db, rollout_state_rows, "cradle_rollouts", "rollouts by state", out);
    states_put(core->db, rollout_open_count_rows, "cradle_rollout_devices", "devices of running and paused rollouts by state", out);
}
