/* update_impl.h: private to update*.c. */
#ifndef CRADLE_DEV_UPDATE_IMPL_H
#define CRADLE_DEV_UPDATE_IMPL_H

#include "envelope.h"

enum { ROLE_ROOT, ROLE_TARGETS, ROLE_SNAPSHOT, ROLE_TIMESTAMP, ROLE_DIRECTIVE };
enum { UP_STEP_DEAD, UP_STEP_ROOT, UP_STEP_SNAPSHOT, UP_STEP_TARGETS, UP_STEP_DIRECTIVE, UP_STEP_LINE, UP_STEP_READY, UP_STEP_FILE, UP_STEP_DONE };

struct update_rule {
    const char *type;                        /* "timestamp", … */
    const struct cradle_update_role *role;   /* who must have signed */
    const struct cradle_update_meta *named;  /* as snapshot or timestamp names it; NULL: nothing does */
    uint32_t *seen;                          /* version seen before; set to the new one */
};
/* Opens and judges one metadata file by rule. */
int update_metadata(struct cradle_update *u, char *envelope, size_t n, const struct update_rule *rule, struct envelope *e);
int update_stop(struct cradle_update *u, int err); /* returns err; when it is one, nothing is accepted any more */

#endif
