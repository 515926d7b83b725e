/* front_stream.c: GET /edge/v1/stream: an answer that never ends. It begins with what core says the edge lacks, then every
 * frame that core pushes. A reader that is too slow, or whose identity is no longer good, is cut at once.
 */
#include <stdlib.h>

#include "role/front_priv.h"

#define STREAM_BACKLOG (4u << 20) /* unread bytes beyond the first answer */
#define STREAM_WRITE_S 10         /* no byte taken for this long: gone */

struct front_stream {
    struct front_stream *next, **prev;
    struct front *fr;
    struct evhttp_request *http;
    struct bufferevent *bev;
    struct front_who who;
    size_t backlog_max;
};

enum err front_stream_open(struct front_req *r, struct fault *f)
{
    struct msg_edge_open *m = arena_alloc(&r->arena, sizeof *m);
    struct span rest = r->query, name, value;
    enum err e;
    if ((int64_t)r->fr->nstreams >= r->fr->config.streams_max)
        return fault_set(f, CE_BUSY, "%zu edge streams are open already", r->fr->nstreams);
    while ((e = http_query_next(&rest, &r->arena, &name, &value, f)) == CE_OK) {
        if (!span_eq_str(name, "since") || m->since.p)
            return fault_set(f, CE_BAD_FIELD, "unknown or repeated query parameter; only 'since' is taken");
        if (value.n > 1024)
            return fault_set(f, CE_BAD_FIELD, "query parameter 'since' is longer than 1024 bytes");
        m->since = value;
    }
    if (e != CE_NOT_FOUND)
        return e;
    r->desc = &msg_desc_edge_open;
    r->msg = m;
    return CE_OK;
}

static void stream_unlink(struct front_stream *s)
{
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->fr->nstreams--;
    free(s);
}

/* The connection is going: evhttp has let go of the request, which is now ours to end. */
static void on_close(struct evhttp_connection *evcon, void *arg)
{
    struct front_stream *s = arg;
    struct evhttp_request *http = s->http;
    (void)evcon;
    s->fr->count[COUNT_STREAM_CLOSED]++;
    log_info(0, "stream of edge %s closed", s->who.cn);
    stream_unlink(s);
    evhttp_send_reply_end(http);
}

/* Cuts the connection without the last chunk: the edge sees an unfinished answer and asks again. */
static void stream_cut(struct front_stream *s, const char *why)
{
    log_warn(0, "cutting the stream of edge %s: %s", s->who.cn, why);
    bufferevent_trigger_event(s->bev, BEV_EVENT_WRITING | BEV_EVENT_EOF, 0); /* ends in on_close */
}

static void stream_put(struct front_stream *s, struct span bytes)
{
    struct evbuffer *b = evbuffer_new();
    if (!b || evbuffer_add(b, bytes.p, bytes.n) != 0)
        log_error(0, "out of memory for the stream of edge %s", s->who.cn);
    else
        evhttp_send_reply_chunk(s->http, b);
    if (b)
        evbuffer_free(b);
}

void front_stream_begin(struct front_req *r, const struct msg_reply *rep)
{
    struct front *fr = r->fr;
    struct evhttp_connection *evcon = evhttp_request_get_connection(r->http);
    const struct timeval write = {STREAM_WRITE_S, 0};
    struct front_stream *s = mem_calloc(1, sizeof *s);
    *s = (struct front_stream){.fr = fr, .http = r->http, .who = r->who, .backlog_max = rep->body.n + STREAM_BACKLOG};
    s->bev = evhttp_connection_get_bufferevent(evcon);
    s->next = fr->streams;
    s->prev = &fr->streams;
    if (s->next)
        s->next->prev = &s->next;
    fr->streams = s;
    fr->nstreams++;
    front_header(r, "Content-Type", "application/octet-stream");
    front_header(r, "X-Request-Id", "%s", r->id);
    front_header(r, "Cache-Control", "no-store");
    front_header(r, "X-Accel-Buffering", "no");
    evhttp_connection_set_closecb(evcon, on_close, s);
    evhttp_send_reply_start(r->http, 200, "OK");
    bufferevent_set_timeouts(s->bev, NULL, &write); /* an edge never sends anything: only writing is bounded */
    stream_put(s, rep->body);
    log_info(r->rid, "stream of edge %s opened with %zu bytes", s->who.cn, rep->body.n);
    front_req_end(r);
}

void front_stream_frame(struct front *fr, struct span frame)
{
    for (struct front_stream *s = fr->streams, *next; s; s = next) {
        next = s->next;
        if (evbuffer_get_length(bufferevent_get_output(s->bev)) + frame.n > s->backlog_max)
            stream_cut(s, "it reads too slowly");
        else
            stream_put(s, frame);
    }
}

void front_streams_recheck(struct front *fr)
{
    int64_t now = clock_now_s();
    for (struct front_stream *s = fr->streams, *next; s; s = next) {
        const struct front_ident *id = front_map_get(&fr->idents, span_str(s->who.cn));
        next = s->next;
        if (front_blocked(fr, &s->who))
            stream_cut(s, err_text(front_blocked(fr, &s->who)));
        else if (!id || id->removed || !(id->role & R_EDGE))
            stream_cut(s, "it is no edge of this site any more");
        else if (now > s->who.not_after)
            stream_cut(s, "its certificate has expired");
    }
}

void front_streams_end(struct front *fr)
{
    while (fr->streams) {
        struct evhttp_request *http = fr->streams->http;
        evhttp_connection_set_closecb(evhttp_request_get_connection(http), NULL, NULL);
        stream_unlink(fr->streams);
        evhttp_send_reply_end(http);
    }
}
