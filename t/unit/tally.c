/* tally.c: refusals are told, not flooded: an attacker with any number of names and addresses makes a bounded number of reports, and
 * nothing is missing from the totals. Times are made up. */
#include <stdio.h>
#include <stdlib.h>

#include "base/distinct.h"
#include "base/mem.h"
#include "base/tally.h"
#include "t/tap.h"

#define MINUTE 60000

static struct { int64_t told, count, sources, rests, last_at; bool deaf; int64_t when[1 << 20]; char text[TEXT_MAX + 1]; } heard;
static int64_t now;

static bool tell(void *ctx, const struct tally_item *x)
{
    (void)ctx;
    if (heard.deaf)
        return false;
    if (heard.told < (int64_t)ARRAY_LEN(heard.when))
        heard.when[heard.told] = now;
    heard.told++;
    heard.count += x->count;
    heard.sources += x->sources;
    heard.last_at = x->at_ms;
    if (x->sources) {
        heard.rests++;
        memcpy(heard.text, x->text, sizeof heard.text);
    }
    return true;
}

static void put(struct tally *t, enum err code, const char *uid, const char *addr)
{
    struct tally_item x = { .code = code, .at_ms = 1000000 + now };
    snprintf(x.uid, sizeof x.uid, "%s", uid);
    snprintf(x.addr, sizeof x.addr, "%s", addr);
    tally_put(t, &x, now);
}

static struct tally *fresh(void)
{
    memset(&heard, 0, sizeof heard);
    now = 0;
    return tally_new(tell, NULL);
}

static void test_one(void)
{
    struct tally *t = fresh();
    put(t, CE_CERT_REVOKED, "d1", "a");
    ok(heard.told == 1 && heard.count == 1, "the first is told at once");
    now = 5;
    for (int i = 0; i < 9; i++)
        put(t, CE_CERT_REVOKED, "d1", "a");
    tally_age(t, now = MINUTE - 1);
    ok(heard.told == 1, "its repeats wait");
    tally_age(t, now = MINUTE);
    ok(heard.told == 2 && heard.count == 10 && heard.last_at == 1000005, "and are one report with a count, dated from the first of them");
    put(t, CE_CERT_REVOKED, "d1", "a");
    put(t, CE_CERT_REVOKED, "d1", "b");
    put(t, CE_CERT_REVOKED, "d2", "a");
    put(t, CE_STALE, "d1", "a");
    ok(heard.told == 6 && heard.count == 14, "another address, identity or reason is another kind");
    tally_age(t, INT64_MAX);
    ok(heard.told == 6, "what was told is not told again");
    tally_free(t);
}

/* n_names names from n_addr addresses, per_s a second, for some minutes. */
static void test_flood(int n_names, int n_addr, int per_s, int codes, int minutes)
{
    struct tally *t = fresh();
    int64_t in = 0, most = 0;
    uint64_t seed = 1;
    for (now = 0; now < (int64_t)minutes * MINUTE; now += 100) {
        for (int i = 0; i < per_s / 10; i++, in++) {
            char uid[32], addr[32];
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            snprintf(uid, sizeof uid, "n%d", (int)((seed >> 33) % (unsigned)n_names));
            snprintf(addr, sizeof addr, "2001:db8::%x", (int)((seed >> 40) % (unsigned)n_addr));
            put(t, (enum err)(1 + (int)((seed >> 50) % (unsigned)codes)), uid, addr);
        }
        tally_age(t, now);
    }
    for (int64_t i = 0, k = 0; i < heard.told; i++) { /* every window of a minute, not only the aligned ones */
        while (heard.when[i] - heard.when[k] >= MINUTE)
            k++;
        most = i - k + 1 > most ? i - k + 1 : most;
    }
    int64_t told = heard.told;
    tally_age(t, INT64_MAX);
    ok(most <= TALLY_TOLD && heard.count == in, "%d names, %d addresses, %d a second, %d reasons: at most %lld reports in any minute (bound %d), all %lld counted",
       n_names, n_addr, per_s, codes, (long long)most, TALLY_TOLD, (long long)in);
    ok(told <= (int64_t)(minutes + 1) * TALLY_TOLD, "%lld reports in %d minutes", (long long)told, minutes);
    tally_free(t);
}

static void test_rest(void)
{
    struct tally *t = fresh();
    for (int i = 0; i < TALLY_KINDS + 5000; i++) {
        char addr[32];
        snprintf(addr, sizeof addr, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        put(t, CE_CERT_FOREIGN, "", addr);
    }
    tally_age(t, now = MINUTE);
    ok(heard.rests == 1 && heard.count == TALLY_KINDS + 5000, "what is beyond is one report");
    ok(heard.sources > 4500 && heard.sources < 5500, "with the number of addresses, about (%lld of 5000)", (long long)heard.sources);
    ok(strstr(heard.text, "5000 more") != NULL, "'%s'", heard.text);
    tally_free(t);
}

/* No room for a time: it is told later, whole. */
static void test_deaf(void)
{
    struct tally *t = fresh();
    heard.deaf = true;
    for (int i = 0; i < 1000; i++)
        put(t, CE_CERT_REVOKED, "d1", "a");
    for (int i = 0; i < 1000; i++) {
        char uid[16];
        snprintf(uid, sizeof uid, "x%d", i);
        put(t, CE_CERT_REVOKED, uid, "a");
    }
    tally_age(t, now = 2 * MINUTE);
    ok(heard.told == 0, "nobody listens");
    heard.deaf = false;
    tally_age(t, now = 2 * MINUTE + 1);
    ok(heard.count == 2000, "when somebody does, all are told (%lld)", (long long)heard.count);
    tally_free(t);
}

static void test_distinct(void)
{
    static const int64_t numbers[] = { 0, 1, 2, 10, 100, 1000, 10000, 100000 };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct distinct d = { { 0 } };
        for (int64_t k = 0; k < 2 * numbers[i]; k++) { /* each twice */
            char text[32];
            int n = snprintf(text, sizeof text, "192.0.%lld", (long long)(k / 2));
            distinct_add(&d, span_of(text, (size_t)n));
        }
        int64_t got = distinct_count(&d), off = got > numbers[i] ? got - numbers[i] : numbers[i] - got;
        ok(off <= numbers[i] / 10 && (numbers[i] > 10 || off == 0), "%lld different ones are counted as %lld", (long long)numbers[i], (long long)got);
    }
}

int main(void)
{
    test_one();
    test_flood(1, 1, 1000, 1, 2);
    test_flood(100, 1, 1000, 1, 3);
    test_flood(1000000, 1000000, 5000, 1, 2);
    test_flood(1000000, 1000000, 1000, CE_COUNT - 1, 4);
    test_flood(TALLY_KINDS + 1, 1, 2000, 1, 3);
    test_rest();
    test_deaf();
    test_distinct();
    return done();
}
