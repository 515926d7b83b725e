/* overlay.h: what the tail's frames changed since the snapshot was made: a growing hash table of (set, key) -> last operation.
 * Not a copy of the snapshot. Its size is bounded by the tail's (22 bytes an entry there). One thread at a time.
 */
#ifndef CRADLE_SNAP_OVERLAY_H
#define CRADLE_SNAP_OVERLAY_H

#include <cradle/snapshot.h>

#include "base/span.h"

struct overlay_slot {
    uint8_t set, op; /* enum snapshot_set (0: empty), enum snapshot_op */
    uint8_t key[SNAPSHOT_KEY];
};
struct overlay {
    struct overlay_slot *slots; /* owned; cap is a power of two or 0 */
    size_t n, cap;
};

void overlay_put(struct overlay *o, unsigned set, unsigned op, const uint8_t *key);
unsigned overlay_get(const struct overlay *o, unsigned set, const uint8_t *key); /* enum snapshot_op, 0: the tail says nothing */
void overlay_free(struct overlay *o);

#endif
