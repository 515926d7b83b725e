/* plugin_outbox.c: every refusal is told exactly once: the first at once, its repeats as one report with a count. */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "plugin/outbox.h"
#include "t/tap.h"
#include "wire/report.h"

static int edge_fd;
static int reports;

/* Sums the counts of all reports that have arrived. */
static int64_t told(struct outbox *b, int64_t mono_ms)
{
    uint8_t bytes[REPORT_DATAGRAM_MAX];
    uint64_t dropped;
    int64_t sum = 0;
    for (reports = 0;; reports++) {
        struct msg_report m;
        ssize_t n = recv(edge_fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0) { /* nothing has arrived: is there more to send? */
            outbox_flush(b, mono_ms, &dropped);
            n = recv(edge_fd, bytes, sizeof bytes, MSG_DONTWAIT);
        }
        if (n < 0)
            return sum;
        if (report_unpack(span_of(bytes, (size_t)n), &m))
            return -1;
        sum += m.count > 0 ? m.count : 1;
    }
}

static void refuse(struct outbox *b, const char *uid)
{
    struct outbox_report r = { .kind = "refused", .reason = "device-revoked", .at_ms = 1 };
    snprintf(r.uid, sizeof r.uid, "%s", uid);
    outbox_refused(b, &r);
}

int main(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char dir[] = "/tmp/cradle-outbox-XXXXXX";
    if (!mkdtemp(dir))
        return 1;
    snprintf(at.sun_path, sizeof at.sun_path, "%s/s", dir);
    edge_fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (bind(edge_fd, (struct sockaddr *)&at, sizeof at))
        return 1;
    struct outbox *b = outbox_new(at.sun_path);
    int64_t later = INT64_MAX / 2; /* every window has closed by then */
    for (int i = 0; i < 4; i++)
        refuse(b, "pump-1");
    ok(told(b, 1) == 1 && reports == 1, "the first refusal is told at once");
    ok(told(b, later) == 3 && reports == 1, "its three repeats are one report");
    ok(told(b, later) == 0, "nothing is told twice");
    refuse(b, "pump-1");
    ok(told(b, 1) == 1 && reports == 1, "a new one in the place of a window that has closed tells itself alone");
    for (int i = 0; i < 2 * OUTBOX_REFUSALS; i++) {
        char uid[24];
        snprintf(uid, sizeof uid, "pump-%d", i / 2 + 2);
        refuse(b, uid);
    }
    int64_t sum = told(b, 1);
    sum += told(b, later);
    ok(sum == 2 * OUTBOX_REFUSALS, "more kinds than there are places: each is told once (%lld)", (long long)sum);
    ok(told(b, later) == 0, "and nothing is left");
    outbox_free(b);
    close(edge_fd);
    unlink(at.sun_path);
    rmdir(dir);
    return done();
}
