/* net_download.c: a large GET that can go on where it was cut, within bounds of size and slowness. See net.h. */
#include <stdio.h>
#include <unistd.h>

#include "net/net_priv.h"

#define REFUSAL_MAX 65536

struct download {
    struct net_download *d;
    CURL *easy;
    struct net_reply reply; /* body: only of a refusal */
    int64_t range_from;     /* what Content-Range says, -1 nothing */
    int64_t at;
    bool begun, stopped, too_large, wrong_range;
    char why[CURL_ERROR_SIZE];
};

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct download *dl = arg;
    struct span line = span_of(p, size * count);
    int64_t from = net_range_from(line);
    if (span_starts(line, "HTTP/"))
        dl->range_from = -1;
    else if (from >= 0)
        dl->range_from = from;
    net_reply_header(&dl->reply, line);
    return size * count;
}

/* The first bytes of a good answer: is it what was asked for? */
static bool download_begin(struct download *dl)
{
    bool part = dl->reply.status == 206;
    dl->at = part ? dl->d->from : 0;
    dl->wrong_range = part && dl->range_from != dl->d->from;
    dl->begun = true;
    dl->stopped = !dl->wrong_range && dl->d->on_begin && !dl->d->on_begin(dl->d->arg, dl->at);
    return !dl->wrong_range && !dl->stopped;
}

static size_t on_bytes(char *p, size_t size, size_t count, void *arg)
{
    struct download *dl = arg;
    size_t n = size * count;
    int status = net_status(dl->easy, &dl->reply);
    if (status != 200 && status != 206)
        return net_refusal_take(&dl->reply, p, n);
    if (!dl->begun && !download_begin(dl))
        return 0;
    if ((int64_t)n > dl->d->limit - dl->at) {
        dl->too_large = true;
        return 0;
    }
    dl->at += (int64_t)n;
    dl->stopped = !dl->d->on_bytes(dl->d->arg, span_of(p, n));
    return dl->stopped ? 0 : n;
}

static enum err download_judge(struct download *dl, struct net *n, CURLcode rc, struct fault *f)
{
    net_status(dl->easy, &dl->reply);
    dl->d->retry_s = dl->reply.retry_s;
    if (dl->stopped)
        return CE_OK;
    if (dl->too_large)
        return fault_set(f, CE_TOO_LARGE, "%s sends more than the %lld bytes that were signed", n->cfg.base, (long long)dl->d->limit);
    if (dl->wrong_range)
        return fault_set(f, CE_IO, "%s answered with another range than the one that was asked for", n->cfg.base);
    if (rc != CURLE_OK)
        return net_fail(n, dl->easy, rc, dl->why, f);
    return net_judge(&dl->reply, f);
}

enum err net_download(struct net *n, const char *path, struct net_download *d, struct fault *f)
{
    struct download dl = { .d = d, .reply.body = BUF_INIT(REFUSAL_MAX), .range_from = -1 };
    char range[48];
    struct curl_slist *list = NULL;
    INVARIANT(d->from >= 0 && d->from < d->limit && d->stall_s > 0);
    dl.easy = net_easy(n, dl.why);
    net_prepare(n, dl.easy, "GET", path, NULL, (struct span){ 0 }, &list);
    snprintf(range, sizeof range, "%lld-", (long long)d->from);
    if (d->from)
        curl_easy_setopt(dl.easy, CURLOPT_RANGE, range);
    curl_easy_setopt(dl.easy, CURLOPT_LOW_SPEED_LIMIT, (long)d->min_rate);
    curl_easy_setopt(dl.easy, CURLOPT_LOW_SPEED_TIME, (long)d->stall_s);
    curl_easy_setopt(dl.easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(dl.easy, CURLOPT_HEADERDATA, &dl);
    curl_easy_setopt(dl.easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(dl.easy, CURLOPT_WRITEDATA, &dl);
    enum err e = download_judge(&dl, n, curl_easy_perform(dl.easy), f);
    curl_easy_cleanup(dl.easy);
    curl_slist_free_all(list);
    net_reply_free(&dl.reply);
    return e;
}
