/* front_conn.c: an absolute bound for the time in which a request arrives. nginx bounds silence, not a body that trickles at
 * one byte a second, and evhttp's own timeout starts anew with every byte. So the first byte of each request is noted; the
 * sweep shuts down connections that are still reading too long after, and evhttp then drops them.
 *
 * evhttp does not say when it frees a connection, and holding a reference would keep its events on a descriptor that is already
 * somebody else's. So nothing of libevent's is touched later: a connection is known by descriptor and socket cookie
 * (SO_COOKIE, unique while the system runs), and a record whose cookie is not there any more is dropped.
 */
#include <sys/socket.h>

#include "role/front_priv.h"

struct front_conn {
    struct bufferevent *bev; /* only to be touched from its own callback */
    int64_t since_ms;        /* monotonic, first byte of the request being read; 0: none */
    uint64_t cookie;         /* 0: no byte has come yet */
    int fd;
};

struct front_map front_conns_map(void)
{
    return FRONT_MAP(struct front_conn);
}

static struct span conn_key(struct evbuffer *const *input)
{
    return span_of(input, sizeof *input);
}

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t n = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &n) == 0 ? cookie : 0;
}

static void on_bytes(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct front_conn *c = front_map_get(&((struct front *)arg)->conns, conn_key(&input));
    if (!c || info->n_added == 0)
        return;
    if (c->cookie == 0) {
        c->fd = bufferevent_getfd(c->bev);
        c->cookie = cookie_of(c->fd);
    }
    if (c->since_ms == 0)
        c->since_ms = clock_mono_ms();
}

struct bufferevent *front_conn_new(struct event_base *base, void *arg)
{
    struct front *fr = arg;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    if (!bev)
        return NULL;
    struct evbuffer *input = bufferevent_get_input(bev);
    evbuffer_add_cb(input, on_bytes, fr);
    *(struct front_conn *)front_map_set(&fr->conns, conn_key(&input)) = (struct front_conn){.bev = bev, .fd = -1};
    return bev;
}

void front_conn_arrived(struct front *fr, struct evhttp_request *http)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(http));
    struct evbuffer *input = bufferevent_get_input(bev);
    struct front_conn *c = front_map_get(&fr->conns, conn_key(&input));
    if (c)
        c->since_ms = 0;
}

/* evhttp has no way to answer half a request; nothing else has been written for it, so this is the whole answer. */
static void late_answer(int fd)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(2048), text = BUF_INIT(4096);
    problem_json(&(struct problem){.code = CE_TIMEOUT, .status = 408, .detail = SPAN_LIT("the request did not arrive in time")}, &body);
    buf_printf(&text,
               "HTTP/1.1 408 Request Timeout\r\nContent-Type: " PROBLEM_MEDIA "\r\nContent-Length: %zu\r\nX-Cradle-Reason: %s\r\n"
               "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
               body.len, err_reason(CE_TIMEOUT));
    buf_put_span(&text, buf_span(&body));
    if (send(fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug(0, "a late client could not be told");
}

void front_conns_sweep(struct front *fr, int64_t now_ms)
{
    struct span key;
    struct front_conn *c;
    for (size_t i = 0; (c = front_map_next(&fr->conns, &i, &key));) {
        if (c->cookie == 0)
            continue; /* silent since it was accepted: evhttp's own timeout; or gone: the next one at this address takes its place */
        if (cookie_of(c->fd) != c->cookie) {
            front_map_del(&fr->conns, key);
            continue;
        }
        if (c->since_ms == 0 || now_ms - c->since_ms <= fr->config.request_ms)
            continue;
        fr->count[COUNT_SLOW_CLOSED]++;
        log_info(0, "closing a connection: its request did not arrive within %lld ms", (long long)fr->config.request_ms);
        c->since_ms = 0;
        late_answer(c->fd);
        shutdown(c->fd, SHUT_RDWR);
    }
}
