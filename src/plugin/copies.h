/* copies.h: copies of an identity at this broker: the score of wire/clone.h over its sessions, and the policy `refuse`, which keeps a newcomer
 * from another address out while a session lives. What is suspected comes out as a report; nobody is put out here. Broker's thread only.
 *
 * Under `refuse` nobody is displaced, so nothing swaps. What proves two holders then: the session that was defended is heard from well after
 * somebody else was refused, or outlives its keepalive while the other one comes again.
 */
#ifndef CRADLE_PLUGIN_COPIES_H
#define CRADLE_PLUGIN_COPIES_H

#include "plugin/outbox.h"
#include "plugin/session.h"
#include "wire/clone.h"

#define COPIES_WATCHED 4096 /* identities that came again while they were connected */

struct copies {
    struct clone_watch *watch;      /* owned */
    struct session_table *sessions; /* borrowed */
};
void copies_open(struct copies *c, struct session_table *sessions);
void copies_close(struct copies *c);

/* s has begun, and is in the table. true: *r is to be reported. */
bool copies_begun(struct copies *c, const struct session *s, struct outbox_report *r);
/* s ends, and is in the table still. */
void copies_ended(struct copies *c, const struct session *s);
/* Its holder has done something. true: *r is to be reported. */
bool copies_heard(struct copies *c, struct session *s, int64_t mono_ms, struct outbox_report *r);

/* The policy `refuse`: CE_CLONE_REFUSED when a session of p's identity lives at another address. client: who asks, not counted. *alarm: *r is to
 * be reported. */
MUST_USE enum err copies_refuse(struct copies *c, const struct peer *p, const void *client, const char *addr, int64_t mono_ms, bool *alarm,
                                struct outbox_report *r, struct fault *f);

#endif
