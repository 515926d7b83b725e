/* depot_delta.h: deltas between files of the depot (wire/delta.h): made when first asked for, one at a time, in a thread of low priority; kept in
 * DIR/delta/FROM-TO (HEX each), the oldest removed when they are too many. FROM-TO.none: not worth it, it would have more than 80 % of the file.
 * It knows no device: whether somebody may have one is core's to say.
 */
#ifndef CRADLE_ROLE_DEPOT_DELTA_H
#define CRADLE_ROLE_DEPOT_DELTA_H

#include "base/span.h"

struct depot_delta;

/* cache: bytes that all deltas may have together; 0: none are made. Starts the thread: before jail_calls. */
MUST_USE enum err depot_delta_open(const char *site, int64_t cache, struct depot_delta **out, struct fault *f);
void depot_delta_close(struct depot_delta *x); /* NULL is legal; what is being made is given up */
/* CE_OK: it lies there. CE_BUSY: it is being made, or will be. CE_NOT_FOUND: there is none and will be none. */
MUST_USE enum err depot_delta_want(struct depot_delta *x, const uint8_t from[32], const uint8_t to[32], struct fault *f);

#endif
