/* spool.h: reports that wait for cradled, in one bounded file that survives a restart: u32 length, packed msg_report with its id. A
 * report stays until cradled has acknowledged it; sent twice (a crash in between) it is known by its id. It is not fsynced: what
 * power loss takes are seconds of telemetry, never evidence that was acknowledged. Every function may be called in any thread.
 */
#ifndef CRADLE_EDGE_SPOOL_H
#define CRADLE_EDGE_SPOOL_H

#include "wire/report.h"

struct spool; /* opaque */

/* Opens or makes the file; a torn end is cut. prefix begins the ids that spool_put gives. CE_IO. */
MUST_USE enum err spool_open(const char *path, int64_t max_bytes, const char *prefix, struct spool **out, struct fault *f);
void spool_close(struct spool *s); /* NULL is legal */

/* Gives r an id and appends it. Full: only reports of vital kind are taken up to twice the size, the others are counted as dropped.
 * CE_RATE: dropped; CE_DISK_FULL, CE_IO. */
MUST_USE enum err spool_put(struct spool *s, const struct msg_report *r);
/* The oldest reports as a JSON array appended to json, at most max of them and about 900 kB. Returns how many. One thread at a time
 * may peek and drop. */
int spool_peek(struct spool *s, int max, struct buf *json);
void spool_drop(struct spool *s, int n);         /* the n oldest have been acknowledged */

struct spool_info { int64_t waiting; uint64_t dropped; int64_t bytes; };
void spool_info(struct spool *s, struct spool_info *out);

#endif
