/* front_counts.c: see front_counts.h. One scrape meets one front, so core tells for all of them; a front's counters begin at 0 with its
 * process, which is what a reader of counters expects. */
#include "core/front_counts.h"

#include <stdlib.h>

#include "core/engine.h"
#include "core/registry.h"

static const struct {
    const char *type, *name, *help;
} rows[COUNT_N] = {
#define COUNT(NAME, type, name, help) { type, name, help },
#include "core/front_counts.def"
#undef COUNT
};

enum err front_counts_op(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    struct span in = ((const struct msg_front_counts *)msg)->counts;
    struct core *core = b->core;
    (void)c, (void)out;
    if (in.n != FRONT_COUNTS * sizeof(uint64_t))
        return fault_set(f, CE_BAD_FRAME, "a front's counters are %zu bytes", in.n);
    for (size_t i = 0; i < core->npeers; i++) {
        struct peer *p = &core->peers[i];
        if (p->id != b->work->item->peer)
            continue;
        if (!p->counts)
            p->counts = mem_calloc(FRONT_COUNTS, sizeof *p->counts);
        for (size_t k = 0; k < FRONT_COUNTS && span_get_u64(&in, &p->counts[k]); k++)
            continue;
    }
    return CE_OK;
}

void front_counts_put(const struct core *core, struct buf *out)
{
    for (size_t k = 0; k < COUNT_N; k++) {
        buf_printf(out, "# HELP cradle_front_%s %s\n# TYPE cradle_front_%s %s\n", rows[k].name, rows[k].help, rows[k].name, rows[k].type);
        for (size_t i = 0; i < core->npeers; i++)
            if (core->peers[i].open && core->peers[i].counts)
                buf_printf(out, "cradle_front_%s{front=\"%d\"} %llu\n", rows[k].name, core->peers[i].id,
                           (unsigned long long)core->peers[i].counts[k]);
    }
    buf_put_str(out, "# HELP cradle_front_refusals_total requests refused, by reason\n# TYPE cradle_front_refusals_total counter\n");
    for (size_t i = 0; i < core->npeers; i++)
        for (int e = 1; core->peers[i].open && core->peers[i].counts && e < CE_COUNT; e++)
            if (core->peers[i].counts[COUNT_N + e])
                buf_printf(out, "cradle_front_refusals_total{front=\"%d\",reason=\"%s\"} %llu\n", core->peers[i].id,
                           err_reason((enum err)e), (unsigned long long)core->peers[i].counts[COUNT_N + e]);
}
