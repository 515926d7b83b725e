/* authz_spop.c: the agent's side of a connection from HAProxy (SPOE): HELLO, then one ACK for each NOTIFY, in order. What is not understood
 * ends the connection with a DISCONNECT; HAProxy then treats the request as its configuration says (docs/recipes/haproxy.md: refused).
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "edge/authz.h"
#include "edge/spop.h"

struct spop_conn {
    struct authz *a;
    struct bufferevent *bev;
    struct spop_conn *next, **at; /* in a->conns */
    bool hello, ending;           /* ending: closed as soon as the output is written */
};

static void conn_free(struct spop_conn *c)
{
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    bufferevent_free(c->bev);
    free(c);
}

static void conn_write(struct spop_conn *c, const struct buf *out) { bufferevent_write(c->bev, out->data, out->len); }

static void conn_refuse(struct spop_conn *c, enum spop_status status, const char *why)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(SPOP_FRAME_MAX);
    spop_put_disconnect(&out, status, why);
    if (status)
        log_warn(0, "spop: a connection is ended: %s", why);
    conn_write(c, &out);
    c->ending = true;
    bufferevent_disable(c->bev, EV_READ);
}

static void hello_answer(struct spop_conn *c, const struct spop_frame *fr)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(SPOP_FRAME_MAX);
    struct spop_hello h;
    if (spop_hello_parse(fr->payload, &h) || !fr->fin) {
        conn_refuse(c, SPOP_INVALID, "the HELLO is malformed");
    } else if (!h.version_2) {
        conn_refuse(c, SPOP_BAD_VERSION, "this agent speaks SPOP 2.0");
    } else if (h.max_frame < SPOP_FRAME_MIN) {
        conn_refuse(c, SPOP_BAD_FRAME_SIZE, "max-frame-size is missing or too small");
    } else {
        spop_put_hello(&out, h.max_frame < SPOP_FRAME_MAX ? h.max_frame : SPOP_FRAME_MAX);
        conn_write(c, &out);
        c->hello = true;
        c->ending = h.healthcheck;
    }
}

static void addr_text(const struct spop_value *v, char out[AUTHZ_ADDR_MAX])
{
    out[0] = 0;
    if (v->type == SPOP_IPV4 || v->type == SPOP_IPV6)
        inet_ntop(v->type == SPOP_IPV4 ? AF_INET : AF_INET6, v->bytes.p, out, AUTHZ_ADDR_MAX);
}

static void notify_answer(struct spop_conn *c, const struct spop_frame *fr)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(SPOP_FRAME_MAX), serial = BUF_INIT(64);
    struct authz_answer a;
    struct spop_check check;
    char addr[AUTHZ_ADDR_MAX];
    if (spop_notify_parse(fr->payload, &check)) {
        conn_refuse(c, SPOP_INVALID, "the NOTIFY is malformed");
        return;
    }
    addr_text(&check.addr, addr);
    authz_judge(c->a, AUTHZ_RAW, check.cert, addr, &a);
    buf_put_hex(&serial, span_of(a.peer.serial, a.peer.serial_n));
    size_t at = spop_ack_begin(&out, fr->stream_id, fr->frame_id);
    spop_ack_bool(&out, "allow", !a.err);
    spop_ack_str(&out, "reason", span_str(err_reason(a.err)));
    spop_ack_str(&out, "uid", a.err ? SPAN_LIT("") : span_str(a.peer.uid));
    spop_ack_str(&out, "serial", a.err ? SPAN_LIT("") : buf_span(&serial));
    spop_ack_str(&out, "line", a.err ? SPAN_LIT("") : span_str(a.peer.line));
    spop_ack_str(&out, "state", span_str(admit_state(a.err)));
    spop_ack_end(&out, at);
    conn_write(c, &out);
}

static void frame_take(struct spop_conn *c, struct span bytes)
{
    struct spop_frame fr;
    if (spop_frame_parse(bytes, &fr))
        conn_refuse(c, SPOP_INVALID, "a frame is malformed");
    else if (fr.type == SPOP_HAPROXY_DISCONNECT)
        conn_refuse(c, SPOP_NORMAL, "good bye");
    else if (!c->hello && fr.type == SPOP_HAPROXY_HELLO)
        hello_answer(c, &fr);
    else if (!c->hello || fr.type != SPOP_NOTIFY)
        conn_refuse(c, SPOP_INVALID, "a frame of this type does not belong here");
    else if (!fr.fin || fr.abort)
        conn_refuse(c, SPOP_FRAGMENTS, "this agent takes no fragments");
    else
        notify_answer(c, &fr);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct spop_conn *c = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    uint8_t head[4];
    while (!c->ending && evbuffer_copyout(in, head, sizeof head) == (ev_ssize_t)sizeof head) {
        size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        if (n > SPOP_FRAME_MAX) {
            conn_refuse(c, SPOP_TOO_BIG, "a frame is larger than max-frame-size");
            return;
        }
        if (evbuffer_get_length(in) < n + sizeof head)
            return;
        const uint8_t *p = evbuffer_pullup(in, (ev_ssize_t)(n + sizeof head));
        frame_take(c, span_of(p + sizeof head, n));
        evbuffer_drain(in, n + sizeof head);
    }
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct spop_conn *c = arg;
    (void)bev;
    if (c->ending)
        conn_free(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev, (void)what;
    conn_free(arg);
}

void authz_spop_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int n, void *arg)
{
    struct authz *a = arg;
    struct spop_conn *c = mem_calloc(1, sizeof *c);
    (void)l, (void)sa, (void)n;
    c->a = a;
    c->bev = bufferevent_socket_new(a->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!c->bev) {
        evutil_closesocket(fd);
        free(c);
        return;
    }
    c->next = a->conns;
    c->at = &a->conns;
    if (c->next)
        c->next->at = &c->next;
    a->conns = c;
    bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

void authz_spop_end(struct authz *a)
{
    while (a->conns)
        conn_free(a->conns);
}
