/* mtls_load.h: the part that est_load and poll_load share: one thread, CONNECTIONS kept-alive connections with mutual TLS, one request in flight on each. It
 * costs little itself (10 to 20 us a request), for it runs on the processors of the server that it measures. Answers are read as far as their end is known by
 * Content-Length; a connection that the server ends after an answer ("Connection: close") is opened anew. Who includes it says what is asked and what is good.
 */
#ifndef CRADLE_BENCH_MTLS_LOAD_H
#define CRADLE_BENCH_MTLS_LOAD_H

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

#define ANSWER_MAX 16384

struct mtls_conn {
    SSL *ssl;
    int fd, number;  /* of the request in flight */
    int64_t began_us;
    size_t have;     /* bytes of the answer */
    char in[ANSWER_MAX];
};

struct mtls_load {
    const char *host, *port;
    int (*ask)(struct mtls_load *l, int number, char *out, size_t cap);                                  /* writes the request, gives its length */
    bool (*good)(struct mtls_load *l, int number, int status, const char *body, size_t n);               /* judges the answer */
    int count;
    int64_t *latency_us; /* count */
    SSL_CTX *tls;
    int sent, finished, failed, epoll;
};

static int mtls_dial(const struct mtls_load *l)
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

static void conn_open(struct mtls_load *l, struct mtls_conn *c)
{
    c->fd = mtls_dial(l);
    c->ssl = SSL_new(l->tls);
    INVARIANT(c->ssl && SSL_set_fd(c->ssl, c->fd) == 1 && SSL_set_tlsext_host_name(c->ssl, l->host) == 1);
    INVARIANT(SSL_connect(c->ssl) == 1);
    fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    INVARIANT(epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) == 0);
}

static void conn_close(struct mtls_conn *c)
{
    SSL_free(c->ssl);
    close(c->fd);
}

static void conn_ask(struct mtls_load *l, struct mtls_conn *c)
{
    char out[2048];
    if (l->sent >= l->count)
        return;
    c->number = l->sent++;
    int n = l->ask(l, c->number, out, sizeof out);
    INVARIANT(n > 0 && n < (int)sizeof out);
    c->have = 0;
    c->began_us = clock_mono_us();
    INVARIANT(SSL_write(c->ssl, out, n) == n); /* a few bytes into an empty socket */
}

/* The whole answer is there: where its body begins; NULL: not yet. */
static const char *answer_body(struct mtls_conn *c)
{
    c->in[c->have] = 0;
    char *body = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "\r\ncontent-length:");
    if (!body)
        return NULL;
    INVARIANT(length && length < body);
    return c->have >= (size_t)(body - c->in) + 4 + (size_t)atoi(length + 17) ? body + 4 : NULL;
}

static bool answer_is_last(struct mtls_conn *c, const char *body)
{
    const char *word = strcasestr(c->in, "\r\nconnection: close\r\n");
    return word && word < body;
}

static void answer_done(struct mtls_load *l, struct mtls_conn *c, const char *body)
{
    int status = c->have > 12 && strncmp(c->in, "HTTP/1.1 ", 9) == 0 ? atoi(c->in + 9) : 0;
    l->latency_us[l->finished++] = clock_mono_us() - c->began_us;
    if (!l->good(l, c->number, status, body, c->have - (size_t)(body - c->in)) && l->failed++ == 0)
        fprintf(stderr, "first failure: %.300s\n", c->in);
    if (answer_is_last(c, body)) {
        conn_close(c);
        conn_open(l, c);
    }
    conn_ask(l, c);
}

static void conn_read(struct mtls_load *l, struct mtls_conn *c)
{
    for (;;) {
        int n = SSL_read(c->ssl, c->in + c->have, (int)(sizeof c->in - 1 - c->have));
        if (n <= 0) {
            INVARIANT(SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ); /* else the server closed it before its answer */
            return;
        }
        c->have += (size_t)n;
        INVARIANT(c->have < sizeof c->in - 1);
        const char *body = answer_body(c);
        if (body)
            answer_done(l, c, body);
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

/* Opens nconns connections, then asks l->count times and prints one line of JSON: requests per second, latencies, the client's own CPU time. An answer that is
 * not good counts as failed. */
static void load_run(struct mtls_load *l, const char *name, const char *ca, const char *cert, const char *key, int nconns)
{
    struct epoll_event ev[64];
    struct mtls_conn *conns = mem_calloc((size_t)nconns, sizeof *conns);
    l->latency_us = mem_calloc((size_t)l->count, sizeof *l->latency_us);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->tls = SSL_CTX_new(TLS_client_method());
    INVARIANT(l->tls && SSL_CTX_load_verify_locations(l->tls, ca, NULL) == 1 && SSL_CTX_use_certificate_chain_file(l->tls, cert) == 1 &&
              SSL_CTX_use_PrivateKey_file(l->tls, key, SSL_FILETYPE_PEM) == 1);
    SSL_CTX_set_verify(l->tls, SSL_VERIFY_PEER, NULL);
    for (int i = 0; i < nconns; i++)
        conn_open(l, &conns[i]);
    double cpu = cpu_s();
    int64_t began_us = clock_mono_us();
    for (int i = 0; i < nconns; i++)
        conn_ask(l, &conns[i]);
    while (l->finished < l->count) {
        int n = epoll_wait(l->epoll, ev, 64, 60000);
        INVARIANT(n > 0); /* else no answer within a minute */
        for (int i = 0; i < n; i++)
            conn_read(l, ev[i].data.ptr);
    }
    double took_s = (double)(clock_mono_us() - began_us) / 1e6;
    cpu = cpu_s() - cpu;
    qsort(l->latency_us, (size_t)l->count, sizeof *l->latency_us, by_value);
    printf("{\"bench\":\"%s\",\"count\":%d,\"connections\":%d,\"failed\":%d,\"per_s\":%.0f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"client_us\":%.1f}\n", name, l->count, nconns,
           l->failed, l->count / took_s, (double)l->latency_us[l->count / 2] / 1e3, (double)l->latency_us[(int64_t)l->count * 99 / 100] / 1e3, cpu * 1e6 / l->count);
    for (int i = 0; i < nconns; i++)
        conn_close(&conns[i]);
    SSL_CTX_free(l->tls);
    close(l->epoll);
    mem_free_p(&conns);
    mem_free_p(&l->latency_us);
}

#endif
