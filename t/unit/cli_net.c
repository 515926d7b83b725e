/* cli_net.c: the HTTPS client against a small server of this test: bounded sizes and times, streams, connections that fail. */
#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/net.h"
#include "t/tap.h"

static int listen_port(int *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 8) || getsockname(fd, (struct sockaddr *)&a, &n))
        return -1;
    *port = ntohs(a.sin_port);
    return fd;
}

static void say(int fd, const char *text) { (void)!write(fd, text, strlen(text)); }

/* What the server does for each path; the connection is closed afterwards. */
static void serve_path(int fd, const char *path)
{
    const char *head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    if (strncmp(path, "/small ", 7) == 0) {
        say(fd, head);
        say(fd, "ETag: \"7\"\r\n\r\n{\"a\":1}");
    } else if (strncmp(path, "/big ", 5) == 0) {
        say(fd, head);
        say(fd, "\r\n");
        for (int i = 0; i < 300; i++)
            say(fd, "0123456789012345678901234567890123456789012345678901234567890123456789");
    } else if (strncmp(path, "/busy ", 6) == 0)
        say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 4\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\r\n{\"reason\":\"busy\",\"detail\":\"later\"}");
    else if (strncmp(path, "/stream ", 8) == 0) {
        say(fd, head);
        say(fd, "\r\n");
        for (int i = 0; i < 5; i++) {
            say(fd, "tick");
            usleep(20000);
        }
    } else if (strncmp(path, "/silent ", 8) == 0)
        sleep(3);
}

static pid_t server(int listener)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    signal(SIGCHLD, SIG_IGN);
    alarm(60);
    for (;;) {
        char request[4096];
        size_t len = 0;
        int fd = accept(listener, NULL, NULL);
        if (fork()) { /* a process a connection: a silent one holds up nobody */
            close(fd);
            continue;
        }
        alarm(10);
        for (ssize_t n; len < sizeof request - 1 && (n = read(fd, request + len, sizeof request - 1 - len)) > 0;) {
            len += (size_t)n;
            request[len] = 0;
            if (strstr(request, "\r\n\r\n"))
                break;
        }
        char *space = memchr(request, ' ', len);
        if (space)
            serve_path(fd, space + 1);
        shutdown(fd, SHUT_WR);
        _exit(0);
    }
}

static struct net *open_net(int port, int64_t total_ms)
{
    struct net_config c = { .total_ms = total_ms, .max_body = 10000 };
    struct net *n = NULL;
    struct fault f = { 0 };
    snprintf(c.base, sizeof c.base, "http://127.0.0.1:%d", port);
    return net_open(&c, &n, &f) == CE_OK ? n : NULL;
}

static void test_requests(int port)
{
    CLEANUP(net_close_p) struct net *n = open_net(port, 1000);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    struct fault f = { 0 };
    ok(net_get(n, "/small", &r, &f) == CE_OK && r.status == 200 && span_eq_str(buf_span(&r.body), "{\"a\":1}") && strcmp(r.etag, "7") == 0, "an answer with body and ETag");
    ok(net_json(n, "POST", "/small", SPAN_LIT("{}"), &r, &f) == CE_OK, "a POST, the reply struct used again");
    ok(net_request(n, "DELETE", "/small", NULL, (struct span){ 0 }, &r, &f) == CE_OK, "a DELETE");
    ok(net_get(n, "/big", &r, &f) == CE_TOO_LARGE, "a body beyond the bound: %s", f.text);
    ok(net_get(n, "/busy", &r, &f) == CE_BUSY && r.retry_s == 4 && strcmp(f.text, "later") == 0, "a refusal");
    int64_t began = clock_mono_ms();
    ok(net_get(n, "/silent", &r, &f) == CE_TIMEOUT && clock_mono_ms() - began < 2500, "silence ends after the limit: %s", f.text);
}

static void test_failures(void)
{
    int port = 0, fd = listen_port(&port);
    close(fd);
    CLEANUP(net_close_p) struct net *n = open_net(port, 1000);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    struct fault f = { 0 };
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    ok(net_get(n, "/", &r, &f) == CE_IO && strstr(f.text, "is cradled running"), "nobody listens: %s", f.text);
    struct net_config bad = { .base = "https://localhost:1", .ca = "/nonexistent/ca.pem" };
    struct net *none = NULL;
    ok(net_open(&bad, &none, &f) == CE_BAD_CONFIG && !none && strstr(f.text, "/nonexistent/ca.pem"), "no CA file: %s", f.text);
    struct net_config ftp = { .base = "ftp://localhost" };
    ok(net_open(&ftp, &none, &f) == CE_BAD_CONFIG, "not a URL of ours");
    struct net_config plain = { .base = "http://localhost:1", .cert = "/etc/hostname" };
    ok(net_open(&plain, &none, &f) == CE_BAD_CONFIG, "a client certificate over plain HTTP is refused");
}

struct seen { int opened, ticks; struct buf bytes; int stop_after; int wake; };
static bool on_open(void *arg) { return ++((struct seen *)arg)->opened; }
static bool on_tick(void *arg)
{
    struct seen *s = arg;
    char c;
    if (s->wake >= 0 && read(s->wake, &c, 1) == 1)
        return false;
    s->ticks++;
    return true;
}
static bool on_bytes(void *arg, struct span b)
{
    struct seen *s = arg;
    buf_put_span(&s->bytes, b);
    return !s->stop_after || (int)s->bytes.len < s->stop_after;
}

static void test_streams(int port)
{
    CLEANUP(net_close_p) struct net *n = open_net(port, 1000);
    struct seen s = { .bytes = BUF_INIT(1000), .wake = -1 };
    struct net_stream_calls calls = { on_open, on_bytes, on_tick, -1, 500, &s };
    struct fault f = { 0 };
    ok(net_stream(n, "/stream", &calls, &f) == CE_IO && s.opened == 1 && s.bytes.len == 20, "a stream that the server ends: %s", f.text);
    buf_reset(&s.bytes);
    s.stop_after = 8;
    ok(net_stream(n, "/stream", &calls, &f) == CE_OK && s.bytes.len >= 8, "a callback ends it");
    int64_t began = clock_mono_ms();
    ok(net_stream(n, "/silent", &calls, &f) == CE_TIMEOUT && clock_mono_ms() - began < 2000, "the watchdog ends a silent one: %s", f.text);
    ok(net_stream(n, "/busy", &calls, &f) == CE_BUSY && strcmp(f.text, "later") == 0, "a refusal instead of a stream");
    int p[2];
    ok(pipe(p) == 0 && write(p[1], "x", 1) == 1, "a pipe to wake it");
    s.wake = calls.wake_fd = p[0];
    began = clock_mono_ms();
    ok(net_stream(n, "/silent", &calls, &f) == CE_OK && clock_mono_ms() - began < 450, "the wake descriptor runs on_tick at once");
    buf_free(&s.bytes);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    int port = 0, listener = listen_port(&port);
    signal(SIGPIPE, SIG_IGN);
    pid_t pid = server(listener);
    close(listener);
    test_requests(port);
    test_streams(port);
    test_failures();
    CLEANUP(buf_free) struct buf b = BUF_INIT(100);
    net_escape(&b, SPAN_LIT("a/b c%\xc3\xa4"));
    ok(span_eq_str(buf_span(&b), "a%2Fb%20c%25%C3%A4"), "percent-encoding");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return done();
}
