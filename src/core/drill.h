/* drill.h: exercises of revocation as evidence. The caller changed a canary's state and watched what followed; what core knows of that
 * by its own events is filed, and judged against the caller's limit. It changes no device.
 */
#ifndef CRADLE_CORE_DRILL_H
#define CRADLE_CORE_DRILL_H

#include "core/batch.h"

struct drill_last { int64_t at, passed_at; char result[8]; }; /* ms; 0: there was none */

/* CE_UID_UNKNOWN, CE_LINE_FORBIDDEN; CE_BAD_FIELD: decided is no decision about the device or too old; CE_EXISTS: filed already;
 * CE_BAD_FIELD when the caller claims more than core knows. */
MUST_USE enum err drill_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* From the evidence, at the start. */
MUST_USE enum err drill_load(struct db *db, struct drill_last *out, struct fault *f);

#endif
