/* clone_sim.c: simulated days of honest devices on bad lines, and of copies, as the plugin of each broker and cradled across them see them.
 * Honest devices must raise no alarm at all; copies must be found within the bounds that docs/broker.md names. Seeded: every run is the same.
 */
#include "t/unit/clone_sim.h"

static void world_open(uint64_t seed, int idents, bool disturb)
{
    sim = (struct sim){ .seed = seed, .now = EPOCH, .nat_pool = 64, .disturb = disturb };
    sim.core = clone_new(4096);
    sim.hosts = clone_hosts_new();
    sim.idents = mem_calloc((size_t)idents, sizeof *sim.idents);
    sim.holders = mem_calloc((size_t)idents * 2, sizeof *sim.holders);
    for (int i = 0; i < BROKERS; i++) {
        sim.brokers[i] = (struct broker){ .skew = between(-2 * SEC, 2 * SEC), .run = i * 1000 + 1, .watch = clone_new(4096) };
        at(sim.now + i, TELL, i);
        if (disturb)
            at(sim.now + around(3 * HOUR), BROKER_DOWN, i);
    }
    at(sim.now + TICK, SWEEP, 0);
}

static void world_run(int64_t duration)
{
    sim.end = EPOCH + duration;
    while (sim.n_heap && sim.heap[0].at < sim.end) {
        struct event e = next();
        sim.now = e.at;
        happens(&e);
    }
}

static void world_close(void)
{
    for (int i = 0; i < BROKERS; i++)
        clone_free(sim.brokers[i].watch);
    clone_free(sim.core);
    clone_hosts_free(sim.hosts);
    free(sim.heap);
    free(sim.sessions);
    free(sim.reports);
    free(sim.holders);
    free(sim.idents);
}

/* Holders of identity i are 2i and, of a copy, 2i + 1. */
static struct ident *device(enum kind kind)
{
    static const int keepalives[] = { 30, 60, 60, 120, 300, 1200 };
    int i = sim.n_idents++;
    struct ident *d = &sim.idents[i];
    *d = (struct ident){ .kind = kind, .keepalive_s = keepalives[rnd() % ARRAY_LEN(keepalives)], .cur = { -1, -1, -1 } };
    for (int h = 2 * i; h < 2 * i + 2; h++)
        sim.holders[h] = (struct holder){ .ident = i, .session = -1, .sticky = -1, .cert_ms = EPOCH, .addr = (1 << 20) + h, .addr_alt = (2 << 20) + h,
                                          .react_max = 1500 };
    sim.n_holders = 2 * sim.n_idents;
    if (kind == SHARED_NAT)
        sim.holders[2 * i].addr = sim.holders[2 * i + 1].addr = (3 << 20) + i % 5;
    return d;
}

static void honest(uint64_t seed, int64_t hours, int nat_pool)
{
    world_open(seed, 1000, true);
    sim.nat_pool = nat_pool;
    for (int i = 0; i < 1000; i++) {
        device(i < 400 ? LTE : i < 600 ? FIXED : i < 750 ? SHARED_NAT : i < 850 ? REBIND : DUAL);
        sim.holders[2 * i].sticky = i % 4 ? -1 : i % BROKERS;
        at(sim.now + between(0, 5 * MINUTE), BACK, 2 * i);
    }
    world_run(hours * HOUR);
    ok(!sim.alarms[0] && !sim.alarms[1], "no alarm in %lld h of 1000 honest devices, %d addresses behind each mobile NAT: plugins %d, cradled %d",
       (long long)hours, nat_pool, sim.alarms[0], sim.alarms[1]);
    printf("# %ld connects, %ld took over an own half-open session, %ld began beside one at another broker\n", sim.connects, sim.takeovers, sim.doubled);
    ok(sim.takeovers > 1000 && sim.doubled > 1000, "and they gave every occasion");
    world_close();
}

struct copies {
    const char *what;
    enum kind kind;
    bool one_broker, old_cert, quiet;
    int64_t react_min, react_max;
    int swaps_max;             /* flagged after no more; 0: by time */
    int64_t time_max;          /* ms after the copy came; 0: by swaps */
};

#define PAIRS 300
static void copies(const struct copies *c, uint64_t seed)
{
    world_open(seed, PAIRS, false);
    for (int i = 0; i < PAIRS; i++) {
        struct ident *d = device(c->kind);
        d->copy = true;
        d->copied_at = sim.now + between(10 * MINUTE, 40 * MINUTE);
        for (int h = 2 * i; h < 2 * i + 2; h++) {
            struct holder *o = &sim.holders[h];
            o->react_min = c->react_min;
            o->react_max = c->react_max;
            o->quiet = c->quiet;
            o->sticky = c->one_broker ? 0 : -1;
        }
        sim.holders[2 * i].cert_ms += c->old_cert ? HOUR : 0;
        at(sim.now + between(0, MINUTE), BACK, 2 * i);
        at(d->copied_at, BACK, 2 * i + 1);
    }
    world_run(3 * HOUR);
    int flagged = 0, swaps = 0, sum = 0;
    int64_t longest = 0;
    for (int i = 0; i < PAIRS; i++) {
        const struct ident *d = &sim.idents[i];
        int64_t took = d->flagged_at - d->copied_at;
        bool good = d->flagged_at && ((c->swaps_max && d->flagged_swaps <= c->swaps_max) || (c->time_max && took <= c->time_max + d->keepalive_s * 1500));
        flagged += good;
        swaps = d->flagged_swaps > swaps ? d->flagged_swaps : swaps;
        sum += d->flagged_swaps;
        longest = took > longest ? took : longest;
    }
    ok(flagged == PAIRS, "%s: %d of %d pairs are flagged in time", c->what, flagged, PAIRS);
    printf("# swaps: %.1f on average, %d at most; %lld s at most\n", (double)sum / PAIRS, swaps, (long long)longest / SEC);
    world_close();
}

int main(void)
{
    static const struct copies rows[] = {
        { .what = "one broker, clients that come back at once", .one_broker = true, .react_max = 1500, .swaps_max = 3 },
        { .what = "one broker, clients that come back within 15 s", .one_broker = true, .react_min = SEC, .react_max = 15 * SEC, .swaps_max = 3 },
        { .what = "one broker, clients that come back within a minute", .one_broker = true, .react_min = 5 * SEC, .react_max = 60 * SEC, .swaps_max = 5 },
        { .what = "one broker, both behind one NAT, back at once", .kind = SHARED_NAT, .one_broker = true, .react_max = 1500, .swaps_max = 3 },
        { .what = "one broker, both behind one NAT, back within 15 s", .kind = SHARED_NAT, .one_broker = true, .react_min = SEC, .react_max = 14 * SEC, .swaps_max = 16 },
        { .what = "one broker, the copy has an older certificate", .one_broker = true, .old_cert = true, .react_min = SEC, .react_max = 60 * SEC, .swaps_max = 3 },
        { .what = "three brokers", .react_min = SEC, .react_max = 15 * SEC, .swaps_max = 3, .time_max = 75 * SEC },
        { .what = "three brokers, both behind one NAT", .kind = SHARED_NAT, .react_min = SEC, .react_max = 15 * SEC, .swaps_max = 3, .time_max = 180 * SEC },
        { .what = "three brokers, both quiet", .quiet = true, .react_min = SEC, .react_max = 15 * SEC, .swaps_max = 3, .time_max = 75 * SEC },
    };
    honest(1, 24, 64);
    honest(2, 12, 16);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        copies(&rows[i], 10 + i);
    return done();
}
