/* front_counts.h: the counters of the fronts: they come each second, metrics show them. */
#ifndef CRADLE_CORE_FRONT_COUNTS_H
#define CRADLE_CORE_FRONT_COUNTS_H

#include "base/span.h"

enum front_count {
#define COUNT(NAME, type, name, help) COUNT_##NAME,
#include "core/front_counts.def"
#undef COUNT
    COUNT_N
};
#define FRONT_COUNTS (COUNT_N + CE_COUNT) /* u64 in the message */

struct core;
void front_counts_put(const struct core *core, struct buf *out); /* Prometheus text */

#endif
