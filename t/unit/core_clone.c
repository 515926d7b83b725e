/* core_clone.c: the engine compares what the edges of two brokers report: who is a copy, who is not, what becomes of it, and what a restart
 * forgets. The score itself: wire_clone.c and clone_sim.c. */
#include "t/unit/core_site.h"

static struct site s;
enum { ADMIN, ROOT2, OLGA, STATION, AUDITOR, EDGE1, BACK, EDGE2 };
static struct buf batch[2] = { BUF_INIT(0), BUF_INIT(0) };
static int64_t t0; /* ms: "now", as the reports tell it */
static int n_ids;

static char runs[2][17]; /* of the brokers; a new one has not said that it lives */

static void brokers_start(void)
{
    t0 = clock_now_ms();
    static unsigned n;
    for (int e = 0; e < 2; e++)
        snprintf(runs[e], sizeof runs[e], "%016x", ++n);
}

static void put(int edge, struct msg_report r, const char *kind)
{
    char id[16];
    snprintf(id, sizeof id, "r%d", ++n_ids);
    r.id = span_str(id);
    r.kind = span_str(kind);
    r.run = span_str(runs[edge]);
    msg_pack(&msg_desc_report, &r, &batch[edge]);
}

static void up(int edge, const char *uid, int64_t session, const char *addr, int64_t ago_s)
{
    put(edge, (struct msg_report){ .uid = span_str(uid), .addr = span_str(addr), .session = session, .keepalive_s = 60, .at = t0 - ago_s * 1000 }, "connected");
}

static void down(int edge, const char *uid, int64_t session, int64_t heard_ago_s, int64_t ago_s)
{
    put(edge, (struct msg_report){ .uid = span_str(uid), .session = session, .heard = t0 - heard_ago_s * 1000, .at = t0 - ago_s * 1000 }, "disconnected");
}

static void alive(int edge) { put(edge, (struct msg_report){ .counts = SPAN_LIT("connects=1"), .at = t0 }, "counts"); }

static void send_all(void)
{
    for (int e = 0; e < 2; e++) {
        struct msg_edge_report m = { .items = buf_span(&batch[e]) };
        const struct site_reply *r = batch[e].len ? site_ask(&s, e ? EDGE2 : EDGE1, &msg_desc_edge_report, &m) : NULL;
        if (r && r->r.code != CE_OK)
            printf("# edge-%d: %s\n", e + 1, r->text);
        buf_reset(&batch[e]);
    }
}

/* At least one look at everything that is open, after what was sent. */
static void wait_looks(void)
{
    struct fault f = { 0 };
    for (int64_t until = clock_mono_ms() + 700; clock_mono_ms() < until; usleep(20000)) {
        site_must(core_tick(s.core, clock_mono_ms(), &f), "tick", &f);
        site_must(site_run(&s), "run", NULL);
    }
}

static int64_t told(const char *uid)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM event WHERE kind = 'clone-suspected' AND device = '%s'", uid);
    return site_count(&s, sql);
}

static bool in_state(const char *uid, const char *state)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM device_state WHERE uid = '%s' AND state = '%s'", uid, state);
    return site_count(&s, sql) == 1;
}

static void state_set(const char *uid, const char *state)
{
    const struct msg_device_state m = { .uid = span_str(uid), .state = span_str(state) };
    const struct site_reply *r = site_ask(&s, OLGA, &msg_desc_device_state, &m);
    if (r->r.code != CE_OK)
        printf("# %s to %s: %s\n", uid, state, r->text);
}

static void devices(void)
{
    static const char *const lines[][2] = { { "pump", "alarm" }, { "valve", "quarantine" } };
    static const char *const uids[] = { "copy", "same-nat", "moved", "ended", "synced", "over", "tool", "before", "swap", "told-again", "recent" };
    for (int i = 0; i < 2; i++) {
        const struct msg_line_add l = { .name = span_str(lines[i][0]), .clone_policy = span_str(lines[i][1]) };
        const struct msg_model_add m = { .name = span_str(lines[i][0]), .line = span_str(lines[i][0]) };
        site_ask(&s, ADMIN, &msg_desc_line_add, &l);
        site_ask(&s, OLGA, &msg_desc_model_add, &m);
    }
    for (size_t i = 0; i < ARRAY_LEN(uids); i++) {
        const struct msg_device_add d = { .uid = span_str(uids[i]), .model = SPAN_LIT("pump") };
        site_ask(&s, OLGA, &msg_desc_device_add, &d);
    }
    const struct msg_device_add d = { .uid = SPAN_LIT("guarded"), .model = SPAN_LIT("valve") };
    site_ask(&s, OLGA, &msg_desc_device_add, &d);
    state_set("guarded", "suspended"), state_set("guarded", "active");
    brokers_start();
}

static void test_open_twice(void)
{
    up(0, "copy", 1, "10.0.0.1", 900), up(1, "copy", 1, "10.0.0.2", 300);
    up(0, "guarded", 2, "10.0.0.3", 900), up(1, "guarded", 2, "10.0.0.4", 300);
    up(0, "same-nat", 3, "10.0.0.5", 900), up(1, "same-nat", 3, "10.0.0.5", 300);
    up(0, "moved", 4, "10.0.0.6", 900), down(0, "moved", 4, 310, 305), up(1, "moved", 4, "10.0.0.7", 300);
    up(0, "ended", 5, "10.0.0.8", 900), up(1, "ended", 5, "10.0.0.9", 300), down(0, "ended", 5, 310, 220);
    up(0, "tool", 6, "10.0.0.10", 900), up(1, "tool", 6, "10.0.0.10", 300), down(1, "tool", 6, 299, 298);
    up(0, "recent", 7, "10.0.0.11", 900), up(1, "recent", 7, "10.0.0.12", 20);
    send_all();
    ok(site_count(&s, "SELECT count(*) FROM presence_beside") == 5, "older sessions that are open beside the newest are kept");
    wait_looks();
    ok(!site_count(&s, "SELECT count(*) FROM event WHERE kind = 'clone-suspected'"), "while the brokers have not said that they live, nothing is proven");
    alive(0), alive(1);
    send_all();
    wait_looks();
    ok(told("copy") == 1, "two sessions open at two brokers for longer than a keepalive can explain: one event");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE device = 'copy' AND payload LIKE '%\"edge\":\"edge-2\"%\"reason\":\"overlap\"%\"addr\":\"10.0.0.2\"%"
                      "\"other_edge\":\"edge-1\",\"other_addr\":\"10.0.0.1\",\"score\":100%'") == 1, "which names both places and both addresses");
    ok(told("same-nat") == 1, "behind one address too");
    ok(told("guarded") == 1 && in_state("guarded", "quarantined") && !in_state("copy", "quarantined"),
       "the line's policy puts the device in quarantine; that of the other line does not");
    ok(!told("moved") && !told("ended") && !told("tool") && !told("recent"),
       "a device that went from one to the other, a half-open session that ended, a short second one, one that has just begun: none");
}

static void test_once(void)
{
    put(0, (struct msg_report){ .uid = SPAN_LIT("copy"), .addr = SPAN_LIT("10.0.0.1"), .other = SPAN_LIT("10.0.0.2"), .reason = SPAN_LIT("returned"),
                                .score = 100, .count = 3, .at = t0 }, "clone-suspected");
    alive(0), alive(1);
    send_all();
    ok(told("copy") == 1, "what a plugin reports of the same identity within the hour is known");
    put(0, (struct msg_report){ .uid = SPAN_LIT("swap"), .addr = SPAN_LIT("10.0.0.1"), .other = SPAN_LIT("10.0.0.2"), .reason = SPAN_LIT("returned"),
                                .score = 100, .count = 3, .at = t0 }, "clone-suspected");
    send_all();
    ok(told("swap") == 1 && site_count(&s, "SELECT count(*) FROM event WHERE device = 'swap' AND payload LIKE '%\"other_edge\":\"edge-1\",\"other_addr\":\"10.0.0.2\"%'"),
       "of another one it is an event, at one edge");
    state_set("guarded", "active");
    wait_looks();
    ok(told("guarded") == 2 && in_state("guarded", "quarantined"), "resumed while both are connected still, it is told and in quarantine again");
}

static void test_gone(void)
{
    brokers_start();
    up(0, "synced", 20, "10.0.1.1", 900), up(1, "synced", 20, "10.0.1.2", 300);
    up(0, "told-again", 21, "10.0.1.5", 900), up(1, "told-again", 21, "10.0.1.6", 300);
    send_all();
    put(0, (struct msg_report){ .uid = SPAN_LIT("told-again"), .addr = SPAN_LIT("10.0.1.5"), .session = 21, .sync = 1, .keepalive_s = 60,
                                .at = t0 - 900000 }, "connected");
    put(0, (struct msg_report){ .sync = 1, .at = t0 }, "synced");
    alive(0), alive(1);
    send_all();
    wait_looks();
    ok(!told("synced") && told("told-again") == 1 && !site_count(&s, "SELECT count(*) FROM presence_beside WHERE uid = 'synced'"),
       "what a broker does not tell again has ended, and proves nothing; what it tells again does");
    brokers_start();
    up(0, "over", 22, "10.0.1.3", 900), up(1, "over", 22, "10.0.1.4", 300);
    send_all();
    put(0, (struct msg_report){ .at = t0 - 250000 }, "ended");
    alive(0), alive(1);
    send_all();
    wait_looks();
    ok(!told("over"), "nor do the sessions of a broker that has ended");
}

static void test_restart(void)
{
    struct fault f;
    brokers_start();
    up(0, "before", 30, "10.0.0.11", 800), up(1, "before", 31, "10.0.0.12", 300);
    send_all();
    ok(site_count(&s, "SELECT count(*) FROM presence_beside WHERE uid = 'before' AND session = 30") == 1 && !told("before"), "open twice, not proven yet");
    site_close(&s);
    site_must(site_open(&s, &f), "open", &f);
    site_must(site_run(&s), "run", NULL);
    alive(0), alive(1);
    send_all();
    wait_looks();
    ok(told("before") == 1, "after a restart it is still known, and found");
    ok(told("copy") == 1, "what is not open twice any more is not told again");
    ok(!site_fold(&s, &f), "fold(events) = tables: %s", f.code ? f.text : "ok");
}

int main(void)
{
    struct fault f;
    site_new(&s);
    s.cfg.clone_look_ms = 200;
    site_must(site_open(&s, &f), "open", &f);
    site_must(site_run(&s), "run", NULL);
    devices();
    test_open_twice();
    test_once();
    test_gone();
    test_restart();
    site_close(&s);
    for (int e = 0; e < 2; e++)
        buf_free(&batch[e]);
    site_remove(&s);
    return done();
}
