/* poll_load.c: a load client over kept-alive mutual TLS that costs little itself: one thread, CONNECTIONS connections, one request in flight on each, the
 * answer read only as far as its end is known by Content-Length. Asks PATH COUNT times and prints one line of JSON: requests per second, latencies, the
 * client's own CPU time. Connections are open before the clock starts. An answer other than 200 counts as failed.
 * usage: poll_load HOST PORT PATH CA CERT KEY COUNT CONNECTIONS   "%d" in PATH: the number of the request
 */
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct conn {
    SSL *ssl;
    int fd;
    int64_t began_us;
    size_t have;     /* bytes of the answer */
    char in[8192];
};

struct load {
    const char *host, *port, *path;
    int count, sent, finished, failed, epoll;
    int64_t *latency_us;
};

static int dial(const struct load *l)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *a = NULL;
    int one = 1;
    INVARIANT(getaddrinfo(l->host, l->port, &hints, &a) == 0);
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    INVARIANT(fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    freeaddrinfo(a);
    return fd;
}

static void conn_open(struct load *l, SSL_CTX *ctx, struct conn *c)
{
    c->fd = dial(l);
    c->ssl = SSL_new(ctx);
    INVARIANT(c->ssl && SSL_set_fd(c->ssl, c->fd) == 1 && SSL_set_tlsext_host_name(c->ssl, l->host) == 1);
    INVARIANT(SSL_connect(c->ssl) == 1);
    fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    INVARIANT(epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) == 0);
}

static void conn_ask(struct load *l, struct conn *c)
{
    char out[1024];
    if (l->sent >= l->count)
        return;
    const char *number = strstr(l->path, "%d");
    int n = number ? snprintf(out, sizeof out, "GET %.*s%d%s HTTP/1.1\r\nHost: %s\r\n\r\n", (int)(number - l->path), l->path, l->sent, number + 2, l->host)
                   : snprintf(out, sizeof out, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", l->path, l->host);
    l->sent++;
    c->have = 0;
    c->began_us = clock_mono_us();
    INVARIANT(SSL_write(c->ssl, out, n) == n); /* a few bytes into an empty socket */
}

/* The whole answer is there? */
static bool answer_ends(struct conn *c)
{
    c->in[c->have] = 0;
    char *body = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "\r\ncontent-length:");
    if (!body)
        return false;
    INVARIANT(length && length < body);
    return c->have >= (size_t)(body - c->in) + 4 + (size_t)atoi(length + 17);
}

static void conn_read(struct load *l, struct conn *c)
{
    for (;;) {
        int n = SSL_read(c->ssl, c->in + c->have, (int)(sizeof c->in - 1 - c->have));
        if (n <= 0) {
            INVARIANT(SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ); /* else the server closed it */
            return;
        }
        c->have += (size_t)n;
        INVARIANT(c->have < sizeof c->in - 1);
        if (!answer_ends(c))
            continue;
        if (strncmp(c->in, "HTTP/1.1 200", 12) != 0 && l->failed++ == 0)
            fprintf(stderr, "poll_load: first failure: %.300s\n", c->in);
        l->latency_us[l->finished++] = clock_mono_us() - c->began_us;
        conn_ask(l, c);
    }
}

static void load_run(struct load *l)
{
    struct epoll_event ev[64];
    while (l->finished < l->count) {
        int n = epoll_wait(l->epoll, ev, 64, 60000);
        INVARIANT(n > 0); /* else no answer within a minute */
        for (int i = 0; i < n; i++)
            conn_read(l, ev[i].data.ptr);
    }
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    int nconns = argc == 9 ? atoi(argv[8]) : 0;
    if (nconns < 1 || atoi(argv[7]) < nconns) {
        fprintf(stderr, "usage: poll_load HOST PORT PATH CA CERT KEY COUNT CONNECTIONS\n");
        return 2;
    }
    struct load l = {.host = argv[1], .port = argv[2], .path = argv[3], .count = atoi(argv[7]), .epoll = epoll_create1(EPOLL_CLOEXEC)};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    INVARIANT(ctx && SSL_CTX_load_verify_locations(ctx, argv[4], NULL) == 1 && SSL_CTX_use_certificate_chain_file(ctx, argv[5]) == 1 &&
              SSL_CTX_use_PrivateKey_file(ctx, argv[6], SSL_FILETYPE_PEM) == 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    struct conn *conns = mem_calloc((size_t)nconns, sizeof *conns);
    l.latency_us = mem_calloc((size_t)l.count, sizeof *l.latency_us);
    for (int i = 0; i < nconns; i++)
        conn_open(&l, ctx, &conns[i]);
    double cpu = cpu_s();
    int64_t began_us = clock_mono_us();
    for (int i = 0; i < nconns; i++)
        conn_ask(&l, &conns[i]);
    load_run(&l);
    double took_s = (double)(clock_mono_us() - began_us) / 1e6;
    cpu = cpu_s() - cpu;
    qsort(l.latency_us, (size_t)l.count, sizeof *l.latency_us, by_value);
    printf("{\"bench\":\"poll_load\",\"count\":%d,\"connections\":%d,\"failed\":%d,\"per_s\":%.0f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"client_us\":%.1f}\n", l.count, nconns,
           l.failed, l.count / took_s, (double)l.latency_us[l.count / 2] / 1e3, (double)l.latency_us[l.count * 99 / 100] / 1e3, cpu * 1e6 / l.count);
    for (int i = 0; i < nconns; i++) {
        SSL_free(conns[i].ssl);
        close(conns[i].fd);
    }
    SSL_CTX_free(ctx);
    mem_free_p(&conns);
    mem_free_p(&l.latency_us);
    return l.failed != 0;
}
