/* clone_sim.h: the world of clone_sim.c: devices on good and bad lines, copies of their keys, three brokers behind a load balancer, their edges
 * with clocks of their own, and what the plugins and cradled make of it. It knows who is a copy; what it tests does not.
 */
#ifndef CRADLE_T_CLONE_SIM_H
#define CRADLE_T_CLONE_SIM_H
#include "base/mem.h"
#include "core/clone_hosts.h"
#include "t/tap.h"

#define BROKERS 3
#define SEC 1000LL
#define MINUTE (60 * SEC)
#define HOUR (60 * MINUTE)
#define OVERLAP (30 * MINUTE)
#define EPOCH 1700000000000LL
#define TICK (15 * SEC)

enum kind { FIXED, SHARED_NAT, LTE, DUAL, REBIND, KINDS };
enum what { LINK_LOST, BACK, RESTART, CRASH, EXPIRE, FLUSH, DISPLACED, BROKER_DOWN, TELL, DELIVER, SWEEP };

struct holder {                /* one owner of the key: its line, its process */
    int ident, session;        /* -1: not connected */
    int addr, addr_alt;        /* of DUAL: both */
    int64_t react_min, react_max; /* after somebody took the session's place */
    int64_t cert_ms;
    int64_t bad_until, change_at; /* bad line until; DUAL: not before */
    int sticky;                /* always this broker; -1: any */
    bool quiet, lost;          /* publishes nothing; the line is down */
};
struct ident {
    enum kind kind;
    int64_t keepalive_s, copied_at, flagged_at;
    int swaps, flagged_swaps;
    bool copy, newest_copy;
    int cur[BROKERS];          /* session at the broker, as its plugin sees it; -1 */
    struct clone_session live[BROKERS]; /* as cradled believes it; began_ms 0: none */
};
struct session { int holder, broker, ident; struct clone_session s; bool held; int64_t active; }; /* held: its holder is at the other end */
struct report { int broker, ident; enum { R_UP, R_DOWN, R_ALIVE, R_ENDED } type; struct clone_session s; int64_t at; };
struct event { int64_t at; enum what what; int a; };
struct broker { int64_t skew, edge_free, away_until; int run; struct clone_watch *watch; };

static struct sim {
    uint64_t seed;
    int64_t now, end;
    struct event *heap; size_t n_heap, cap_heap;
    struct session *sessions; size_t n_sessions, cap_sessions;
    struct report *reports; size_t n_reports, cap_reports;
    struct holder *holders; int n_holders;
    struct ident *idents; int n_idents;
    struct broker brokers[BROKERS];
    struct clone_watch *core;
    struct clone_hosts *hosts;
    int nat_pool, alarms[2];   /* of honest ones: plugin, core */
    long connects, takeovers, doubled;
    bool disturb;              /* brokers restart, edges are away */
} sim;

static uint64_t rnd(void)
{
    uint64_t z = (sim.seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static int64_t between(int64_t a, int64_t b) { return a + (int64_t)(rnd() % (uint64_t)(b - a + 1)); }
static bool chance(double p) { return (double)(rnd() >> 11) / 9007199254740992.0 < p; }
static int64_t around(int64_t mean) /* without memory, nearly */
{
    int64_t t = between(1, mean / 16 + 1);
    while (!chance(1.0 / 16))
        t += mean / 16;
    return t;
}

#define GROW(array, n, cap) ((n) == (cap) ? (array) = mem_realloc((array), ((cap) = (cap) ? (cap) * 2 : 1024) * sizeof *(array)) : (array))

static void at(int64_t when, enum what what, int a)
{
    GROW(sim.heap, sim.n_heap, sim.cap_heap);
    size_t i = sim.n_heap++;
    for (; i && sim.heap[(i - 1) / 2].at > when; i = (i - 1) / 2)
        sim.heap[i] = sim.heap[(i - 1) / 2];
    sim.heap[i] = (struct event){ when, what, a };
}

static struct event next(void)
{
    struct event top = sim.heap[0], last = sim.heap[--sim.n_heap];
    size_t i = 0;
    for (size_t c; (c = 2 * i + 1) < sim.n_heap; i = c) {
        c += c + 1 < sim.n_heap && sim.heap[c + 1].at < sim.heap[c].at;
        if (sim.heap[c].at >= last.at)
            break;
        sim.heap[i] = sim.heap[c];
    }
    sim.heap[i] = last;
    return top;
}

/* -- what is seen ----------------------------------------------------------------------------------------------------------------- */
static void name_of(int ident, char uid[16]) { snprintf(uid, 16, "%d", ident); }

static void flag(int ident, const struct clone_sign *sign, int who)
{
    struct ident *d = &sim.idents[ident];
    char text[400];
    if (!d->copy) {
        clone_text(sign, "honest", text, sizeof text);
        printf("# false alarm (%s, kind %d): %s\n", who ? "cradled" : "plugin", d->kind, text);
        sim.alarms[who]++;
    } else if (!d->flagged_at) {
        d->flagged_at = sim.now;
        d->flagged_swaps = d->swaps;
    }
}

static void report(int broker, int type, int ident, const struct clone_session *s)
{
    struct broker *b = &sim.brokers[broker];
    GROW(sim.reports, sim.n_reports, sim.cap_reports);
    struct report *r = &sim.reports[sim.n_reports];
    *r = (struct report){ .broker = broker, .ident = ident, .type = type, .at = sim.now + b->skew };
    if (s)
        r->s = *s;
    int64_t from = sim.now > b->away_until ? sim.now : b->away_until;
    from += between(20, 3000);
    b->edge_free = from > b->edge_free ? from : b->edge_free + 1; /* first in, first out */
    at(b->edge_free, DELIVER, (int)sim.n_reports++);
}

static void deliver(const struct report *r)
{
    char uid[16];
    struct clone_sign sign;
    struct clone_session live[BROKERS], s = r->s;
    size_t n = 0;
    if (r->type == R_ALIVE || r->type == R_ENDED) {
        if (r->type == R_ALIVE)
            clone_hosts_alive(sim.hosts, s.place, s.run, r->at, sim.now, 0);
        else
            clone_hosts_ended(sim.hosts, s.place, s.run);
        for (int i = 0; r->type == R_ENDED && i < sim.n_idents; i++)
            if (!strcmp(sim.idents[i].live[r->broker].run, s.run))
                sim.idents[i].live[r->broker].began_ms = 0;
        return;
    }
    struct ident *d = &sim.idents[r->ident];
    struct clone_session *own = &d->live[r->broker];
    name_of(r->ident, uid);
    s.began_ms += sim.brokers[r->broker].skew;
    s.heard_ms += s.heard_ms ? sim.brokers[r->broker].skew : 0;
    if (r->type == R_DOWN) {
        s.ended_ms = r->at;
        if (own->began_ms && own->number == s.number)
            own->began_ms = 0;
        if (clone_end(sim.core, uid, &s, &sign))
            flag(r->ident, &sign, 1);
        return;
    }
    for (int i = 0; i < BROKERS; i++)
        if (d->live[i].began_ms)
            live[n++] = d->live[i];
    *own = s;
    if (clone_login(sim.core, uid, &s, live, n, &sign))
        flag(r->ident, &sign, 1);
}

static int64_t heard(void *ctx, const struct clone_session *s) { (void)ctx; return clone_hosts_heard(sim.hosts, s, OVERLAP); }
static void tell(void *ctx, const char *uid, const struct clone_sign *sign)
{
    (void)ctx;
    flag(atoi(uid), sign, 1);
}

/* -- brokers ---------------------------------------------------------------------------------------------------------------------- */
static void session_end(int id)
{
    struct session *x = &sim.sessions[id];
    struct clone_session s = x->s;
    struct clone_sign sign;
    char uid[16];
    if (x->s.ended_ms)
        return;
    x->s.ended_ms = sim.now;
    if (sim.idents[x->ident].cur[x->broker] == id)
        sim.idents[x->ident].cur[x->broker] = -1;
    s.ended_ms = sim.now;
    s.heard_ms = x->active;
    name_of(x->ident, uid);
    if (clone_end(sim.brokers[x->broker].watch, uid, &s, &sign))
        flag(x->ident, &sign, 0);
    report(x->broker, R_DOWN, x->ident, &s);
}

static int session_begin(int h, int broker)
{
    struct holder *o = &sim.holders[h];
    struct ident *d = &sim.idents[o->ident];
    struct broker *b = &sim.brokers[broker];
    struct clone_sign sign;
    char uid[16];
    int old = d->cur[broker], id = (int)sim.n_sessions;
    GROW(sim.sessions, sim.n_sessions, sim.cap_sessions);
    sim.n_sessions++;
    struct session *x = &sim.sessions[id];
    *x = (struct session){ .holder = h, .broker = broker, .ident = o->ident, .held = true, .active = sim.now };
    x->s = (struct clone_session){ .began_ms = sim.now, .number = id + 1, .cert_ms = o->cert_ms, .keepalive_s = d->keepalive_s };
    snprintf(x->s.addr, sizeof x->s.addr, "10.%d.%d.%d", o->addr >> 16 & 255, o->addr >> 8 & 255, o->addr & 255);
    snprintf(x->s.place, sizeof x->s.place, "edge-%d", broker);
    snprintf(x->s.run, sizeof x->s.run, "%d", b->run);
    bool second = d->copy && sim.n_holders > 0 && d->copied_at && sim.now >= d->copied_at;
    if (second && (h & 1) != (int)d->newest_copy) {
        d->swaps++;
        d->newest_copy = h & 1;
    }
    sim.connects++;
    sim.takeovers += old >= 0;
    for (int i = 0; i < BROKERS; i++)
        sim.doubled += i != broker && d->cur[i] >= 0;
    name_of(o->ident, uid);
    report(broker, R_UP, o->ident, &x->s);
    if (clone_login(b->watch, uid, &x->s, old >= 0 ? &sim.sessions[old].s : NULL, old >= 0, &sign))
        flag(o->ident, &sign, 0);
    d->cur[broker] = id;
    if (old >= 0) {
        if (sim.sessions[old].held && sim.sessions[old].holder != h)
            at(sim.now, DISPLACED, old);
        session_end(old);
    }
    o->session = id;
    return id;
}

/* The holder is not at the other end any more: the broker notices by the keepalive. */
static void session_abandon(int id)
{
    struct session *x = &sim.sessions[id];
    if (!x->held)
        return;
    x->held = false;
    int64_t k = sim.idents[x->ident].keepalive_s * SEC, heard_at = sim.now - between(0, k < sim.now - x->s.began_ms ? k : sim.now - x->s.began_ms);
    x->active = sim.holders[x->holder].quiet ? x->s.began_ms : heard_at;
    at(heard_at + k * 3 / 2 + between(0, 5 * SEC), EXPIRE, id);
}

/* -- devices ------------------------------------------------------------------------------------------------------------------------ */
static void plan(int h)
{
    struct holder *o = &sim.holders[h];
    enum kind k = sim.idents[o->ident].kind;
    bool bad = sim.now < o->bad_until;
    if (!bad && chance(k == LTE ? 0.1 : 0.02)) {
        o->bad_until = sim.now + between(5 * MINUTE, 40 * MINUTE);
        bad = true;
    }
    int64_t mean = k == LTE ? (bad ? 50 * SEC : 20 * MINUTE) : k == REBIND ? 15 * MINUTE : bad ? 3 * MINUTE : 2 * HOUR;
    int64_t when = sim.now + around(mean);
    if (k == DUAL && when < o->change_at)
        when = o->change_at;
    at(when, chance(0.03) ? RESTART : chance(0.03) ? CRASH : LINK_LOST, h);
}

static void attach(int h, int64_t after) { at(sim.now + after, BACK, h); }

static void addr_next(struct holder *o)
{
    enum kind k = sim.idents[o->ident].kind;
    if (k == LTE)
        o->addr = (int)between(1, sim.nat_pool) | (o->ident % 16) << 16;
    if (k == DUAL && sim.now >= o->change_at) {
        int a = o->addr;
        o->addr = o->addr_alt;
        o->addr_alt = a;
        o->change_at = sim.now + between(60 * SEC, 20 * MINUTE); /* a line must hold for a minute before it is used again */
    }
}

static void back(int h)
{
    struct holder *o = &sim.holders[h];
    o->lost = false;
    if (o->session >= 0)
        return;
    int broker = o->sticky >= 0 ? o->sticky : (int)between(0, BROKERS - 1);
    int id = session_begin(h, broker);
    if (!sim.idents[o->ident].copy && chance(sim.now < o->bad_until ? 0.2 : 0.02)) { /* the CONNACK is lost: it tries again */
        o->session = -1;
        session_abandon(id);
        at(sim.now + between(5 * SEC, 20 * SEC), BACK, h);
        return;
    }
    if (!sim.idents[o->ident].copy)
        plan(h);
}

static void leave(int h, bool close, int64_t away)
{
    struct holder *o = &sim.holders[h];
    int id = o->session;
    if (id < 0)
        return;
    o->session = -1;
    if (close) {
        sim.sessions[id].active = sim.now;
        sim.sessions[id].held = false;
        session_end(id);
    } else {
        session_abandon(id);
        if (sim.idents[o->ident].kind != LTE && chance(0.1)) /* what the kernel still had to send comes through later */
            at(sim.now + between(SEC, 120 * SEC), FLUSH, id);
    }
    attach(h, away);
}

static void broker_down(int i)
{
    struct broker *b = &sim.brokers[i];
    bool crash = chance(0.5);
    struct clone_session run = { .began_ms = 0 };
    snprintf(run.place, sizeof run.place, "edge-%d", i);
    snprintf(run.run, sizeof run.run, "%d", b->run);
    for (int d = 0; d < sim.n_idents; d++) {
        int id = sim.idents[d].cur[i];
        if (id < 0)
            continue;
        struct session *x = &sim.sessions[id];
        if (x->held && sim.holders[x->holder].session == id) {
            sim.holders[x->holder].session = -1;
            x->held = false;
            attach(x->holder, between(SEC, 30 * SEC));
        }
        if (!crash) {
            session_end(id);
        } else {
            x->s.ended_ms = sim.now;
            sim.idents[d].cur[i] = -1;
        }
    }
    if (!crash || chance(0.5)) /* some runs are never said to be over */
        report(i, R_ENDED, 0, &run);
    b->run++;
    clone_free(b->watch);
    b->watch = clone_new(4096);
    at(sim.now + around(3 * HOUR), BROKER_DOWN, i);
}

static void tell_alive(int i)
{
    struct broker *b = &sim.brokers[i];
    struct clone_session run = { .began_ms = 0 };
    snprintf(run.place, sizeof run.place, "edge-%d", i);
    snprintf(run.run, sizeof run.run, "%d", b->run);
    report(i, R_ALIVE, 0, &run);
    if (sim.disturb && sim.now > b->away_until && chance(0.0005))
        b->away_until = sim.now + between(MINUTE, 40 * MINUTE); /* cradled cannot be reached */
    at(sim.now + 15 * SEC, TELL, i);
}

static void happens(const struct event *e)
{
    struct session *x = e->what == EXPIRE || e->what == FLUSH || e->what == DISPLACED ? &sim.sessions[e->a] : NULL;
    switch (e->what) {
    case LINK_LOST:
        if (sim.holders[e->a].session >= 0) {
            bool fin = chance(0.3);
            leave(e->a, fin, between(2 * SEC, 20 * SEC) + (chance(0.3) ? between(0, 5 * MINUTE) : 0));
            addr_next(&sim.holders[e->a]);
        }
        break;
    case BACK: back(e->a); break;
    case RESTART:
        sim.holders[e->a].cert_ms += chance(0.3) ? SEC : 0;
        leave(e->a, true, between(500, 3 * SEC));
        break;
    case CRASH: leave(e->a, false, between(3 * SEC, 30 * SEC)); break;
    case EXPIRE: session_end(e->a); break;
    case FLUSH:
        if (!x->s.ended_ms) {
            x->active = sim.now;
            session_end(e->a);
        }
        break;
    case DISPLACED: {
        struct holder *o = &sim.holders[x->holder];
        o->session = o->session == e->a ? -1 : o->session;
        if (!sim.idents[o->ident].flagged_at) /* then it is known */
            attach(x->holder, between(o->react_min, o->react_max));
        break;
    }
    case BROKER_DOWN: broker_down(e->a); break;
    case TELL: tell_alive(e->a); break;
    case DELIVER: deliver(&sim.reports[e->a]); break;
    case SWEEP:
        clone_sweep(sim.core, sim.now, heard, tell, NULL);
        at(sim.now + TICK, SWEEP, 0);
        break;
    }
}

#endif
