/* manual.h: cradle-agent(8) and cradle-agent.conf(5), made from the tables that the program works by. */
#ifndef CRADLE_AGENT_MANUAL_H
#define CRADLE_AGENT_MANUAL_H

#include "base/manual.h"

struct agent_verb {
    struct manual_verb word;
    int (*run)(char **args); /* NULL-terminated */
};
struct manual agent_manual(const struct agent_verb *verbs, size_t n_verbs); /* verbs: static */

#endif
