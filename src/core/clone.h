/* clone.h: copies of an identity at different brokers. Reports of sessions come in (presence.c, broker_run.c), the score of wire/clone.h judges,
 * suspicions become events, and a line's policy acts on them. The plugins judge their own broker by the same score and report what they find.
 *
 * Memory is bounded (CLONE_WATCHED identities that were open twice lately). What a restart must not lose is in presence_beside.
 */
#ifndef CRADLE_CORE_CLONE_H
#define CRADLE_CORE_CLONE_H

#include "core/batch.h"
#include "store/presence.h"

#define CLONE_WATCHED 16384

extern const struct core_part clone_part;

/* A report of an open session of uid. was: its presence row before (zeroed when there was none); newest: the report is about the newest one. */
MUST_USE enum err clone_session_open(struct batch *b, const struct caller *c, const struct msg_report *r, const struct presence_row *was,
                                     bool newest, struct fault *f);
MUST_USE enum err clone_session_ended(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f);
/* A broker was there at r->at, and lost so many reports so far. */
void clone_broker_alive(struct batch *b, const struct caller *c, const struct msg_report *r, int64_t lost);
/* Its open sessions that were told last before sync have ended (INT64_MAX: it has itself). */
MUST_USE enum err clone_broker_over(struct batch *b, struct span edge, struct span run, int64_t sync, int64_t at_ms, struct fault *f);
/* An edge reports what its broker's plugin suspects. */
MUST_USE enum err clone_reported(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f);
/* The device may go on: a new suspicion is told at once. */
void clone_pardon(struct batch *b, struct span uid);

struct clone_event { /* fields of the event, in its order; spans borrowed */
    struct span edge, serial, reason, addr;
    int64_t seen_at, count;
    struct span text, other_edge, other_addr;
    int64_t score;
};
void clone_event_write(struct batch *b, struct span device, const struct clone_event *e);

#endif
