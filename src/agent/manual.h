/* manual.h: cradle-agent(8) and cradle-agent.conf(5), made from the tables that the program works by. */
#ifndef CRADLE_AGENT_MANUAL_H
#define CRADLE_AGENT_MANUAL_H

#include <stddef.h>

struct agent_verb {
    const char *name;
    int (*run)(char **args); /* NULL-terminated */
    const char *help; /* one line, lower case, no full stop */
};

/* section "5" or "8": mdoc on stdout; returns the exit code. */
int agent_manual(const char *section, const struct agent_verb *verbs, size_t n_verbs);

#endif
