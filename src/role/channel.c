/* channel.c: see channel.h. */
#include "role/channel.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define CHANNEL_READ_CHUNK (256u << 10)

struct channel {
    struct channel_config c;
    struct bufferevent *bev; /* owned */
    struct buf scratch;      /* message under construction */
    unsigned depth;          /* callbacks running */
    bool freed, gone;
};

static void channel_destroy(struct channel *ch)
{
    bufferevent_free(ch->bev);
    buf_free(&ch->scratch);
    free(ch);
}

void channel_free(struct channel *ch)
{
    if (!ch)
        return;
    if (ch->depth) {
        ch->freed = true;
        bufferevent_disable(ch->bev, EV_READ | EV_WRITE);
        return;
    }
    channel_destroy(ch);
}

static void channel_leave(struct channel *ch)
{
    if (--ch->depth == 0 && ch->freed)
        channel_destroy(ch);
}

void channel_bad(const struct channel *ch, uint16_t type, const char *what)
{
    const struct msg_desc *d = msg_desc_find(type);
    log_error(0, "bad internal framing from %s:%u: message 0x%04x (%s): %s; stopping", role_name(ch->c.peer), ch->c.peer_index, type,
              d ? d->name : "unknown", what);
    _exit(EXIT_BAD_FRAMING);
}

/* Takes one frame if the buffer holds a whole one; false: wait for more. */
static bool channel_take(struct channel *ch, struct evbuffer *in)
{
    uint8_t head[4];
    uint32_t len = 0;
    struct ipc_frame f;
    if (evbuffer_copyout(in, head, sizeof head) < (ev_ssize_t)sizeof head)
        return false;
    struct span s = span_of(head, sizeof head);
    INVARIANT(span_get_u32(&s, &len));
    if (len > IPC_MAX)
        channel_bad(ch, 0, "frame too large");
    size_t whole = (size_t)len + 4;
    if (evbuffer_get_length(in) < whole)
        return false;
    s = span_of(evbuffer_pullup(in, (ev_ssize_t)whole), whole);
    if (ipc_frame_get(&s, &f) != CE_OK || s.n)
        channel_bad(ch, 0, "malformed header");
    if (!edge_permits(ch->c.peer, ch->c.self, f.type))
        channel_bad(ch, f.type, "this role may not send it");
    ch->c.on_frame(ch->c.ctx, ch, &f);
    if (!ch->freed)
        evbuffer_drain(in, whole);
    return !ch->freed;
}

static void channel_on_read(struct bufferevent *bev, void *arg)
{
    struct channel *ch = arg;
    ch->depth++;
    while (!ch->freed && channel_take(ch, bufferevent_get_input(bev)))
        ;
    channel_leave(ch);
}

static void channel_on_event(struct bufferevent *bev, short what, void *arg)
{
    struct channel *ch = arg;
    (void)bev;
    if (ch->freed || ch->gone || !(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    ch->gone = true;
    ch->depth++;
    bufferevent_disable(ch->bev, EV_READ | EV_WRITE);
    ch->c.on_gone(ch->c.ctx, ch);
    channel_leave(ch);
}

struct channel *channel_new(const struct channel_config *c)
{
    struct channel *ch = mem_calloc(1, sizeof *ch);
    ch->c = *c;
    ch->scratch = BUF_INIT(IPC_MAX);
    INVARIANT(evutil_make_socket_nonblocking(c->fd) == 0);
    ch->bev = bufferevent_socket_new(c->base, c->fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    INVARIANT(ch->bev != NULL);
    bufferevent_set_max_single_read(ch->bev, CHANNEL_READ_CHUNK);
    bufferevent_set_max_single_write(ch->bev, CHANNEL_READ_CHUNK);
    bufferevent_setcb(ch->bev, channel_on_read, NULL, channel_on_event, ch);
    INVARIANT(bufferevent_enable(ch->bev, EV_READ | EV_WRITE) == 0);
    return ch;
}

enum role channel_peer(const struct channel *ch) { return ch->c.peer; }
unsigned channel_peer_index(const struct channel *ch) { return ch->c.peer_index; }

static size_t channel_unsent(const struct channel *ch)
{
    return evbuffer_get_length(bufferevent_get_output(ch->bev));
}

bool channel_full(const struct channel *ch) { return channel_unsent(ch) >= CHANNEL_HIGH_WATER; }

void channel_send(struct channel *ch, uint16_t type, uint64_t rid, struct span body)
{
    uint8_t head[IPC_HEADER];
    struct buf h = { .data = head, .cap = sizeof head, .max = sizeof head };
    INVARIANT(edge_permits(ch->c.self, ch->c.peer, type));
    INVARIANT(body.n <= IPC_MAX - IPC_HEADER);
    if (ch->freed || ch->gone)
        return;
    if (channel_unsent(ch) + body.n > CHANNEL_HARD_LIMIT) {
        log_error(rid, "%s:%u does not read: %zu bytes wait; giving it up", role_name(ch->c.peer), ch->c.peer_index, channel_unsent(ch));
        bufferevent_trigger_event(ch->bev, BEV_EVENT_ERROR, BEV_TRIG_DEFER_CALLBACKS);
        return;
    }
    buf_put_u32(&h, (uint32_t)(body.n + IPC_HEADER - 4));
    buf_put_u16(&h, IPC_VERSION);
    buf_put_u16(&h, type);
    buf_put_u64(&h, rid);
    struct evbuffer *out = bufferevent_get_output(ch->bev);
    INVARIANT(evbuffer_add(out, head, sizeof head) == 0);
    INVARIANT(body.n == 0 || evbuffer_add(out, body.p, body.n) == 0);
}

void channel_send_msg(struct channel *ch, const struct msg_desc *d, uint64_t rid, const void *m)
{
    buf_reset(&ch->scratch);
    msg_pack(d, m, &ch->scratch);
    INVARIANT(buf_err(&ch->scratch) == CE_OK);
    channel_send(ch, (uint16_t)d->type, rid, buf_span(&ch->scratch));
}

void channel_send_call(struct channel *ch, uint64_t rid, const struct msg_caller *who, const struct msg_desc *d, const void *m)
{
    buf_reset(&ch->scratch);
    msg_pack(&msg_desc_caller, who, &ch->scratch);
    if (m)
        msg_pack(d, m, &ch->scratch);
    INVARIANT(buf_err(&ch->scratch) == CE_OK);
    channel_send(ch, (uint16_t)d->type, rid, buf_span(&ch->scratch));
}
