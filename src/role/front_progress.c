/* front_progress.c: GET /api/v1/rollouts/{name}/stream: server-sent events (WHATWG HTML 9.2): event `progress` with what GET rollouts/{name} says, at first and
 * whenever it changes, at most twice a second. Query is asked; nothing is kept but the digest of what was sent last. Ends after the last event of a
 * rollout that is over; is cut when its reader is too slow or may no longer read.
 */
#include <stdlib.h>

#include "crypt/hash.h"
#include "role/front_priv.h"

#define PROGRESS_MAX 32           /* streams of a front */
#define PROGRESS_EVERY_MS 500
#define PROGRESS_BEAT_MS 15000    /* unless configured: a comment, so that nobody in between takes silence for death */
#define PROGRESS_BACKLOG (1u << 20)
#define PROGRESS_WRITE_S 10

struct front_progress {
    struct front_progress *next, **prev;
    struct front *fr;
    struct evhttp_request *http;
    struct bufferevent *bev;
    struct front_who who;
    unsigned roles;                /* of the route */
    char name[64];
    uint8_t digest[SHA256_LEN];    /* of the last event */
    const struct channel *asked;   /* awaited; NULL: nobody */
    uint64_t rid;
    int64_t asked_ms, sent_ms;
};

enum err front_progress_open(struct front_req *r, struct fault *f)
{
    if (r->fr->nprogress >= PROGRESS_MAX)
        return fault_set(f, CE_BUSY, "%zu streams of rollouts are open already", r->fr->nprogress);
    return front_query(r, f);
}

static void ask_over(struct front_progress *s)
{
    if (s->asked)
        front_query_over(s->fr, s->asked);
    s->asked = NULL;
}

static void progress_unlink(struct front_progress *s)
{
    ask_over(s);
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->fr->nprogress--;
    free(s);
}

static void on_close(struct evhttp_connection *evcon, void *arg)
{
    struct front_progress *s = arg;
    struct evhttp_request *http = s->http;
    (void)evcon;
    progress_unlink(s);
    evhttp_send_reply_end(http);
}

/* Without the last chunk: the reader sees an unfinished answer. */
static void progress_cut(struct front_progress *s, const char *why)
{
    log_info(0, "cutting the stream of rollout %s of %s: %s", s->name, s->who.cn, why);
    bufferevent_trigger_event(s->bev, BEV_EVENT_WRITING | BEV_EVENT_EOF, 0); /* ends in on_close */
}

static void progress_end(struct front_progress *s)
{
    struct evhttp_request *http = s->http;
    evhttp_connection_set_closecb(evhttp_request_get_connection(http), NULL, NULL);
    progress_unlink(s);
    evhttp_send_reply_end(http);
}

static void progress_put(struct front_progress *s, struct span text)
{
    struct evbuffer *b = evbuffer_new();
    if (b && evbuffer_add(b, text.p, text.n) == 0)
        evhttp_send_reply_chunk(s->http, b);
    if (b)
        evbuffer_free(b);
    s->sent_ms = clock_mono_ms();
}

/* Quotes inside of strings are escaped, so these words can only be the state of the rollout. */
static bool is_over(struct span body)
{
    return memmem(body.p, body.n, "\"state\":\"done\"", 14) || memmem(body.p, body.n, "\"state\":\"cancelled\"", 19);
}

/* May free s. */
static void progress_tell(struct front_progress *s, struct span body)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    uint8_t digest[SHA256_LEN];
    sha256(body, digest);
    if (memcmp(digest, s->digest, sizeof digest) == 0)
        return;
    memcpy(s->digest, digest, sizeof digest);
    buf_put_str(&text, "event: progress\ndata: ");
    buf_put_span(&text, body);
    buf_put_str(&text, "\n\n");
    if (evbuffer_get_length(bufferevent_get_output(s->bev)) + text.len > PROGRESS_BACKLOG) {
        progress_cut(s, "it reads too slowly");
        return;
    }
    progress_put(s, buf_span(&text));
    if (is_over(body))
        progress_end(s);
}

void front_progress_begin(struct front_req *r, const struct msg_reply *rep)
{
    struct front *fr = r->fr;
    struct evhttp_connection *evcon = evhttp_request_get_connection(r->http);
    const struct timeval write = { PROGRESS_WRITE_S, 0 };
    if (r->head) {
        front_send(r, 200, "text/event-stream", (struct span){ 0 });
        return;
    }
    struct front_progress *s = mem_calloc(1, sizeof *s);
    *s = (struct front_progress){ .fr = fr, .http = r->http, .who = r->who, .roles = r->match.route->roles, .asked_ms = clock_mono_ms() };
    if (span_to_cstr(((const struct msg_query *)r->msg)->key, s->name, sizeof s->name))
        s->name[0] = '\0';
    s->bev = evhttp_connection_get_bufferevent(evcon);
    s->next = fr->progress;
    s->prev = &fr->progress;
    if (s->next)
        s->next->prev = &s->next;
    fr->progress = s;
    fr->nprogress++;
    front_header(r, "Content-Type", "text/event-stream");
    front_header(r, "X-Request-Id", "%s", r->id);
    front_header(r, "Cache-Control", "no-store");
    front_header(r, "X-Accel-Buffering", "no");
    evhttp_connection_set_closecb(evcon, on_close, s);
    evhttp_send_reply_start(r->http, 200, "OK");
    bufferevent_set_timeouts(s->bev, NULL, &write);
    front_req_end(r);
    progress_tell(s, rep->body);
}

static struct front_progress *progress_find(struct front *fr, uint64_t rid)
{
    for (struct front_progress *s = fr->progress; s; s = s->next)
        if (s->asked && s->rid == rid)
            return s;
    return NULL;
}

void front_progress_reply(struct front *fr, const struct channel *ch, uint64_t rid, const struct msg_reply *rep)
{
    struct front_progress *s = progress_find(fr, rid);
    if (!s || s->asked != ch)
        return;
    ask_over(s);
    if (!rep->code)
        progress_tell(s, rep->body);
    else if (rep->code == CE_NOT_FOUND || rep->code == CE_LINE_FORBIDDEN)
        progress_cut(s, err_text((enum err)rep->code));
}

static void progress_ask(struct front_progress *s, int64_t now_ms)
{
    const struct msg_caller who = { .kind = s->who.kind, .cn = span_str(s->who.cn), .proto = SPAN_LIT("rest"), .if_match = -1 };
    const struct msg_query m = { .what = SPAN_LIT("rollout"), .key = span_str(s->name), .scope = span_str(s->who.lines) };
    struct channel *ch = front_query_pick(s->fr);
    s->asked_ms = now_ms;
    if (!ch)
        return;
    s->asked = ch;
    s->rid = ++s->fr->next_rid;
    if (channel_full(ch))
        ask_over(s);
    else
        channel_send_call(ch, s->rid, &who, &msg_desc_query, &m);
}

static const char *progress_wrong(const struct front_progress *s)
{
    const struct front_ident *id = front_map_get(&s->fr->idents, span_str(s->who.cn));
    if (front_blocked(s->fr, &s->who))
        return err_text(front_blocked(s->fr, &s->who));
    if (!id || id->removed || !(id->role & s->roles) || strcmp(id->lines, s->who.lines) != 0)
        return "its reader's role has changed";
    return clock_now_s() > s->who.not_after ? "its reader's certificate has expired" : NULL;
}

void front_progress_sweep(struct front *fr, int64_t now_ms)
{
    for (struct front_progress *s = fr->progress, *next; s; s = next) {
        const char *why = progress_wrong(s);
        next = s->next;
        if (why) {
            progress_cut(s, why);
            continue;
        }
        if (s->asked && now_ms - s->asked_ms > fr->config.request_ms)
            ask_over(s);
        if (now_ms - s->sent_ms >= (fr->config.beat_ms ? fr->config.beat_ms : PROGRESS_BEAT_MS))
            progress_put(s, SPAN_LIT(": still there\n\n"));
        if (!s->asked && now_ms - s->asked_ms >= PROGRESS_EVERY_MS)
            progress_ask(s, now_ms);
    }
}

void front_progress_lost(struct front *fr, const struct channel *ch)
{
    for (struct front_progress *s = fr->progress; s; s = s->next)
        if (s->asked == ch)
            s->asked = NULL;
}

void front_progress_end(struct front *fr)
{
    while (fr->progress)
        progress_end(fr->progress);
}
