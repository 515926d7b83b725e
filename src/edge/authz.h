/* authz.h: the thread of cradle-edge that answers proxies on its host: may the holder of this certificate be let in? HTTP `GET /authz`
 * (nginx auth_request, Envoy ext_authz, Caddy forward_auth) and SPOP (HAProxy). It follows the files in state_dir like every other
 * consumer, so an answer needs no lock of the stream's thread. Decisions are admit.c's.
 */
#ifndef CRADLE_EDGE_AUTHZ_H
#define CRADLE_EDGE_AUTHZ_H

#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "edge/authz_header.h"
#include "edge/edge.h"
#include "snap/admit_cache.h"

#define AUTHZ_ADDR_MAX 64

struct authz_answer {
    enum err err;            /* CE_OK: let in */
    struct admit_peer peer;  /* as far as it is known */
    struct fault fault;
};

struct authz_refused; /* repeats of one refusal become one report with a count */
struct authz_refused *authz_refused_new(struct edge *e);
void authz_refused_free(struct authz_refused *r);
void authz_refused_put(struct authz_refused *r, const struct authz_answer *a, const char *addr);
void authz_refused_age(struct authz_refused *r); /* tells counts that are due; call it now and then */

struct authz { /* the authz thread only, but for what edge shares */
    struct edge *edge;
    struct event_base *base;
    struct evhttp *http;
    struct evconnlistener *spop[2];
    struct event *events[3];             /* end, snapshot's folder, tick */
    struct spop_conn *conns;             /* open SPOP connections */
    enum authz_form form;
    char header[64];
    struct admit_trust trust;
    struct admit_cache *cache;
    struct snap *snap;                   /* NULL: none has come yet */
    enum err snap_trouble;
    int inotify_fd;
    int64_t look_ms;                     /* monotonic: next attempt to open the snapshot */
    struct authz_refused *refused;
    char unlinks[2][PATH_MAX_LEN];       /* sockets to remove at the end */
};

/* *out is NULL when edge.conf asks for no answers to proxies. Listens already; authz_run serves. CE_BAD_CONFIG, CE_IO. */
MUST_USE enum err authz_open(struct edge *e, struct authz **out, struct fault *f);
void *authz_run(void *authz); /* the thread; ends with the edge */
void authz_close(struct authz *a); /* NULL is legal */

/* Judges a certificate as the header or message brought it; reports refusals. addr may be "". */
void authz_judge(struct authz *a, enum authz_form form, struct span raw, const char *addr, struct authz_answer *out);
void authz_judge_names(struct authz *a, struct span query, const char *addr, struct authz_answer *out);
void authz_told(struct authz *a, const struct authz_answer *answer, const char *addr); /* counts and reports; the judges do it themselves */
int authz_status(enum err e); /* HTTP: 200, 403 or 503 */

void authz_http_request(struct evhttp_request *req, void *authz);            /* authz_http.c */
void authz_spop_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int n, void *authz); /* authz_spop.c */
void authz_spop_end(struct authz *a);                                         /* closes all connections */

/* authz_listen.c. A Unix socket with the group of authz_group, or "ADDRESS:PORT" on loopback only. */
MUST_USE enum err authz_listen_unix(struct authz *a, const char *key, const char *path, int *fd, struct fault *f);
MUST_USE enum err authz_listen_tcp(const char *key, const char *address, int *fd, struct fault *f);

#endif
