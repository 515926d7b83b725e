/* waves.h: the waves of a rollout as text, in messages, events and tables: one a line, "percent 10 90 5 3600" (or "devices 50 …", "tag canary …"),
 * then success and error thresholds in percent, and how long it rests after the success. Pure.
 */
#ifndef CRADLE_WIRE_WAVES_H
#define CRADLE_WIRE_WAVES_H

#include "base/span.h"

#define WAVES_MAX 32
#define WAVE_DEVICES_MAX 10000

struct wave { /* one of the first three says who */
    int64_t percent;   /* up to this share of the group: a wave of 10 after one of 1 adds nine percent */
    int64_t devices;   /* so many more */
    struct span tag;   /* those of the group that have the tag */
    int64_t success_percent, error_percent, soak_s;
};
void wave_put(struct buf *out, const struct wave *w);
/* Reads all of them. CE_BAD_FIELD: the rule that is broken (1 to WAVES_MAX, percentages that rise, thresholds 0..100). */
MUST_USE enum err waves_read(struct span text, struct wave out[WAVES_MAX], size_t *n, struct fault *f);

#endif
