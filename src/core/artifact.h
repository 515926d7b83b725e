/* artifact.h: files for devices, as far as core knows them: that the depot took one in, and that one may go. The bytes are the depot's.
 */
#ifndef CRADLE_CORE_ARTIFACT_H
#define CRADLE_CORE_ARTIFACT_H

#include "core/batch.h"

/* ARTIFACT_ADD: 201, and 200 for a digest that is known. front says it after the depot has verified the digest. */
enum err artifact_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* ARTIFACT_REMOVE: CE_ARTIFACT_USED while a signed release names it. front has the bytes removed after it. */
enum err artifact_op_remove(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);

#endif
