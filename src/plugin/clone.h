/* clone.h: is one identity in use at two places? Pure: logins in, a suspicion out. It accuses, it does not punish.
 *
 * A login that displaces a live session of the same identity is a take-over. When the identity logs in again within
 * CLONE_WINDOW_MS of a take-over, somebody who was displaced has come back: from a second address that is a clone at once, from the
 * same address on the third time (a device on a bad line displaces its own half-open session now and then).
 */
#ifndef CRADLE_PLUGIN_CLONE_H
#define CRADLE_PLUGIN_CLONE_H

#include <cradle/snapshot.h>

#include "base/span.h"

#define CLONE_WINDOW_MS 60000
#define CLONE_RETURNS 3
#define CLONE_SLOTS 4096 /* identities watched at a time; the one longest quiet makes room */

struct clone_watch; /* opaque */

struct clone_watch *clone_new(void); /* never NULL; free with clone_free */
void clone_free(struct clone_watch *w);

enum clone_sign { CLONE_NONE, CLONE_RETURNED, CLONE_SECOND_ADDRESS };
/* One admitted login of the identity at now_ms (monotonic). took_over: a live session of it was displaced. Returns a sign at most
 * once per identity and window; *returns = how often it has come back. */
enum clone_sign clone_login(struct clone_watch *w, const uint8_t ident_key[SNAPSHOT_KEY], const char *addr, bool took_over,
                            int64_t now_ms, int *returns);

#endif
