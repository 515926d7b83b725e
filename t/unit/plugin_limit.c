/* plugin_limit.c: who may log in how often: an honest device always, a whole site behind one address, an attacker as often as it says,
 * and nobody is refused because of others. Times are made up. */
#include <stdio.h>
#include <stdlib.h>

#include "plugin/limit.h"
#include "t/tap.h"

#define S 1000000LL

static struct limit *limit(int64_t per_minute, int64_t burst)
{
    struct limit *l;
    if (limit_new(per_minute, burst, &l))
        abort();
    return l;
}

static int64_t rnd(uint64_t *seed) /* a fixed sequence */
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(*seed >> 33);
}

static void test_bucket(void)
{
    struct limit *l = limit(60, 10);
    int yes = 0;
    for (int i = 0; i < 100; i++)
        yes += limit_take(l, SPAN_LIT("a"), S);
    ok(yes == 10, "ten at once, no more (%d)", yes);
    ok(limit_take(l, SPAN_LIT("b"), S), "another identity has its own");
    ok(!limit_take(l, SPAN_LIT("a"), S + 999999) && limit_take(l, SPAN_LIT("a"), 2 * S) && !limit_take(l, SPAN_LIT("a"), 2 * S),
       "one more after a second: refused ones cost nothing");
    yes = 0;
    for (int64_t t = 0; t < 600 * S; t += S / 50)
        yes += limit_take(l, SPAN_LIT("c"), 100 * S + t);
    ok(yes >= 609 && yes <= 610, "hammering for ten minutes brings the burst and 60 a minute (%d)", yes);
    yes = 0;
    for (int i = 0; i < 100; i++)
        yes += limit_take(l, SPAN_LIT("a"), 10000 * S);
    ok(yes == 10, "after a rest the burst is back");
    limit_free(l);
    l = limit(0, 1);
    yes = 0;
    for (int i = 0; i < 100000; i++)
        yes += limit_take(l, SPAN_LIT("a"), S);
    ok(yes == 100000, "0 is no limit");
    limit_free(l);
}

static void test_addresses(void)
{
    struct limit *l = limit(1, 1);
    ok(limit_take_addr(l, "192.0.2.1", S) && !limit_take_addr(l, "192.0.2.1", S) && limit_take_addr(l, "192.0.2.2", S), "an IPv4 address each");
    ok(!limit_take_addr(l, "::ffff:192.0.2.1", S), "written as IPv6 it is the same");
    ok(limit_take_addr(l, "2001:db8:1:2::1", S) && !limit_take_addr(l, "2001:db8:1:2:ffff::9", S) && limit_take_addr(l, "2001:db8:1:3::1", S),
       "of IPv6 the first 64 bits: a subscriber cannot choose another each time");
    ok(limit_take_addr(l, "", S) && !limit_take_addr(l, "", S) && limit_take_addr(l, "pipe", S), "what is no address counts as it is written");
    limit_free(l);
}

/* The defaults of plugin.def: a site with 10 000 devices behind one NAT after a broker's restart, each trying up to three times. */
static void test_site(void)
{
    struct limit *by_address = limit(12000, 20000), *by_identity = limit(60, 60);
    uint64_t seed = 7;
    int refused = 0;
    for (int i = 0; i < 30000; i++) {
        char uid[24];
        int64_t at = 100 * S + i * (60 * S) / 30000;
        snprintf(uid, sizeof uid, "dev-%d", i % 10000);
        refused += !limit_take_addr(by_address, "203.0.113.7", at) || !limit_take(by_identity, span_str(uid), at);
    }
    ok(refused == 0, "10 000 devices behind one NAT that come back three times in a minute are all let in");
    refused = 0;
    for (int64_t t = 200 * S; t < 3800 * S; t += S + rnd(&seed) % S) /* a client that knows no back-off, on a line that breaks each second */
        refused += !limit_take(by_identity, SPAN_LIT("dev-1"), t);
    ok(refused == 0, "a device that reconnects every one to two seconds for an hour is never refused");
    limit_free(by_address);
    limit_free(by_identity);
}

/* More keys than places: memory stays, and nobody is refused because of others. */
static void test_full(void)
{
    struct limit *l = limit(60, 3);
    int refused = 0;
    for (int i = 0; i < 20 * LIMIT_SLOTS; i++) {
        char key[24];
        snprintf(key, sizeof key, "k%d", i);
        refused += !limit_take(l, span_str(key), 10 * S + i);
        if (i % 100 == 0)
            refused += !limit_take(l, SPAN_LIT("honest"), (10 + i / 100 * 2) * S);
    }
    ok(refused == 0, "a million keys at once: nobody is refused because of others");
    ok(limit_forgotten(l) > 0, "buckets forgotten too early are counted (%llu)", (unsigned long long)limit_forgotten(l));
    limit_free(l);
    l = limit(60, 3);
    for (int i = 0; i < 20 * LIMIT_SLOTS; i++) {
        char key[24];
        snprintf(key, sizeof key, "k%d", i);
        refused += !limit_take(l, span_str(key), 10 * S + i * (S / 1000));
    }
    ok(refused == 0 && limit_forgotten(l) == 0, "a thousand different ones a second leave by themselves");
    limit_free(l);
}

int main(void)
{
    test_bucket();
    test_addresses();
    test_site();
    test_full();
    return done();
}
