/* revoke_load.c: revokes the devices whose UIDs stand on stdin, a line each, over kept-alive mutual-TLS connections, and writes down for
 * each when the request was sent and when the durable answer came. It knows nothing of sockets that close; see mqttload.
 * usage: revoke_load [-r RATE] [-a] SITE URL CONNECTIONS    -r: so many a second at most    -a: a request without an answer is sent again
 * prints a line for each: UID SENT_US ANSWERED_US RESULT (wall clock; RESULT "ok" or the reason of the refusal)
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/net.h"

static struct {
    const char *site, *url;
    int rate;
    bool again;
    int64_t began_us;
    long taken, failed;
    pthread_mutex_t lock;
} r = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int64_t wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static enum err connect_site(struct net **net, struct fault *f)
{
    struct net_config nc = { .total_ms = 10000 };
    snprintf(nc.base, sizeof nc.base, "%s", r.url);
    path_join(nc.ca, "%s/ca/bundle.pem", r.site);
    path_join(nc.cert, "%s/operators/admin.pem", r.site);
    path_join(nc.key, "%s/operators/admin.key", r.site);
    return net_open(&nc, net, f);
}

/* The next UID, when its time has come. */
static bool uid_take(char *uid, size_t size)
{
    pthread_mutex_lock(&r.lock);
    bool got = fgets(uid, (int)size, stdin) != NULL;
    int64_t due_us = r.began_us + (r.rate ? r.taken * 1000000 / r.rate : 0);
    r.taken += got;
    pthread_mutex_unlock(&r.lock);
    uid[strcspn(uid, "\n")] = 0;
    int64_t wait_us = due_us - clock_mono_us();
    if (got && wait_us > 0)
        usleep((useconds_t)wait_us);
    return got;
}

static void uid_revoke(struct net *net, const char *uid)
{
    char path[160], key[96];
    const char *const headers[] = { "Content-Type: application/json", key, NULL }; /* what was done though the answer was lost is answered again */
    struct net_reply reply = { 0 };
    struct fault f = { 0 };
    enum err e;
    snprintf(path, sizeof path, "/api/v1/devices/%s", uid);
    snprintf(key, sizeof key, "Idempotency-Key: revoke-%.64s", uid);
    int64_t sent = wall_us();
    for (;;) {
        e = net_request(net, "PATCH", path, headers, SPAN_LIT("{\"state\":\"revoked\",\"reason\":\"keyCompromise\"}"), &reply, &f);
        bool answered = reply.status && reply.status < 500;
        net_reply_free(&reply);
        if (answered || !r.again)
            break;
        usleep(20000);
    }
    pthread_mutex_lock(&r.lock);
    r.failed += e != CE_OK;
    printf("%s %lld %lld %s\n", uid, (long long)sent, (long long)wall_us(), e ? err_reason(e) : "ok");
    fflush(stdout);
    pthread_mutex_unlock(&r.lock);
}

static void *work(void *arg)
{
    struct net *net = arg;
    char uid[96];
    while (uid_take(uid, sizeof uid))
        uid_revoke(net, uid);
    net_close(net);
    return NULL;
}

int main(int argc, char **argv)
{
    int opt;
    while ((opt = getopt(argc, argv, "r:a")) != -1) {
        if (opt == '?')
            return 2;
        if (opt == 'r')
            r.rate = atoi(optarg);
        else
            r.again = true;
    }
    if (argc - optind != 3 || atoi(argv[optind + 2]) < 1) {
        fputs("usage: revoke_load [-r RATE] [-a] SITE URL CONNECTIONS\n", stderr);
        return 2;
    }
    r.site = argv[optind];
    r.url = argv[optind + 1];
    int n = atoi(argv[optind + 2]);
    pthread_t *threads = mem_calloc((size_t)n, sizeof *threads);
    struct net **nets = mem_calloc((size_t)n, sizeof *nets);
    for (int i = 0; i < n; i++) { /* connected before the clock starts */
        struct fault f = { 0 };
        struct net_reply reply = { 0 };
        if (connect_site(&nets[i], &f)) {
            fprintf(stderr, "revoke_load: %s\n", f.text);
            return 1;
        }
        if (net_get(nets[i], "/healthz", &reply, &f))
            fprintf(stderr, "revoke_load: %s\n", f.text);
        net_reply_free(&reply);
    }
    r.began_us = clock_mono_us();
    for (int i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, work, nets[i]))
            return 1;
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    free(nets);
    return r.failed != 0;
}
