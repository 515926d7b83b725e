/* distinct.h: how many different texts have been seen, about, in little memory that never grows (HyperLogLog, Flajolet et al. 2007, with
 * linear counting for few). Below 100 it is nearly exact, above within some 5 %. Pure.
 */
#ifndef CRADLE_BASE_DISTINCT_H
#define CRADLE_BASE_DISTINCT_H

#include "base/span.h"

#define DISTINCT_BITS 10

struct distinct { /* all zeros: nothing seen */
    uint8_t rank[1 << DISTINCT_BITS];
};
void distinct_add(struct distinct *d, struct span text);
int64_t distinct_count(const struct distinct *d);

#endif
