/* front_ops.c: health, metrics, status. */
#include "base/json.h"
#include "role/front_priv.h"

enum err front_health(struct front_req *r, struct fault *f)
{
    struct front *fr = r->fr;
    struct json_out j = JSON_OUT(&r->out);
    size_t n_query = 0;
    (void)f;
    for (size_t i = 0; i < ROLE_PEERS_MAX; i++)
        n_query += fr->query[i].ch != NULL;
    bool good = fr->core && fr->ready && n_query > 0;
    json_obj(&j, NULL);
    json_cstr(&j, "status", good ? "ok" : "starting");
    json_bool(&j, "core", fr->core && fr->ready);
    json_int(&j, "query", (int64_t)n_query);
    json_int(&j, "front", fr->config.index);
    json_obj_end(&j);
    r->out_media = "application/json";
    r->out_status = good ? 200 : 503;
    return CE_OK;
}

static enum err ask_core(struct front_req *r, bool json)
{
    struct msg_metrics *m = arena_alloc(&r->arena, sizeof *m);
    m->json = json;
    r->desc = &msg_desc_metrics;
    r->msg = m;
    return CE_OK;
}

enum err front_metrics(struct front_req *r, struct fault *f)
{
    (void)f;
    return ask_core(r, false);
}

enum err front_status(struct front_req *r, struct fault *f)
{
    (void)f;
    return ask_core(r, true);
}

/* Counters of this front; front="N" tells them apart. A scrape meets one front: sums come from scraping often enough. */
static void own_metrics(const struct front *fr, struct buf *out)
{
    static const struct {
        enum front_count which;
        const char *name, *help;
    } rows[] = {
        {COUNT_REQUESTS, "requests", "HTTP requests received"},
        {COUNT_REFUSED, "refused", "requests refused"},
        {COUNT_TIMEOUT, "timeouts", "requests that got no answer in time"},
        {COUNT_BUSY, "busy", "requests refused because too many were open"},
        {COUNT_CERT_HIT, "cert_cache_hits", "client certificates found in the cache"},
        {COUNT_CERT_MISS, "cert_cache_misses", "client certificates parsed"},
        {COUNT_OCSP_HIT, "ocsp_cache_hits", "OCSP answers from the cache"},
        {COUNT_OCSP_MISS, "ocsp_cache_misses", "cacheable OCSP requests that went to core"},
        {COUNT_SLOW_CLOSED, "slow_closed", "connections closed because a request did not arrive in time"},
        {COUNT_STREAM_CLOSED, "streams_closed", "edge streams that were cut or lost"},
    };
    unsigned n = fr->config.index;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        buf_printf(out, "# HELP cradle_front_%s_total %s\n# TYPE cradle_front_%s_total counter\ncradle_front_%s_total{front=\"%u\"} %llu\n",
                   rows[i].name, rows[i].help, rows[i].name, rows[i].name, n, (unsigned long long)fr->count[rows[i].which]);
    buf_printf(out, "# HELP cradle_front_refusals_total requests refused, by reason\n# TYPE cradle_front_refusals_total counter\n");
    for (int e = 1; e < CE_COUNT; e++)
        if (fr->refused[e])
            buf_printf(out, "cradle_front_refusals_total{front=\"%u\",reason=\"%s\"} %llu\n", n, err_reason((enum err)e),
                       (unsigned long long)fr->refused[e]);
    buf_printf(out, "# HELP cradle_front_open requests open now\n# TYPE cradle_front_open gauge\ncradle_front_open{front=\"%u\"} %zu\n", n,
               fr->requests.live);
    buf_printf(
        out,
        "# HELP cradle_front_streams edge streams open now\n# TYPE cradle_front_streams gauge\ncradle_front_streams{front=\"%u\"} %zu\n", n,
        fr->nstreams);
}

void front_reply_metrics(struct front_req *r, const struct msg_reply *rep)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    buf_put_span(&text, rep->body);
    own_metrics(r->fr, &text);
    front_send(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_span(&text));
}
