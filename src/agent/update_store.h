/* update_store.h: what must survive a power cut of a device's update metadata: the state of cradle/update.h and the newest root.
 *
 *   DIR/root.json      the root that the device was made with, never replaced
 *   DIR/N.root.json    the newest root, when it is another one; the state names N
 *   DIR/state          versions, sequence, counter floor (record.h)
 *
 * Shared by cradle-agent and cradle-gate: open takes a lock, so hold it for the look at metadata only and never while a handler runs. It verifies
 * no signature; that is the library's part. */
#ifndef CRADLE_AGENT_UPDATE_STORE_H
#define CRADLE_AGENT_UPDATE_STORE_H

#include "base/file.h"
#include "cradle/update.h"

struct update_store {
    char dir[PATH_MAX_LEN];
    int lock_fd; /* -1: closed */
    struct cradle_update_state state;
};

/* SHA-256 by OpenSSL and verification of P-256 signatures; one at a time in a process. */
extern const struct cradle_update_port update_port;

/* Makes dir (0700) when absent. Without a root.json yet, factory_root (a path; "" none) is copied there: the trust that this device is born with.
 * CE_NOT_FOUND when there is no root at all, CE_BUSY when another program holds the lock for 10 s, CE_BAD_CONFIG for damaged files. */
MUST_USE enum err update_store_open(struct update_store *s, const char *dir, const char *factory_root, struct fault *f);
void update_store_close(struct update_store *s); /* legal on a closed or zeroed one with lock_fd -1 */
/* The envelope of the root that the state names, for the first root step. */
MUST_USE enum err update_store_root(const struct update_store *s, struct buf *out, struct fault *f);
/* Stores state durably; root: the envelope of a newer root that state names, or empty. CE_ROLLBACK when root, sequence or counter would go back. */
MUST_USE enum err update_store_save(struct update_store *s, const struct cradle_update_state *state, struct span root, struct fault *f);
/* Raises the floor to what a confirmed version has. */
MUST_USE enum err update_store_confirm(struct update_store *s, uint32_t counter, struct fault *f);
/* Pure: the text of DIR/state. */
MUST_USE enum err update_state_parse(const char *name, struct span text, struct cradle_update_state *out, struct fault *f);

#endif
