/* core/rollout.h: which devices get which release, in which order, and when it stops: waves with thresholds, approvals, a gate before the start.
 * What one device is told is order.h.
 *
 * A rollout's group is a query, looked at anew for each wave and for each device that appears: members are rows made in pieces, so that a
 * million devices hold nobody up. What a member's state is before an order (waiting, absent, current, cannot) follows from tables and time and
 * is in no event; from the order on, each change is one.
 */
#ifndef CRADLE_CORE_ROLLOUT_H
#define CRADLE_CORE_ROLLOUT_H

#include "core/order.h"
#include "store/rollout.h"

#define ROLLOUT_LIVE 256            /* started ones that are looked at, the newest first */
#define ROLLOUT_PIECE 500           /* devices in a batch of our own making */
#define ROLLOUT_TIMEOUT_S 86400     /* until a device counts as silent, when the rollout does not say */
#define ROLLOUT_FORCED_POSTPONE_MS 86400000LL /* of a forced one: as long may a user put it off */

enum rollout_state { ROLLOUT_DRAFT, ROLLOUT_APPROVED, ROLLOUT_RUNNING, ROLLOUT_PAUSED, ROLLOUT_DONE, ROLLOUT_CANCELLED, ROLLOUT_STATES };

struct rollout {
    struct rollout_row row;
    enum rollout_state state;
    struct wave_row *waves;
    size_t n_waves;
    struct release_row release;     /* of one that takes nothing back */
};
extern const struct core_part rollout_part;

/* -- rollout.c: as a whole -------------------------------------------------------------------------------------------------------- */
MUST_USE enum err rollout_get(struct batch *b, struct span name, struct rollout *out, struct fault *f); /* CE_NOT_FOUND */
/* Those that concern devices, the newest start first; valid until the next change of one. */
MUST_USE enum err rollout_live(struct batch *b, struct rollout **out, size_t *n, struct fault *f);
/* Writes the row (rev + 1); what is remembered of rollouts, here and in fronts, is not true any more. */
MUST_USE enum err rollout_save(struct batch *b, struct rollout_row *r, struct fault *f);
/* The same with its event rollout-state. why: what happened, by whom: empty when by itself. */
MUST_USE enum err rollout_move(struct batch *b, struct rollout *r, enum rollout_state to, struct span why, struct span note, struct span by, struct fault *f);
void rollout_changed(struct batch *b, struct span uid);     /* uid empty: for all devices */
MUST_USE enum err rollout_open_wave(struct batch *b, struct rollout *r, struct fault *f); /* the next one */
/* Versions of the metadata, the newest of each role, as remembered: for polls. */
MUST_USE enum err rollout_metadata(struct batch *b, struct tuf_row **out, size_t *n, struct fault *f);

/* -- rollout_member.c ---------------------------------------------------------------------------------------------------------------- */
/* In state waiting, current or cannot; nothing when it is one already. */
MUST_USE enum err member_join(struct batch *b, struct span rollout, int64_t wave, struct span uid, struct span state, struct fault *f);
MUST_USE enum err member_set(struct batch *b, struct span rollout, struct member_row *m, struct span state, int64_t since, struct fault *f);
/* What became of its order. */
MUST_USE enum err member_follow(struct batch *b, const struct order_row *o, struct fault *f);
/* Sums over the counts of a wave, or of all with wave 0. */
struct tally { int64_t wave, members, confirmed, failed, silent, active, open, declined; };
MUST_USE enum err member_tally(struct batch *b, const struct rollout *r, int64_t wave, struct tally *out, struct fault *f);
/* Where uid stands in the rollout's order: a hash, so that nobody chooses; 0..9999 for shares. */
uint64_t member_rank(struct span rollout, struct span uid);
int64_t member_share(struct span rollout, struct span uid);
bool member_matches(const struct rollout_row *r, const struct candidate_row *c);
/* "waiting", "current" (it runs it), "cannot" (its counter or version does not allow it). */
const char *member_judge(const struct rollout *r, const struct candidate_row *c);

/* -- rollout_walk.c: the members of the newest wave, a piece at a time; done: it is filled ------------------------------------------- */
struct rollout_walk;
struct rollout_walk *rollout_walk_new(void);
void rollout_walk_free(struct rollout_walk *w);
MUST_USE enum err rollout_walk_piece(struct batch *b, struct rollout_walk *w, const struct rollout *r, bool *done, struct fault *f);

/* -- rollout_offer.c: a device asks ------------------------------------------------------------------------------------------------- */
struct offer {
    bool wait;                      /* there is one, and not now */
    int64_t wait_s;
    struct release_row release;     /* with wait */
};
/* o is not open: makes it an order when one is due. */
MUST_USE enum err rollout_offer(struct batch *b, const struct device *d, struct order *o, const struct msg_update_poll *m, struct offer *out, struct fault *f);
/* o is open: may its directive go out now? */
MUST_USE enum err rollout_hold(struct batch *b, const struct order *o, const struct msg_update_poll *m, struct offer *out, struct fault *f);
/* Of the order's rollout; false: there is none, or it is not live. */
MUST_USE enum err rollout_of(struct batch *b, const struct order *o, struct rollout *out, bool *there, struct fault *f);

/* -- gate.c: what must hold before a start, each rule in the evidence. passed false: why says which do not ------------------------------ */
struct gate_source {                /* who knows of findings that block a release */
    const char *name;
    enum err (*open_findings)(struct batch *b, const struct release_row *r, int64_t *n, struct fault *f);
};
MUST_USE enum err gate_judge(struct batch *b, const struct rollout *r, struct span by, bool *passed, struct span *why, struct fault *f);
MUST_USE enum err rollout_approved(struct batch *b, const struct rollout *r, bool *enough, int64_t *have, int64_t *need, struct fault *f);

/* -- operations: rollout_ops.c -------------------------------------------------------------------------------------------------------- */
/* CE_EXISTS, CE_BAD_FIELD, CE_LINE_UNKNOWN, CE_LINE_FORBIDDEN, CE_NOT_FOUND (release). */
MUST_USE enum err rollout_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* CE_NOT_FOUND, CE_STATE_CHANGE, CE_SELF_APPROVAL, CE_EXISTS (approved by the same before), CE_GATE. */
MUST_USE enum err rollout_op_move(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);

#endif
