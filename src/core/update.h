/* core/update.h: the server's half of update metadata: takes over what people signed (root, targets, lines), keeps the list of releases that
 * follows from it, and keeps snapshot and timestamp fresh through the signer. It verifies no signature: front did (front_tuf.c), and
 * devices do; here are the rules of versions, and the evidence.
 */
#ifndef CRADLE_CORE_UPDATE_H
#define CRADLE_CORE_UPDATE_H

#include "core/batch.h"

#define UPDATE_SNAPSHOT_S (7 * 86400)  /* life of a snapshot */
#define UPDATE_TIMESTAMP_S 86400       /* of a timestamp; each is renewed after half of its life */
#define UPDATE_RETRY_MS 5000           /* after a failure */

extern const struct core_part update_part;
/* Takes one file over: CE_METADATA_OLD, CE_METADATA_EXPIRED, CE_LINE_UNKNOWN; CE_EXISTS when a release changes under its name. */
MUST_USE enum err update_op_tuf_put(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* Nothing: its answer comes behind what was pushed to that front before. */
MUST_USE enum err update_op_meta_sync(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);

#endif
