/* admit_cache.h: certificates that were read and verified before, by the SHA-256 of the bytes in which they came. It holds no decisions:
 * those are judged anew each time, so nothing in it can become wrong and nothing has to be taken out when the snapshot changes.
 * Fixed size; the oldest of four places makes room. Any thread.
 */
#ifndef CRADLE_SNAP_ADMIT_CACHE_H
#define CRADLE_SNAP_ADMIT_CACHE_H

#include "snap/admit.h"

struct admit_known { /* result of admit_read */
    struct admit_peer peer;
    struct fault fault; /* code CE_OK: the certificate is good */
};
struct admit_cache; /* opaque */
struct admit_cache *admit_cache_new(size_t entries); /* rounded up to a power of two; memory is touched as it fills */
void admit_cache_free(struct admit_cache *c); /* NULL is legal */
bool admit_cache_get(struct admit_cache *c, const uint8_t key[32], struct admit_known *out); /* copies */
void admit_cache_put(struct admit_cache *c, const uint8_t key[32], const struct admit_known *known);

#endif
