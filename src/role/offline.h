/* offline.h: what cradled does to a site's database without serving it. */
#ifndef CRADLE_ROLE_OFFLINE_H
#define CRADLE_ROLE_OFFLINE_H

#include "role/settings.h"

/* mode: f fold check (beside a running service), m expand the schema, M expand and contract it (both on a stopped site, with the
 * identity of `user`). Reports on stdout. */
MUST_USE enum err offline_run(char mode, const char *site, const struct settings *s, struct fault *f);

#endif
