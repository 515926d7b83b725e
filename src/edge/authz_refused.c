/* authz_refused.c: refused attempts as reports: the first of a kind at once, its repeats within ten seconds as one report with a count.
 * A device in a retry loop is one line, not a flood.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "edge/authz.h"

#define KINDS 256
#define WINDOW_MS 10000

struct kind { /* one sort of refusal: reason, identity, address */
    struct authz_answer last;
    char addr[AUTHZ_ADDR_MAX];
    int64_t since_ms; /* monotonic; 0: empty */
    int64_t count;    /* repeats not told yet */
};
struct authz_refused {
    struct edge *edge;
    struct kind kinds[KINDS];
};

struct authz_refused *authz_refused_new(struct edge *e)
{
    struct authz_refused *r = mem_calloc(1, sizeof *r);
    r->edge = e;
    return r;
}

static void tell(struct authz_refused *r, const struct kind *k)
{
    const struct admit_peer *p = &k->last.peer;
    struct msg_report m = { .kind = SPAN_LIT("refused"), .reason = span_str(err_reason(k->last.err)), .uid = span_str(p->uid),
                            .serial = span_of(p->serial, p->serial_n), .addr = span_str(k->addr), .at = clock_now_ms(),
                            .count = k->count, .text = span_str(k->last.fault.text) };
    if (m.text.n > TEXT_MAX)
        m.text.n = TEXT_MAX;
    edge_report(r->edge, &m);
    log_info(0, "authz: refused %s%s%s%s: %s: %s (%lld times)", p->uid[0] ? p->uid : "somebody", k->addr[0] ? " from " : "", k->addr,
             k->count > 1 ? " again" : "", err_reason(k->last.err), k->last.fault.text, (long long)(k->count ? k->count : 1));
}

static void kind_close(struct authz_refused *r, struct kind *k)
{
    if (k->count)
        tell(r, k);
    k->since_ms = 0;
    k->count = 0;
}

void authz_refused_put(struct authz_refused *r, const struct authz_answer *a, const char *addr)
{
    struct kind *at = &r->kinds[0];
    for (size_t i = 0; i < KINDS; i++) {
        struct kind *k = &r->kinds[i];
        if (k->since_ms && k->last.err == a->err && !strcmp(k->last.peer.uid, a->peer.uid) && !strcmp(k->addr, addr)) {
            k->last = *a;
            k->count++;
            return;
        }
        if (k->since_ms < at->since_ms)
            at = k;
    }
    kind_close(r, at);
    at->last = *a;
    at->since_ms = clock_mono_ms();
    if (span_to_cstr(span_str(addr), at->addr, sizeof at->addr))
        at->addr[0] = 0;
    tell(r, at); /* the first is told at once */
}

void authz_refused_age(struct authz_refused *r)
{
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < KINDS; i++)
        if (r->kinds[i].since_ms && now - r->kinds[i].since_ms >= WINDOW_MS)
            kind_close(r, &r->kinds[i]);
}

void authz_refused_free(struct authz_refused *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < KINDS; i++)
        if (r->kinds[i].since_ms)
            kind_close(r, &r->kinds[i]);
    free(r);
}
