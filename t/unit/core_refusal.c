/* core_refusal.c: refusals in the evidence, in process: an attacker with any number of names and addresses makes a bounded number of events
 * a window, nothing is missing from their counts, an edge cannot flood either, and an orderly end writes what was only counted. */
#include "core/engine.h"
#include "t/unit/core_site.h"
#include "wire/report.h"

static struct site s;
enum { ADMIN, ROOT2, OLGA, STATION, AUDITOR, EDGE };
#define WINDOW_MS 400
#define COUNTS "SELECT coalesce(sum(json_extract(payload, '$.count')), 0) FROM event WHERE kind = 'refused'"
#define EVENTS "SELECT count(*) FROM event WHERE kind = 'refused'"

static void run(void)
{
    struct fault f;
    site_must(site_run(&s), "run", NULL);
    site_must(core_tick(s.core, clock_mono_ms(), &f), "tick", &f);
}

/* Front says that it has refused somebody. */
static void refuse(const char *uid, const char *addr, enum err code)
{
    struct msg_caller c = site_caller(&s, STATION);
    const struct msg_refused m = { .code = code, .text = SPAN_LIT("no"), .uid = span_str(uid), .path = SPAN_LIT("/x") };
    c.addr = span_str(addr);
    site_queue(&s, &c, &msg_desc_refused, &m);
}

static void windows_end(void)
{
    for (int64_t until = clock_mono_ms() + 2 * WINDOW_MS; clock_mono_ms() < until; usleep(20000))
        run();
}

static void test_front(void)
{
    int64_t events = site_count(&s, EVENTS), in = 0, began = clock_mono_ms();
    char uid[32], addr[40];
    for (int round = 0; round < 40; round++, usleep(20000)) {
        for (int i = 0; i < 200; i++, in++) {
            snprintf(uid, sizeof uid, "x-%d-%d", round, i);
            snprintf(addr, sizeof addr, "10.%d.%d.1", round, i);
            refuse(uid, addr, i % 2 ? CE_CERT_REVOKED : CE_CSR_POP);
        }
        run();
    }
    int64_t open = (clock_mono_ms() - began) / WINDOW_MS + 2;
    windows_end();
    events = site_count(&s, EVENTS) - events;
    ok(events <= open * (2 * REFUSAL_MAX + 2), "8000 names and addresses: %" PRId64 " events in %" PRId64 " windows", events, open);
    ok(site_count(&s, COUNTS) == in, "whose counts add up to all of them (%" PRId64 ")", in);
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused' AND json_extract(payload, '$.sources') > 100 AND "
                      "json_extract(payload, '$.uid') = '' AND payload LIKE '%more, beyond what is told one by one%'") > 0,
       "what is beyond says from about how many addresses");
    ok(core_stats(s.core)->refused[CE_CERT_REVOKED] == (uint64_t)in / 2, "the counter by reason is exact");
}

static void test_edge(void)
{
    struct buf batch = BUF_INIT(0);
    int64_t events = site_count(&s, EVENTS), counts = site_count(&s, COUNTS), in = 0, began = clock_mono_ms();
    for (int round = 0; round < 6; round++) {
        buf_reset(&batch);
        for (int i = 0; i < REPORT_BATCH_MAX; i++, in += 3) {
            char id[32], addr[40];
            snprintf(id, sizeof id, "e-%d-%d", round, i);
            snprintf(addr, sizeof addr, "2001:db8::%d:%d", round, i);
            const struct msg_report r = { .id = span_str(id), .kind = SPAN_LIT("refused"), .reason = SPAN_LIT("certificate-foreign"),
                                          .addr = span_str(addr), .count = 3, .at = 1700000000000 };
            msg_pack(&msg_desc_report, &r, &batch);
        }
        const struct msg_edge_report m = { .items = buf_span(&batch) };
        ok(site_ask(&s, EDGE, &msg_desc_edge_report, &m)->r.code == CE_OK, "%d refusals of an edge are taken", REPORT_BATCH_MAX);
    }
    int64_t open = (clock_mono_ms() - began) / WINDOW_MS + 2;
    windows_end();
    ok(site_count(&s, EVENTS) - events <= open * (REFUSAL_EDGE_MAX + 1) && site_count(&s, EVENTS) - events < 6 * REPORT_BATCH_MAX,
       "an edge that floods makes a bounded number of events (%" PRId64 " in %" PRId64 " windows)", site_count(&s, EVENTS) - events, open);
    ok(site_count(&s, COUNTS) - counts == in, "and none is missing from the counts");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused' AND json_extract(payload, '$.op') = 'broker:edge-1' AND "
                      "json_extract(payload, '$.sources') > 1000") > 0, "the rest names the edge");
    buf_free(&batch);
}

static void test_end(void)
{
    struct fault f;
    int64_t counts = site_count(&s, COUNTS);
    for (int i = 0; i < 50; i++)
        refuse("again", "192.0.2.1", CE_CERT_REVOKED);
    run();
    ok(site_count(&s, COUNTS) == counts + 1, "49 repeats are only counted");
    core_drain(s.core);
    ok(!core_idle(s.core), "the core is not idle while something is only counted");
    for (int i = 0; i < 20; i++)
        site_must(core_step(s.core, &f), "step", &f);
    ok(site_count(&s, COUNTS) == counts + 50, "an orderly end writes them");
}

int main(void)
{
    struct fault f;
    log_setup("test", LOG_LEVEL_ERROR);
    site_new(&s);
    s.cfg.refusal_window_ms = WINDOW_MS;
    site_must(site_open(&s, &f), "open", &f);
    test_front();
    test_edge();
    test_end();
    site_close(&s);
    site_remove(&s);
    return done();
}
