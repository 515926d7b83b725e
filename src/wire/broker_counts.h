/* broker_counts.h: a broker's counters as they ride in a report of kind "counts": text "connects=12,online=3,refused.stale=1", every number
 * cumulative over the run that the report names, so that a lost report loses nothing. Zeros are left out. Pure codec.
 */
#ifndef CRADLE_WIRE_BROKER_COUNTS_H
#define CRADLE_WIRE_BROKER_COUNTS_H

#include "base/err.h"
#include "base/span.h"

#define BROKER_COUNTS_TEXT_MAX 1500 /* a counter that would not fit any more is left out */
#define BROKER_NUMBER_MAX 1000000000000000 /* more than any broker counts in a run */
#define BROKER_RUN 16               /* characters of a run's name */

enum broker_count {
#define BROKER_COUNT(name, type, help) BROKER_##name,
#include "wire/broker_counts.def"
#undef BROKER_COUNT
    BROKER_COUNTS
};
#define BROKER_NUMBERS (BROKER_COUNTS + CE_COUNT) /* the counts, then the refusals by enum err */

struct broker_counts { int64_t n[BROKER_NUMBERS]; };

bool broker_number_gauge(int i);
/* Name of number i: "connects", or "refused.REASON". Needs BROKER_NAME_MAX bytes. */
#define BROKER_NAME_MAX 64
void broker_number_name(int i, char *out);

void broker_counts_put(struct buf *out, const struct broker_counts *c);
/* Names that are not known are skipped (a newer broker). CE_BAD_FIELD: no such text, a name twice, a number below 0 or above BROKER_NUMBER_MAX. */
MUST_USE enum err broker_counts_parse(struct span text, struct broker_counts *out);

#endif
