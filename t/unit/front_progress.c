/* The stream of a rollout: events, heartbeat, a query role that dies, readers who are removed, too slow, gone, or too many. Core and query are
 * played (front_harness.h); a played rollout is another at each look. */
#include "t/unit/front_harness.h"

#define STREAMS 32 /* of a front */

static int stream_open(const char *who)
{
    struct buf b = BUF_INIT(0);
    request_bytes(&b, "GET", "/api/v1/rollouts/r7/stream", who, NULL, NULL, span_str(""));
    int fd = send_raw((char *)b.data, b.len);
    buf_free(&b);
    return fd;
}

static bool waits_for(int fd, struct buf *got, const char *text)
{
    for (int i = 0; i < 100 && !seen(got, text); i++)
        drink(fd, got, got->len + 1, 50);
    return seen(got, text);
}

static void test_events(void)
{
    struct buf got = BUF_INIT(0);
    tell("pad 10");
    int fd = stream_open("operator");
    ok(waits_for(fd, &got, "event: progress\ndata: {\"asked\":1,") && seen(&got, "text/event-stream"), "it begins with an event");
    int64_t began = clock_mono_ms();
    ok(waits_for(fd, &got, "\"asked\":3,") && clock_mono_ms() - began >= 700, "changes follow, twice a second at most");
    tell("query-off");
    ok(!drink(fd, &got, SIZE_MAX, 600), "the query role dies: it stays open");
    buf_reset(&got);
    tell("query-on");
    ok(waits_for(fd, &got, "event: progress\n"), "and goes on with the next one");
    tell("pad 0");
    waits_for(fd, &got, "\"msg\":");
    buf_reset(&got);
    ok(waits_for(fd, &got, ": still there\n\n") && !seen(&got, "event:"), "no change: a comment says that it is there, no event");
    tell("remove operator operator");
    ok(drink(fd, &got, SIZE_MAX, 2000) && !seen(&got, "\r\n0\r\n"), "its reader is removed: it is cut off, unfinished");
    close(fd);
    ok(answers(request("GET", "/api/v1/rollouts/r7/stream", "operator", NULL, NULL), 403, "operator-removed"), "and does not come back");
    tell("ident operator operator");
    buf_free(&got);
}

static void test_slow(void)
{
    tell("pad 400000");
    int fd = stream_open("admin"); /* and reads nothing */
    int64_t worst = 0, end = clock_mono_ms() + 8000;
    bool cut = false, served = true;
    while (!cut && clock_mono_ms() < end) {
        int64_t began = clock_mono_ms();
        struct resp r = request("GET", "/api/v1/devices", "admin", NULL, NULL);
        served = served && r.status == 200;
        worst = clock_mono_ms() - began > worst ? clock_mono_ms() - began : worst;
        resp_free(&r);
        cut = strcmp(tell("open"), "0") == 0;
        usleep(20000);
    }
    ok(cut, "a reader that is too slow is cut");
    ok(served && worst < 1000, "and held nobody up (%lld ms at most)", (long long)worst);
    close(fd);
    tell("pad 10");
    close(stream_open("admin"));
    ok(wait_tell("open", "0"), "a reader that went away is noticed");
}

static void test_many(void)
{
    struct buf got = BUF_INIT(0);
    int fd[STREAMS];
    bool all = true;
    for (int i = 0; i < STREAMS; i++) {
        buf_reset(&got);
        fd[i] = stream_open("auditor");
        all = waits_for(fd[i], &got, "event: progress\n") && all;
    }
    ok(all, "%d streams at once", STREAMS);
    struct resp r = request("GET", "/api/v1/rollouts/r7/stream", "auditor", NULL, NULL);
    ok(has(&r, "Retry-After: "), "one more is told when to come again");
    ok(answers(r, 503, "busy"), "by 503");
    r = request("GET", "/api/v1/rollouts/r7", "auditor", NULL, NULL);
    ok(r.status == 200, "a look is answered all the same");
    resp_free(&r);
    for (int i = 0; i < STREAMS; i++)
        close(fd[i]);
    ok(wait_tell("open", "0"), "and all are gone when their readers are");
    buf_free(&got);
}

int main(void)
{
    if (harness_start() != 0) {
        ok(false, "the front starts");
        return done();
    }
    ready_wait();
    test_events();
    test_slow();
    test_many();
    ok(harness_stop() == 0, "the front ends cleanly");
    return done();
}
