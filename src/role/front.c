/* front.c: the front role: opening, peers, messages from core and query, the sweep of what takes too long. See front.h. */
#include "role/front.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "role/front_priv.h"

/* -- messages from core and query --------------------------------------------------------------------------------------------------- */
static void on_reply(struct front *fr, struct channel *ch, const struct ipc_frame *f)
{
    struct msg_reply rep;
    char text[256];
    if (msg_unpack_all(&msg_desc_reply, f->body, &rep) || rep.code < 0 || rep.code >= CE_COUNT)
        channel_bad(ch, f->type, "reply");
    struct front_req *r = front_req_find(fr, f->rid);
    if (!r)
        front_progress_reply(fr, ch, f->rid, &rep);
    if (!r || r->sent_to != ch)
        return; /* it came too late: the client has its answer */
    if (rep.code == CE_PENDING && r->handler->pending) {
        r->handler->pending(r, &rep);
        return;
    }
    if (rep.code) {
        front_refuse(r, (enum err)rep.code, span_to_cstr(rep.text, text, sizeof text) ? "" : text, &rep);
        return;
    }
    if (r->handler->reply)
        r->handler->reply(r, &rep);
    else
        front_reply_plain(r, &rep);
}

static void on_push_ident(struct front *fr, const void *m)
{
    front_push_ident(fr, m);
}
static void on_push_line(struct front *fr, const void *m)
{
    (void)front_map_set(&fr->lines, ((const struct msg_push_line *)m)->name);
}
static void on_push_cert(struct front *fr, const void *m)
{
    front_push_cert(fr, m);
}
static void on_push_ca(struct front *fr, const void *m)
{
    front_push_ca(fr, m);
}
static void on_push_frame(struct front *fr, const void *m)
{
    front_stream_frame(fr, ((const struct msg_push_frame *)m)->frame);
}
static void on_push_meta(struct front *fr, const void *m)
{
    front_push_meta(fr, m);
}
static void on_push_update(struct front *fr, const void *m)
{
    front_push_update(fr, m);
}
static void on_push_anchor(struct front *fr, const void *m)
{
    front_push_anchor(fr, m);
}
static void on_push_tokens(struct front *fr, const void *m)
{
    INVARIANT(span_to_cstr(((const struct msg_push_tokens *)m)->lost, fr->tokens_lost, sizeof fr->tokens_lost) == CE_OK);
}
static void on_push_ready(struct front *fr, const void *m)
{
    fr->ready = true;
    log_info(0, "open for business: core told %lld identities", (long long)((const struct msg_push_ready *)m)->idents);
}

static const struct push {
    enum msg_type type;
    const struct msg_desc *desc;
    void (*fn)(struct front *fr, const void *m);
} pushes[] = {
    {MSG_PUSH_IDENT, &msg_desc_push_ident, on_push_ident},
    {MSG_PUSH_LINE, &msg_desc_push_line, on_push_line},
    {MSG_PUSH_CERT, &msg_desc_push_cert, on_push_cert},
    {MSG_PUSH_CA, &msg_desc_push_ca, on_push_ca},
    {MSG_PUSH_FRAME, &msg_desc_push_frame, on_push_frame},
    {MSG_PUSH_META, &msg_desc_push_meta, on_push_meta},
    {MSG_PUSH_UPDATE, &msg_desc_push_update, on_push_update},
    {MSG_PUSH_ANCHOR, &msg_desc_push_anchor, on_push_anchor},
    {MSG_PUSH_TOKENS, &msg_desc_push_tokens, on_push_tokens},
    {MSG_PUSH_READY, &msg_desc_push_ready, on_push_ready},
};

union push_any {
    struct msg_push_ident ident;
    struct msg_push_line line;
    struct msg_push_cert cert;
    struct msg_push_ca ca;
    struct msg_push_frame frame;
    struct msg_push_meta meta;
    struct msg_push_update update;
    struct msg_push_anchor anchor;
    struct msg_push_tokens tokens;
    struct msg_push_ready ready;
};

static void on_frame(void *ctx, struct channel *ch, const struct ipc_frame *f)
{
    struct front *fr = ctx;
    union push_any m;
    if (f->type == MSG_REPLY) {
        on_reply(fr, ch, f);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(pushes); i++)
        if (pushes[i].type == f->type) {
            if (msg_unpack_all(pushes[i].desc, f->body, &m))
                channel_bad(ch, f->type, pushes[i].desc->name);
            pushes[i].fn(fr, &m);
            return;
        }
    channel_bad(ch, f->type, "type");
}

/* -- peers
 * --------------------------------------------------------------------------------------------------------------------------------- */
static void core_lost(struct front *fr)
{
    struct channel *ch = fr->core;
    if (!ch)
        return;
    fr->core = NULL;
    fr->ready = false;
    fr->tokens_lost[0] = 0;
    front_progress_end(fr);
    front_streams_end(fr); /* they would miss frames */
    front_requests_lost(fr, ch);
    front_map_free(&fr->idents);
    front_map_free(&fr->blocked);
    front_anchors_clear(fr->anchors);
    front_meta_clear(fr->meta);
    front_ocsp_cache_clear(fr->ocsp);
    front_polls_clear(fr->polls);
    channel_free(ch);
}

static void query_lost(struct front *fr, unsigned index)
{
    struct channel *ch = fr->query[index].ch;
    if (!ch)
        return;
    front_requests_lost(fr, ch);
    front_progress_lost(fr, ch);
    fr->query[index] = (struct front_query_peer){0};
    channel_free(ch);
}

static void depot_lost(struct front *fr)
{
    struct channel *ch = fr->depot;
    if (!ch)
        return;
    fr->depot = NULL;
    front_requests_lost(fr, ch);
    channel_free(ch);
}

static void on_gone(void *ctx, struct channel *ch)
{
    struct front *fr = ctx;
    log_warn(0, "%s %u has gone; its open requests are refused", role_name(channel_peer(ch)), channel_peer_index(ch));
    if (ch == fr->core)
        core_lost(fr);
    else if (ch == fr->depot)
        depot_lost(fr);
    else
        query_lost(fr, channel_peer_index(ch));
}

void front_peer(struct front *fr, const struct role_peer *p)
{
    const struct channel_config c = {
        .base = fr->config.base,
        .fd = p->fd,
        .self = ROLE_FRONT,
        .peer = p->role,
        .peer_index = p->index,
        .on_frame = on_frame,
        .on_gone = on_gone,
        .ctx = fr,
    };
    INVARIANT(p->role == ROLE_CORE || p->role == ROLE_DEPOT || (p->role == ROLE_QUERY && p->index < ROLE_PEERS_MAX));
    if (p->role == ROLE_CORE) {
        core_lost(fr);
        fr->core = channel_new(&c);
    } else if (p->role == ROLE_DEPOT) {
        depot_lost(fr);
        fr->depot = channel_new(&c);
    } else {
        query_lost(fr, p->index);
        fr->query[p->index].ch = channel_new(&c);
    }
}

/* -- life
 * ---------------------------------------------------------------------------------------------------------------------------------- */
static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct front *fr = arg;
    int64_t now = clock_mono_ms();
    (void)fd;
    (void)what;
    front_requests_sweep(fr, now);
    front_conns_sweep(fr, now);
    front_streams_recheck(fr);
    front_progress_sweep(fr, now);
    if (now - fr->counted_ms >= FRONT_COUNTS_MS)
        front_counts_send(fr, now, 0);
}

static enum err files_open(struct front *fr, struct fault *f)
{
    const char *site = fr->config.site;
    enum err e = profile_load(site, "device", &fr->profile, f);
    if (!e)
        e = profile_load(site, "operator", &fr->infra, f);
    if (!e && profile_there(site, PROFILE_IDEVID))
        e = profile_load(site, PROFILE_IDEVID, &fr->idevid, f);
    e = e ? e : front_est_open(fr, f);
    return e ? e : front_cmp_open(fr, f);
}

static enum err http_open(struct front *fr, struct fault *f)
{
    const struct timeval every = {0, FRONT_SWEEP_MS * 1000};
    fr->http = evhttp_new(fr->config.base);
    fr->sweep = event_new(fr->config.base, -1, EV_PERSIST, on_sweep, fr);
    if (!fr->http || !fr->sweep || event_add(fr->sweep, &every) != 0)
        return fault_set(f, CE_IO, "libevent could not be set up");
    evhttp_set_allowed_methods(fr->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH |
                                             EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS);
    evhttp_set_max_headers_size(fr->http, FRONT_HEADERS_MAX);
    evhttp_set_max_body_size(fr->http, FRONT_BODY_MAX);
    evhttp_set_timeout(fr->http, FRONT_IDLE_S);
    evhttp_set_default_content_type(fr->http, NULL);
    evhttp_set_bevcb(fr->http, front_conn_new, fr);
    evhttp_set_gencb(fr->http, front_request, fr);
    if (evhttp_accept_socket(fr->http, fr->config.listen_fd) != 0)
        return fault_set(f, CE_IO, "the listening socket could not be used");
    return CE_OK;
}

enum err front_new(const struct front_config *config, struct front **out, struct fault *f)
{
    struct front *fr = mem_calloc(1, sizeof *fr);
    fr->config = *config;
    fr->requests = FRONT_MAP(struct front_req *);
    fr->conns = front_conns_map();
    fr->idents = FRONT_MAP(struct front_ident);
    fr->lines = FRONT_MAP(struct front_line);
    fr->blocked = FRONT_MAP(struct front_blocked);
    fr->ddi = front_ddi_map();
    fr->certs = front_cert_cache_new();
    fr->anchors = front_anchors_new();
    fr->meta = front_meta_new();
    fr->ocsp = front_ocsp_cache_new();
    fr->polls = front_polls_new();
    fr->next_rid = 0;
    enum err e = files_open(fr, f);
    if (!e)
        e = http_open(fr, f);
    if (e) {
        front_free(fr);
        return e;
    }
    *out = fr;
    return CE_OK;
}

void front_free(struct front *fr)
{
    if (!fr)
        return;
    fr->draining = true;
    front_progress_end(fr);
    front_streams_end(fr);
    if (fr->core)
        core_lost(fr);
    depot_lost(fr);
    for (unsigned i = 0; i < ROLE_PEERS_MAX; i++)
        query_lost(fr, i);
    if (fr->http)
        evhttp_free(fr->http);
    front_map_free(&fr->conns);
    if (fr->sweep)
        event_free(fr->sweep);
    front_cas_close(fr);
    buf_free(&fr->cacerts);
    buf_free(&fr->csrattrs);
    front_map_free(&fr->requests);
    front_map_free(&fr->idents);
    front_map_free(&fr->lines);
    front_map_free(&fr->ddi);
    front_map_free(&fr->blocked);
    front_ocsp_cache_free(fr->ocsp);
    front_polls_free(fr->polls);
    front_cmp_free(fr->cmp);
    free(fr->certs);
    front_anchors_free(fr->anchors);
    front_meta_free(fr->meta);
    free(fr);
}

void front_drain(struct front *fr)
{
    fr->draining = true;
    front_progress_end(fr);
    front_streams_end(fr);
}

size_t front_open(const struct front *fr)
{
    return fr->requests.live + fr->nstreams + fr->nprogress;
}

enum err front_listen(const char *site, unsigned index, int *fd, struct fault *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char path[PATH_MAX_LEN];
    path_join(path, "%s/run/front-%u.sock", site, index);
    if (span_to_cstr(span_str(path), a.sun_path, sizeof a.sun_path))
        return fault_set(f, CE_IO, "%s is longer than a socket's name may be (%zu bytes): move the site to a shorter path", path,
                         sizeof a.sun_path - 1);
    unlink(path);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t old = umask(0177);
    bool good = s >= 0 && bind(s, (struct sockaddr *)(void *)&a, sizeof a) == 0 && listen(s, 1024) == 0;
    umask(old);
    if (!good) {
        if (s >= 0)
            close(s);
        return fault_set(f, CE_IO, "cannot listen on %s: %m", path);
    }
    *fd = s;
    return CE_OK;
}
