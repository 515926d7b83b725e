/* mqttload.c: a fleet of devices for load and storms: one process holds a mutual-TLS MQTT 3.1.1 session for each key and certificate of a
 * folder, connects at a bounded rate, comes back with full-jitter back-off, publishes now and then, and writes down what became of each
 * socket and when. It judges nothing; what reads its log does. Sockets, OpenSSL and epoll only, in one thread.
 *
 * usage: mqttload [OPTIONS] HOST PORT CA DIR LOG STATUS
 *   DIR     UID.pem for each device: certificate and key (est_load writes them); the UID is the client id
 *   LOG     a line for each thing that happened: WALL_CLOCK_US WHAT UID DETAIL
 *             try -          CONNECT was sent
 *             up MS          CONNACK 0 came, so long after the first try to connect
 *             refused CODE   another CONNACK
 *             fail WHY       no CONNACK: tcp, tls, closed, timeout
 *             down WHY       a live session ended: eof, reset, tls, silent; left: we were told to end
 *   STATUS  JSON, replaced four times a second: all, live, trying, and totals of logins, refused, failed, lost, published, acked
 * options: -c COUNT and -s SKIP  a part of the folder, in the order of names    -r N  connects a second, default 400    -f N  at once, 64
 *   -b MIN:MAX  back-off, ms, default 200:5000    -k S  keep-alive, default 60    -p N  messages a second from all devices together, QoS 1
 * SIGTERM: each live session says DISCONNECT, then the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/load_fleet.h"

#define TRY_MS 20000    /* from connect() to CONNACK */
#define LOOK_MS 20      /* how often every device is looked at */
#define STATUS_MS 250

static struct {
    const char *host, *status_path;
    struct sockaddr_in to;
    struct device *devices;
    int n, ep, at_once, rate, publishes, keepalive, trying, live, next_publisher;
    uint32_t back_min, back_max;
    uint64_t logins, refused, failed, lost, published, acked;
    SSL_CTX *tls;
    FILE *log;
} l = { .at_once = 64, .rate = 400, .keepalive = 60, .back_min = 200, .back_max = 5000 };

static volatile sig_atomic_t stop;

static void on_stop(int sig) { (void)sig; stop = 1; }

static void note(const struct device *d, const char *what, const char *detail)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    fprintf(l.log, "%lld %s %s %s\n", (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000, what, d->uid, detail);
}

/* -- one device ------------------------------------------------------------------------------------------------------------- */
static void device_drop(struct device *d, const char *why)
{
    bool was_live = d->phase == LIVE;
    uint32_t rnd = 0;
    (void)!random_bytes(&rnd, sizeof rnd);
    if (was_live) {
        note(d, "down", why);
        l.live--;
        l.lost++;
        d->attempt = 0;
        d->first_ms = 0;
    } else {
        if (strncmp(why, "refused", 7)) {
            note(d, "fail", why);
            l.failed++;
        }
        l.trying--;
    }
    SSL_free(d->ssl);
    d->ssl = NULL;
    fd_close_p(&d->fd);
    d->phase = WAITING;
    d->next_ms = clock_mono_ms() + l.back_min / 2 + cradle_backoff_ms(d->attempt, l.back_min, l.back_max, rnd);
    d->attempt += d->attempt < 20;
}

static void watch(struct device *d, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = d };
    epoll_ctl(l.ep, EPOLL_CTL_MOD, d->fd, &ev);
}

static bool put(struct device *d, const void *p, size_t n) { return SSL_write(d->ssl, p, (int)n) == (int)n; }

static void say_connect(struct device *d)
{
    uint8_t b[128] = { 0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, (uint8_t)(l.keepalive >> 8), (uint8_t)l.keepalive };
    size_t n = strlen(d->uid);
    b[1] = (uint8_t)(12 + n);
    b[13] = (uint8_t)n;
    memcpy(b + 14, d->uid, n);
    note(d, "try", "-");
    if (!put(d, b, 14 + n))
        device_drop(d, "tls");
}

static bool say_subscribe(struct device *d)
{
    uint8_t b[160] = { 0x82, 0, 0, 1, 0 };
    int n = snprintf((char *)b + 6, 120, "d/%s/down/#", d->uid);
    b[1] = (uint8_t)(n + 5);
    b[5] = (uint8_t)n;
    b[6 + n] = 0;
    return put(d, b, (size_t)n + 7);
}

static bool say_publish(struct device *d)
{
    uint8_t b[200] = { 0x32, 0, 0 };
    int n = snprintf((char *)b + 4, 120, "d/%s/up/load", d->uid), m;
    b[3] = (uint8_t)n;
    b[5 + n] = 1;
    m = snprintf((char *)b + 6 + n, 32, "%lld", (long long)clock_now_ms());
    b[1] = (uint8_t)(4 + n + m);
    l.published++;
    return put(d, b, (size_t)(6 + n + m));
}

static void connack(struct device *d, int code)
{
    char text[32];
    if (code) {
        snprintf(text, sizeof text, "%d", code);
        note(d, "refused", text);
        l.refused++;
        device_drop(d, "refused");
        return;
    }
    snprintf(text, sizeof text, "%lld", (long long)(clock_mono_ms() - d->first_ms));
    note(d, "up", text);
    d->phase = LIVE;
    d->heard_ms = clock_mono_ms();
    d->next_ms = d->heard_ms + l.keepalive * 500;
    SSL_certs_clear(d->ssl); /* our own, not needed any more */
    l.trying--;
    l.live++;
    l.logins++;
    if (!say_subscribe(d))
        device_drop(d, "tls");
}

/* Takes one byte of what the broker sends; only heads of packets matter. false: the device has been dropped. */
static bool take(struct device *d, uint8_t c)
{
    if (d->n_head < 2 || (d->n_head < 5 && d->head[d->n_head - 1] & 0x80)) { /* type, then the length, 7 bits a byte */
        d->head[d->n_head++] = c;
        if (d->n_head < 2 || c & 0x80)
            return true;
        d->left = 0;
        for (int i = d->n_head - 1; i >= 1; i--)
            d->left = d->left << 7 | (d->head[i] & 0x7f);
    } else {
        d->left--;
        if (d->head[0] == 0x20 && d->left == 0 && d->phase == CONNACK) {
            connack(d, c);
            d->n_head = 0;
            return d->ssl != NULL;
        }
    }
    if (!d->left) {
        l.acked += (d->head[0] & 0xf0) == 0x40;
        d->n_head = 0;
    }
    return true;
}

static void device_read(struct device *d)
{
    uint8_t b[2048];
    int n;
    while ((n = SSL_read(d->ssl, b, sizeof b)) > 0) {
        d->heard_ms = clock_mono_ms();
        for (int i = 0; i < n; i++)
            if (!take(d, b[i]))
                return;
    }
    int e = SSL_get_error(d->ssl, n);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return;
    bool reset = e == SSL_ERROR_SYSCALL && errno == ECONNRESET;
    device_drop(d, d->phase != LIVE ? "closed" : reset ? "reset" : e == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_error()) !=
                   SSL_R_UNEXPECTED_EOF_WHILE_READING ? "tls" : "eof");
}

static void device_open(struct device *d)
{
    int one = 1;
    int64_t now = clock_mono_ms();
    d->phase = CONNECTING;
    d->next_ms = now + TRY_MS;
    d->first_ms = d->first_ms ? d->first_ms : now;
    d->n_head = 0;
    l.trying++;
    d->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->fd < 0)
        die("socket", strerror(errno));
    setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event ev = { .events = EPOLLOUT, .data.ptr = d };
    epoll_ctl(l.ep, EPOLL_CTL_ADD, d->fd, &ev);
    if (connect(d->fd, (struct sockaddr *)&l.to, sizeof l.to) && errno != EINPROGRESS)
        device_drop(d, "tcp");
}

static void tls_begin(struct device *d)
{
    d->phase = TLS;
    d->ssl = SSL_new(l.tls);
    if (!d->ssl || !own_identity(d) || SSL_set1_host(d->ssl, l.host) != 1 || SSL_set_fd(d->ssl, d->fd) != 1)
        die(d->uid, "its key and certificate cannot be used");
}

static void device_event(struct device *d)
{
    ERR_clear_error();
    if (d->phase == CONNECTING) {
        int bad = 0;
        socklen_t n = sizeof bad;
        if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &bad, &n) || bad) {
            device_drop(d, "tcp");
            return;
        }
        tls_begin(d);
    }
    if (d->phase == TLS) {
        int rc = SSL_connect(d->ssl), e = SSL_get_error(d->ssl, rc);
        if (rc != 1 && e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
            device_drop(d, "tls");
            return;
        }
        watch(d, rc != 1 && e == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN);
        if (rc != 1)
            return;
        d->phase = CONNACK;
        say_connect(d);
    }
    if (d->ssl)
        device_read(d);
}

/* -- all of them ------------------------------------------------------------------------------------------------------------ */
static void look(int64_t now, int64_t *allowed)
{
    static const uint8_t ping[2] = { 0xc0, 0 };
    static int from; /* those that waited longest for their turn first */
    int last = from;
    for (int i = 0; i < l.n; i++) {
        struct device *d = &l.devices[(from + i) % l.n];
        if (now < d->next_ms)
            continue;
        if (d->phase == WAITING) {
            if (*allowed > 0 && l.trying < l.at_once) {
                --*allowed;
                last = (from + i + 1) % l.n;
                device_open(d);
            }
        } else if (d->phase != LIVE) {
            device_drop(d, "timeout");
        } else if (now - d->heard_ms > l.keepalive * 1500) {
            device_drop(d, "silent");
        } else {
            d->next_ms = now + l.keepalive * 500;
            if (!put(d, ping, 2))
                device_drop(d, "tls");
        }
    }
    from = last;
}

static void publish_some(int64_t n)
{
    for (int tried = 0; n > 0 && tried < l.n; tried++) {
        struct device *d = &l.devices[l.next_publisher];
        l.next_publisher = (l.next_publisher + 1) % l.n;
        if (d->phase != LIVE)
            continue;
        n--;
        if (!say_publish(d))
            device_drop(d, "tls");
    }
}

static void status_write(void)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s.new", l.status_path);
    fflush(l.log);
    FILE *f = fopen(path, "w");
    if (!f)
        die(path, strerror(errno));
    fprintf(f, "{\"all\":%d,\"live\":%d,\"trying\":%d,\"logins\":%llu,\"refused\":%llu,\"failed\":%llu,\"lost\":%llu,\"published\":%llu,\"acked\":%llu}\n",
            l.n, l.live, l.trying, (unsigned long long)l.logins, (unsigned long long)l.refused, (unsigned long long)l.failed,
            (unsigned long long)l.lost, (unsigned long long)l.published, (unsigned long long)l.acked);
    if (fclose(f) || rename(path, l.status_path))
        die(l.status_path, strerror(errno));
}

/* What a rate of so many a second allows by now; what was not used within a tenth of a second is lost. */
static int64_t allowance(int rate, int64_t now, int64_t *since_us, int64_t used)
{
    int64_t us = 1000000 / rate;
    *since_us += used * us;
    if (*since_us < now - 100000 - us)
        *since_us = now - 100000 - us;
    return (now - *since_us) / us;
}

static void run(void)
{
    struct epoll_event ev[256];
    int64_t looked_ms = 0, status_ms = 0, connect_us = clock_mono_us(), publish_us = connect_us, n;
    while (!stop) {
        int got = epoll_wait(l.ep, ev, 256, LOOK_MS);
        for (int i = 0; i < got; i++)
            device_event(ev[i].data.ptr);
        int64_t now = clock_mono_ms();
        if (now - looked_ms < LOOK_MS)
            continue;
        looked_ms = now;
        int64_t allowed = n = allowance(l.rate, clock_mono_us(), &connect_us, 0);
        look(now, &allowed);
        (void)allowance(l.rate, clock_mono_us(), &connect_us, n - allowed);
        if (l.publishes) {
            n = allowance(l.publishes, clock_mono_us(), &publish_us, 0);
            publish_some(n);
            (void)allowance(l.publishes, clock_mono_us(), &publish_us, n);
        }
        if (now - status_ms >= STATUS_MS) {
            status_ms = now;
            status_write();
        }
    }
    for (int i = 0; i < l.n; i++) {
        static const uint8_t bye[2] = { 0xe0, 0 };
        struct device *d = &l.devices[i];
        if (d->phase == LIVE && put(d, bye, 2))
            device_drop(d, "left");
    }
    status_write();
}

/* -- start ------------------------------------------------------------------------------------------------------------------- */
static void setup(char **arg)
{
    struct rlimit lim;
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
    if (getaddrinfo(arg[0], arg[1], &hints, &found))
        die(arg[0], "has no IPv4 address");
    memcpy(&l.to, found->ai_addr, sizeof l.to);
    freeaddrinfo(found);
    getrlimit(RLIMIT_NOFILE, &lim);
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
    if (lim.rlim_max < (rlim_t)l.n + 32)
        die("open files", "the hard limit is below the number of sessions (ulimit -Hn)");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_stop);
    signal(SIGINT, on_stop);
    l.host = arg[0];
    l.tls = fleet_tls(arg[2]);
    l.ep = epoll_create1(EPOLL_CLOEXEC);
    l.log = fopen(arg[4], "ae");
    if (!l.log)
        die(arg[4], strerror(errno));
    l.status_path = arg[5];
}

int main(int argc, char **argv)
{
    int opt, skip = 0, count = 0;
    unsigned min = l.back_min, max = l.back_max;
    while ((opt = getopt(argc, argv, "c:s:r:f:b:k:p:")) != -1) {
        int n = optarg ? atoi(optarg) : 0;
        switch (opt) {
        case 'c': count = n; break;
        case 's': skip = n; break;
        case 'r': l.rate = n; break;
        case 'f': l.at_once = n; break;
        case 'b': if (sscanf(optarg, "%u:%u", &min, &max) != 2) die("-b", "MIN:MAX, milliseconds"); break;
        case 'k': l.keepalive = n; break;
        case 'p': l.publishes = n; break;
        default: return 2;
        }
    }
    if (argc - optind != 6 || l.rate < 1 || l.at_once < 1 || l.keepalive < 1) {
        fputs("usage: mqttload [-c COUNT] [-s SKIP] [-r RATE] [-f AT_ONCE] [-b MIN:MAX] [-k S] [-p RATE] HOST PORT CA DIR LOG STATUS\n", stderr);
        return 2;
    }
    l.back_min = min;
    l.back_max = max;
    l.devices = fleet_load(argv[optind + 3], skip, count, &l.n);
    setup(argv + optind);
    run();
    fclose(l.log);
    return 0;
}
