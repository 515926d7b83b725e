/* cut_latency.c: how long a revocation takes from cradled's durable answer to the closed socket of a live MQTT session, with many others
 * connected. One process holds all sessions (mutual TLS, epoll); victims are registered and revoked by REST.
 *
 * usage: cut_latency SITE URL BROKER_PORT SESSIONS VICTIMS [BROKER_PID [at-once]]   VICTIMS 0: only the memory of the sessions
 * at-once: the victims (at most 500) are revoked by one request; otherwise one after the other
 * Certificates are made here with the site's device CA key (a benchmark on the server's own machine): the broker judges them as any.
 * Prints one line of JSON. "answer_to_close": REST answer received -> EOF at the client; below 0 when the cut was faster.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/net.h"

#define CLOSE_WAIT_MS 5000

struct client {
    int fd;
    SSL *ssl;
    atomic_llong closed_us; /* monotonic, 0: open */
};

static struct client *clients;
static int n_clients, ep;
static EVP_PKEY *ca_key, *dev_key;
static X509 *ca;
static SSL_CTX *tls;

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "cut_latency: %s: %s\n", what, why);
    exit(1);
}

static void *pem_load(const char *site, const char *name, bool key)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", site, name);
    FILE *f = fopen(path, "r");
    if (!f)
        die(path, "cannot be read");
    void *o = key ? (void *)PEM_read_PrivateKey(f, NULL, NULL, NULL) : (void *)PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    if (!o)
        die(path, "is no PEM");
    return o;
}

static void ext_add(X509 *x, X509V3_CTX *c, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, c, nid, value);
    if (!e || !X509_add_ext(x, e, -1))
        die("extension", value);
    X509_EXTENSION_free(e);
}

static X509 *cert_make(const char *cn, int serial)
{
    X509 *x = X509_new();
    X509V3_CTX c;
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 0x10000000 + serial);
    X509_set_issuer_name(x, X509_get_subject_name(ca));
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
    X509_gmtime_adj(X509_getm_notBefore(x), -300);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, dev_key);
    X509V3_set_ctx(&c, ca, x, NULL, NULL, 0);
    ext_add(x, &c, NID_ext_key_usage, "clientAuth");
    char san[160];
    snprintf(san, sizeof san, "URI:urn:cradle:bench:%s", cn); /* the broker gives the topics of the line */
    ext_add(x, &c, NID_subject_alt_name, san);
    ext_add(x, &c, NID_authority_key_identifier, "keyid:always");
    if (!X509_sign(x, ca_key, EVP_sha256()))
        die(cn, "cannot be signed");
    return x;
}

static void mqtt_connect(struct client *cl, const char *cn)
{
    unsigned char b[128] = { 0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0x04, 0xb0 }, back[4]; /* keepalive 1200 s: longer than a run */
    size_t n = strlen(cn);
    b[1] = (unsigned char)(12 + n);
    b[12] = 0;
    b[13] = (unsigned char)n;
    memcpy(b + 14, cn, n);
    if (SSL_write(cl->ssl, b, (int)(14 + n)) <= 0 || SSL_read(cl->ssl, back, 4) != 4 || back[3])
        die(cn, "is not let in by the broker");
}

static void client_open(struct client *cl, const char *cn, int serial, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;
    X509 *x = cert_make(cn, serial);
    cl->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(cl->fd, (struct sockaddr *)&a, sizeof a))
        die("connect to the broker", "failed");
    setsockopt(cl->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    cl->ssl = SSL_new(tls);
    SSL_use_certificate(cl->ssl, x);
    SSL_use_PrivateKey(cl->ssl, dev_key);
    SSL_set_fd(cl->ssl, cl->fd);
    if (SSL_connect(cl->ssl) != 1)
        die(cn, "TLS handshake failed");
    mqtt_connect(cl, cn);
    X509_free(x);
    struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = cl };
    epoll_ctl(ep, EPOLL_CTL_ADD, cl->fd, &ev);
}

/* Notes when a socket ends. What comes before the end (an alert) does not matter any more. */
static void *watch(void *arg)
{
    struct epoll_event ev[64];
    char junk[4096];
    (void)arg;
    for (;;) {
        int n = epoll_wait(ep, ev, 64, -1);
        for (int i = 0; i < n; i++) {
            struct client *cl = ev[i].data.ptr;
            ssize_t r;
            while ((r = recv(cl->fd, junk, sizeof junk, MSG_DONTWAIT)) > 0)
                continue;
            if (r == 0 || (errno != EAGAIN && errno != EINTR)) {
                atomic_store(&cl->closed_us, clock_mono_us());
                epoll_ctl(ep, EPOLL_CTL_DEL, cl->fd, NULL);
            }
        }
    }
    return NULL;
}

static void rest(struct net *net, const char *method, const char *path, const char *json)
{
    struct net_reply reply = { 0 };
    struct fault f = { 0 };
    enum err e = net_json(net, method, path, span_str(json), &reply, &f);
    if (e && e != CE_EXISTS)
        die(path, f.text);
    net_reply_free(&reply);
}

static int cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_dist(const char *name, int64_t *us, int n)
{
    qsort(us, (size_t)n, sizeof *us, cmp);
    printf("\"%s_ms\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}, ", name, (double)us[n / 2] / 1000, (double)us[(n * 99) / 100] / 1000,
           (double)us[n - 1] / 1000);
}

static long rss_kib(const char *pid)
{
    char path[64], line[128];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%s/status", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

static void revoke_all(struct net *net, int first, int victims, const char *tag)
{
    int64_t *answer = mem_calloc((size_t)victims, sizeof *answer), *to_close = mem_calloc((size_t)victims, sizeof *to_close),
            *whole = mem_calloc((size_t)victims, sizeof *whole);
    for (int i = 0; i < victims; i++) {
        char path[128];
        struct client *cl = &clients[first + i];
        snprintf(path, sizeof path, "/api/v1/devices/%s-v%d", tag, i);
        int64_t sent = clock_mono_us();
        rest(net, "PATCH", path, "{\"state\":\"revoked\",\"reason\":\"keyCompromise\"}");
        int64_t got = clock_mono_us();
        while (!atomic_load(&cl->closed_us) && clock_mono_us() - got < CLOSE_WAIT_MS * 1000)
            usleep(200);
        if (!atomic_load(&cl->closed_us))
            die(path, "was not cut within 5 s");
        answer[i] = got - sent;
        to_close[i] = atomic_load(&cl->closed_us) - got;
        whole[i] = atomic_load(&cl->closed_us) - sent;
    }
    print_dist("answer", answer, victims);
    print_dist("answer_to_close", to_close, victims);
    print_dist("request_to_close", whole, victims);
    free(answer);
    free(to_close);
    free(whole);
}

/* All by one request: when the answer came, and the first, the median and the last socket closed. */
static void revoke_at_once(struct net *net, int first, int victims, const char *tag)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(65536);
    int64_t *closed = mem_calloc((size_t)victims, sizeof *closed);
    buf_put_str(&body, "{\"state\":\"revoked\",\"reason\":\"keyCompromise\",\"uids\":[");
    for (int i = 0; i < victims; i++)
        buf_printf(&body, "%s\"%s-v%d\"", i ? "," : "", tag, i);
    buf_put_str(&body, "]}");
    int64_t sent = clock_mono_us();
    rest(net, "POST", "/api/v1/devices/state", buf_cstr(&body));
    int64_t got = clock_mono_us();
    for (int i = 0; i < victims; i++) {
        while (!atomic_load(&clients[first + i].closed_us) && clock_mono_us() - got < CLOSE_WAIT_MS * 1000)
            usleep(200);
        if (!(closed[i] = atomic_load(&clients[first + i].closed_us)))
            die(tag, "not all were cut within 5 s");
        closed[i] -= sent;
    }
    qsort(closed, (size_t)victims, sizeof *closed, cmp);
    printf("\"at_once\": {\"answer_ms\": %.1f, \"first_ms\": %.1f, \"p50_ms\": %.1f, \"all_ms\": %.1f}, ", (double)(got - sent) / 1000, (double)closed[0] / 1000,
           (double)closed[victims / 2] / 1000, (double)closed[victims - 1] / 1000);
    free(closed);
}

static void setup(const char *site)
{
    struct rlimit lim;
    getrlimit(RLIMIT_NOFILE, &lim);
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
    signal(SIGPIPE, SIG_IGN);
    ca_key = pem_load(site, "keys/device.key", true);
    ca = pem_load(site, "ca/device.pem", false);
    dev_key = EVP_EC_gen("P-256");
    tls = SSL_CTX_new(TLS_client_method());
    char path[PATH_MAX_LEN];
    path_join(path, "%s/ca/bundle.pem", site);
    SSL_CTX_load_verify_locations(tls, path, NULL);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    ep = epoll_create1(EPOLL_CLOEXEC);
}

static void net_setup(const char *site, const char *url, struct net **net)
{
    struct net_config nc = { 0 };
    struct fault f;
    snprintf(nc.base, sizeof nc.base, "%s", url);
    path_join(nc.ca, "%s/ca/bundle.pem", site);
    path_join(nc.cert, "%s/operators/admin.pem", site);
    path_join(nc.key, "%s/operators/admin.key", site);
    if (net_open(&nc, net, &f))
        die(url, f.text);
    rest(*net, "POST", "/api/v1/lines", "{\"name\":\"bench\"}");
    rest(*net, "POST", "/api/v1/models", "{\"name\":\"bench\",\"line\":\"bench\"}");
}

int main(int argc, char **argv)
{
    if (argc < 6)
        die("usage", "cut_latency SITE URL BROKER_PORT SESSIONS VICTIMS [BROKER_PID]");
    int port = atoi(argv[3]), sessions = atoi(argv[4]), victims = atoi(argv[5]);
    const char *pid = argc > 6 ? argv[6] : "self";
    struct net *net;
    char cn[64], json[160], tag[32];
    pthread_t thread;
    setup(argv[1]);
    net_setup(argv[1], argv[2], &net);
    snprintf(tag, sizeof tag, "cut%d-%lld", sessions, (long long)clock_now_s());
    clients = mem_calloc((size_t)(sessions + victims), sizeof *clients);
    for (int i = 0; i < victims; i++) {
        snprintf(json, sizeof json, "{\"uid\":\"%s-v%d\",\"model\":\"bench\"}", tag, i);
        rest(net, "POST", "/api/v1/devices", json);
    }
    long before = rss_kib(pid);
    int64_t began = clock_mono_us();
    for (int i = 0; i < sessions + victims; i++, n_clients++) {
        snprintf(cn, sizeof cn, i < sessions ? "%s-s%d" : "%s-v%d", tag, i < sessions ? i : i - sessions);
        client_open(&clients[i], cn, i, port);
    }
    int64_t took = clock_mono_us() - began;
    long after = rss_kib(pid);
    if (pthread_create(&thread, NULL, watch, NULL))
        die("thread", "cannot be made");
    printf("{\"bench\": \"cut\", \"sessions\": %d, \"victims\": %d, \"logins_per_s\": %.0f, ", sessions, victims,
           (sessions + victims) * 1e6 / (double)took);
    if (argc > 6)
        printf("\"broker_kib_per_session\": %.1f, ", (double)(after - before) / (sessions + victims));
    if (victims)
        (argc > 7 ? revoke_at_once : revoke_all)(net, sessions, victims, tag);
    int lost = 0;
    for (int i = 0; i < sessions; i++)
        lost += atomic_load(&clients[i].closed_us) != 0;
    printf("\"others_lost\": %d}\n", lost);
    return lost != 0;
}
