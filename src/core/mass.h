/* mass.h: one change of state (revoke, suspend, resume …) for all devices that a query matches, as a job of the server: counted, shown,
 * confirmed, done in pieces, paused, cancelled, ended with a report. What it is not: the change of one device (registry.h), by whose rules
 * each of them is judged when its turn comes.
 *
 * counting -> waiting -> running <-> paused -> done; cancelled from each of them but done. Counting writes down who matches (MASS_PIECE
 * looked at a batch), and what is confirmed is that list: who matches later is not concerned. A job of more than mass_revoke_confirm
 * devices is confirmed by somebody else than who wanted it; one that nobody confirms ends after MASS_WAIT_MS. Everything is in the
 * database, the list too, so a job goes on after a crash where its last batch ended. What was changed stays so when a job is cancelled.
 * Devices that were not the maker's to change (lines) do not match; the maker's rights are judged again for each piece, and a job whose
 * maker was removed pauses.
 */
#ifndef CRADLE_CORE_MASS_H
#define CRADLE_CORE_MASS_H

#include "core/batch.h"
#include "store/mass.h"

#define MASS_PIECE 250                    /* devices changed in one batch: requests wait no longer than for that */
#define MASS_LOOK 1000                    /* devices looked at, or forgotten, in one batch */
#define MASS_OPEN_MAX 16                  /* jobs that have not ended */
#define MASS_WAIT_MS (7 * 86400000LL)
#define MASS_PACE_MS 600000               /* in this time one operator changes mass_revoke_confirm devices at most without a job */
#define MASS_PACE_STEP_MS 60000

extern const struct core_part mass_part;

/* MSG_MASS_ADD. CE_BAD_FIELD (state, reason, times, a query that is empty), CE_BAD_NAME, CE_LINE_FORBIDDEN, CE_RATE (too many are open). */
MUST_USE enum err mass_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* MSG_MASS_MOVE. CE_NOT_FOUND, CE_STATE_CHANGE, CE_BAD_FIELD (another number), CE_SELF_APPROVAL, CE_LINE_FORBIDDEN. */
MUST_USE enum err mass_op_move(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);

/* -- changes without a job: mass_pace.c -- */
/* May c change n devices more? CE_SECOND_PERSON: with what c changed within MASS_PACE_MS they are more than mass_revoke_confirm. */
MUST_USE enum err mass_pace_judge(struct batch *b, const struct caller *c, int64_t n, struct fault *f);
/* c changes them, unless the batch undoes it. */
void mass_pace_take(struct batch *b, const struct caller *c, int64_t n);

/* -- mass*.c for each other -- */
struct mass_pace;
void mass_pace_free(struct mass_pace *p); /* legal on NULL */
/* What the rows say is remembered, so that a site without such jobs pays nothing for them. */
struct mass {
    bool stale, counting, waiting, running, forgetting;
    int64_t look_ms;         /* monotonic */
    struct mass_pace *pace;  /* owned list */
};
/* Writes the row; the part looks at its jobs anew after the commit. */
MUST_USE enum err mass_save(struct batch *b, struct mass_row *r, struct fault *f);
/* The same for the end (done or cancelled) with its event. by, note empty: by itself. */
MUST_USE enum err mass_end(struct batch *b, struct mass_row *r, const char *to, const char *why, struct span note, struct span by, struct fault *f);
/* Running and paused, with their event. */
MUST_USE enum err mass_move_state(struct batch *b, struct mass_row *r, const char *to, const char *why, struct span note, struct span by, struct fault *f);

#endif
