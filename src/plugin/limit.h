/* limit.h: how often somebody may log in: token buckets by a key, in a table of fixed size. Pure: keys and times in, yes or no out.
 *
 * A bucket holds `burst` logins and fills again at `per_minute`; a refused login costs nothing. A bucket that is full again is the same
 * as none, so it leaves by itself. When a place is needed and none has filled again, the one that is fullest is forgotten and
 * counted: its owner may log in sooner than it should, but nobody is ever refused because of others.
 */
#ifndef CRADLE_PLUGIN_LIMIT_H
#define CRADLE_PLUGIN_LIMIT_H

#include "base/err.h"
#include "base/span.h"

#define LIMIT_SLOTS 65536 /* buckets; 16 bytes each */

struct limit; /* opaque */

/* per_minute 0: no limit, and every call says yes. burst >= 1. CE_IO: no random numbers (keys are hashed with a secret). */
MUST_USE enum err limit_new(int64_t per_minute, int64_t burst, struct limit **out);
void limit_free(struct limit *l);
/* Takes one login out of the bucket of what (bytes, for identities) or of an address; false: it is empty. now_us: monotonic. */
bool limit_take(struct limit *l, struct span what, int64_t now_us);
/* IPv4 in full, IPv6 by its first 64 bits (that much is one subscriber's); what is no address counts as it is written. */
bool limit_take_addr(struct limit *l, const char *addr, int64_t now_us);
uint64_t limit_forgotten(const struct limit *l); /* buckets that were forgotten before they were full again */

#endif
