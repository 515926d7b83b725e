/* net_stream.c: a GET whose answer never ends (the edge's revocation stream), with a watchdog that the caller's own clock drives. */
#include <unistd.h>

#include "base/clock.h"
#include "net/net_priv.h"

#define STREAM_TICK_MS 100
#define STREAM_REFUSAL_MAX 65536

struct stream {
    struct net *n;
    CURL *easy;
    const struct net_stream_calls *calls;
    struct net_reply reply;  /* body: only of a refusal */
    int64_t byte_at_ms;      /* monotonic: when the last byte came */
    bool opened, stopped;
    char why[CURL_ERROR_SIZE];
};

static size_t on_stream_bytes(char *p, size_t size, size_t count, void *arg)
{
    struct stream *s = arg;
    size_t n = size * count;
    s->byte_at_ms = clock_mono_ms();
    if (net_status(s->easy, &s->reply) != 200)
        return net_refusal_take(&s->reply, p, n);
    if (!s->opened && s->calls->on_open)
        s->stopped = !s->calls->on_open(s->calls->arg);
    s->opened = true;
    if (!s->stopped)
        s->stopped = !s->calls->on_bytes(s->calls->arg, span_of(p, n));
    return s->stopped ? 0 : n;
}

static void stream_poll(struct stream *s, CURLM *multi)
{
    struct curl_waitfd wake = { .fd = s->calls->wake_fd, .events = CURL_WAIT_POLLIN };
    curl_multi_poll(multi, s->calls->wake_fd >= 0 ? &wake : NULL, s->calls->wake_fd >= 0, STREAM_TICK_MS, NULL);
    if (!s->stopped && s->calls->on_tick)
        s->stopped = !s->calls->on_tick(s->calls->arg);
}

/* Runs until the transfer is over, the watchdog barks or a callback has had enough. */
static enum err stream_run(struct stream *s, CURLM *multi, struct fault *f)
{
    int64_t idle_ms = s->calls->idle_ms ? s->calls->idle_ms : 5000;
    for (;;) {
        int running = 0;
        curl_multi_perform(multi, &running);
        if (s->stopped)
            return CE_OK;
        int left;
        CURLMsg *m = curl_multi_info_read(multi, &left);
        if (m && m->msg == CURLMSG_DONE) {
            if (m->data.result != CURLE_OK)
                return net_fail(s->n, s->easy, m->data.result, s->why, f);
            net_status(s->easy, &s->reply);
            enum err e = net_judge(&s->reply, f);
            return e ? e : fault_set(f, CE_IO, "%s ended the stream", s->n->cfg.base);
        }
        if (clock_mono_ms() - s->byte_at_ms > idle_ms)
            return fault_set(f, CE_TIMEOUT, "%s: no byte on the stream for %lld ms", s->n->cfg.base, (long long)idle_ms);
        stream_poll(s, multi);
        if (s->stopped)
            return CE_OK;
    }
}

enum err net_stream(struct net *n, const char *path, const struct net_stream_calls *calls, struct fault *f)
{
    struct stream s = { .n = n, .calls = calls, .reply.body = BUF_INIT(STREAM_REFUSAL_MAX), .byte_at_ms = clock_mono_ms() };
    s.easy = net_easy(n, s.why);
    struct curl_slist *list = NULL;
    net_prepare(n, s.easy, "GET", path, NULL, (struct span){ 0 }, &list);
    curl_easy_setopt(s.easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(s.easy, CURLOPT_HEADERFUNCTION, net_on_header);
    curl_easy_setopt(s.easy, CURLOPT_HEADERDATA, &s.reply);
    curl_easy_setopt(s.easy, CURLOPT_WRITEFUNCTION, on_stream_bytes);
    curl_easy_setopt(s.easy, CURLOPT_WRITEDATA, &s);
    CURLM *multi = curl_multi_init();
    curl_multi_add_handle(multi, s.easy);
    enum err e = stream_run(&s, multi, f);
    curl_multi_remove_handle(multi, s.easy);
    curl_easy_cleanup(s.easy);
    curl_multi_cleanup(multi);
    curl_slist_free_all(list);
    net_reply_free(&s.reply);
    return e;
}
