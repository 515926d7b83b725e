/* authz_refused.c: refused attempts as reports, bounded by a tally: a device in a retry loop is two lines a minute, and an attacker with
 * many names is no flood. What finds no room in the spool is told later.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/tally.h"
#include "edge/authz.h"

struct authz_refused {
    struct edge *edge;
    struct tally *tally;
};

static bool tell(void *ctx, const struct tally_item *x)
{
    struct authz_refused *r = ctx;
    const struct msg_report m = { .kind = SPAN_LIT("refused"), .reason = span_str(err_reason(x->code)), .uid = span_str(x->uid),
                                  .serial = span_of(x->serial, x->serial_n), .addr = span_str(x->addr), .at = x->at_ms,
                                  .count = x->count, .sources = x->sources, .text = span_str(x->text) };
    if (edge_report(r->edge, &m) == CE_RATE)
        return false;
    log_info(0, "authz: refused %s%s%s: %s: %s (%lld times)", x->uid[0] ? x->uid : "somebody", x->addr[0] ? " from " : "", x->addr,
             err_reason(x->code), x->text, (long long)x->count);
    return true;
}

struct authz_refused *authz_refused_new(struct edge *e)
{
    struct authz_refused *r = mem_calloc(1, sizeof *r);
    r->edge = e;
    r->tally = tally_new(tell, r);
    return r;
}

void authz_refused_put(struct authz_refused *r, const struct authz_answer *a, const char *addr)
{
    const struct admit_peer *p = &a->peer;
    struct tally_item x = { .code = a->err, .serial_n = p->serial_n, .at_ms = clock_now_ms() };
    struct span text = span_str(a->fault.text);
    memcpy(x.uid, p->uid, sizeof x.uid);
    memcpy(x.serial, p->serial, p->serial_n);
    text.n = text.n < TEXT_MAX ? text.n : TEXT_MAX;
    memcpy(x.text, text.p, text.n);
    if (span_to_cstr(span_str(addr), x.addr, sizeof x.addr))
        x.addr[0] = 0;
    tally_put(r->tally, &x, clock_mono_ms());
}

void authz_refused_age(struct authz_refused *r) { tally_age(r->tally, clock_mono_ms()); }

void authz_refused_free(struct authz_refused *r)
{
    if (!r)
        return;
    tally_age(r->tally, INT64_MAX);
    tally_free(r->tally);
    free(r);
}
