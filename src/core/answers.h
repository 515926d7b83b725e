/* answers.h: Idempotency-Key: the same caller, key and request get the answer that was given, for ANSWER_KEPT_MS. Inside a batch. */
#ifndef CRADLE_CORE_ANSWERS_H
#define CRADLE_CORE_ANSWERS_H

#include "core/batch.h"
#include "store/edge.h"
#include "store/idem.h"

#define ANSWER_KEPT_MS (24 * 3600000LL)
#define ANSWER_BODY_MAX 262144 /* what 500 devices at once are answered fits; larger answers are not kept: the request is judged anew */

/* *answered: out is what was answered before. CE_IDEMPOTENCY: the key belongs to another request. */
MUST_USE enum err answer_find(struct batch *b, const struct caller *c, struct msg_reply *out, bool *answered, struct fault *f);
/* Only what succeeded is kept: a refusal is judged anew. */
MUST_USE enum err answer_keep(struct batch *b, struct span who, struct span key, struct span digest, const struct msg_reply *r, struct fault *f);
MUST_USE enum err answers_forget(struct batch *b, struct fault *f);

#endif
