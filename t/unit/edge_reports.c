/* edge_reports.c: the socket of the edge on which brokers report: what is malformed, brokers that fall silent, sessions that have to be told
 * again because the spool was full, counters that are not kept by the second. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "edge/reports.h"
#include "t/tap.h"

static struct edge e;
static struct reports r;
static char dir[] = "/tmp/cradle-reports-XXXXXX";
static int fd = -1;

static void sender_open(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    snprintf(a.sun_path, sizeof a.sun_path, "%.100s", e.cfg.report_socket);
    fd_close_p(&fd);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a))
        abort();
}

static bool say(const char *kind, const char *run, int64_t session)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(REPORT_DATAGRAM_MAX);
    const struct msg_report m = { .kind = span_str(kind), .run = span_str(run), .session = session, .at = clock_now_ms(), .counts = SPAN_LIT("connects=1") };
    msg_pack(&msg_desc_report, &m, &b);
    bool sent = send(fd, b.data, b.len, MSG_NOSIGNAL) >= 0;
    int why = errno;
    reports_take(&r);
    errno = why;
    return sent;
}

static int waiting(const char *text) /* reports in the spool that hold the text; empties it */
{
    int found = 0, n;
    do {
        CLEANUP(buf_free) struct buf json = BUF_INIT(0);
        n = spool_peek(e.spool, 100, &json);
        for (const char *at = buf_cstr(&json); (at = strstr(at, text)); at++)
            found++;
        spool_drop(e.spool, n);
    } while (n);
    return found;
}

static void test_open(void)
{
    struct stat st;
    ok(!stat(e.cfg.report_socket, &st) && (st.st_mode & 07777) == 0600, "the socket is ours alone");
    ok(send(fd, "nonsense", 8, MSG_NOSIGNAL) == 8, "nonsense is sent");
    reports_take(&r);
    ok(r.malformed == 1 && waiting("kind") == 0, "and dropped");
    ok(say("connected", "aa", 1) && waiting("\"run\":\"aa\"") == 1, "a report is kept");
}

static void test_silent(void)
{
    int64_t now = clock_mono_ms();
    say("counts", "aa", 0);
    say("counts", "bb", 0);
    say("ended", "cc", 0);
    waiting("\"kind\"");
    reports_look(&r, now + REPORTS_SILENT_MS - 1000);
    ok(waiting("ended") == 0, "a broker may be silent for a while");
    reports_look(&r, now + REPORTS_SILENT_MS + 2000);
    int n = waiting("\"kind\":\"ended\"");
    ok(n == 2, "after a minute it is said to have ended, one that said so itself is not (%d)", n);
    reports_look(&r, now + 10 * REPORTS_SILENT_MS);
    ok(waiting("ended") == 0, "once");
    say("counts", "aa", 0);
    reports_look(&r, clock_mono_ms());
    ok(!say("counts", "aa", 0) && (errno == ECONNREFUSED || errno == ECONNRESET || errno == ENOTCONN), "one that comes back finds its socket gone: it has to tell again");
    sender_open();
    ok(say("counts", "aa", 0) && waiting("counts") >= 1, "and is heard on the new one");
    reports_look(&r, clock_mono_ms());
    ok(say("counts", "aa", 0), "which stays");
    waiting("\"kind\"");
}

static void test_full(void)
{
    int64_t n = 0;
    struct spool_info i;
    while (n < 100000) {
        n++;
        if (!say("connected", "aa", n))
            abort();
        if (r.lost)
            break;
    }
    ok(r.lost && n > 100, "the spool is full after %lld sessions", (long long)n);
    reports_look(&r, clock_mono_ms());
    ok(say("counts", "aa", 0), "while it is, nobody is asked to tell again");
    spool_info(e.spool, &i);
    ok(i.bytes > e.cfg.spool_max / 2, "it is still full");
    waiting("\"kind\"");
    reports_look(&r, clock_mono_ms());
    ok(!r.lost && !say("counts", "aa", 0), "once there is room, brokers are asked to");
    sender_open();
}

static void test_counts(void)
{
    struct spool_info i;
    for (int k = 0; k < REPORTS_CROWDED + 1; k++)
        say("cut", "aa", 0);
    for (int k = 0; k < 100; k++)
        say("counts", "aa", 0);
    spool_info(e.spool, &i);
    ok(i.waiting == REPORTS_CROWDED + 1, "counters are not kept by the second while reports wait in numbers (%lld)", (long long)i.waiting);
    ok(waiting("\"cut\"") == REPORTS_CROWDED + 1, "what matters is");
    say("counts", "aa", 0);
    ok(waiting("counts") >= 1, "and the newest counters once they have left");
}

static void test_many(void)
{
    for (int k = 0; k < 1000; k++) {
        char run[17];
        snprintf(run, sizeof run, "%016x", k);
        say("counts", run, 0);
        if (k % 50 == 0)
            waiting("\"kind\"");
    }
    waiting("\"kind\"");
    reports_look(&r, clock_mono_ms() + 2 * REPORTS_SILENT_MS);
    ok(waiting("\"kind\":\"ended\"") == REPORTS_RUNS, "%d brokers are watched at most", REPORTS_RUNS);
}

int main(void)
{
    struct fault f = { 0 };
    char path[PATH_MAX_LEN];
    log_setup("test", LOG_LEVEL_ERROR);
    if (!mkdtemp(dir))
        return 1;
    pthread_mutex_init(&e.lock, NULL);
    snprintf(e.cfg.state_dir, sizeof e.cfg.state_dir, "%s", dir);
    snprintf(e.cfg.report_socket, sizeof e.cfg.report_socket, "%s/report.sock", dir);
    e.cfg.spool_max = 1 << 19;
    e.post_fd = eventfd(0, EFD_NONBLOCK);
    path_join(path, "%s/spool", dir);
    if (spool_open(path, e.cfg.spool_max, "t", &e.spool, &f) || reports_open(&r, &e, &f)) {
        printf("Bail out! %s\n", f.text);
        return 1;
    }
    sender_open();
    test_open();
    test_silent();
    test_full();
    test_counts();
    test_many();
    reports_close(&r);
    spool_close(e.spool);
    close(e.post_fd);
    close(fd);
    unlink(path);
    rmdir(dir);
    return done();
}
