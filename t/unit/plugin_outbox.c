/* plugin_outbox.c: what leaves the plugin: refusals exactly once, counters exact whatever is lost, sessions told again until who listens
 * knows exactly who is connected. The edge is a socket of this test, that is slow, away, or dies with what it had read. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "plugin/presence.h"
#include "t/tap.h"
#include "wire/report.h"

#define PEOPLE 6000

static struct sockaddr_un at = { .sun_family = AF_UNIX };
static int edge_fd = -1;
static int64_t mono = 1000; /* of the outbox; made up */

/* What a listener makes of the reports: as cradled's core does, by the numbers of sessions. */
static struct { int64_t session, sync; bool online; } people[PEOPLE];
static struct broker_counts counts;
static int64_t refused, reports, synced, ended;
static char last_tls[64];

static void edge_open(void)
{
    edge_fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    unlink(at.sun_path);
    if (bind(edge_fd, (struct sockaddr *)&at, sizeof at))
        abort();
}

static void person_take(const struct msg_report *m)
{
    char uid[UID_MAX + 1];
    bool online = span_eq_str(m->kind, "connected");
    if (span_to_cstr(m->uid, uid, sizeof uid))
        abort();
    size_t i = (size_t)strtoul(uid + 2, NULL, 10);
    bool newer = online ? m->session > people[i].session || (m->session == people[i].session && m->sync > people[i].sync)
                        : m->session >= people[i].session;
    if (!newer)
        return;
    people[i].session = m->session;
    people[i].online = online;
    if (online)
        people[i].sync = m->sync;
    if (online && span_to_cstr(m->tls, last_tls, sizeof last_tls))
        abort();
}

static void report_take(const struct msg_report *m)
{
    reports++;
    if (m->session)
        person_take(m);
    if (span_eq_str(m->kind, "refused"))
        refused += m->count > 0 ? m->count : 1;
    if (span_eq_str(m->kind, "counts") && broker_counts_parse(m->counts, &counts))
        abort();
    ended += span_eq_str(m->kind, "ended");
    if (span_eq_str(m->kind, "synced")) {
        synced++;
        for (size_t i = 0; i < PEOPLE; i++)
            people[i].online &= people[i].sync >= m->sync;
    }
}

static bool edge_read(bool lose) /* one datagram, as edge does */
{
    uint8_t bytes[REPORT_DATAGRAM_MAX];
    struct msg_report m;
    ssize_t n = edge_fd < 0 ? -1 : recv(edge_fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0)
        return false;
    if (report_unpack(span_of(bytes, (size_t)n), &m))
        abort();
    if (!lose)
        report_take(&m);
    return true;
}

/* Both sides, until nothing moves any more. */
static void settle(struct presence *p, struct outbox *b, int64_t ms)
{
    uint64_t dropped;
    for (bool more = true; more;) {
        more = false;
        mono += ms;
        outbox_flush(b, mono, &dropped);
        if (p)
            presence_tell(p);
        while (edge_read(false))
            more = true;
        more |= p && outbox_sync_wanted(b);
        ms = 0;
    }
}

/* -- refusals ------------------------------------------------------------------------------------------------------------------- */
static void refuse(struct outbox *b, const char *uid)
{
    struct tally_item x = { .code = CE_DEVICE_REVOKED, .at_ms = 1 };
    snprintf(x.uid, sizeof x.uid, "%s", uid);
    outbox_refused(b, &x);
}

static void test_refusals(void)
{
    struct outbox *b;
    struct fault f;
    edge_open();
    if (outbox_new(at.sun_path, &b, &f))
        abort();
    mono = clock_mono_ms();
    for (int i = 0; i < 4; i++)
        refuse(b, "p-1");
    settle(NULL, b, 0);
    ok(refused == 1, "the first refusal is told at once");
    settle(NULL, b, TALLY_WINDOW_MS + 1000);
    ok(refused == 4, "its three repeats follow when the window closes");
    settle(NULL, b, 10 * TALLY_WINDOW_MS);
    ok(refused == 4, "nothing is told twice");
    int64_t before = reports;
    mono = clock_mono_ms(); /* the tally takes the time itself */
    for (int i = 0; i < 20000; i++) {
        char uid[24];
        snprintf(uid, sizeof uid, "p-%d", i + 2);
        refuse(b, uid);
        if (i % 100 == 0)
            settle(NULL, b, 0);
    }
    settle(NULL, b, 11 * TALLY_WINDOW_MS);
    settle(NULL, b, 2000);
    ok(refused == 20004 && reports - before <= TALLY_TOLD + 20, "20 000 names: %lld reports, all counted (%lld)", (long long)(reports - before), (long long)refused);
    ok(counts.n[BROKER_COUNTS + CE_DEVICE_REVOKED] == 20004, "the counter by reason says the same");
    outbox_free(b);
    close(edge_fd);
    edge_fd = -1;
}

/* -- sessions --------------------------------------------------------------------------------------------------------------------- */
static struct session *live[PEOPLE];
static struct session_table *table;
static struct presence p;
static uint64_t seed = 42;
static int64_t logins, logouts, takeovers;

static unsigned rnd(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static void come(unsigned i)
{
    static uintptr_t client = 16;
    struct peer who = { .kind = PEER_DEVICE, .not_after = 1000 };
    struct tlsinfo tls = { .text = "TLSv1.3 TLS_AES_256_GCM_SHA384" };
    snprintf(who.cn, sizeof who.cn, "p-%u", i);
    memcpy(who.ident_key, &i, sizeof i);
    struct session *old = live[i];
    live[i] = session_add(table, (void *)(client += 16), &who, "192.0.2.1");
    presence_begin(&p, live[i], &tls);
    logins++;
    if (old) { /* newest wins: the broker ends the old one after the new one is in */
        presence_end(&p, old, true);
        session_remove(table, old);
        logouts++;
        takeovers++;
    }
}

static void go(unsigned i)
{
    if (!live[i])
        return;
    presence_end(&p, live[i], false);
    session_remove(table, live[i]);
    live[i] = NULL;
    logouts++;
}

static void storm(int n)
{
    for (int k = 0; k < n; k++) {
        unsigned i = rnd(PEOPLE);
        if (rnd(5) < 3)
            come(i);
        else
            go(i);
    }
}

static int wrong(void)
{
    int n = 0;
    for (size_t i = 0; i < PEOPLE; i++)
        n += people[i].online != (live[i] != NULL) || (live[i] && people[i].session != live[i]->number);
    return n;
}

static bool exact(void)
{
    return counts.n[BROKER_connects] == logins && counts.n[BROKER_disconnects] == logouts && counts.n[BROKER_takeovers] == takeovers &&
           counts.n[BROKER_online] == logins - logouts && counts.n[BROKER_online] == (int64_t)session_count(table);
}

static void settled(const char *what)
{
    settle(&p, p.outbox, 2000);
    settle(&p, p.outbox, 2000);
    int bad = wrong();
    ok(bad == 0, "%s: who is connected is known exactly (%d of %d wrong)", what, bad, PEOPLE);
    ok(exact(), "%s: %lld connects, %lld disconnects counted exactly", what, (long long)logins, (long long)logouts);
}

static void test_sessions(void)
{
    struct fault f;
    uint64_t dropped = 0, sum = 0;
    memset(&counts, 0, sizeof counts);
    if (outbox_new(at.sun_path, &p.outbox, &f))
        abort();
    p.sessions = table = session_table_new();
    edge_open();
    for (int i = 0; i < 200; i++) {
        storm(50);
        settle(&p, p.outbox, 0);
    }
    settled("10 000 logins with an edge that keeps up");
    ok(synced == 0, "nobody had to be told again");
    ok(!strcmp(last_tls, "TLSv1.3 TLS_AES_256_GCM_SHA384"), "each with version and cipher");
    for (int i = 0; i < 30; i++) { /* reads less than comes */
        storm(1000);
        outbox_flush(p.outbox, mono, &dropped);
        sum += dropped;
        presence_tell(&p);
        for (int k = 0; k < 30; k++)
            edge_read(false);
    }
    ok(sum > 5000, "an edge that is too slow loses reports (%llu)", (unsigned long long)sum);
    settled("30 000 later with a slow edge");
    ok(synced > 0, "the living were told again");
    close(edge_fd);
    edge_fd = -1;
    storm(20000);
    outbox_flush(p.outbox, mono += 2000, &dropped);
    ok(!exact(), "an edge that is away knows nothing");
    edge_open();
    settled("20 000 while the edge was away");
    for (int i = 0; i < 10; i++) { /* dies again and again with what it had read and not kept */
        storm(500);
        outbox_flush(p.outbox, mono += 2000, &dropped);
        presence_tell(&p);
        for (unsigned k = rnd(12); k > 0; k--)
            edge_read(k > 3);
        close(edge_fd);
        edge_open();
    }
    settled("an edge that was killed 10 times");
    for (unsigned i = 0; i < PEOPLE; i++)
        go(i);
    settled("everybody gone");
    come(1);
    outbox_end(p.outbox, 100);
    while (edge_read(false))
        continue;
    ok(ended == 1 && counts.n[BROKER_online] == 0 && counts.n[BROKER_disconnects] == logins, "at the end the counters close, and the run is said to be over");
    outbox_free(p.outbox);
    session_table_free(table);
    close(edge_fd);
}

int main(void)
{
    char dir[] = "/tmp/cradle-outbox-XXXXXX";
    if (!mkdtemp(dir))
        return 1;
    snprintf(at.sun_path, sizeof at.sun_path, "%s/s", dir);
    test_refusals();
    test_sessions();
    unlink(at.sun_path);
    rmdir(dir);
    return done();
}
