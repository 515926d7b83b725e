/* What goes wrong around a front: clients that trickle, abort or flood, core and query that vanish, slow edges, stale caches. */
#include "t/unit/front_harness.h"

#define JSON "Content-Type: application/json\r\n"

static void test_slow(void)
{
    static const char half[] =
        "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nContent-Type: application/pkcs10\r\n\r\n";
    struct buf got = BUF_INIT(0);
    int64_t began = clock_mono_ms();
    int fd = send_raw(half, sizeof half - 1), head = send_raw("GET /healthz HT", 15);
    bool closed = false;
    for (int i = 0; i < 100 && !closed; i++) { /* a byte every 100 ms never lets an idle timeout fire */
        (void)!send(fd, "A", 1, MSG_NOSIGNAL);
        (void)!send(head, "T", 1, MSG_NOSIGNAL);
        closed = drink(fd, &got, SIZE_MAX, 100);
    }
    int64_t took = clock_mono_ms() - began;
    ok(closed && took >= REQUEST_MS - 100, "a trickled body is closed by the absolute bound (%lld ms)",
       (long long)took);
    buf_put_u8(&got, 0);
    ok(strstr((const char *)got.data, "HTTP/1.1 408 ") && strstr((const char *)got.data, "\"reason\":\"timeout\""), "with 408 and a problem document");
    buf_reset(&got);
    ok(drink(head, &got, SIZE_MAX, 2000), "a trickled request line too");
    close(fd);
    close(head);
    fd = dial();
    ok(!drink(fd, &got, SIZE_MAX, REQUEST_MS + 700), "an idle connection is left alone (nginx keeps them)");
    close(fd);
    buf_free(&got);
}

static void test_timeout(void)
{
    int64_t began = clock_mono_ms();
    ok(answers(request("POST", "/api/v1/devices", "admin", JSON, "{\"uid\":\"SILENT-1\",\"model\":\"m\"}"), 503, "timeout"),
       "core that does not answer: 503 timeout");
    ok(clock_mono_ms() - began < REQUEST_MS + 1500, "in bounded time");
    ok(answers(request("GET", "/api/v1/devices/SILENT-1", "admin", NULL, NULL), 503, "timeout"), "query that does not answer: 503 timeout");
    ok(strstr(tell("cancel"), "cancelled"), "and it is told to stop searching");
    ok(wait_tell("open", "0"), "nothing stays open");
}

static void test_aborts(void)
{
    struct buf b = BUF_INIT(0);
    request_bytes(&b, "POST", "/api/v1/devices", "admin", NULL, JSON, span_str("{\"uid\":\"A-1\",\"model\":\"m\"}"));
    for (int i = 0; i < 600; i++) {
        int fd = send_raw((char *)b.data, i % 3 == 0 ? b.len / 2 : b.len); /* some in the middle, some right after */
        if (i % 5 == 0)
            shutdown(fd, SHUT_RDWR);
        close(fd);
    }
    ready_wait(); /* behind all of them in the listening queue */
    ok(wait_tell("open", "0"), "600 aborted requests leave nothing open");
    struct resp r = request("GET", "/healthz", NULL, NULL, NULL);
    ok(r.status == 200, "and the front serves on");
    resp_free(&r);
    buf_free(&b);
}

static void test_flood(void)
{
    struct buf b = BUF_INIT(0);
    int fds[OPEN_MAX_TEST + 10];
    request_bytes(&b, "POST", "/api/v1/devices", "admin", NULL, JSON, span_str("{\"uid\":\"SILENT-1\",\"model\":\"m\"}"));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = send_raw((char *)b.data, b.len);
    size_t busy = 0, late = 0;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        struct resp r = {.all = BUF_INIT(0)};
        drink(fds[i], &r.all, SIZE_MAX, 8000);
        resp_parse(&r);
        busy += r.status == 503 && has(&r, "reason\":\"busy\"") && has(&r, "Retry-After: ");
        late += r.status == 503 && has(&r, "reason\":\"timeout\"");
        resp_free(&r);
        close(fds[i]);
    }
    ok(late == OPEN_MAX_TEST && busy == ARRAY_LEN(fds) - OPEN_MAX_TEST, "above the limit of open requests: 503 busy (%zu busy, %zu waited)",
       busy, late);
    buf_free(&b);
}

static void test_roles_gone(void)
{
    struct buf b = BUF_INIT(0);
    struct resp r = {.all = BUF_INIT(0)};
    request_bytes(&b, "POST", "/api/v1/devices", "admin", NULL, JSON, span_str("{\"uid\":\"SILENT-1\",\"model\":\"m\"}"));
    int fd = send_raw((char *)b.data, b.len);
    wait_tell("open", "1");
    tell("core-off");
    drink(fd, &r.all, SIZE_MAX, 3000);
    resp_parse(&r);
    ok(r.status == 503 && has(&r, "role-restarting"), "core dies: an open request gets 503 role-restarting");
    resp_free(&r);
    close(fd);
    ok(answers(request("GET", "/api/v1/devices", "admin", NULL, NULL), 503, "role-restarting"), "new ones as well");
    r = request("GET", "/.well-known/est/cacerts", NULL, NULL, NULL);
    ok(r.status == 200, "what needs no core is served on");
    resp_free(&r);
    r = request("GET", "/healthz", NULL, NULL, NULL);
    ok(r.status == 503 && has(&r, "\"core\":false"), "healthz says so");
    resp_free(&r);
    tell("core-on");
    ready_wait();
    r = request("GET", "/api/v1/devices", "admin", NULL, NULL);
    ok(r.status == 200, "core is back: served again");
    resp_free(&r);
    tell("query-off");
    ok(answers(request("GET", "/api/v1/devices", "admin", NULL, NULL), 503, "role-restarting"), "query dies: lists are refused");
    r = request("POST", "/api/v1/devices", "admin", JSON, "{\"uid\":\"D-1\",\"model\":\"m\"}");
    ok(r.status == 201, "changes go on");
    resp_free(&r);
    tell("query-on");
    buf_free(&b);
}

static int stream_open(struct buf *got)
{
    struct buf b = BUF_INIT(0);
    request_bytes(&b, "GET", "/edge/v1/stream?since=1%3A5", "edge", NULL, NULL, span_str(""));
    int fd = send_raw((char *)b.data, b.len);
    for (int i = 0; i < 100 && !seen(got, "SNAPSHOT."); i++)
        drink(fd, got, got->len + 1, 50);
    buf_free(&b);
    return fd;
}

static void test_stream(void)
{
    struct buf got = BUF_INIT(0);
    int fd = stream_open(&got);
    ok(seen(&got, "chunked") && seen(&got, "SNAPSHOT."), "the stream begins with what core says");
    tell("frame");
    tell("frame");
    for (int i = 0; i < 40 && !seen(&got, "FRAME.\r\n6\r\nFRAME."); i++)
        drink(fd, &got, got.len + 1, 50);
    ok(seen(&got, "FRAME.\r\n6\r\nFRAME."), "each pushed frame follows at once");
    ok(!drink(fd, &got, SIZE_MAX, REQUEST_MS + 700), "it outlives the bound of a request");
    tell("block %s/edge.pem certificate-revoked", T);
    ok(drink(fd, &got, SIZE_MAX, 2000) && !seen(&got, "\r\n0\r\n"), "revoking the edge cuts its stream, unfinished");
    close(fd);
    ok(answers(request("GET", "/edge/v1/stream", "edge", NULL, NULL), 403, "certificate-revoked"), "and it does not come back");
    tell("lift %s/edge.pem", T);
    usleep(100000);
    buf_reset(&got);
    fd = stream_open(&got);
    tell("remove edge edge");
    ok(drink(fd, &got, SIZE_MAX, 2000), "removing the edge cuts it as well");
    close(fd);
    tell("ident edge edge");
    usleep(100000);
    buf_reset(&got);
    fd = stream_open(&got);
    for (int i = 0; i < 40; i++) /* 15 MB that nobody reads */
        tell("bigframe");
    ok(wait_tell("open", "0"), "a reader that is too slow is cut");
    close(fd);
    buf_reset(&got);
    fd = stream_open(&got);
    close(fd);
    tell("frame");
    ok(wait_tell("open", "0"), "a reader that went away is noticed");
    buf_reset(&got);
    fd = stream_open(&got);
    tell("core-off");
    ok(drink(fd, &got, SIZE_MAX, 3000), "without core the streams end");
    close(fd);
    tell("core-on");
    ready_wait();
    buf_free(&got);
}

static void ocsp_body(struct buf *out, const char *more)
{
    char command[512];
    snprintf(command, sizeof command,
             "cd %s && openssl ocsp -issuer site/ca/device.pem -cert dev-1.pem %s -reqout req.der 2>/dev/null >/dev/null", T, more);
    char path[128];
    snprintf(path, sizeof path, "%s/req.der", T);
    if (system(command) != 0 || file_read(path, out) != CE_OK)
        fprintf(stderr, "no OCSP request\n");
}

static void test_ocsp(void)
{
    struct buf req = BUF_INIT(0), path = BUF_INIT(0);
    ocsp_body(&req, "-no_nonce");
    buf_put_str(&path, "/ocsp/");
    buf_put_base64(&path, buf_span(&req), 0);
    struct resp r = request("GET", buf_cstr(&path), NULL, NULL, NULL), again = request("GET", buf_cstr(&path), NULL, NULL, NULL);
    ok(r.status == 200 && strcmp(r.body, "ocsp answer 1") == 0 && has(&r, "application/ocsp-response") &&
           has(&r, "Cache-Control: max-age=10, public"),
       "OCSP GET with raw base64");
    ok(again.status == 200 && strcmp(again.body, "ocsp answer 1") == 0, "the second one comes from the cache");
    resp_free(&r);
    resp_free(&again);
    tell("block %s/dev-1.pem certificate-revoked", T);
    bool fresh = false;
    for (int i = 0; i < 100 && !fresh; i++, usleep(10000)) {
        r = request("GET", buf_cstr(&path), NULL, NULL, NULL);
        fresh = r.status == 200 && strcmp(r.body, "ocsp answer 2") == 0;
        resp_free(&r);
    }
    ok(fresh, "a revocation empties the cache for its serial");
    buf_reset(&req);
    ocsp_body(&req, "-nonce");
    for (int i = 3; i <= 4; i++) {
        char want[32];
        snprintf(want, sizeof want, "ocsp answer %d", i);
        r = request_as("POST", "/ocsp", NULL, NULL, "Content-Type: application/ocsp-request\r\n", buf_span(&req));
        ok(r.status == 200 && strcmp(r.body, want) == 0, "with a nonce core is asked every time");
        resp_free(&r);
    }
    static const uint8_t malformed[] = {0x30, 0x03, 0x0a, 0x01, 0x01}, unauthorized[] = {0x30, 0x03, 0x0a, 0x01, 0x06};
    r = request("POST", "/ocsp", NULL, "Content-Type: application/ocsp-request\r\n", "junk");
    ok(r.status == 200 && r.n == 5 && memcmp(r.body, malformed, 5) == 0, "junk is answered with malformedRequest");
    resp_free(&r);
    char command[256];
    snprintf(command, sizeof command, "cd %s && openssl ocsp -issuer other.pem -cert foreign.pem -no_nonce -reqout req.der 2>/dev/null", T);
    buf_reset(&req);
    char file[128];
    snprintf(file, sizeof file, "%s/req.der", T);
    ok(system(command) == 0 && file_read(file, &req) == CE_OK, "a request about another CA");
    r = request_as("POST", "/ocsp", NULL, NULL, "Content-Type: application/ocsp-request\r\n", buf_span(&req));
    ok(r.status == 200 && r.n == 5 && memcmp(r.body, unauthorized, 5) == 0, "is answered with unauthorized");
    resp_free(&r);
    buf_free(&req);
    buf_free(&path);
}

int main(void)
{
    if (harness_start() != 0) {
        ok(false, "the front starts");
        return done();
    }
    ready_wait();
    test_slow();
    test_timeout();
    test_aborts();
    test_flood();
    test_roles_gone();
    test_stream();
    test_ocsp();
    tell("drain");
    ok(answers(request("GET", "/healthz", NULL, NULL, NULL), 503, "draining"), "draining: new requests are refused");
    ok(harness_stop() == 0, "the front ends cleanly");
    return done();
}
