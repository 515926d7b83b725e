/* evidence_signatures.c: is every signature that a CA's key made in the log? The signer numbers the signatures of each key, from 1 in each
 * run, and the number stands in the event of what became of it: a certificate, a CRL, or nothing. A number that is in no event is a
 * signature that somebody else may hold. What this cannot see: signatures after the last number of a run that has ended.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/evidence.h"

#define ON_THE_WAY_MS 60000 /* an answer may be stored so much later than one with a higher number */

/* By key, orphans first, then by run, by counter, as in the log. */
static int signature_cmp(const void *a, const void *b)
{
    const struct ev_signature *x = a, *y = b;
    int c = memcmp(x->kid, y->kid, sizeof x->kid);
    c = c ? c : (x->counter != 0) - (y->counter != 0);
    c = c ? c : memcmp(x->run, y->run, sizeof x->run);
    c = c ? c : (x->counter > y->counter) - (x->counter < y->counter);
    return c ? c : (x->index > y->index) - (x->index < y->index);
}

/* A crash between signature and event leaves an orphan behind: later in the log, of the same key, good for one number. */
static bool orphan_take(struct ev_signature *orphan, size_t n, int64_t after)
{
    for (size_t i = 0; i < n; i++)
        if (orphan[i].index > after) {
            orphan[i].index = -1;
            return true;
        }
    return false;
}

struct gaps {
    int64_t orphans, pending, erased;
};

/* from .. to are in no event; next is the event with the number after them. */
static void judge_gap(struct evidence *ev, int64_t from, int64_t to, const struct ev_signature *next, struct ev_signature *orphan, size_t n,
                      struct gaps *g)
{
    for (; from <= to && orphan_take(orphan, n, next->index); from++)
        g->orphans++;
    if (from > to)
        return;
    if (next->at_ms + ON_THE_WAY_MS > ev->last_ms) {
        g->pending += to - from + 1;
        return;
    }
    if (to - from < ev->erased - g->erased) {
        g->erased += to - from + 1;
        return;
    }
    ev_bad(ev, CE_LOG_INCONSISTENT, next->index,
           "a key of the signer made %lld signatures that are in no event (numbers %lld to %lld): certificates may exist that nobody knows",
           (long long)(to - from + 1), (long long)from, (long long)to);
}

/* One run of the signer, one key. */
static void judge_run(struct evidence *ev, const struct ev_signature *x, size_t n, struct ev_signature *orphan, size_t norphan, struct gaps *g)
{
    int64_t last = 0;
    ev->runs++;
    for (size_t i = 0; i < n; i++) {
        if (x[i].counter == last)
            ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "number %lld of the signer stands in two events, the other is leaf %lld",
                   (long long)last, (long long)x[i - 1].index);
        else if (x[i].counter > last + 1)
            judge_gap(ev, last + 1, x[i].counter - 1, &x[i], orphan, norphan, g);
        last = x[i].counter;
    }
}

void evidence_judge_signatures(struct evidence *ev)
{
    struct gaps g = {0};
    struct ev_signature *s = ev->signature;
    if (ev->nsignature)
        qsort(s, ev->nsignature, sizeof *s, signature_cmp);
    for (size_t i = 0, n; i < ev->nsignature; i = n) {
        size_t norphan = 0, orphan = i;
        for (; i < ev->nsignature && memcmp(s[i].kid, s[orphan].kid, sizeof s->kid) == 0 && s[i].counter == 0; i++)
            norphan++;
        for (n = i; n < ev->nsignature && memcmp(s[n].kid, s[orphan].kid, sizeof s->kid) == 0; i = n) {
            while (n < ev->nsignature && memcmp(s[n].kid, s[orphan].kid, sizeof s->kid) == 0 &&
                   memcmp(s[n].run, s[i].run, sizeof s->run) == 0)
                n++;
            judge_run(ev, s + i, n - i, s + orphan, norphan, &g);
        }
    }
    if (ev->accounted)
        ev_note(ev, -1, "%lld signatures of the CAs' keys are accounted for, in %lld runs of the signer (each key by itself)",
                (long long)ev->accounted, (long long)ev->runs);
    if (g.orphans)
        ev_note(ev, -1, "%lld signatures may be those of certificates that a crash cut off: their serial numbers are revoked",
                (long long)g.orphans);
    if (g.pending)
        ev_note(ev, -1, "%lld signatures were on their way when the log ends: verify again with a later export", (long long)g.pending);
    if (g.erased)
        ev_note(ev, -1, "%lld signatures may stand in erased leaves", (long long)g.erased);
}
