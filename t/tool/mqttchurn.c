/* mqttchurn.c: many short MQTT sessions over mutual TLS, for tests of what a broker keeps of them. Shares no code with src/.
 *
 * usage: mqttchurn PORT CA DIR TOTAL [option …]   logs in TOTAL times, with the identities of DIR in turn (UID.pem: certificate and key)
 *          at-once=N     threads, default 8
 *          stay=N        at the end the first N identities log in once more and stay until SIGTERM ("staying N" is printed before)
 *          drop          every other session ends without DISCONNECT
 *          tls12         no TLS 1.3
 *        mqttchurn make CA-CERT CA-KEY DIR LINE PREFIX COUNT   device certificates of the line over one key, PREFIX-N.pem
 * prints: "logins N refused N failed N ms N". Exit code 0: no connection failed.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct identity { char uid[80]; SSL_CTX *ctx; };
struct session { SSL *ssl; int fd; };

static struct identity *who;
static int n_who, port, drop, tls12, total, n_threads = 8, stay;
static const char *ca_file;
static atomic_int next_login, refused, failed;

static void die(const char *why)
{
    printf("fail %s\n", why);
    exit(2);
}

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* -- sessions ------------------------------------------------------------------------------------------------------------------------- */
static void session_end(struct session *s, int polite)
{
    static const unsigned char disconnect[2] = { 0xe0, 0 };
    if (s->ssl && polite)
        SSL_write(s->ssl, disconnect, sizeof disconnect);
    SSL_free(s->ssl);
    if (s->fd >= 0)
        close(s->fd);
}

/* CONNACK's code, -1 when there was none. */
static int session_begin(const struct identity *id, struct session *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval limit = { 60, 0 };
    unsigned char b[128] = { 0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60 };
    size_t n = strlen(id->uid);
    *s = (struct session){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
    setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&a, sizeof a) || !(s->ssl = SSL_new(id->ctx)) || SSL_set_fd(s->ssl, s->fd) != 1 ||
        SSL_connect(s->ssl) != 1)
        return -1;
    b[1] = (unsigned char)(12 + n);
    b[13] = (unsigned char)n;
    memcpy(b + 14, id->uid, n);
    if (SSL_write(s->ssl, b, (int)(14 + n)) <= 0)
        return -1;
    int got = 0, r;
    while (got < 4 && (r = SSL_read(s->ssl, b + got, 4 - got)) > 0)
        got += r;
    return got == 4 && b[0] == 0x20 ? b[3] : -1;
}

static void *churn(void *arg)
{
    (void)arg;
    for (int i; (i = atomic_fetch_add(&next_login, 1)) < total;) {
        struct session s;
        int code = session_begin(&who[i % n_who], &s);
        if (code)
            atomic_fetch_add(code < 0 ? &failed : &refused, 1);
        session_end(&s, !drop || i % 2);
        ERR_clear_error();
    }
    return NULL;
}

static void stay_on(void)
{
    struct session *all = calloc((size_t)stay + 1, sizeof *all);
    sigset_t set;
    const struct timespec longest = { 300, 0 }; /* whoever started it may have died */
    int good = 0;
    for (int i = 0; i < stay; i++)
        good += session_begin(&who[i], &all[i]) == 0;
    printf("staying %d\n", good);
    fflush(stdout);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigtimedwait(&set, NULL, &longest);
    for (int i = 0; i < stay; i++)
        session_end(&all[i], 1);
    free(all);
}

/* -- identities ------------------------------------------------------------------------------------------------------------------------ */
static void identity_load(const char *dir, const char *name)
{
    struct identity *id = &who[n_who++];
    char path[1000];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(id->uid, sizeof id->uid, "%.*s", (int)(strlen(name) - 4), name);
    id->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(id->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_proto_version(id->ctx, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_verify(id->ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(id->ctx, ca_file, NULL) != 1 || SSL_CTX_use_certificate_chain_file(id->ctx, path) != 1 ||
        SSL_CTX_use_PrivateKey_file(id->ctx, path, SSL_FILETYPE_PEM) != 1)
        die(path);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int is_pem(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 4 && n < 70 && !strcmp(d->d_name + n - 4, ".pem");
}

static void identities_load(const char *dir)
{
    struct dirent **names;
    int n = scandir(dir, &names, is_pem, by_name);
    if (n <= 0)
        die("no identities");
    who = calloc((size_t)n, sizeof *who);
    for (int i = 0; i < n; i++) {
        identity_load(dir, names[i]->d_name);
        free(names[i]);
    }
    free(names);
}

static void extension(X509 *cert, X509 *ca, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, ca, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (!e || !X509_add_ext(cert, e, -1))
        die(value);
    X509_EXTENSION_free(e);
}

static void make_one(const char *path, const char *line, const char *uid, X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key)
{
    X509 *cert = X509_new();
    unsigned char serial[16];
    char san[160];
    FILE *f = fopen(path, "w");
    RAND_bytes(serial, sizeof serial);
    serial[0] = (serial[0] & 0x7f) | 1;
    BIGNUM *bn = BN_bin2bn(serial, sizeof serial, NULL);
    BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));
    BN_free(bn);
    snprintf(san, sizeof san, "URI:urn:cradle:%.40s:%s", line, uid);
    X509_set_version(cert, 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)uid, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(ca));
    X509_set_pubkey(cert, key);
    extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE");
    extension(cert, ca, NID_key_usage, "critical,digitalSignature");
    extension(cert, ca, NID_ext_key_usage, "clientAuth");
    extension(cert, ca, NID_authority_key_identifier, "keyid:always");
    extension(cert, ca, NID_subject_alt_name, san);
    if (!X509_sign(cert, ca_key, EVP_sha256()) || !f || !PEM_write_X509(f, cert) || !PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) || fclose(f))
        die(path);
    X509_free(cert);
}

static int make(char **argv)
{
    FILE *fc = fopen(argv[2], "r"), *fk = fopen(argv[3], "r");
    X509 *ca = fc ? PEM_read_X509(fc, NULL, NULL, NULL) : NULL;
    EVP_PKEY *ca_key = fk ? PEM_read_PrivateKey(fk, NULL, NULL, NULL) : NULL, *key = EVP_EC_gen("P-256");
    if (!ca || !ca_key || !key)
        die("CA");
    for (int i = 0; i < atoi(argv[7]); i++) {
        char uid[60], path[1000];
        snprintf(uid, sizeof uid, "%.40s-%d", argv[6], i);
        snprintf(path, sizeof path, "%s/%s.pem", argv[4], uid);
        make_one(path, argv[5], uid, ca, ca_key, key);
    }
    fclose(fc);
    fclose(fk);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 8 && !strcmp(argv[1], "make"))
        return make(argv);
    if (argc < 5)
        die("usage: see the top of mqttchurn.c");
    for (int i = 5; i < argc; i++) {
        drop |= !strcmp(argv[i], "drop");
        tls12 |= !strcmp(argv[i], "tls12");
        if (!strncmp(argv[i], "at-once=", 8))
            n_threads = atoi(argv[i] + 8);
        if (!strncmp(argv[i], "stay=", 5))
            stay = atoi(argv[i] + 5);
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    port = atoi(argv[1]);
    ca_file = argv[2];
    total = atoi(argv[4]);
    identities_load(argv[3]);
    pthread_t threads[64];
    n_threads = n_threads < 1 ? 1 : n_threads > 64 ? 64 : n_threads;
    stay = stay > n_who ? n_who : stay;
    long long began = now_ms();
    for (int i = 0; i < n_threads; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    for (int i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    printf("logins %d refused %d failed %d ms %lld\n", total - refused - failed, refused, failed, now_ms() - began);
    fflush(stdout);
    if (stay)
        stay_on();
    for (int i = 0; i < n_who; i++)
        SSL_CTX_free(who[i].ctx);
    free(who);
    return failed != 0;
}
