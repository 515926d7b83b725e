/* stream.h: the revocation stream: who must be cut now, as signed frames in order and signed snapshots (include/cradle/snapshot.h).
 * Keeps the current sets in memory, rebuilt from the tables at start. What it is not: the event log, CRLs, a socket.
 *
 * One frame is at the signer at any time; what changes meanwhile is coalesced into the next one, so frames leave in the order of
 * their vectors and each one's prev is the vector of the one before.
 */
#ifndef CRADLE_CORE_STREAM_H
#define CRADLE_CORE_STREAM_H

#include <stdint.h>

#include "base/span.h"

struct batch;
struct core;
struct stream;

#define STREAM_HEARTBEAT_MS 1000
#define STREAM_RING 4096          /* frames kept for answers to `since` */

struct stream *stream_new(struct core *core);
void stream_free(struct stream *s);
/* Rebuilds the sets from the tables. Errors: class STORE. */
MUST_USE enum err stream_load(struct stream *s, struct fault *f);

/* One change, made by code inside a batch; it takes effect when the batch commits. set and op: include/cradle/snapshot.h. */
void stream_change_cert(struct batch *b, int op, struct span kid, struct span serial);
void stream_change_ident(struct batch *b, int op, struct span uid);
void stream_change_line(struct batch *b, int op, struct span line);

/* Periodic work: heartbeat when STREAM_HEARTBEAT_MS passed since the last frame. Returns the monotonic ms of the next wake. */
int64_t stream_tick(struct stream *s, int64_t mono_ms);

size_t stream_certs(const struct stream *s);  /* sizes of the sets, for metrics */
size_t stream_idents(const struct stream *s);

#endif
