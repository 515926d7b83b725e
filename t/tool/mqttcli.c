/* mqttcli.c: a small MQTT client over OpenSSL for tests: shows the CONNACK code, whether the TLS session was resumed, and when
 * the broker closes the socket. Shares no code with src/.
 *
 * usage: mqttcli PORT CA CERT KEY ID [option …]     CERT "-": none
 *   tls12 | tls13          TLS version            save=FILE / resume=FILE  TLS session out / in
 *   v5auth                 MQTT 5 CONNECT with an authentication method
 *   will=TOPIC  pub=TOPIC  sub=TOPIC  persist (clean session off)  bind=ADDRESS  keepalive=SECONDS (60)  user=NAME,PASSWORD  plain (no TLS)
 *   hold=SECONDS           stay connected (PINGREQ each second); prints "closed MS-SINCE-EPOCH" when the broker closes
 *   again=TOPIC            while it stays, publish each second
 *   drop                   close the TCP connection without DISCONNECT
 * prints: "tls resumed=0|1", "connack N" or "connack none", "suback N", "msg TOPIC", "closed …". Exit code 0: CONNACK 0.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static SSL *ssl;
static int fd;
static const char *save_path;
static struct { const char *id, *will, *pub, *sub, *resume, *bind, *user, *again; int min, v5auth, persist, hold, drop, plain, keepalive; } o = { .keepalive = 60 };

static void die(const char *why) { printf("fail %s\n", why); exit(2); }
static long long now_ms(void)
{
    struct timeval tv;
    gettimeofday(&tv, NULL);
    return (long long)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}
static int io_write(const void *p, int n) { return o.plain ? (int)write(fd, p, (size_t)n) : SSL_write(ssl, p, n); }
static int io_read(void *p, int n) { return o.plain ? (int)read(fd, p, (size_t)n) : SSL_read(ssl, p, n); }

static int on_session(SSL *s, SSL_SESSION *sess)
{
    (void)s;
    FILE *f = save_path ? fopen(save_path, "w") : NULL;
    if (f) {
        PEM_write_SSL_SESSION(f, sess);
        fclose(f);
    }
    return 0;
}

static void tcp_connect(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (o.bind) {
        struct sockaddr_in b = { .sin_family = AF_INET };
        inet_pton(AF_INET, o.bind, &b.sin_addr);
        if (bind(fd, (struct sockaddr *)&b, sizeof b))
            die("bind");
    }
    if (connect(fd, (struct sockaddr *)&a, sizeof a))
        die("connect");
}

static void tls_connect(const char *ca, const char *cert, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, o.min ? o.min : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(ctx, o.min ? o.min : TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
        die("ca");
    if (strcmp(cert, "-") && (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 || SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1))
        die("cert");
    ssl = SSL_new(ctx);
    if (o.resume) {
        FILE *f = fopen(o.resume, "r");
        SSL_SESSION *s = f ? PEM_read_SSL_SESSION(f, NULL, NULL, NULL) : NULL;
        if (!s || SSL_set_session(ssl, s) != 1)
            die("session");
        SSL_SESSION_free(s);
        fclose(f);
    }
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1)
        die("handshake");
    printf("tls resumed=%d\n", SSL_session_reused(ssl));
}

static int put_str(unsigned char *p, const char *s)
{
    size_t n = strlen(s);
    p[0] = (unsigned char)(n >> 8);
    p[1] = (unsigned char)n;
    memcpy(p + 2, s, n);
    return (int)n + 2;
}

static void packet(unsigned char type, const unsigned char *body, int n)
{
    unsigned char b[1200] = { type };
    int at = 1, len = n;
    do {
        b[at] = (unsigned char)(len % 128);
        len /= 128;
        b[at] |= len ? 128 : 0;
        at++;
    } while (len);
    memcpy(b + at, body, (size_t)n);
    if (io_write(b, at + n) != at + n)
        printf("write failed\n");
}

static void mqtt_connect(void)
{
    unsigned char b[1000], flags = o.persist ? 0 : 2;
    char user[100] = "", *pass = NULL;
    int n = put_str(b, "MQTT");
    b[n++] = o.v5auth ? 5 : 4;
    if (o.will)
        flags |= 4;
    if (o.user) {
        snprintf(user, sizeof user, "%s", o.user);
        pass = strchr(user, ',');
        flags |= 0x80;
        if (pass) {
            *pass++ = 0;
            flags |= 0x40;
        }
    }
    b[n++] = flags;
    b[n++] = (unsigned char)(o.keepalive >> 8);
    b[n++] = (unsigned char)o.keepalive;
    if (o.v5auth) { /* property 0x15: authentication method */
        b[n++] = 8;
        b[n++] = 0x15;
        n += put_str(b + n, "PLAIN");
    }
    n += put_str(b + n, o.id);
    if (o.will) {
        n += put_str(b + n, o.will);
        n += put_str(b + n, "will");
    }
    if (o.user)
        n += put_str(b + n, user);
    if (pass)
        n += put_str(b + n, pass);
    packet(0x10, b, n);
}

/* One packet: its type, body in b; 0 when the connection ended. */
static int mqtt_read(unsigned char *b, int *len)
{
    unsigned char h;
    int n = 0, shift = 0, got = 0, r;
    if (io_read(&h, 1) != 1)
        return 0;
    unsigned char d = 0x80;
    while ((d & 0x80) && shift < 28) {
        if (io_read(&d, 1) != 1)
            return 0;
        n |= (d & 127) << shift;
        shift += 7;
    }
    while (got < n && got < 4096 && (r = io_read(b + got, n - got > 4096 - got ? 4096 - got : n - got)) > 0)
        got += r;
    *len = got;
    return got == n ? h : 0;
}

static int data_waits(int ms)
{
    struct pollfd p = { fd, POLLIN, 0 };
    return (!o.plain && SSL_pending(ssl) > 0) || poll(&p, 1, ms) > 0;
}

static void show(int type, const unsigned char *b, int n)
{
    if ((type & 0xf0) == 0x90)
        printf("suback %d\n", n > 2 ? b[n - 1] : -1);
    if ((type & 0xf0) == 0x30 && n > 2)
        printf("msg %.*s\n", b[0] << 8 | b[1], (const char *)b + 2);
    fflush(stdout);
}

static void publish(const char *topic)
{
    unsigned char b[1000];
    int n = put_str(b, topic);
    memcpy(b + n, "hello", 5);
    packet(0x30, b, n + 5);
}

static void hold(void)
{
    unsigned char b[4096];
    int n, type;
    long long end = now_ms() + o.hold * 1000LL, ping = now_ms() + 1000;
    while (now_ms() < end) {
        if (data_waits(50)) {
            type = mqtt_read(b, &n);
            if (!type) {
                printf("closed %lld\n", now_ms());
                exit(0);
            }
            show(type, b, n);
        }
        if (now_ms() > ping) {
            packet(0xc0, b, 0);
            if (o.again)
                publish(o.again);
            ping = now_ms() + 1000;
        }
    }
    printf("stayed\n");
}

static void option(const char *a)
{
    static const struct { const char *name; const char **to; } texts[] = {
        { "will=", &o.will }, { "pub=", &o.pub }, { "sub=", &o.sub }, { "resume=", &o.resume }, { "save=", &save_path }, { "bind=", &o.bind },
        { "user=", &o.user }, { "again=", &o.again },
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!strncmp(a, texts[i].name, strlen(texts[i].name)))
            *texts[i].to = a + strlen(texts[i].name);
    o.min = !strcmp(a, "tls12") ? TLS1_2_VERSION : !strcmp(a, "tls13") ? TLS1_3_VERSION : o.min;
    o.v5auth |= !strcmp(a, "v5auth");
    o.persist |= !strcmp(a, "persist");
    o.drop |= !strcmp(a, "drop");
    o.plain |= !strcmp(a, "plain");
    if (!strncmp(a, "hold=", 5))
        o.hold = atoi(a + 5);
    if (!strncmp(a, "keepalive=", 10))
        o.keepalive = atoi(a + 10);
}

int main(int argc, char **argv)
{
    unsigned char b[4096];
    int n, code = -1;
    if (argc < 6)
        die("usage: see the top of mqttcli.c");
    signal(SIGPIPE, SIG_IGN);
    o.id = argv[5];
    for (int i = 6; i < argc; i++)
        option(argv[i]);
    tcp_connect(atoi(argv[1]));
    if (!o.plain)
        tls_connect(argv[2], argv[3], argv[4]);
    mqtt_connect();
    int type = data_waits(5000) ? mqtt_read(b, &n) : 0;
    if ((type & 0xf0) == 0x20 && n >= 2)
        code = b[1];
    if (code >= 0)
        printf("connack %d\n", code);
    else
        printf("connack none\n");
    fflush(stdout);
    if (code)
        return 1;
    if (o.sub) {
        b[0] = 0;
        b[1] = 1;
        n = 2 + put_str(b + 2, o.sub);
        b[n++] = 1;
        packet(0x82, b, n);
    }
    if (o.pub)
        publish(o.pub);
    if (o.hold)
        hold();
    else if ((o.sub || save_path) && data_waits(1000) && (type = mqtt_read(b, &n))) /* reading takes the TLS 1.3 tickets in */
        show(type, b, n);
    if (!o.drop)
        packet(0xe0, b, 0);
    return 0;
}
