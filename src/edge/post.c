/* post.c: the thread that posts spooled reports. A report leaves the spool only when cradled has acknowledged it; one that cradled calls
 * malformed is dropped alone, so that it cannot block the others.
 */
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "edge/edge.h"

#define POST_IDLE_MS 1000
#define POST_RETRY_MIN_MS 200

static enum err post_batch(struct edge *e, struct net *net, int max, int *n, struct fault *f)
{
    CLEANUP(buf_free) struct buf json = BUF_INIT(2 << 20);
    struct net_reply reply = { 0 };
    *n = spool_peek(e->spool, max, &json);
    if (!*n)
        return CE_OK;
    enum err err = net_json(net, "POST", "/edge/v1/report", buf_span(&json), &reply, f);
    net_reply_free(&reply);
    return err;
}

static void post_wait(struct edge *e)
{
    struct pollfd p[2] = { { e->post_fd, POLLIN, 0 }, { e->stop_fd, POLLIN, 0 } };
    uint64_t n;
    poll(p, 2, POST_IDLE_MS);
    if (p[0].revents && read(e->post_fd, &n, sizeof n) < 0)
        log_debug(0, "the poster was woken twice");
}

void *edge_post_run(void *arg)
{
    struct edge *e = arg;
    CLEANUP(net_close_p) struct net *net = NULL;
    int64_t wait_ms = POST_RETRY_MIN_MS, max_ms = e->cfg.retry_max * 1000;
    char url[NET_URL_MAX];
    int max = REPORT_BATCH_MAX, n;
    unsigned nth = 0;
    bool told = false;
    while (!atomic_load(&e->stop)) {
        struct fault f = { 0 };
        enum err err = net ? CE_OK : edge_net_open(e, nth, &net, url, &f);
        n = 0;
        if (!err)
            err = post_batch(e, net, max, &n, &f);
        if (!err) {
            spool_drop(e->spool, n);
            max = max * 2 < REPORT_BATCH_MAX ? max * 2 : REPORT_BATCH_MAX;
            wait_ms = POST_RETRY_MIN_MS;
            told = false;
            if (!n)
                post_wait(e);
            continue;
        }
        if (err_class(err) == ERRC_INPUT && n) {
            if (n == 1) {
                log_warn(0, "cradled refuses a report for good: %s", f.text);
                spool_drop(e->spool, 1);
            }
            max = n / 2 > 1 ? n / 2 : 1;
            continue;
        }
        if (!told)
            log_warn(0, "reports wait for %s: %s", url, f.text);
        told = true;
        net_close_p(&net); /* the next attempt reads new certificates, at the next URL */
        net = NULL;
        nth++;
        if (!edge_wait(e, wait_ms))
            break;
        wait_ms = wait_ms * 2 < max_ms ? wait_ms * 2 : max_ms;
    }
    return NULL;
}
