/* authz.c: see authz.h: opening, the event loop, following the snapshot, and the decision. */
#include "edge/authz.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypt/hash.h"

#define TICK_MS 100
#define OPEN_AGAIN_MS 200
#define IDLE_S 7200 /* longer than any proxy keeps a silent connection, so that it never writes into one that just ended */
#define BODY_MAX 4096

/* -- decisions -------------------------------------------------------------------------------------------------------------------- */
int authz_status(enum err e)
{
    enum err_class c = err_class(e);
    return !e ? 200 : e == CE_STALE || c == ERRC_INTERNAL || c == ERRC_BUSY ? 503 : 403;
}

static void peer_read(struct authz *a, enum authz_form form, struct span raw, struct admit_known *k)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    *k = (struct admit_known){ 0 };
    enum err e = authz_header_der(form, raw, &der, &k->fault);
    struct policyfile *policy = a->snap ? snap_policy_take(a->snap, &(struct fault){ 0 }) : NULL;
    if (!e)
        e = admit_read_policy(buf_span(&der), &a->trust, policy ? policy->policy : NULL, &k->peer, &k->fault);
    policyfile_drop(policy);
    if (e && !k->fault.code)
        fault_set(&k->fault, e, "%s", err_text(e));
}

static void answer_finish(struct authz *a, const char *addr, struct authz_answer *out)
{
    if (!out->err)
        out->err = admit_judge(&out->peer, a->snap, clock_now_s(), a->edge->cfg.refuse_after * 1000, &out->fault);
    authz_told(a, out, addr);
}

void authz_told(struct authz *a, const struct authz_answer *answer, const char *addr)
{
    int status = authz_status(answer->err);
    atomic_fetch_add(status == 200 ? &a->edge->authz_let_in : status == 403 ? &a->edge->authz_refused : &a->edge->authz_unanswered, 1);
    if (answer->err)
        authz_refused_put(a->refused, answer, addr);
}

void authz_judge(struct authz *a, enum authz_form form, struct span raw, const char *addr, struct authz_answer *out)
{
    struct admit_known k;
    uint8_t key[SHA256_LEN];
    sha256(raw, key); /* the forms cannot be taken for one another: each is read under its own name */
    key[0] ^= (uint8_t)form;
    if (!admit_cache_get(a->cache, key, &k)) {
        peer_read(a, form, raw, &k);
        if (k.fault.code != CE_CERT_FOREIGN) /* tomorrow its CA may be one of ours */
            admit_cache_put(a->cache, key, &k);
    }
    *out = (struct authz_answer){ k.fault.code, k.peer, k.fault };
    answer_finish(a, addr, out);
}

void authz_judge_names(struct authz *a, struct span query, const char *addr, struct authz_answer *out)
{
    *out = (struct authz_answer){ 0 };
    out->err = authz_query(query, &out->peer, &out->fault);
    answer_finish(a, addr, out);
}

/* -- the snapshot ----------------------------------------------------------------------------------------------------------------- */
static void snapshot_follow(struct authz *a)
{
    struct fault f = { 0 };
    enum err e = CE_OK;
    if (a->snap) {
        e = snap_poll(a->snap, NULL, NULL, NULL, &f);
    } else if (clock_mono_ms() >= a->look_ms) {
        a->look_ms = clock_mono_ms() + OPEN_AGAIN_MS;
        e = snap_open(a->edge->cfg.state_dir, a->edge->pub, &a->snap, &f);
        if (e == CE_NOT_FOUND)
            e = CE_OK; /* none has come yet: the answers say so */
    }
    if (e && e != a->snap_trouble)
        log_error(0, "ALARM %s: authz: %s", err_reason(e), f.text);
    a->snap_trouble = e;
}

static void on_folder(evutil_socket_t fd, short what, void *arg)
{
    char events[4096];
    (void)what;
    while (read(fd, events, sizeof events) > 0)
        ;
    snapshot_follow(arg);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct authz *a = arg;
    (void)fd, (void)what;
    snapshot_follow(a);
    authz_refused_age(a->refused);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
    struct authz *a = arg;
    (void)fd, (void)what;
    event_base_loopbreak(a->base);
}

/* -- opening ------------------------------------------------------------------------------------------------------------------------ */
static enum err trust_open(struct authz *a, struct fault *f)
{
    struct span rest = span_str(a->edge->cfg.authz_ca), one;
    char path[PATH_MAX_LEN];
    enum err e = CE_OK;
    while (!e && span_cut(&rest, ' ', &one))
        if (one.n && !(e = span_to_cstr(one, path, sizeof path)))
            e = admit_trust_add(&a->trust, path, f);
    return e ? e : a->trust.n ? CE_OK : fault_set(f, CE_BAD_CONFIG, "authz_ca: names no CA certificate");
}

static enum err http_open(struct authz *a, struct fault *f)
{
    const struct edge_config *c = &a->edge->cfg;
    enum err e = CE_OK;
    int fds[2] = { -1, -1 };
    a->http = evhttp_new(a->base);
    if (!a->http)
        return fault_set(f, CE_IO, "evhttp_new failed");
    evhttp_set_allowed_methods(a->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH |
                                            EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS);
    evhttp_set_max_headers_size(a->http, 2 * AUTHZ_HEADER_MAX);
    evhttp_set_max_body_size(a->http, BODY_MAX);
    evhttp_set_timeout(a->http, IDLE_S);
    evhttp_set_default_content_type(a->http, NULL);
    evhttp_set_gencb(a->http, authz_http_request, a);
    if (c->authz_socket[0])
        e = authz_listen_unix(a, "authz_socket", c->authz_socket, &fds[0], f);
    if (!e && c->authz_listen[0])
        e = authz_listen_tcp("authz_listen", c->authz_listen, &fds[1], f);
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0 && !e && evhttp_accept_socket(a->http, fds[i]) != 0)
            e = fault_set(f, CE_IO, "evhttp_accept_socket failed");
        else if (fds[i] >= 0 && e)
            fd_close_p(&fds[i]);
    }
    return e;
}

static enum err spop_open(struct authz *a, struct fault *f)
{
    const struct edge_config *c = &a->edge->cfg;
    enum err e = CE_OK;
    for (int i = 0; i < 2 && !e; i++) {
        int fd = -1;
        if (i == 0 && c->spop_socket[0])
            e = authz_listen_unix(a, "spop_socket", c->spop_socket, &fd, f);
        else if (i == 1 && c->spop_listen[0])
            e = authz_listen_tcp("spop_listen", c->spop_listen, &fd, f);
        if (!e && fd >= 0)
            a->spop[i] = evconnlistener_new(a->base, authz_spop_accept, a, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    }
    return e;
}

static enum err events_open(struct authz *a, struct fault *f)
{
    static const struct timeval tick = { 0, TICK_MS * 1000 };
    a->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (a->inotify_fd < 0 || inotify_add_watch(a->inotify_fd, a->edge->cfg.state_dir, IN_MODIFY | IN_MOVED_TO | IN_CREATE) < 0)
        return fault_set(f, CE_IO, "%s: cannot be watched: %s", a->edge->cfg.state_dir, strerror(errno));
    a->events[0] = event_new(a->base, a->edge->stop_fd, EV_READ, on_end, a);
    a->events[1] = event_new(a->base, a->inotify_fd, EV_READ | EV_PERSIST, on_folder, a);
    a->events[2] = event_new(a->base, -1, EV_PERSIST, on_tick, a);
    for (size_t i = 0; i < ARRAY_LEN(a->events); i++)
        if (!a->events[i] || event_add(a->events[i], i == 2 ? &tick : NULL))
            return fault_set(f, CE_IO, "libevent takes no event");
    return CE_OK;
}

static enum err authz_set_up(struct authz *a, struct fault *f)
{
    const struct edge_config *c = &a->edge->cfg;
    if (!authz_form_find(c->authz_header, &a->form))
        return fault_set(f, CE_BAD_CONFIG, "authz_header: %s is none of X-SSL-Client-Cert, X-SSL-Client-DER, X-Forwarded-Client-Cert",
                         c->authz_header);
    enum err e = span_to_cstr(span_str(c->authz_header), a->header, sizeof a->header);
    if (!e)
        e = trust_open(a, f);
    a->base = event_base_new();
    if (!e && !a->base)
        e = fault_set(f, CE_IO, "event_base_new failed");
    a->cache = admit_cache_new((size_t)c->authz_cache);
    a->refused = authz_refused_new(a->edge);
    if (!e)
        e = events_open(a, f);
    if (!e && (c->authz_socket[0] || c->authz_listen[0]))
        e = http_open(a, f);
    return e ? e : spop_open(a, f);
}

enum err authz_open(struct edge *edge, struct authz **out, struct fault *f)
{
    const struct edge_config *c = &edge->cfg;
    *out = NULL;
    if (!c->authz_socket[0] && !c->authz_listen[0] && !c->spop_socket[0] && !c->spop_listen[0])
        return CE_OK;
    struct authz *a = mem_calloc(1, sizeof *a);
    a->edge = edge;
    a->inotify_fd = -1;
    enum err e = authz_set_up(a, f);
    if (e) {
        authz_close(a);
        return e;
    }
    *out = a;
    return CE_OK;
}

void *authz_run(void *arg)
{
    struct authz *a = arg;
    snapshot_follow(a);
    event_base_dispatch(a->base);
    return NULL;
}

void authz_close(struct authz *a)
{
    if (!a)
        return;
    authz_spop_end(a);
    for (size_t i = 0; i < ARRAY_LEN(a->spop); i++)
        if (a->spop[i])
            evconnlistener_free(a->spop[i]);
    if (a->http)
        evhttp_free(a->http);
    for (size_t i = 0; i < ARRAY_LEN(a->events); i++)
        if (a->events[i])
            event_free(a->events[i]);
    if (a->base)
        event_base_free(a->base);
    for (size_t i = 0; i < ARRAY_LEN(a->unlinks); i++)
        if (a->unlinks[i][0])
            unlink(a->unlinks[i]);
    fd_close_p(&a->inotify_fd);
    authz_refused_free(a->refused);
    admit_cache_free(a->cache);
    admit_trust_free(&a->trust);
    snap_close(a->snap);
    free(a);
}
