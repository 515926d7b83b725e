/* rollout.h: what the verbs of rollouts share. */
#ifndef CRADLE_CLI_ROLLOUT_H
#define CRADLE_CLI_ROLLOUT_H

#include "cli/cli.h"

/* Appends "/api/v1/rollouts/NAME" and tail. CE_BAD_NAME. */
MUST_USE enum err rollout_path(const char *name, const char *tail, struct buf *out, struct fault *f);
MUST_USE enum err rollout_read(struct cli *c, const char *name, json_t **out, struct fault *f); /* owned by the caller */
/* Settings, a bar for each wave, and what to do next. Returns how many lines were printed. */
int rollout_print(const struct cli *c, const json_t *rollout);

#endif
