/* update_steps.h: small things that update_install.c and update_trial.c share. */
#ifndef CRADLE_AGENT_UPDATE_STEPS_H
#define CRADLE_AGENT_UPDATE_STEPS_H

#include <stddef.h>

/* The kernel's name of this boot, "" when it has none. */
void boot_id(char *out, size_t cap);

#endif
