/* mass.h: mass changes (/api/v1/revocations) as the verbs share them. */
#ifndef CRADLE_CLI_MASS_H
#define CRADLE_CLI_MASS_H

#include "cli/cli.h"

struct device_change;

/* `cradle device revoke --query …`: makes the job, has it counted, confirms it, follows it, reports. */
MUST_USE enum err device_mass_change(struct cli *c, const struct device_change *ch, struct fault *f);

/* One job as it is now; *out owned by the caller. */
MUST_USE enum err mass_read(struct cli *c, int64_t id, json_t **out, struct fault *f);
/* confirm (expect: the number), pause, resume, cancel (expect 0). */
MUST_USE enum err mass_move(struct cli *c, int64_t id, const char *move, int64_t expect, const char *note, struct fault *f);
/* Follows a job until it is not in that state any more. *out: as it is then. */
MUST_USE enum err mass_follow(struct cli *c, int64_t id, const char *state, json_t **out, struct fault *f);
/* What became of it, and what to do next. CE_STATE_CHANGE: it was cancelled, it pauses, or devices were refused. */
MUST_USE enum err mass_report(struct cli *c, const json_t *job, struct fault *f);

#endif
