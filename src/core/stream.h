/* stream.h: the revocation stream: who must be cut now, as signed frames in order and signed snapshots (include/cradle/snapshot.h).
 * Keeps the current sets in memory, rebuilt from the tables at start. What it is not: the event log, CRLs, a socket.
 *
 * One frame is at the signer at any time; what changes meanwhile is coalesced into the next one, so frames leave in the order of
 * their vectors and each one's prev is the vector of the one before. A subscriber gets the answer to EDGE_OPEN (a snapshot and the
 * frames since, or only frames, or nothing), then every later PUSH_FRAME applies on top. A policy document (core/policy.h) goes before
 * the frame or snapshot that names it, in the same message.
 */
#ifndef CRADLE_CORE_STREAM_H
#define CRADLE_CORE_STREAM_H

#include "core/batch.h"

#define STREAM_HEARTBEAT_MS 1000
#define STREAM_RING 4096          /* frames kept for answers to `since` */
#define STREAM_RING_BYTES (64u << 20) /* and their bytes */
#define STREAM_FRAME_ENTRIES 2048 /* more changes than this go into several frames */

extern const struct core_part stream_part;

/* One change, made inside a batch; it takes effect when the batch commits. op: enum snapshot_op. */
void stream_change_cert(struct batch *b, int op, struct span kid, struct span serial);
void stream_change_ident(struct batch *b, int op, struct span uid);
void stream_change_repair(struct batch *b, int op, struct span uid);
void stream_change_line(struct batch *b, int op, struct span line);

/* The policy document from the commit on; doc is taken over (the caller's is empty afterwards). A document that is in force before the
 * next frame leaves is never published: the newest wins. */
void stream_change_policy(struct batch *b, struct buf *doc);

/* EDGE_OPEN: reply BODY_BINARY: the policy document, then snapshot and frames, frames, or nothing. CE_BAD_FRAME: since is not a vector. CE_BUSY. */
MUST_USE enum err stream_op_edge_open(struct batch *b, const struct caller *c, const void *msg_edge_open, struct msg_reply *out,
                                      struct fault *f);

#endif
