/* agent.h: what the files of cradle-agent share: its settings. The agent is the Linux daemon around libcradle-dev: it owns files, sockets,
 * time and the key file; every decision about identity is the library's. */
#ifndef CRADLE_AGENT_AGENT_H
#define CRADLE_AGENT_AGENT_H

#include "base/config.h"

struct agent_config {
#define CFG CONFIG_FIELD
#include "agent/agent.def"
#undef CFG
};

extern const struct config_key agent_keys[];
extern const size_t agent_nkeys;

/* Loads and checks path (names, readable files). CE_BAD_CONFIG with the key and the rule. */
MUST_USE enum err agent_config_load(const char *path, struct agent_config *cfg, struct fault *f);

#endif
