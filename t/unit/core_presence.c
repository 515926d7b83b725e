/* core_presence.c: what brokers say about sessions, in process: late, twice, lost, from two hosts; counters that stay exact; runs that end
 * without a word. */
#include "core/engine.h"
#include "core/presence.h"
#include "t/unit/core_site.h"
#include "wire/broker_counts.h"
#include "wire/report.h"

static struct site s;
enum { ADMIN, ROOT2, OLGA, STATION, AUDITOR, EDGE };
#define T0 1700000000000 /* ms; long ago, so that no report is in the future */
#define RUN1 "aaaaaaaaaaaaaaaa"
#define RUN2 "bbbbbbbbbbbbbbbb"

static struct buf batch = BUF_INIT(0);
static int in_batch;
static uint64_t next_id;

static void flush(void)
{
    const struct msg_edge_report m = { .items = buf_span(&batch) };
    if (!in_batch)
        return;
    const struct site_reply *r = site_ask(&s, EDGE, &msg_desc_edge_report, &m);
    if (r->r.code)
        printf("# refused: %s\n", r->text);
    buf_reset(&batch);
    in_batch = 0;
    site_must(site_run(&s), "run", NULL);
    struct fault f;
    site_must(core_tick(s.core, clock_mono_ms(), &f), "tick", &f);
    site_must(site_run(&s), "run", NULL);
}

static void put(struct msg_report r)
{
    char id[24];
    snprintf(id, sizeof id, "p%llu", (unsigned long long)++next_id);
    r.id = span_str(id);
    msg_pack(&msg_desc_report, &r, &batch);
    if (++in_batch == REPORT_BATCH_MAX)
        flush();
}

static void session(const char *kind, const char *uid, const char *run, int64_t n, int64_t sync, int64_t at)
{
    put((struct msg_report){ .kind = span_str(kind), .uid = span_str(uid), .run = span_str(run), .session = n, .sync = sync, .at = at,
                             .addr = SPAN_LIT("192.0.2.1"), .tls = SPAN_LIT("TLSv1.3 TLS_AES_256_GCM_SHA384") });
}
static void told(const char *kind, const char *run, int64_t sync, const char *counts, int64_t at)
{
    put((struct msg_report){ .kind = span_str(kind), .run = span_str(run), .sync = sync, .counts = span_str(counts), .at = at });
}
static int64_t of(const char *column, const char *uid)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT %s FROM presence WHERE uid = '%s'", column, uid);
    return site_count(&s, sql);
}
static int64_t total(const char *name)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT coalesce(sum(n), 0) FROM broker_total WHERE name = '%s'", name);
    return site_count(&s, sql);
}
static bool metric(const char *line)
{
    struct buf out = BUF_INIT(0);
    core_metrics(s.core, false, &out);
    bool found = strstr(buf_cstr(&out), line) != NULL;
    buf_free(&out);
    return found;
}

static void devices_add(const char *prefix, int n)
{
    for (int i = 0; i < n; i++) {
        char uid[40];
        snprintf(uid, sizeof uid, "%s%d", prefix, i);
        const struct msg_device_add m = { .uid = span_str(uid), .model = SPAN_LIT("m1") };
        if (site_ask(&s, OLGA, &msg_desc_device_add, &m)->r.code)
            printf("# %s is not added\n", uid);
    }
}

static void test_order(void)
{
    session("connected", "d0", RUN1, 5, 0, T0 + 5);
    flush();
    ok(of("online", "d0") == 1 && of("since", "d0") == T0 + 5, "a session that begins is online");
    session("disconnected", "d0", RUN1, 4, 0, T0 + 6);
    flush();
    ok(of("online", "d0") == 1, "the end of an older session, displaced by it, does not end it");
    session("disconnected", "d0", RUN1, 5, 0, T0 + 7);
    session("connected", "d0", RUN1, 5, 0, T0 + 5);
    flush();
    ok(of("online", "d0") == 0 && of("at", "d0") == T0 + 7, "its own end does, and a late word of its begin changes nothing");
    session("disconnected", "d0", RUN1, 9, 0, T0 + 9);
    flush();
    ok(of("online", "d0") == 0 && of("session", "d0") == 9 && of("since", "d0") == 0, "of a session whose begin was lost the end counts");
    session("connected", "d0", RUN2, 1, 0, T0 + 20);
    session("disconnected", "d0", RUN1, 12, 0, T0 + 30);
    flush();
    ok(of("online", "d0") == 1, "the half-open session at another broker ends late: the identity stays online at the new one");
    session("connected", "d0", RUN1, 11, 0, T0 + 10);
    flush();
    ok(of("session", "d0") == 1, "and its begin, told late, does not bring it back there");
    put((struct msg_report){ .kind = SPAN_LIT("connected"), .uid = SPAN_LIT("d1"), .at = T0 });
    put((struct msg_report){ .kind = SPAN_LIT("disconnected"), .uid = SPAN_LIT("d1"), .at = T0 + 1 });
    flush();
    ok(of("online", "d1") == 0, "a consumer that names no run is judged by its times");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'presence' AND device = 'd0'") == 1, "only a new place is evidence");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'presence' AND payload LIKE '%TLSv1.3 TLS_AES_256_GCM_SHA384%'") == 1,
       "which names version and cipher");
}

static void test_counts(void)
{
    told("counts", RUN1, 0, "connects=10,online=4,disconnects=6,refused.certificate-revoked=3", T0 + 100);
    told("counts", RUN1, 0, "connects=30,online=9,disconnects=21,refused.certificate-revoked=3", T0 + 300);
    told("counts", RUN1, 0, "connects=20,online=7,disconnects=13,refused.certificate-revoked=3", T0 + 200);
    flush();
    ok(total("connects") == 30 && total("disconnects") == 21 && total("refused.certificate-revoked") == 3, "counts lost or late change no total");
    ok(metric("cradle_broker_connects_total{edge=\"edge-1\"} 30\n") && metric("cradle_broker_online{edge=\"edge-1\"} 9\n") &&
       metric("cradle_broker_refused_total{edge=\"edge-1\",reason=\"certificate-revoked\"} 3\n"), "they are metrics of the edge");
    told("counts", RUN2, 0, "connects=5,online=1,from_the_future=7", T0 + 400);
    flush();
    ok(total("connects") == 35 && metric("cradle_broker_online{edge=\"edge-1\"} 10\n"), "two brokers of one edge are summed up; an unknown name is skipped");
    struct fault f;
    site_close(&s);
    site_must(site_open(&s, &f), "open", &f);
    told("counts", RUN1, 0, "connects=31,online=9", T0 + 500);
    flush();
    ok(total("connects") == 36 && metric("cradle_broker_connects_total{edge=\"edge-1\"} 36\n"), "a restart of the core loses and repeats nothing");
    int64_t runs = site_count(&s, "SELECT count(*) FROM broker_run");
    told("counts", "", 0, "connects=9", T0 + 600);
    told("counts", "no hex", 0, "connects=9", T0 + 600);
    told("counts", RUN1, 0, "connects=x", T0 + 600);
    told("counts", RUN1, 0, "connects=1,connects=2", T0 + 600);
    flush();
    ok(total("connects") == 36 && site_count(&s, "SELECT count(*) FROM broker_run") == runs, "nonsense is taken from the edge and counts nothing");
}

static void test_synced(void)
{
    for (int i = 0; i < 3; i++) {
        char uid[16];
        snprintf(uid, sizeof uid, "d%d", i + 2);
        session("connected", uid, RUN1, 100 + i, 0, T0 + 700);
    }
    session("connected", "d2", RUN1, 100, 1, T0 + 700); /* the end of d3 is lost; d2 is told again, d4 came back meanwhile */
    session("connected", "d4", RUN1, 120, 1, T0 + 710);
    told("synced", RUN1, 1, "", T0 + 800);
    flush();
    ok(of("online", "d2") == 1 && of("online", "d4") == 1, "who is told again is online");
    ok(of("online", "d3") == 0 && of("at", "d3") == T0 + 800, "who is not has gone");
    session("connected", "d3", RUN1, 101, 2, T0 + 700);
    flush();
    ok(of("online", "d3") == 1 && of("since", "d3") == T0 + 700, "a later telling may know better");
    ok(of("online", "d0") == 1, "sessions of another run are not touched");
}

static void test_ended(void)
{
    told("ended", RUN1, 0, "", T0 + 900);
    flush();
    ok(of("online", "d2") == 0 && of("online", "d3") == 0 && of("online", "d0") == 1, "a run that ends takes its sessions along, and no other's");
    ok(metric("cradle_broker_online{edge=\"edge-1\"} 1\n"), "and its gauge");
    told("counts", RUN1, 0, "connects=40,online=1", T0 + 1000);
    session("connected", "d2", RUN1, 100, 3, T0 + 700);
    flush();
    ok(of("online", "d2") == 1 && metric("cradle_broker_online{edge=\"edge-1\"} 2\n"), "one that was taken for dead and lives tells them again");
    told("counts", RUN2, 0, "connects=6,online=1", T0 + 1000 + BROKER_SILENT_MS);
    flush();
    ok(of("online", "d2") == 1, "a run may be silent for a while");
    told("counts", RUN2, 0, "connects=6,online=1", T0 + 1001 + BROKER_SILENT_MS);
    flush();
    ok(of("online", "d2") == 0 && of("at", "d2") == T0 + 1000 && of("online", "d0") == 1,
       "longer, while another reports, and it has ended when it was last heard");
}

static void test_many_runs(void)
{
    for (int i = 0; i < 3 * BROKER_RUNS; i++) {
        char run[20];
        snprintf(run, sizeof run, "%016x", i);
        told("counts", run, 0, "connects=1,online=1", T0 + 100000 + i);
    }
    flush();
    ok(site_count(&s, "SELECT count(*) FROM broker_run") == BROKER_RUNS, "an edge has %d runs at most", BROKER_RUNS);
    for (int i = 0; i < 3 * BROKER_RUNS; i++) {
        char run[20];
        snprintf(run, sizeof run, "%016x", i + 1000);
        told("counts", run, 0, "connects=1,online=1", T0 + 300000 + 1000 * i);
        flush(); /* a restart each second: those before become silent and make room */
    }
    ok(site_count(&s, "SELECT count(*) FROM broker_run") == BROKER_RUNS &&
       site_count(&s, "SELECT count(*) FROM broker_run WHERE run = '00000000000004a7'") == 1, "those that are over make room for new ones");
}

/* A broker with many sessions dies: its rows are ended in pieces, between which the core does other things. */
static void test_pieces(void)
{
    enum { N = 1300 };
    devices_add("m", N);
    for (int i = 0; i < N; i++) {
        char uid[24];
        snprintf(uid, sizeof uid, "m%d", i);
        session("connected", uid, "cc", i + 1, 0, T0 + 2000000);
    }
    flush();
    ok(site_count(&s, "SELECT count(*) FROM presence WHERE online = 1 AND run = 'cc'") == N, "%d sessions are open", N);
    uint64_t before = core_stats(s.core)->batches;
    told("ended", "cc", 0, "", T0 + 2000001);
    flush();
    for (int i = 0; i < 20; i++) {
        struct fault f;
        site_must(core_tick(s.core, clock_mono_ms(), &f), "tick", &f);
        site_must(site_run(&s), "run", NULL);
    }
    ok(site_count(&s, "SELECT count(*) FROM presence WHERE online = 1 AND run = 'cc'") == 0, "all are ended");
    ok(core_stats(s.core)->batches - before >= 4, "in more than one batch");
}

static void test_codec(void)
{
    struct buf out = BUF_INIT(0);
    struct broker_counts c, back;
    for (int i = 0; i < BROKER_NUMBERS; i++)
        c.n[i] = i % 3 ? 0 : BROKER_NUMBER_MAX - i;
    broker_counts_put(&out, &c);
    ok(out.len <= BROKER_COUNTS_TEXT_MAX && broker_counts_parse(buf_span(&out), &back) == CE_OK, "more numbers than fit are left out, not cut (%zu bytes)", out.len);
    bool same = true;
    for (int i = 0; i < BROKER_COUNTS; i++)
        same &= back.n[i] == c.n[i];
    ok(same, "and the others come back");
    static const char *const bad[] = { "connects", "connects=", "=1", "connects=-1", "connects=1,", "connects=99999999999999999999", "connects=1,,online=1",
                                       "connects=1000000000000001", "connects=1 ", "," };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ok(broker_counts_parse(span_str(bad[i]), &back) == CE_BAD_FIELD, "no counts: '%s'", bad[i]);
    ok(broker_counts_parse((struct span){ 0 }, &back) == CE_OK, "nothing is all zeros");
    buf_free(&out);
}

static int64_t ends_told(const char *uid)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM event WHERE kind = 'presence' AND device = '%s' AND payload LIKE '%%\"online\":false%%'", uid);
    return site_count(&s, sql);
}

static void gone(const char *uid, const char *run, int64_t n, const char *reason, int64_t at)
{
    put((struct msg_report){ .kind = SPAN_LIT("disconnected"), .uid = span_str(uid), .run = span_str(run), .session = n, .at = at,
                             .addr = SPAN_LIT("192.0.2.1"), .reason = span_str(reason) });
}

/* Whatever is lost, the end of a session of somebody put out is in the evidence: a cut, or that it ended. */
static void test_put_out(void)
{
    const char *run = "cccccccccccccccc";
    devices_add("p", 6);
    for (int i = 0; i < 6; i++) {
        char uid[16];
        snprintf(uid, sizeof uid, "p%d", i);
        session("connected", uid, run, i + 1, 0, T0 + 200000);
        flush();
        const struct msg_device_state m = { .uid = span_str(uid), .state = SPAN_LIT("revoked") };
        ok(i == 5 || site_ask(&s, ADMIN, &msg_desc_device_state, &m)->r.code == 0, "%s is online, %s", uid, i == 5 ? "and stays in service" : "and revoked");
    }
    gone("p0", run, 1, "cut", T0 + 200100);
    gone("p1", run, 2, "", T0 + 200100);
    gone("p1", run, 2, "", T0 + 200200);
    gone("p5", run, 6, "", T0 + 200100);
    flush();
    ok(ends_told("p0") == 0, "after a cut, which is told first, its end says nothing new");
    ok(ends_told("p1") == 1, "an end without a cut is evidence, once");
    ok(ends_told("p5") == 0, "not that of somebody in service");
    session("connected", "p3", run, 4, 1, T0 + 200000);
    told("synced", run, 1, "", T0 + 200300);
    flush();
    ok(ends_told("p2") == 1 && of("online", "p2") == 0 && ends_told("p3") == 0, "cut and end lost, and missing when the broker tells its sessions again");
    told("ended", run, 0, "", T0 + 200400);
    flush();
    ok(ends_told("p3") == 1 && of("online", "p3") == 0 && ends_told("p4") == 1 && ends_told("p2") == 1, "or lost with the broker");
}

int main(void)
{
    struct fault f;
    log_setup("test", LOG_LEVEL_ERROR);
    site_new(&s);
    site_must(site_open(&s, &f), "open", &f);
    const struct msg_line_add line = { .name = SPAN_LIT("l1") };
    const struct msg_model_add model = { .name = SPAN_LIT("m1"), .line = SPAN_LIT("l1") };
    site_ask(&s, ADMIN, &msg_desc_line_add, &line);
    site_ask(&s, ADMIN, &msg_desc_model_add, &model);
    devices_add("d", 6);
    test_codec();
    test_order();
    test_counts();
    test_synced();
    test_ended();
    test_many_runs();
    test_pieces();
    test_put_out();
    site_close(&s);
    site_remove(&s);
    buf_free(&batch);
    return done();
}
