/* key_block.h: the list of compromised keys: who is on it gets no certificate. Rows of core/ops.def; batch.h says what an operation is. What is wrong
 * with a key by its numbers is crypt/key_gate.h.
 */
#ifndef CRADLE_CORE_KEY_BLOCK_H
#define CRADLE_CORE_KEY_BLOCK_H

#include "core/batch.h"

/* Adds keys; those that are there already stay as they are. Answers with those who use one now. CE_BAD_FIELD. */
MUST_USE enum err key_op_block(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
MUST_USE enum err key_op_unblock(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f); /* CE_NOT_FOUND */
/* Is this SubjectPublicKeyInfo, whose SHA-256 is known, on the list? CE_KEY_BLOCKED. */
MUST_USE enum err key_block_check(struct batch *b, struct span spki, struct span sha256, struct fault *f);
/* The same without the key itself: lists by modulus are not asked. */
MUST_USE enum err key_block_check_digest(struct batch *b, struct span sha256, struct fault *f);
/* Is it the key of a CA of this site? CE_KEY_OF_OTHER. */
MUST_USE enum err key_of_ca_check(struct batch *b, struct span sha256, struct fault *f);

#endif
