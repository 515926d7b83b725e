/* wire_clone.c: the score of copies, rule by rule, and what raises none. Whole days of it: clone_sim.c. */
#include "base/mem.h"
#include "core/clone_hosts.h"
#include "t/tap.h"

static struct clone_watch *w;
static struct clone_sign sign;
static int64_t serial;

static struct clone_session at(const char *place, const char *addr, int64_t began_s)
{
    struct clone_session s = { .began_ms = began_s * 1000, .number = ++serial, .keepalive_s = 60 };
    snprintf(s.place, sizeof s.place, "%s", place);
    snprintf(s.addr, sizeof s.addr, "%s", addr);
    snprintf(s.run, sizeof s.run, "r");
    return s;
}

/* One broker, a login each gap_s from the addresses in turn, each displacing the one before; at which of them it was told, 0: never. */
static int chain(const char *uid, const char *const addrs[], int n_addrs, int64_t gap_s, int logins)
{
    struct clone_session s, old = at("", addrs[0], 1000);
    for (int i = 1; i < logins; i++, old = s) {
        s = at("", addrs[i % n_addrs], 1000 + i * gap_s);
        if (clone_login(w, uid, &s, &old, 1, &sign))
            return i;
    }
    return 0;
}

static void test_one_broker(void)
{
    static const char *const ab[] = { "10.0.0.1", "10.0.0.2" }, *const own[] = { "10.0.0.1" };
    static const char *const roam[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1", "10.0.0.4" };
    static const char *const net[] = { "2001:db8::1", "2001:db8::2" }, *const nets[] = { "2001:db8:0:1::1", "2001:db8:0:2::1" };
    char text[400];
    ok(chain("a", ab, 2, 1, 9) == 3 && sign.rule == CLONE_RETURNED && sign.swaps == 3, "two addresses that displace each other: at the third swap");
    clone_text(&sign, "a", text, sizeof text);
    ok(strstr(text, "a is in use from 10.0.0.2 and from 10.0.0.1") != NULL, "%s", text);
    ok(chain("b", ab, 2, 40, 9) == 5, "with 40 s in between: at the fifth");
    ok(!chain("c", ab, 2, 90, 9), "a device that changes between two networks each 90 s is none");
    ok(chain("d", own, 1, 1, 9) == 2 && sign.rule == CLONE_HASTY, "one address that displaces itself each second: at the third login");
    ok(!chain("e", own, 1, 5, 14) && !chain("f", own, 1, 20, 40), "a device that is reset again and again, or loses each CONNACK, is none");
    ok(!chain("g", roam, 5, 10, 20), "a device that comes from many addresses is none");
    ok(!chain("h", net, 2, 30, 20) && chain("i", nets, 2, 1, 9) == 3, "of an IPv6 address the network counts");
    struct clone_session s = at("", "10.0.0.1", 5000);
    ok(!clone_login(w, "j", &s, NULL, 0, &sign) && !clone_quiet(w, "j", 5000000), "a plain login is not even remembered");
}

static void test_again(void)
{
    static const char *const ab[] = { "10.0.0.1", "10.0.0.2" };
    ok(chain("told", ab, 2, 1, 9) && clone_quiet(w, "told", 1010000), "it was told,");
    struct clone_session s, old = at("", ab[0], 1010);
    bool again = false;
    for (int i = 1; i < 60; i++, old = s) {
        s = at("", ab[i % 2], 1010 + i * 50);
        again |= clone_login(w, "told", &s, &old, 1, &sign);
    }
    ok(!again && !clone_quiet(w, "told", 1010000 + CLONE_AGAIN_MS), "and is not told again for an hour");
    clone_told(w, "by-other", 1000000);
    ok(!chain("by-other", ab, 2, 1, 9), "nor when somebody else has told it");
}

static void test_order(void)
{
    struct clone_session a = at("e1", "10.0.0.1", 1000), b = at("e2", "10.0.0.2", 1010), a2 = at("e1", "10.0.0.1", 1020);
    ok(!clone_login(w, "late", &b, &a, 1, &sign), "a session begins while another broker has not said that the one before has ended;");
    a.ended_ms = 1005000;
    ok(!clone_end(w, "late", &a, &sign), "that comes late,");
    struct clone_session open[] = { b };
    bool told = clone_login(w, "late", &a2, open, 1, &sign);
    for (int i = 0; i < 3; i++) {
        struct clone_session x = at("e2", "10.0.0.2", 1400 + i * 300);
        told |= clone_login(w, "late", &x, &a2, 1, &sign);
    }
    ok(!told, "and counts for nothing");
}

static int64_t heard_at;
static int told;
static int64_t heard(void *ctx, const struct clone_session *s)
{
    (void)ctx;
    return strcmp(s->place, "e1") ? 0 : heard_at;
}
static void tell(void *ctx, const char *uid, const struct clone_sign *s)
{
    (void)ctx;
    sign = *s;
    told += uid != NULL;
}

/* Open at two brokers: told after how many seconds of proof that the older one lives; 0: not in ten minutes. */
static int overlap(const char *uid, const char *addr_a, const char *addr_b)
{
    struct clone_session a = at("e1", addr_a, 1000), b = at("e2", addr_b, 2000);
    told = 0;
    if (clone_login(w, uid, &b, &a, 1, &sign))
        return -1;
    for (int s = 0; s < 600; s++) {
        heard_at = (2000 + s) * 1000LL;
        clone_sweep(w, heard_at, heard, tell, NULL);
        if (told)
            return s;
    }
    return 0;
}

static void test_overlap(void)
{
    clone_free(w);
    w = clone_new(512);
    ok(overlap("o1", "10.0.0.1", "10.0.0.2") == 16 && sign.rule == CLONE_OVERLAP && !strcmp(sign.there.place, "e1") && !strcmp(sign.here.place, "e2"),
       "two open sessions, the older one heard from 16 s after the newer one began: proof");
    ok(overlap("o2", "10.0.0.1", "10.0.0.1") == 16, "behind one address too");
    static const struct { int64_t last_s; bool want; const char *addr, *what; } rows[] = {
        { 2005, false, "10.0.0.2", "heard from last 5 s after the other began, then ended: none" },
        { 2120, false, "10.0.0.2", "two minutes after: it may have lain in a queue" },
        { 2200, true, "10.0.0.2", "200 s after: both were in use" },
        { 2200, false, "10.0.0.1", "200 s after, from one address: two processes of one device" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char uid[16];
        struct clone_session a = at("e1", "10.0.0.1", 1000), b = at("e2", rows[i].addr, 2000);
        snprintf(uid, sizeof uid, "end%zu", i);
        bool early = clone_login(w, uid, &b, &a, 1, &sign);
        a.heard_ms = rows[i].last_s * 1000;
        a.ended_ms = a.heard_ms + 1000;
        ok(!early && clone_end(w, uid, &a, &sign) == rows[i].want, "%s", rows[i].what);
    }
}

static void test_over(void)
{
    struct clone_session a = at("e1", "10.0.0.1", 1000), b = at("e2", "10.0.0.2", 2000);
    ok(!clone_login(w, "over", &b, &a, 1, &sign), "two open sessions,");
    clone_over(w, "e1", "r", INT64_MAX, 2010000);
    told = 0;
    heard_at = 2900000;
    clone_sweep(w, heard_at, heard, tell, NULL);
    ok(!told, "one of a broker that is over: none");
}

static void test_old_cert(void)
{
    struct clone_session a = at("", "10.0.0.1", 1000), b = at("", "10.0.0.2", 1100), a2 = at("", "10.0.0.1", 1130);
    a.cert_ms = a2.cert_ms = 9;
    b.cert_ms = 5;
    ok(!clone_login(w, "old", &b, &a, 1, &sign), "an older certificate at another place than the newer one is not enough alone:"
       " a device may have lost power while it renewed");
    ok(clone_login(w, "old", &a2, &b, 1, &sign) && sign.rule == CLONE_OLD_CERT, "but with a return it is");
}

static void test_hosts(void)
{
    struct clone_hosts *h = clone_hosts_new();
    struct clone_session s = at("e1", "10.0.0.1", 1000);
    const int64_t cap = 1800000;
    ok(!clone_hosts_heard(h, &s, cap), "of a broker that has said nothing, nothing is known");
    clone_hosts_alive(h, "e1", "r", 2000000, 2000500, 0);
    ok(clone_hosts_heard(h, &s, cap) == 2000000 - 90000 - CLONE_PATIENCE_MS, "one that lives puts out who was silent for 1.5 keepalives");
    s.keepalive_s = 0;
    ok(!clone_hosts_heard(h, &s, cap), "without a keepalive an open session proves nothing: it stays for ever");
    s.keepalive_s = 65535;
    ok(clone_hosts_heard(h, &s, cap) == 2000000 - cap - CLONE_PATIENCE_MS, "with a very long one the bound of the configuration holds");
    clone_hosts_alive(h, "e1", "r", 2001000, 2001500, 4);
    ok(!clone_hosts_heard(h, &s, cap), "when reports were lost, its open sessions prove nothing");
    clone_hosts_synced(h, "e1", "r");
    ok(clone_hosts_heard(h, &s, cap) > 0, "until it has told all of them again");
    clone_hosts_ended(h, "e1", "r");
    ok(!clone_hosts_heard(h, &s, cap), "nor do those of a run that is over");
    clone_hosts_alive(h, "e1", "r", 2002000, 2062000, 0);
    ok(!clone_hosts_heard(h, &s, cap), "nor those of a host whose clock is a minute behind, or whose reports are late;");
    clone_hosts_alive(h, "e1", "r", 2070000, 2070900, 0);
    ok(clone_hosts_heard(h, &s, cap) > 0, "the least delay is the clock's");
    clone_hosts_free(h);
}

static void test_bounds(void)
{
    static const char *const ab[] = { "10.0.0.1", "10.0.0.2" };
    char uid[16];
    int n = 0;
    for (int i = 0; i < 20000; i++) {
        snprintf(uid, sizeof uid, "u%d", i);
        n += chain(uid, ab, 2, 1, 9) == 3;
    }
    ok(n == 20000, "20 000 identities, one after the other, in the memory of 512");
}

int main(void)
{
    w = clone_new(512);
    test_one_broker();
    test_again();
    test_order();
    test_overlap();
    test_over();
    test_old_cert();
    test_hosts();
    test_bounds();
    clone_free(w);
    return done();
}
