/* device_query.h: the devices that a query matches, read before they are changed, and what to tell of them. */
#ifndef CRADLE_CLI_DEVICE_QUERY_H
#define CRADLE_CLI_DEVICE_QUERY_H

#include "cli/cli.h"

struct device_query {
    json_t *items;  /* owned: array of {uid, state, line} in the order of the list */
    json_t *states, *lines; /* owned: name -> count */
};
/* By --line, --model, --batch, --country, --state and --prefix. */
MUST_USE enum err device_query_read(struct cli *c, struct device_query *out, struct fault *f);
void device_query_free(struct device_query *q);
void device_query_print(const struct cli *c, const struct device_query *q); /* how many, of which, the first ten */
json_t *device_query_json(const struct device_query *q);                    /* {matched, states, lines, first} */

#endif
