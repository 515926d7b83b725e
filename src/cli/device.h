/* device.h: what the device verbs share. */
#ifndef CRADLE_CLI_DEVICE_H
#define CRADLE_CLI_DEVICE_H

#include "base/name.h"
#include "cli/cli.h"

struct device_row { struct span uid, serial, model, batch, country, ek; }; /* borrowed */

/* Appends "/api/v1/devices/UID" and tail. CE_BAD_UID. */
MUST_USE enum err device_path(const char *uid, const char *tail, struct buf *out, struct fault *f);
MUST_USE enum err device_post(struct cli *c, const struct device_row *d, struct net_reply *r, struct fault *f);
MUST_USE enum err device_add_csv(struct cli *c, const char *file, struct fault *f);

void device_tags_say(const struct cli *c, const json_t *tags); /* one line, "Tags" */

/* What an operator asks for: `cradle device revoke` and the like. */
struct device_change {
    const char *state;      /* as in the API */
    const char *done;       /* "revoked" */
    const char *doing;      /* "revoke" */
    const char *how;        /* " for ever", or "" */
    bool cuts;              /* live sessions are closed */
};
/* Is --line, --model, --batch, --country, --state, --tag or --prefix given? */
bool device_query_given(const struct cli *c);
/* Those that match: dry run, confirmation, the change itself, waiting. */
MUST_USE enum err device_bulk_change(struct cli *c, const struct device_change *ch, struct fault *f);

#define CSV_FIELDS 5
/* Splits one line (without its newline) in place at commas; a field in quotes may hold commas and "" for a quote. Fields point
 * into line. CE_BAD_INPUT: a quote is not closed, text after a closing quote, or more than max fields. Pure. */
MUST_USE enum err csv_split(char *line, struct span *fields, int max, int *n, struct fault *f);

#endif
