/* program.h: the command line of a program that has a configuration file and a few verbs (cradle-agent, cradle-gate): options, help, manual
 * pages, and how it says what went wrong. The verbs are its own. Not for `cradle`, whose verbs have options of their own (cli/cli.h).
 */
#ifndef CRADLE_BASE_PROGRAM_H
#define CRADLE_BASE_PROGRAM_H

#include "base/manual.h"

struct program {
    const char *name;       /* "cradle-gate" */
    const char *about;      /* one sentence, for the help */
    const char *conf;       /* the configuration file unless -c names another */
    const char *fallback;   /* the verb when none is given; NULL: one is required */
    struct manual manual;   /* holds the verbs too */
};
/* Takes the options off argv. Returns the index of the verb, or -1 when the program has answered already; then *rc is its exit code.
 * *conf: the configuration file. *verb: of manual.verbs, in its order. */
int program_begin(const struct program *p, int argc, char **argv, const char **conf, size_t *verb, int *rc);
/* "NAME: text (reason)" on stderr; returns the exit code. */
int program_fail(const char *program, enum err e, const struct fault *f);

#endif
