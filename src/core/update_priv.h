/* update_priv.h: private to core/update*.c. */
#ifndef CRADLE_CORE_UPDATE_PRIV_H
#define CRADLE_CORE_UPDATE_PRIV_H

#include "core/update.h"

/* New metadata of a role is in this batch: fronts are told, and snapshot and timestamp follow after its commit. */
void update_changed(struct batch *b, struct span role, struct span envelope);

#endif
