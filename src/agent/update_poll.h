/* update_poll.h: what a server says to a device that asks for updates, as JSON. Nothing in it is trusted: it says where to look, and what to show a
 * user; what is installed is decided by signed metadata and the directive alone. Pure. */
#ifndef CRADLE_AGENT_UPDATE_POLL_H
#define CRADLE_AGENT_UPDATE_POLL_H

#include "base/span.h"
#include "cradle/update.h"

#define UPDATE_SLEEP_MAX_S 604800

struct update_poll {
    int64_t sleep_s, wait_s;  /* 0: not said */
    uint64_t sequence;
    enum cradle_update_action action;
    bool ready;               /* there is a directive, and it may be carried out now */
    bool forced;              /* a user may put it off, not decline it */
    bool encrypted;
    struct buf directive;     /* its envelope; empty: none */
};

/* CE_BAD_JSON, CE_BAD_FIELD: f names the member. Unknown members are ignored. *out is to be freed in any case. */
MUST_USE enum err update_poll_read(struct span text, struct update_poll *out, struct fault *f);
void update_poll_free(struct update_poll *p);

#endif
