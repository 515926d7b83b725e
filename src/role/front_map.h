/* front_map.h: a small hash map from short byte keys to bytes of a fixed size, for front's caches. Grows by doubling; values
 * move when it grows. Not ordered, not for threads.
 */
#ifndef CRADLE_ROLE_FRONT_MAP_H
#define CRADLE_ROLE_FRONT_MAP_H

#include "base/span.h"

#define FRONT_MAP_KEY 64 /* bytes of the longest key */

struct front_map {
    uint8_t *slots;      /* owned */
    size_t nslots, used; /* used counts living and dead slots */
    size_t live;
    size_t value; /* bytes of a value */
};
#define FRONT_MAP(type) ((struct front_map){.value = sizeof(type)})

void front_map_free(struct front_map *m); /* leaves an empty map */
/* NULL when the key is not there. The pointer is valid until the next front_map_set. */
void *front_map_get(const struct front_map *m, struct span key);
void *front_map_set(struct front_map *m, struct span key); /* finds or adds; a new value is zeroed */
void front_map_del(struct front_map *m, struct span key);
/* Walks the living: start with *at = 0; NULL at the end. Deleting the one just returned is legal. */
void *front_map_next(const struct front_map *m, size_t *at, struct span *key);

#endif
