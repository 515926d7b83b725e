/* front_conn.c: an absolute bound for the time in which a request arrives. nginx bounds silence, not a body that trickles at
 * one byte a second, and evhttp's own timeout starts anew with every byte. So each connection notes when the first byte of
 * a request came; the sweep closes those that are still reading too long after.
 */
#include <stdlib.h>

#include "role/front_priv.h"

struct front_conn {
    struct bufferevent *bev; /* one reference is ours, so that it can be asked after evhttp has dropped it */
    int64_t since_ms;        /* monotonic, first byte of the request being read; 0: none */
};

static struct span conn_key(struct bufferevent *const *bev) { return span_of(bev, sizeof *bev); }

static void on_bytes(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    (void)input;
    struct front_conn *c = arg;
    if (info->n_added && c->since_ms == 0)
        c->since_ms = clock_mono_ms();
}

/* evhttp clears all callbacks when it frees a connection. */
static bool conn_dead(const struct front_conn *c)
{
    bufferevent_data_cb readcb, writecb;
    bufferevent_event_cb eventcb;
    bufferevent_getcb(c->bev, &readcb, &writecb, &eventcb, NULL);
    return !eventcb;
}

static void conn_free(struct front *fr, struct front_conn *c)
{
    struct bufferevent *bev = c->bev;
    front_map_del(&fr->conns, conn_key(&bev));
    evbuffer_remove_cb(bufferevent_get_input(bev), on_bytes, c);
    bufferevent_decref(bev);
    free(c);
}

struct bufferevent *front_conn_new(struct event_base *base, void *arg)
{
    struct front *fr = arg;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    if (!bev)
        return NULL;
    struct front_conn *c = mem_calloc(1, sizeof *c);
    c->bev = bev;
    bufferevent_incref(bev);
    evbuffer_add_cb(bufferevent_get_input(bev), on_bytes, c);
    *(struct front_conn **)front_map_set(&fr->conns, conn_key(&bev)) = c;
    return bev;
}

void front_conn_arrived(struct front *fr, struct evhttp_request *http)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(http));
    struct front_conn **c = front_map_get(&fr->conns, conn_key(&bev));
    if (c)
        (*c)->since_ms = 0;
}

void front_conns_sweep(struct front *fr, int64_t now_ms)
{
    struct span key;
    struct front_conn **at;
    for (size_t i = 0; (at = front_map_next(&fr->conns, &i, &key));) {
        struct front_conn *c = *at;
        if (c->since_ms && now_ms - c->since_ms > fr->config.request_ms && !conn_dead(c)) {
            fr->count[COUNT_SLOW_CLOSED]++;
            log_info(0, "closing a connection: its request did not arrive within %lld ms", (long long)fr->config.request_ms);
            c->since_ms = 0;
            bufferevent_trigger_event(c->bev, BEV_EVENT_READING | BEV_EVENT_TIMEOUT, 0);
        }
        if (conn_dead(c))
            conn_free(fr, c);
    }
}

void front_conns_free(struct front *fr)
{
    struct span key;
    struct front_conn **at;
    for (size_t i = 0; (at = front_map_next(&fr->conns, &i, &key));)
        conn_free(fr, *at);
    front_map_free(&fr->conns);
}
