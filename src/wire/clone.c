/* clone.c: the score of clone.h, and the memory it needs. */
#include "wire/clone.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

/* Points of a return by how soon it came after the session that took the place: clients that are put out come back within
 * seconds; a device that changes between two networks by itself needs longer, and a flapping one is slower still. */
#define RETURN_SOON_MS 15000
#define RETURN_SOON 50
#define RETURN_MINUTE_MS 60000
#define RETURN_MINUTE 30
#define RETURN_LATE_MS 300000
#define RETURN_LATE 8
/* A return says so much less of an identity that comes from many addresses (one of them comes again by chance), and of one that was not
 * put out by the other, as on another broker. */
#define WEAK 4
/* Points of a session that displaces one of its own address on its own broker: no device starts again without closing within 2 s;
 * within 15 s one that was reset may, and one whose CONNACK got lost. */
#define HASTY_MS 2000
#define HASTY 50
#define RESTART_MS 15000
#define RESTART 7
/* A device that lost power between its first use of a new certificate and the deletion of the old one goes back to the old one. */
#define OLD_CERT 70
/* A session that ended was heard from after another one had begun, but by so little that it may have come out of a queue. */
#define LATE_END_MS 10000
#define LATE_END 30

#define EVIDENCE 16
struct evidence {
    int64_t at_ms;
    int64_t met_ms; /* began_ms of the session that was met: when it turns out to have ended before, this is void */
    int points;
    enum clone_rule rule;
};
struct record {
    char uid[UID_MAX + 1];
    bool used;
    uint8_t n, n_evidence;
    int swaps;
    int64_t touched_ms, swap_ms, told_ms; /* told_ms: 0 never */
    struct clone_session s[CLONE_SESSIONS]; /* by began_ms */
    struct evidence e[EVIDENCE];            /* oldest first */
};
#define WAYS 8
struct clone_watch {
    size_t n_sets;
    struct record (*sets)[WAYS];
    bool *used; /* by set: what was never used is never touched */
};

struct clone_watch *clone_new(size_t identities)
{
    struct clone_watch *w = mem_calloc(1, sizeof *w);
    w->n_sets = identities > WAYS ? identities / WAYS : 1;
    w->sets = mem_calloc(w->n_sets, sizeof *w->sets);
    w->used = mem_calloc(w->n_sets, sizeof *w->used);
    return w;
}

void clone_free(struct clone_watch *w)
{
    if (!w)
        return;
    free(w->sets);
    free(w->used);
    free(w);
}

const char *clone_rule_name(enum clone_rule r)
{
    static const char *const names[] = { "", "returned", "hasty", "old-certificate", "overlap", "refused" };
    return names[r];
}

/* The record of uid; NULL, or (make) the one that has been quiet longest in its set, emptied. */
static struct record *record_find(struct clone_watch *w, const char *uid, bool make)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (const char *p = uid; *p; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
    size_t at = (h ^ h >> 32) % w->n_sets;
    struct record *set = w->sets[at], *oldest = &set[0];
    if (!w->used[at] && !make)
        return NULL;
    w->used[at] = true;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].used && !strcmp(set[i].uid, uid))
            return &set[i];
        if (oldest->used && (!set[i].used || set[i].touched_ms < oldest->touched_ms))
            oldest = &set[i];
    }
    if (!make)
        return NULL;
    *oldest = (struct record){ .used = true };
    snprintf(oldest->uid, sizeof oldest->uid, "%s", uid);
    return oldest;
}

/* -- sessions of a record ------------------------------------------------------------------------------------------------------ */
static bool same_broker(const struct clone_session *a, const struct clone_session *b) { return !strcmp(a->run, b->run) && !strcmp(a->place, b->place); }
bool clone_same_addr(const char *a, const char *b)
{
    uint8_t x[16], y[16];
    if (!strcmp(a, b))
        return true;
    if (inet_pton(AF_INET6, a, x) != 1 || inet_pton(AF_INET6, b, y) != 1)
        return false;
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    return memcmp(x, mapped, sizeof mapped) != 0 && !memcmp(x, y, 8);
}

static bool same_addr(const struct clone_session *a, const struct clone_session *b) { return clone_same_addr(a->addr, b->addr); }

static int64_t heard_ms(const struct clone_session *s) { return s->heard_ms > s->began_ms ? s->heard_ms : s->began_ms; }

/* Was old open when s began? */
static bool met(const struct clone_session *s, const struct clone_session *old)
{
    if (!old->ended_ms)
        return true;
    return same_broker(s, old) ? old->ended_ms >= s->began_ms : old->ended_ms > s->began_ms + CLONE_SKEW_MS;
}

static struct clone_session *session_find(struct record *r, const struct clone_session *s)
{
    for (int i = 0; i < r->n; i++)
        if (r->s[i].number == s->number && same_broker(&r->s[i], s))
            return &r->s[i];
    return NULL;
}

/* Index of s, put in its place by began_ms; -1 when it is older than all that fit. */
static int session_put(struct record *r, const struct clone_session *s)
{
    int at = r->n;
    while (at > 0 && r->s[at - 1].began_ms > s->began_ms)
        at--;
    if (r->n == CLONE_SESSIONS) {
        if (at == 0)
            return -1;
        memmove(&r->s[0], &r->s[1], (size_t)(--at) * sizeof r->s[0]);
    } else {
        memmove(&r->s[at + 1], &r->s[at], (size_t)(r->n++ - at) * sizeof r->s[0]);
    }
    r->s[at] = *s;
    return at;
}

/* -- points --------------------------------------------------------------------------------------------------------------------- */
static void evidence_put(struct record *r, int64_t at_ms, int64_t met_ms, int points, enum clone_rule rule)
{
    if (!points)
        return;
    if (r->n_evidence == EVIDENCE)
        memmove(&r->e[0], &r->e[1], (size_t)(--r->n_evidence) * sizeof r->e[0]);
    r->e[r->n_evidence++] = (struct evidence){ at_ms, met_ms, points, rule };
}

static int return_points(int64_t after_ms)
{
    return after_ms <= RETURN_SOON_MS ? RETURN_SOON : after_ms <= RETURN_MINUTE_MS ? RETURN_MINUTE : after_ms <= RETURN_LATE_MS ? RETURN_LATE : 0;
}

/* How many addresses the identity has lately come from. */
static int addresses(const struct record *r, int64_t since_ms)
{
    int n = 0;
    for (int i = 0; i < r->n; i++) {
        bool seen = r->s[i].began_ms < since_ms;
        for (int j = 0; j < i && !seen; j++)
            seen = r->s[j].began_ms >= since_ms && same_addr(&r->s[i], &r->s[j]);
        n += !seen;
    }
    return n;
}

/* Session i has begun beside another address's (m): is its own address one that m, or one before m, had met? */
static void judge_other(struct record *r, int i, int m)
{
    const struct clone_session *s = &r->s[i], *other = &r->s[m];
    if (r->swap_ms && s->began_ms - r->swap_ms > CLONE_WINDOW_MS)
        r->swaps = 0;
    r->swaps++;
    r->swap_ms = s->began_ms;
    for (int p = m - 1; p >= 0; p--)
        if (same_addr(&r->s[p], s) && met(other, &r->s[p])) {
            int points = return_points(s->began_ms - other->began_ms);
            bool weak = !same_broker(s, other) || addresses(r, s->began_ms - CLONE_WINDOW_MS) > 2;
            evidence_put(r, s->began_ms, other->began_ms, weak ? points / WEAK : points, CLONE_RETURNED);
            break;
        }
    if (s->cert_ms && s->cert_ms < other->cert_ms)
        evidence_put(r, s->began_ms, other->began_ms, OLD_CERT, CLONE_OLD_CERT);
}

static void judge_login(struct record *r, int i)
{
    const struct clone_session *s = &r->s[i];
    int own = -1;
    for (int j = i - 1; j >= 0; j--) {
        if (!met(s, &r->s[j]))
            continue;
        if (!same_addr(s, &r->s[j])) {
            judge_other(r, i, j);
            return;
        }
        if (own < 0 && same_broker(s, &r->s[j]))
            own = j;
    }
    if (own >= 0) {
        int64_t life_ms = s->began_ms - r->s[own].began_ms;
        evidence_put(r, s->began_ms, r->s[own].began_ms, life_ms <= HASTY_MS ? HASTY : life_ms <= RESTART_MS ? RESTART : 0, CLONE_HASTY);
    }
}

/* Points for a having been in use while b, which began later, was: CLONE_ENOUGH is proof. */
static int overlap_points(const struct clone_session *a, const struct clone_session *b)
{
    int64_t late_ms = heard_ms(a) - b->began_ms;
    bool near = same_addr(a, b); /* two processes of one device, then, or two devices behind one router: both must last */
    if (same_broker(a, b) || (near && (a->ended_ms || b->ended_ms)))
        return 0;
    if (!a->ended_ms)
        return late_ms > CLONE_LATE_MS ? CLONE_ENOUGH : 0;
    return late_ms > CLONE_FLUSH_MS ? CLONE_ENOUGH : late_ms > LATE_END_MS ? LATE_END : 0;
}

/* -- the verdict ---------------------------------------------------------------------------------------------------------------- */
static const struct clone_session *other_place(const struct record *r, const struct clone_session *here)
{
    const struct clone_session *best = NULL;
    for (int i = r->n - 1; i >= 0; i--) {
        if (&r->s[i] == here)
            continue;
        if (!same_addr(&r->s[i], here))
            return &r->s[i];
        if (!best)
            best = &r->s[i];
    }
    return best ? best : here;
}

static bool verdict(struct record *r, int64_t now_ms, struct clone_sign *out)
{
    int score = 0, by_rule[CLONE_OVERLAP + 1] = { 0 };
    const struct clone_session *here = &r->s[r->n - 1], *there = NULL;
    if (!r->n || (r->told_ms && now_ms - r->told_ms < CLONE_AGAIN_MS))
        return false;
    for (int i = 0; i < r->n_evidence; i++)
        if (now_ms - r->e[i].at_ms <= CLONE_WINDOW_MS) {
            score += r->e[i].points;
            by_rule[r->e[i].rule] += r->e[i].points;
        }
    for (int a = 0; a < r->n; a++)
        for (int b = a + 1; b < r->n; b++) {
            int points = overlap_points(&r->s[a], &r->s[b]);
            if (points > by_rule[CLONE_OVERLAP]) {
                by_rule[CLONE_OVERLAP] = points;
                here = &r->s[b];
                there = &r->s[a];
            }
        }
    score += by_rule[CLONE_OVERLAP];
    if (score < CLONE_ENOUGH)
        return false;
    *out = (struct clone_sign){ .rule = CLONE_RETURNED, .score = score, .swaps = r->swaps, .here = *here, .there = there ? *there : *other_place(r, here) };
    for (enum clone_rule k = CLONE_RETURNED; k <= CLONE_OVERLAP; k++)
        if (by_rule[k] >= by_rule[out->rule])
            out->rule = k;
    r->told_ms = now_ms ? now_ms : 1;
    return true;
}

/* -- what is told ---------------------------------------------------------------------------------------------------------------- */
bool clone_login(struct clone_watch *w, const char *uid, const struct clone_session *s, const struct clone_session *live,
                 size_t n_live, struct clone_sign *out)
{
    struct record *r = record_find(w, uid, n_live > 0);
    struct clone_session *known = r ? session_find(r, s) : NULL;
    if (known && s->sync > known->sync)
        known->sync = s->sync;
    if (!r || known)
        return false;
    r->touched_ms = s->began_ms > r->touched_ms ? s->began_ms : r->touched_ms;
    for (size_t i = 0; i < n_live; i++)
        if (!session_find(r, &live[i]))
            (void)session_put(r, &live[i]);
    int at = session_put(r, s);
    if (at < 0)
        return false;
    judge_login(r, at);
    for (int i = 0; i < at; i++) /* on one broker the newest has the place */
        if (!r->s[i].ended_ms && same_broker(&r->s[i], s))
            r->s[i].ended_ms = s->began_ms;
    for (int i = at + 1; i < r->n; i++)
        if (!r->s[at].ended_ms && same_broker(&r->s[i], s))
            r->s[at].ended_ms = r->s[i].began_ms;
    return verdict(r, s->began_ms, out);
}

bool clone_end(struct clone_watch *w, const char *uid, const struct clone_session *s, struct clone_sign *out)
{
    struct record *r = record_find(w, uid, false);
    struct clone_session *mine = r ? session_find(r, s) : NULL;
    if (!mine)
        return false;
    if (!mine->ended_ms)
        mine->ended_ms = s->ended_ms;
    if (s->heard_ms > mine->heard_ms)
        mine->heard_ms = s->heard_ms;
    for (int i = 0; i < r->n_evidence; i++) /* told late: it had ended before the other one began */
        if (r->e[i].met_ms == mine->began_ms && mine->ended_ms < r->e[i].at_ms)
            r->e[i].points = 0;
    return verdict(r, s->ended_ms, out);
}

void clone_told(struct clone_watch *w, const char *uid, int64_t at_ms)
{
    struct record *r = record_find(w, uid, at_ms != 0);
    if (!r)
        return;
    r->told_ms = at_ms;
    r->touched_ms = at_ms > r->touched_ms ? at_ms : r->touched_ms;
}

bool clone_quiet(struct clone_watch *w, const char *uid, int64_t at_ms)
{
    const struct record *r = record_find(w, uid, false);
    return r && r->told_ms && at_ms - r->told_ms < CLONE_AGAIN_MS;
}

static void record_over(struct record *r, const struct clone_session *run, int64_t at_ms)
{
    for (int i = 0; i < r->n; i++)
        if (!r->s[i].ended_ms && same_broker(&r->s[i], run) && r->s[i].sync < run->sync)
            r->s[i].ended_ms = at_ms > r->s[i].began_ms ? at_ms : r->s[i].began_ms;
}

void clone_over(struct clone_watch *w, const char *place, const char *run, int64_t sync, int64_t at_ms)
{
    struct clone_session all = { .sync = sync };
    snprintf(all.place, sizeof all.place, "%s", place);
    snprintf(all.run, sizeof all.run, "%s", run);
    for (size_t k = 0; k < w->n_sets; k++)
        for (int x = 0; w->used[k] && x < WAYS; x++)
            if (w->sets[k][x].used)
                record_over(&w->sets[k][x], &all, at_ms);
}

void clone_forgive(struct clone_watch *w, const char *uid)
{
    struct record *r = record_find(w, uid, false);
    if (!r)
        return;
    r->told_ms = 0;
    r->swaps = 0;
    r->n_evidence = 0;
}

void clone_sweep(struct clone_watch *w, int64_t now_ms, clone_heard_fn *heard, clone_tell_fn *tell, void *ctx)
{
    for (size_t k = 0; k < w->n_sets; k++)
        for (int x = 0; w->used[k] && x < WAYS; x++) {
            struct record *r = &w->sets[k][x];
            struct clone_sign sign;
            if (!r->used || r->n < 2)
                continue;
            for (int i = 0; i + 1 < r->n; i++) { /* of the newest it does not matter: nothing began after it */
                int64_t at = r->s[i].ended_ms ? 0 : heard(ctx, &r->s[i]);
                if (at > r->s[i].heard_ms)
                    r->s[i].heard_ms = at;
            }
            if (verdict(r, now_ms, &sign))
                tell(ctx, r->uid, &sign);
        }
}

static void place_text(const struct clone_session *s, char *out, size_t cap)
{
    snprintf(out, cap, "%s%s%s", s->addr, s->place[0] ? " at " : "", s->place);
}

void clone_text(const struct clone_sign *s, const char *uid, char *out, size_t cap)
{
    char here[120], there[120];
    place_text(&s->here, here, sizeof here);
    place_text(&s->there, there, sizeof there);
    static const char *const why[] = {
        "", "each comes back when the other one has taken its place", "it displaces itself faster than a device can start again",
        "an older certificate is in use beside the newer one", "one was heard from long after the other had begun",
        "one was refused while the other went on",
    };
    snprintf(out, cap, "%s is in use from %s and from %s (%d points of %d, %d swaps): %s", uid, here, there, s->score, CLONE_ENOUGH, s->swaps, why[s->rule]);
}
