/* report.h: what a report of cuts holds, and its forms. All texts are of others and are put out safely by each form. */
#ifndef CRADLE_CLI_REPORT_H
#define CRADLE_CLI_REPORT_H

#include "base/mem.h"
#include "cli/cli.h"

struct cut_row { /* texts in the report's arena, never NULL; times RFC 3339, "" when there is none */
    const char *device, *line, *edge, *addr, *reason; /* reason: of the broker */
    const char *decision, *kind, *state, *by, *why, *note, *decided_at, *frame_at, *cut_at, *told_at;
    int64_t total_ms, host_us; /* total: -1 when nobody decided */
};
struct uncut_row { const char *device, *line, *state, *edge, *addr, *online_since, *decision, *decided_at, *by, *note; bool acked; };
struct spread { int64_t p50, p90, p99, max; size_t n; }; /* nearest rank */
struct report {
    struct arena arena;
    const char *site, *since, *device, *edge, *made_at; /* since, device, edge: "" for all */
    struct cut_row *cuts;     /* owned */
    struct uncut_row *uncut;  /* owned */
    size_t ncuts, nuncut;
    bool more;                /* the limit was reached */
    struct spread total_ms, host_us;
};

/* Each appends one whole document. */
void cuts_html(const struct report *r, struct buf *out);
void cuts_csv(const struct report *r, struct buf *out);
json_t *cuts_json(const struct report *r);

#endif
