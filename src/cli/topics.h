/* topics.h: lists of topics on the command line and in answers. */
#ifndef CRADLE_CLI_TOPICS_H
#define CRADLE_CLI_TOPICS_H

#include "cli/cli.h"

/* Each occurrence of the option into the array o[key]; one empty text: an empty array; none: nothing. CE_BAD_NAME: not UTF-8. */
MUST_USE enum err topics_option(const struct cli *c, const char *option, const char *key, json_t *o, struct fault *f);
/* A line with the topics of o[key]. */
void topics_say(const struct cli *c, const json_t *o, const char *key, const char *what);

#endif
