/* presence.h: tells cradled who is connected: each session as it begins and ends, numbered in this run of the broker; and when something
 * of that was lost on the way, every live session again. Broker's thread only.
 */
#ifndef CRADLE_PLUGIN_PRESENCE_H
#define CRADLE_PLUGIN_PRESENCE_H

#include "plugin/outbox.h"
#include "plugin/session.h"
#include "plugin/tlsinfo.h"

struct presence {
    struct outbox *outbox;             /* borrowed */
    struct session_table *sessions;    /* borrowed */
    int64_t last;                      /* number of the newest session */
};

void presence_begin(struct presence *p, struct session *s, const struct tlsinfo *tls);
/* Before s leaves the table. displaced: a newer session of the identity is there. */
void presence_end(struct presence *p, const struct session *s, bool displaced);
/* Some of the telling, when one is due; call it in every tick. The outbox says whether more is due (outbox_sync_wanted). */
void presence_tell(struct presence *p);

/* The fields of a report that say whom it is about. */
void presence_report(struct outbox_report *r, const char *kind, const char *reason, const struct peer *peer, const char *addr);

#endif
