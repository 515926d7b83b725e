/* update_child.h: the update client as a process of its own, kept alive by the daemon; and its verbs. */
#ifndef CRADLE_AGENT_UPDATE_CHILD_H
#define CRADLE_AGENT_UPDATE_CHILD_H

#include "agent/run.h"

/* Starts the client when updates are on and there is an identity, again with growing waits when it ends. */
void update_child_keep(struct agent *a, int64_t now_ms);
/* Asks it to end and waits up to 10 s; a handler that works is left to its end. */
void update_child_stop(struct agent *a);
/* cradle-agent update VERB: run, once, status, postpone, decline, accept. Returns the exit code. */
int update_verb(const struct agent_config *cfg, char **args);

#endif
