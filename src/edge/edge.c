/* edge.c: what the threads share. */
#include "edge/edge.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

const struct config_key edge_keys[] = {
#define CFG(...) CONFIG_ROW(edge_config, __VA_ARGS__)
#include "edge/edge.def"
#undef CFG
};
const size_t edge_nkeys = ARRAY_LEN(edge_keys);

enum err edge_net_open(const struct edge *e, unsigned nth, struct net **out, char *url_out, struct fault *f)
{
    struct net_config nc = { .agent = "cradle-edge/" CRADLE_VERSION };
    struct span rest = span_str(e->cfg.urls), url, urls[8];
    unsigned n = 0;
    url_out[0] = 0;
    while (n < ARRAY_LEN(urls) && span_cut(&rest, ' ', &url))
        if (url.n)
            urls[n++] = url;
    if (!n || span_to_cstr(urls[nth % n], nc.base, sizeof nc.base))
        return fault_set(f, CE_BAD_CONFIG, "urls: names no URL");
    path_join(nc.ca, "%s", e->cfg.ca);
    path_join(nc.cert, "%s", e->cfg.cert);
    path_join(nc.key, "%s", e->cfg.key);
    memcpy(url_out, nc.base, sizeof nc.base);
    return net_open(&nc, out, f);
}

bool edge_wait(struct edge *e, int64_t ms)
{
    uint16_t r = 0;
    if (random_bytes(&r, sizeof r))
        r = 0;
    struct pollfd p = { e->stop_fd, POLLIN, 0 };
    poll(&p, 1, (int)(ms + ms * r / (2 * UINT16_MAX)));
    return !atomic_load(&e->stop);
}

enum err edge_report(struct edge *e, const struct msg_report *r)
{
    uint64_t one = 1;
    enum err err = spool_put(e->spool, r);
    if (err && err != CE_RATE) /* counted in the status */
        log_warn(0, "a report of kind " SPAN_FMT " is lost: %s", SPAN_ARG(r->kind), err_text(err));
    ssize_t n = write(e->post_fd, &one, sizeof one);
    (void)n; /* full: the poster is awake already */
    return err;
}

void edge_trouble(struct edge *e, const char *text)
{
    pthread_mutex_lock(&e->lock);
    snprintf(e->view.trouble, sizeof e->view.trouble, "%s", text);
    pthread_mutex_unlock(&e->lock);
}

int64_t edge_view_age_ms(const struct edge_view *v)
{
    int64_t wall = v->vector[0] ? clock_now_ms() - v->at_ms : 0, mono = clock_mono_ms() - v->seen_mono_ms;
    return wall > mono ? wall : mono;
}
