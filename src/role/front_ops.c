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
    json_cstr(&j, "status", !good ? "starting" : *fr->tokens_lost ? "degraded" : "ok");
    json_bool(&j, "core", fr->core && fr->ready);
    json_int(&j, "query", (int64_t)n_query);
    json_int(&j, "front", fr->config.index);
    json_cstr(&j, "tokens_lost", fr->tokens_lost); /* the rest of the service goes on: no reason to send its clients elsewhere */
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
    front_counts_send(r->fr, clock_mono_ms(), 1); /* arrives before the question */
    return ask_core(r, false);
}

enum err front_status(struct front_req *r, struct fault *f)
{
    (void)f;
    return ask_core(r, true);
}

void front_counts_send(struct front *fr, int64_t now_ms, size_t asking)
{
    CLEANUP(buf_free) struct buf counts = BUF_INIT(FRONT_COUNTS * sizeof(uint64_t));
    const struct msg_caller nobody = {.if_match = -1};
    if (!fr->core || channel_full(fr->core))
        return;
    fr->counted_ms = now_ms;
    fr->count[COUNT_OPEN] = fr->requests.live - asking;
    fr->count[COUNT_STREAMS] = fr->nstreams;
    fr->count[COUNT_DEPOT_GONE] = !fr->depot;
    for (size_t i = 0; i < COUNT_N; i++)
        buf_put_u64(&counts, fr->count[i]);
    for (size_t i = 0; i < CE_COUNT; i++)
        buf_put_u64(&counts, fr->refused[i]);
    const struct msg_front_counts m = {.counts = buf_span(&counts)};
    channel_send_call(fr->core, 0, &nobody, &msg_desc_front_counts, &m);
}

void front_reply_metrics(struct front_req *r, const struct msg_reply *rep)
{
    front_send(r, 200, "text/plain; version=0.0.4; charset=utf-8", rep->body);
}
