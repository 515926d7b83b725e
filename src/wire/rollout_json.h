/* rollout_json.h: the body of POST /api/v1/rollouts: its query, window and waves are objects within it, which msg_from_json does not know. Pure;
 * fuzzed by t/fuzz/json_request.c.
 */
#ifndef CRADLE_WIRE_ROLLOUT_JSON_H
#define CRADLE_WIRE_ROLLOUT_JSON_H

#include "base/mem.h"
#include "wire/msg.h"

/* Spans in the arena. CE_BAD_JSON, CE_BAD_FIELD: the rule that is broken; an unknown field is refused, because a misspelt limit would widen the group. */
MUST_USE enum err rollout_json_read(struct span text, struct arena *a, struct msg_rollout_add *out, struct fault *f);

#endif
