/* front_priv.h: what the files of the front role share. Nobody else includes it.
 *
 * A request's life is the table in front_request.c. A handler (one for each row of route.def) says where the request goes, how
 * its message is made and how the reply looks.
 */
#ifndef CRADLE_ROLE_FRONT_PRIV_H
#define CRADLE_ROLE_FRONT_PRIV_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/name.h"
#include "core/front_counts.h"
#include "crypt/ca.h"
#include "crypt/cert.h"
#include "crypt/profile.h"
#include "role/channel.h"
#include "role/front.h"
#include "role/front_map.h"
#include "wire/http.h"
#include "wire/problem.h"
#include "wire/route.h"

#define FRONT_BODY_MAX (2u << 20)
#define FRONT_HEADERS_MAX 65536
#define FRONT_IDLE_S 75 /* longer than nginx keeps idle upstream connections: it never meets a closing one */
#define FRONT_SWEEP_MS 250
#define FRONT_COUNTS_MS 1000
#define FRONT_BLOCKED_MAX 65536 /* blocked certificates of devices that are remembered */

struct front_req;
struct chain_more;

enum front_to { FRONT_SELF, FRONT_CORE, FRONT_QUERY, FRONT_DEPOT };
enum front_style { STYLE_PROBLEM, STYLE_EST, STYLE_OCSP, STYLE_CMP };

typedef enum err front_decode_fn(struct front_req *r, struct fault *f);
typedef void front_reply_fn(struct front_req *r, const struct msg_reply *rep);

struct front_handler {
    enum front_to to;
    enum front_style style;
    const char *proto;           /* caller.proto */
    const char *media;           /* content type that a body must have; NULL: not judged */
    front_decode_fn *decode;     /* makes r->desc and r->msg; FRONT_SELF: r->out and r->out_media */
    front_reply_fn *reply;       /* NULL: front_reply_plain */
    front_reply_fn *pending;     /* for a reply CE_PENDING; NULL: refused like others */
    const struct msg_desc *desc; /* for front_json: the message that the JSON body becomes */
    const char *param;           /* for front_json: its field that the path parameter fills */
    const char *location;        /* for front_json: a success is 201 with this path + "/" + the new name */
    const char *what;            /* for front_query: msg_query.what */
    const char *filters;         /* for front_query: query parameters taken, separated by blanks */
    bool local;                  /* also without certificate, on the plain port, from this host */
};
extern const struct front_handler *const front_handlers[]; /* same order as route_table */

/* What an initial device identity says of its device. */
struct front_idevid {
    bool foreign;           /* of another maker, whose anchor has this SHA-256; else of this site */
    uint8_t anchor[32];
    char serial[65], cn[65]; /* of its subject; empty: absent, longer or not text */
    uint8_t hw_type[64], hw_serial[64];
    size_t nhw_type, nhw_serial;
};

/* Who asks, as far as front knows. */
struct front_who {
    enum caller_kind kind;
    enum err err;   /* why the certificate does not count; CE_OK, or CE_NO_CERT */
    char text[128]; /* more than err says; may be empty */
    unsigned role;  /* R_* bit; 0 when err */
    uint8_t kid[20], serial[20], spki[32];
    size_t nkid, nserial;
    char cn[UID_MAX + 1];
    int64_t not_before, not_after;
    char lines[513]; /* a station's lines; empty: all */
    bool idevid;            /* the certificate has the mark of an IDevID (cert_is_idevid) */
    struct front_idevid id; /* when kind is CALLER_IDEVID */
};

struct front_req {
    struct front *fr;
    struct evhttp_request *http; /* libevent's until it is answered */
    uint64_t rid;
    int64_t began_us, deadline_ms;
    struct arena arena;
    char id[40]; /* X-Request-Id */
    struct span method, path, query, body;
    struct route_match match;
    const struct front_handler *handler; /* NULL until routed */
    struct front_who who;
    struct msg_caller caller;
    const struct msg_desc *desc; /* message for core or query */
    void *msg;
    const struct channel *sent_to; /* awaited; NULL: nobody */
    struct buf out;                /* the answer, when front answers itself */
    const char *out_media;
    int out_status;
    bool here;  /* a handler to core or query has answered by itself */
    void *note; /* the handler's own, in the arena */
    bool head;
};

struct front_ident {
    unsigned role;
    bool removed;
    char lines[513];
};
struct front_line {
    bool there;
};
struct front_blocked {
    enum err why;
};

struct front_ca {
    struct ca ca; /* without keys */
    enum ca_state state;
    bool reenroll; /* compromised, and some of its devices may renew */
};

struct front_query_peer {
    struct channel *ch;
    size_t waiting;
};

struct front {
    struct front_config config;
    struct evhttp *http;
    struct event *sweep;
    struct front_ca cas[CA_SET_MAX]; /* as core told */
    size_t n_cas;
    struct profile profile;       /* of devices */
    struct profile infra;         /* of operators, stations, edges */
    struct profile idevid;        /* of initial identities; its name is empty when the site has none */
    struct buf cacerts, csrattrs; /* EST answers, base64; cacerts empty: core has not told the CAs yet */
    struct channel *core;
    struct channel *depot;        /* NULL: it is starting */
    bool ready; /* PUSH_READY seen on this core */
    char tokens_lost[513];        /* tokens (HSMs) that core misses, by their labels */
    bool draining;
    struct front_query_peer query[ROLE_PEERS_MAX];
    size_t next_query;
    uint64_t next_rid;
    struct front_map requests; /* rid -> struct front_req * */
    struct front_map conns;    /* input buffer -> struct front_conn */
    struct front_map idents;   /* name -> struct front_ident */
    struct front_map lines;    /* names of the product lines that core told: labels of EST; they stay when core goes */
    struct front_map blocked;  /* kid || serial -> struct front_blocked */
    struct front_map ddi;      /* hawkBit clients: name -> what was last heard and asked (front_ddi.c) */
    uint64_t blocked_changes;  /* PUSH_CERTs seen: an OCSP answer asked for before one is not cached */
    struct front_cert_cache *certs;
    struct front_anchors *anchors; /* makers whose IDevIDs may enroll */
    struct front_meta *meta;      /* root and targets of updates */
    struct front_ocsp_cache *ocsp;
    struct front_cmp *cmp;        /* owned */
    struct front_polls *polls;    /* what idle devices were told */
    struct front_stream *streams;
    size_t nstreams;
    struct front_progress *progress; /* streams of rollouts */
    size_t nprogress;
    uint64_t count[COUNT_N], refused[CE_COUNT];
    int64_t counted_ms; /* monotonic; when core heard of them */
};

/* front_request.c, front_answer.c */
void front_request(struct evhttp_request *http, void *fr);
void front_refuse(struct front_req *r, enum err code, const char *text, const struct msg_reply *rep);
void front_send(struct front_req *r, int status, const char *media, struct span body); /* ends r */
void front_header(struct front_req *r, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
struct span front_in_header(const struct front_req *r, const char *name); /* empty when absent */
void front_reply_plain(struct front_req *r, const struct msg_reply *rep);
struct front_req *front_req_find(struct front *fr, uint64_t rid);
void front_req_end(struct front_req *r);                              /* forgets it; libevent has the request */
/* Sends a message to ch and awaits its reply, also from within another's: the answer comes from two parts then. CE_ROLE_GONE, CE_BUSY. */
MUST_USE enum err front_ask(struct front_req *r, struct channel *ch, const struct msg_desc *d, void *msg, struct fault *f);
void front_requests_lost(struct front *fr, const struct channel *ch); /* 503 for all that wait for ch */
void front_requests_sweep(struct front *fr, int64_t now_ms);

/* front_ca.c */
void front_push_ca(struct front *fr, const struct msg_push_ca *m);
void front_cas_close(struct front *fr);
front_decode_fn front_ca_list;
bool front_ca_reenrolls(const struct front_ca *ca, const struct front_req *r); /* r renews with a certificate of a compromised CA, and that is open */
const struct front_ca *front_ca_by_kid(const struct front *fr, struct span kid); /* NULL: none of ours */
enum caller_kind front_ca_kind(const struct front_ca *ca);                       /* NULL: CALLER_FOREIGN */
enum err front_ca_judge(const struct front_ca *ca);                              /* do its certificates count? CE_CA_RETIRED, CE_CA_COMPROMISED */

/* front_caller.c */
void front_cert_cache_clear(struct front_cert_cache *c);
struct front_cert_cache *front_cert_cache_new(void);
void front_caller_read(struct front_req *r); /* fills r->who and r->caller */
void front_push_ident(struct front *fr, const struct msg_push_ident *m);
void front_push_cert(struct front *fr, const struct msg_push_cert *m);
enum err front_blocked(const struct front *fr, const struct front_who *w);

/* front_anchor.c */
front_decode_fn front_anchor_add, front_anchor_remove, front_anchor_crl;
struct front_anchors *front_anchors_new(void);
void front_anchors_clear(struct front_anchors *as);
void front_anchors_free(struct front_anchors *as); /* NULL is fine */
uint64_t front_anchors_changes(const struct front_anchors *as); /* moves when a verdict may be another one */
void front_push_anchor(struct front *fr, const struct msg_push_anchor *m);
void front_idevid_read(const struct cert *c, struct front_idevid *out);
/* Does c lead to an anchor now? CE_CERT_FOREIGN: it names nobody known; else the rule that its path breaks. */
MUST_USE enum err front_anchors_judge(const struct front_anchors *as, const struct cert *c, struct chain_more *more, struct front_idevid *out, struct fault *f);
void front_idevid_fill(const struct front_who *w, struct msg_enroll *m); /* for core, when it is one; m points into w */

/* front_conn.c: connections whose request has not arrived in time */
struct bufferevent *front_conn_new(struct event_base *base, void *fr);
void front_conn_arrived(struct front *fr, struct evhttp_request *http);
struct front_map front_conns_map(void);
void front_conns_sweep(struct front *fr, int64_t now_ms);

/* front_rest.c, front_query.c */
/* The path parameter, judged by what it names (handler->param): a UID, a name, or a serial (hex in, bytes out). */
MUST_USE enum err front_param(struct front_req *r, struct span *out, struct fault *f);
front_decode_fn front_json, front_operator_add, front_query, front_cert_query, front_release, front_report;
front_reply_fn front_reply_created, front_reply_operator, front_reply_report;
/* front_tuf.c */
struct front_meta *front_meta_new(void);
void front_meta_clear(struct front_meta *t);
void front_meta_free(struct front_meta *t); /* NULL is fine */
void front_push_meta(struct front *fr, const struct msg_push_meta *m);
front_decode_fn front_tuf_put, front_metadata;
front_reply_fn front_reply_tuf;
/* front_update.c */
front_decode_fn front_poll, front_directive;
/* front_download.c */
front_decode_fn front_download, front_token, front_delta, front_key;
front_reply_fn front_reply_download, front_reply_token, front_reply_delta, front_reply_key;
void front_send_artifact(struct front_req *r, struct span sha256, bool sealed); /* nginx sends the file, or what it was sealed into; ends r */
/* front_artifact.c */
MUST_USE enum err front_sha256_param(struct front_req *r, struct span *out, struct fault *f); /* the last path parameter: CE_BAD_FIELD */
front_decode_fn front_upload_open, front_upload_put, front_upload_named, front_artifact_remove, front_enroll_query, front_enroll_decide;
front_reply_fn front_reply_upload, front_reply_removed;
/* front_polls.c */
front_reply_fn front_reply_poll;
struct front_polls *front_polls_new(void);
void front_polls_clear(struct front_polls *p);
void front_polls_free(struct front_polls *p); /* NULL is fine */
void front_push_update(struct front *fr, const struct msg_push_update *m);
bool front_poll_told(struct front_req *r); /* r->out is the answer */
void front_poll_keep(struct front_req *r, const struct msg_reply *rep); /* or forgets, when it is not for keeping */
size_t front_polls_count(const struct front_polls *p);
/* front_rollout.c */
front_decode_fn front_rollout_add, front_rollout_move;
/* front_mass.c */
front_decode_fn front_mass_query, front_mass_move;
/* front_ddi.c */
front_decode_fn front_ddi_get, front_ddi_feedback, front_ddi_config;
front_reply_fn front_reply_ddi_base, front_reply_ddi_deployment, front_reply_ddi_cancel, front_reply_ddi_artifact, front_reply_ddi_feedback,
    front_reply_ddi_cancelled, front_reply_ddi_config;
struct front_map front_ddi_map(void);
/* front_attest.c */
front_decode_fn front_attest_begin, front_ek_ca_add, front_ek_ca_remove;
front_reply_fn front_reply_attest;
/* front_est.c */
front_decode_fn front_cacerts, front_csrattrs, front_enroll, front_reenroll, front_serverkeygen, front_fullcmc;
front_reply_fn front_reply_enrolled, front_reply_pending;
MUST_USE enum err front_est_open(struct front *fr, struct fault *f);
/* Proof of possession, key and names. out keeps pointing into der; its uid is set as soon as it is known. */
MUST_USE enum err front_csr_judge(struct arena *a, struct span der, const struct profile *p, struct msg_enroll *out, struct fault *f);
/* The same without the proof: of what another format asks for, which the caller verifies. */
struct csr;
/* The label in the path of EST (RFC 7030 3.2.2) or CMP (RFC 9483 6.1), if there is one: the name of a product line. idevid: LINE.idevid was given.
 * CE_LINE_UNKNOWN, CE_NOT_FOUND (the site makes no IDevIDs). */
MUST_USE enum err front_label_read(struct front_req *r, struct span *label, bool *idevid, struct fault *f);
MUST_USE enum err front_csr_names(struct arena *a, const struct csr *csr, const struct profile *p, struct msg_enroll *out, struct fault *f);
/* front_cmp.c, front_cmp_answer.c */
front_decode_fn front_cmp;
front_reply_fn front_reply_cmp, front_pending_cmp;
MUST_USE enum err front_cmp_open(struct front *fr, struct fault *f);
void front_cmp_free(struct front_cmp *c); /* NULL is fine */
void front_cmp_refuse(struct front_req *r, enum err code, const char *text);
/* front_ocsp.c */
front_decode_fn front_ocsp_post, front_ocsp_get;
front_reply_fn front_reply_ocsp;
struct front_ocsp_cache *front_ocsp_cache_new(void);
void front_ocsp_cache_free(struct front_ocsp_cache *c);
void front_ocsp_cache_clear(struct front_ocsp_cache *c);
void front_ocsp_forget(struct front_ocsp_cache *c, struct span serial);
void front_ocsp_refuse(struct front_req *r, enum err code);
/* front_stream.c */
front_decode_fn front_stream_open;
front_reply_fn front_stream_begin;
void front_stream_frame(struct front *fr, struct span frame);
void front_streams_recheck(struct front *fr); /* closes those whose caller is no longer an edge in good standing */
void front_streams_end(struct front *fr);
/* front_progress.c */
front_decode_fn front_progress_open;
front_reply_fn front_progress_begin;
void front_progress_reply(struct front *fr, const struct channel *ch, uint64_t rid, const struct msg_reply *rep); /* nothing when it is no stream's */
void front_progress_sweep(struct front *fr, int64_t now_ms);
void front_progress_lost(struct front *fr, const struct channel *ch);
void front_progress_end(struct front *fr);
/* front_request.c: the query role with the least to do, counted once more; and once less when it has answered. */
struct channel *front_query_pick(struct front *fr);
void front_query_over(struct front *fr, const struct channel *ch);
/* front_ops.c */
front_decode_fn front_health, front_metrics, front_status;
front_reply_fn front_reply_metrics;
/* To core, for the metrics of all fronts; asking: open requests that are not counted, because they ask for the metrics. */
void front_counts_send(struct front *fr, int64_t now_ms, size_t asking);

#endif
