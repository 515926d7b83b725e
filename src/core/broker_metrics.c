/* broker_metrics.c: what the brokers have counted, by edge: for Prometheus and for the status. The totals outlive restarts of everything. */
#include <stdlib.h>

#include "core/presence.h"
#include "store/presence.h"
#include "wire/broker_counts.h"

#define METRIC "cradle_broker_"

struct broker_totals {
    struct arena arena;
    struct broker_total_row *totals;
    struct broker_run_row *runs;
    size_t ntotals, nruns;
};

void broker_totals_free(struct broker_totals *t)
{
    if (!t)
        return;
    arena_free(&t->arena);
    free(t);
}

struct broker_totals *broker_totals_read(struct db *db)
{
    struct broker_totals *t = mem_calloc(1, sizeof *t);
    if (store_broker_totals(db, &t->arena, &t->totals, &t->ntotals, NULL) ||
        store_broker_runs(db, &t->arena, (struct span){ 0 }, &t->runs, &t->nruns, NULL))
        t->ntotals = t->nruns = 0; /* the rest of what is asked for is worth saying all the same */
    return t;
}

/* Sum over the runs of an edge that go on. */
static int64_t online(const struct broker_totals *t, struct span edge, int64_t *runs)
{
    int64_t sum = 0;
    *runs = 0;
    for (size_t i = 0; i < t->nruns; i++) {
        struct broker_counts n;
        if (t->runs[i].ended || !span_eq(t->runs[i].edge, edge) || broker_counts_parse(t->runs[i].counts, &n))
            continue;
        sum += n.n[BROKER_online];
        ++*runs;
    }
    return sum;
}

static const char *help_of(int i)
{
    static const char *const help[] = {
#define BROKER_COUNT(name, type, text) text,
#include "wire/broker_counts.def"
#undef BROKER_COUNT
    };
    return i < BROKER_COUNTS ? help[i] : "logins that the broker refused";
}

static void counter_put(const struct broker_totals *t, int i, struct buf *out)
{
    char name[BROKER_NAME_MAX];
    bool told = i >= BROKER_COUNTS;
    broker_number_name(i, name);
    for (size_t k = 0; k < t->ntotals; k++) {
        const struct broker_total_row *r = &t->totals[k];
        if (!span_eq_str(r->name, name))
            continue;
        if (!told)
            buf_printf(out, "# HELP " METRIC "%s_total %s\n# TYPE " METRIC "%s_total counter\n", name, help_of(i), name);
        told = true;
        if (i < BROKER_COUNTS)
            buf_printf(out, METRIC "%s_total{edge=\"" SPAN_FMT "\"} %lld\n", name, SPAN_ARG(r->edge), (long long)r->n);
        else
            buf_printf(out, METRIC "refused_total{edge=\"" SPAN_FMT "\",reason=\"%s\"} %lld\n", SPAN_ARG(r->edge),
                       err_reason((enum err)(i - BROKER_COUNTS)), (long long)r->n);
    }
}

void broker_metrics_put(const struct broker_totals *t, struct buf *out)
{
    for (int i = 0; i < BROKER_NUMBERS; i++) {
        if (i == BROKER_COUNTS && t->ntotals)
            buf_printf(out, "# HELP " METRIC "refused_total %s\n# TYPE " METRIC "refused_total counter\n", help_of(i));
        counter_put(t, i, out);
    }
    if (t->nruns)
        buf_printf(out, "# HELP " METRIC "online %s\n# TYPE " METRIC "online gauge\n", help_of(BROKER_online));
    for (size_t i = 0; i < t->nruns; i++) {
        int64_t runs;
        if (i && span_eq(t->runs[i].edge, t->runs[i - 1].edge))
            continue;
        buf_printf(out, METRIC "online{edge=\"" SPAN_FMT "\"} %lld\n", SPAN_ARG(t->runs[i].edge), (long long)online(t, t->runs[i].edge, &runs));
    }
}

void broker_status_put(const struct broker_totals *t, struct span edge, struct json_out *j)
{
    int64_t runs = 0;
    int64_t open = online(t, edge, &runs);
    json_obj(j, "broker");
    json_int(j, "running", runs);
    json_int(j, "online", open);
    for (size_t k = 0; k < t->ntotals; k++)
        if (span_eq(t->totals[k].edge, edge))
            json_int(j, (const char *)t->totals[k].name.p, t->totals[k].n);
    json_obj_end(j);
}
