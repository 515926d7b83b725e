/* clone.h: is one identity in use at two places? Pure: sessions in, a suspicion out; it accuses, it does not punish. The plugin asks it about
 * the sessions of its broker, cradled about those of all brokers. Memory is bounded: the identity that was quiet longest makes room.
 *
 * A session meets another one when it begins while the other is not known to have ended. One device meets its own half-open sessions, each
 * time after it left them. Two holders of one key meet each other. What tells them apart, in points; CLONE_ENOUGH of them within
 * CLONE_WINDOW_MS are a suspicion (the table is in clone.c):
 *   returned   an address is back soon after a session from another address took its place (a b a: a swap and a return)
 *   hasty      on one broker, the same address displaced itself faster than any device restarts
 *   old-cert   an older certificate is in use at another address than the live newer one
 *   overlap    a session was heard from long after another one had begun elsewhere: proof, enough alone
 *   refused    the same under the policy refuse, seen by the plugin (plugin/copies.h)
 */
#ifndef CRADLE_WIRE_CLONE_H
#define CRADLE_WIRE_CLONE_H

#include "base/name.h"

#define CLONE_SESSIONS 6              /* of an identity, the newest */
#define CLONE_WINDOW_MS 600000
#define CLONE_AGAIN_MS 3600000        /* an identity is told at most once in this time */
#define CLONE_ENOUGH 100
#define CLONE_SKEW_MS 5000            /* clocks of two hosts differ by no more */
#define CLONE_LATE_MS 15000           /* an open session heard from so long after another began: both are in use */
#define CLONE_FLUSH_MS 150000         /* the same for one that has ended: what its device had sent may have lain in a queue */
#define CLONE_ADDR 64

struct clone_session {
    char place[49];       /* name of the broker's host; "" where there is one broker only */
    char addr[CLONE_ADDR];
    char run[17];         /* process of the broker */
    int64_t number;       /* of the session in that process */
    int64_t sync;         /* telling of all open sessions in which it was last told (wire/report.h) */
    int64_t began_ms;     /* any one clock a place; all times of one watch are comparable within CLONE_SKEW_MS */
    int64_t ended_ms;     /* 0: not known to have ended */
    int64_t heard_ms;     /* last proof that its holder is there; 0: began_ms */
    int64_t cert_ms;      /* beginning of its certificate; 0: not known */
    int64_t keepalive_s;  /* 0: none asked for */
};

enum clone_rule { CLONE_NONE, CLONE_RETURNED, CLONE_HASTY, CLONE_OLD_CERT, CLONE_OVERLAP, CLONE_REFUSED };
const char *clone_rule_name(enum clone_rule r); /* stable reason of the event */

struct clone_sign {
    enum clone_rule rule;             /* of the last and of the most points */
    int score, swaps;                 /* swaps: how often the place was taken over or doubled by another one */
    struct clone_session here, there; /* the two places */
};
/* Of IPv6 the network counts: a host changes the rest by itself (RFC 8981). */
bool clone_same_addr(const char *a, const char *b);
/* One sentence for people: both places, both addresses, the rule, the score. */
void clone_text(const struct clone_sign *s, const char *uid, char *out, size_t cap);

struct clone_watch; /* opaque; any one thread */
struct clone_watch *clone_new(size_t identities); /* never NULL; memory is used as identities come; free with clone_free */
void clone_free(struct clone_watch *w);

/* A session has begun. live: what the caller holds to be open beside it (0: nobody; then nothing is remembered of a new identity). */
bool clone_login(struct clone_watch *w, const char *uid, const struct clone_session *s, const struct clone_session *live,
                 size_t n_live, struct clone_sign *out);
/* A session has ended: place, run, number say which, heard_ms when it was heard from last (0: not known), ended_ms when. */
bool clone_end(struct clone_watch *w, const char *uid, const struct clone_session *s, struct clone_sign *out);
/* Sessions of that process which were told last before sync have ended (INT64_MAX: all, the process has). */
void clone_over(struct clone_watch *w, const char *place, const char *run, int64_t sync, int64_t at_ms);
/* Somebody else has told about this identity: no suspicion of our own for CLONE_AGAIN_MS. at_ms 0: take that back. */
void clone_told(struct clone_watch *w, const char *uid, int64_t at_ms);
bool clone_quiet(struct clone_watch *w, const char *uid, int64_t at_ms); /* is it within that time? */
/* Somebody has decided that it may go on: what it did before counts no more; what is still open does. */
void clone_forgive(struct clone_watch *w, const char *uid);

/* Looks at every identity with two open sessions. heard(): when was the holder of s certainly there (0: cannot be said)?
 * tell() is called for each suspicion. */
typedef int64_t clone_heard_fn(void *ctx, const struct clone_session *s);
typedef void clone_tell_fn(void *ctx, const char *uid, const struct clone_sign *sign);
void clone_sweep(struct clone_watch *w, int64_t now_ms, clone_heard_fn *heard, clone_tell_fn *tell, void *ctx);

#endif
