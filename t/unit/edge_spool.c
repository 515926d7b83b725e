/* edge_spool.c: reports through the spool: ids, order, bounds, restarts, a torn end; and the datagram codec. */
#include <unistd.h>

#include "base/mem.h"
#include "edge/spool.h"
#include "t/tap.h"

static char path[] = "/tmp/cradle-spool-XXXXXX";

static struct msg_report report(const char *kind, const char *uid)
{
    return (struct msg_report){ .kind = span_str(kind), .uid = span_str(uid), .at = 1700000000123, .text = span_str("why \"so\"") };
}

static int peek(struct spool *s, int max, struct buf *json)
{
    json->len = 0;
    int n = spool_peek(s, max, json);
    return n;
}

static void test_queue(struct spool **s)
{
    CLEANUP(buf_free) struct buf json = BUF_INIT(0);
    struct fault f;
    struct msg_report r1 = report("cut", "dev1"), r2 = report("connected", "dev2");
    ok(!spool_put(*s, &r1) && !spool_put(*s, &r2), "two reports are spooled");
    ok(peek(*s, 10, &json) == 2, "and seen");
    ok(strstr(buf_cstr(&json), "[{\"id\":\"edge-1\",\"kind\":\"cut\",\"uid\":\"dev1\",\"at\":\"2023-11-14T22:13:20.123Z\",\"text\":\"why \\\"so\\\"\"},"
                               "{\"id\":\"edge-2\",") == buf_cstr(&json), "as JSON: %s", buf_cstr(&json));
    ok(peek(*s, 1, &json) == 1, "a batch is bounded");
    spool_close(*s);
    ok(!spool_open(path, 65536, "again", s, &f), "opened again");
    ok(peek(*s, 10, &json) == 2 && strstr(buf_cstr(&json), "edge-2"), "they have survived, with their ids");
    spool_drop(*s, 1);
    ok(peek(*s, 10, &json) == 1 && !strstr(buf_cstr(&json), "edge-1"), "an acknowledged one is gone");
    spool_drop(*s, 1);
    struct spool_info i;
    spool_info(*s, &i);
    ok(!i.waiting && !i.bytes && !peek(*s, 10, &json), "empty");
}

static void test_full(struct spool *s)
{
    CLEANUP(buf_free) struct buf json = BUF_INIT(0);
    struct msg_report login = report("connected", "dev1"), cut = report("cut", "dev1");
    struct spool_info i;
    int n = 0;
    while (n < 100000 && !spool_put(s, &login))
        n++;
    ok(n > 100 && n < 2000, "full after %d logins", n);
    ok(spool_put(s, &login) == CE_RATE, "further ones are dropped");
    ok(!spool_put(s, &cut), "a cut still finds room");
    spool_info(s, &i);
    ok(i.dropped == 2 && i.waiting == n + 1, "dropped ones are counted");
    while ((n = peek(s, 100, &json)) > 0) {
        spool_drop(s, n);
        (void)!spool_put(s, &cut);
        spool_info(s, &i);
        if (i.waiting < 100)
            break;
    }
    ok(i.waiting < 100, "it empties while others come");
    ok(spool_put(s, &login) == CE_OK, "and takes reports again");
    while ((n = peek(s, 100, &json)) > 0)
        spool_drop(s, n);
}

static void test_torn(struct spool **s)
{
    CLEANUP(buf_free) struct buf json = BUF_INIT(0);
    struct fault f;
    struct msg_report r = report("cut", "dev1");
    ok(!spool_put(*s, &r) && !spool_put(*s, &r), "two more");
    struct spool_info i;
    spool_info(*s, &i);
    spool_close(*s);
    ok(truncate(path, i.bytes - 3) == 0 && !spool_open(path, 65536, "x", s, &f), "a torn end");
    ok(peek(*s, 10, &json) == 1, "costs the last report alone");
}

static void test_codec(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    struct msg_report r = report("cut", "dev1"), out;
    msg_pack(&msg_desc_report, &r, &b);
    ok(!report_unpack(buf_span(&b), &out) && span_eq_str(out.uid, "dev1"), "a datagram is read");
    ok(report_unpack(span_of(b.data, b.len - 1), &out) == CE_TRUNCATED, "a short one is not");
    buf_put_u8(&b, 0);
    ok(report_unpack(buf_span(&b), &out) == CE_TRAILING, "a long one is not");
    b.len = 0;
    r.kind = span_str("party");
    msg_pack(&msg_desc_report, &r, &b);
    ok(report_unpack(buf_span(&b), &out) == CE_BAD_FIELD, "an unknown kind is not");
    b.len = 0;
    r = report("cut", "dev\n1");
    msg_pack(&msg_desc_report, &r, &b);
    ok(report_unpack(buf_span(&b), &out) == CE_BAD_FIELD, "control bytes are not");
    b.len = 0;
    r = report("cut", "dev1");
    r.count = -1;
    msg_pack(&msg_desc_report, &r, &b);
    ok(report_unpack(buf_span(&b), &out) == CE_BAD_FIELD, "nor a negative count");
}

int main(void)
{
    struct spool *s;
    struct fault f;
    int fd = mkstemp(path);
    ok(fd >= 0 && !spool_open(path, 65536, "edge", &s, &f), "a new spool");
    close(fd);
    test_queue(&s);
    test_full(s);
    test_torn(&s);
    spool_close(s);
    unlink(path);
    test_codec();
    return done();
}
