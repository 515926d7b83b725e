/* update_handler.h: who installs a file. The name comes signed in the release; the configuration says which names may be used, and what they run.
 * raw and files write into the slot that is not in use and switch by one rename or command; the others get the complete, verified file. */
#ifndef CRADLE_AGENT_UPDATE_HANDLER_H
#define CRADLE_AGENT_UPDATE_HANDLER_H

#include "agent/agent.h"
#include "base/file.h"

struct handler {
    bool slots;
    bool files;                   /* slots named by a symbolic link */
    char command[CONFIG_STR_MAX]; /* of handlers without slots */
    const struct agent_config *cfg;
    const char *dir;              /* UPDATE_DIR */
};

/* CE_ROLE_FORBIDDEN when the configuration does not allow it, CE_BAD_CONFIG when it lacks what the handler needs. cfg and dir are borrowed. */
MUST_USE enum err handler_find(const struct agent_config *cfg, const char *dir, const char *name, struct handler *out, struct fault *f);
/* Which slot is used next time: 'a' or 'b'. */
MUST_USE enum err slot_active(const struct handler *h, char *slot, struct fault *f);
/* Durable when it returns CE_OK, and harmless when it is done already. */
MUST_USE enum err slot_switch(const struct handler *h, char slot, struct fault *f);
void slot_path(const struct handler *h, char slot, char *out);
/* Where the file goes while it is fetched. slot: 0 for handlers without. */
void handler_place(const struct handler *h, char slot, char *out);

#endif
