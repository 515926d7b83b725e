/* store/edge.h: tables report_seen (reports already taken) and edge (how far each sidecar is). Errors of class STORE. */
#ifndef CRADLE_STORE_EDGE_H
#define CRADLE_STORE_EDGE_H

#include "base/mem.h"
#include "store/db.h"

/* Remembers the id; *fresh false: it was there already. */
MUST_USE enum err store_report_take(struct db *db, struct span edge, struct span id, int64_t at_ms, bool *fresh, struct fault *f);
MUST_USE enum err store_report_forget(struct db *db, int64_t before_ms, struct fault *f); /* at most 1000 rows */

struct edge_row { struct span name, vector; int64_t acked_at, stale, seen_at; }; /* ms */
/* vector empty: keep; stale -1: keep. */
MUST_USE enum err store_edge_put(struct db *db, struct span name, struct span vector, int64_t stale, int64_t at_ms, struct fault *f);
MUST_USE enum err store_edge_list(struct db *db, struct arena *a, struct edge_row **out, size_t *n, struct fault *f);

#endif
