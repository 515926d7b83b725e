/* net.h: the HTTPS client of cradle, cradle-agent and cradle-edge (libcurl). TLS verification is always on (there is no way to
 * turn it off), HTTP/1.1 and 2, one kept-alive connection per struct net, bounded sizes and times, blocking.
 * It is not a server and not a cache; it follows no redirects. One struct net is used by one thread at a time.
 */
#ifndef CRADLE_NET_NET_H
#define CRADLE_NET_NET_H

#include "base/file.h"
#include "base/span.h"

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

#define NET_URL_MAX 512
#define NET_BODY_MAX (32u << 20)

struct net_config {               /* copied by net_open */
    char base[NET_URL_MAX];       /* "https://host:8443", without a slash at the end; http:// only for OCSP, CRL, CA files */
    char ca[PATH_MAX_LEN];        /* PEM bundle that the server's certificate must chain to */
    char cert[PATH_MAX_LEN];      /* client certificate chain, PEM; "": none */
    char key[PATH_MAX_LEN];       /* its key, PEM; "" with evp set or without cert */
    struct evp_pkey_st *evp;      /* a key that is not a file (TPM, PKCS#11, callback); net_open takes a reference of its own */
    int64_t connect_ms;           /* 0: 5000 */
    int64_t total_ms;             /* whole request; 0: 30000 */
    size_t max_body;              /* bytes of a reply; 0: NET_BODY_MAX */
    const char *agent;            /* User-Agent, a literal; NULL: "cradle/VERSION" */
    const char *peer;             /* who answers there, for messages, a literal; NULL: "cradled" */
};

struct net; /* opaque, owned by the caller of net_open */

/* Checks the configuration (files readable, https) without connecting. */
MUST_USE enum err net_open(const struct net_config *cfg, struct net **out, struct fault *f);
void net_close(struct net *n);     /* NULL is legal */
void net_close_p(struct net **n);  /* for CLEANUP(net_close_p) */
bool net_url_is_loopback(const char *url); /* its host is localhost, 127.x.y.z or [::1] */

struct net_reply {
    int status;                   /* HTTP status; 0 when none came */
    char etag[64];                /* without quotes; "" when none */
    char type[64];                /* Content-Type without parameters */
    int64_t retry_s;              /* Retry-After in seconds, 0 none */
    char reason[64];              /* stable reason code of a refusal (problem+json, X-Cradle-Reason), "" when none */
    int64_t connect_us;           /* name look-up, TCP and TLS; 0 on a kept-alive connection */
    int64_t answer_us;            /* from the request's first byte to the answer's last */
    struct buf body;              /* owned; free with net_reply_free */
};
void net_reply_free(struct net_reply *r);

/* method GET, POST, PUT, PATCH, DELETE; path begins with '/'; headers: "Name: value" strings, NULL-terminated array or NULL.
 * reply is reset first (a zeroed struct is legal) and filled even on refusal.
 * Status 2xx: CE_OK. Other statuses: err_from_reason of the refusal's reason code, f its detail; without a reason code
 * the class of the status. No connection, TLS failure, timeouts: CE_IO, CE_TIMEOUT or CE_BAD_SIGNATURE (the server's
 * certificate is not the site's), reply->status 0, and f says what to do next. An answer that is too
 * large: CE_TOO_LARGE, with its status. */
MUST_USE enum err net_request(struct net *n, const char *method, const char *path, const char *const *headers, struct span body,
                              struct net_reply *reply, struct fault *f);
#define net_get(n, path, reply, f) net_request(n, "GET", path, NULL, (struct span){ 0 }, reply, f)
/* Connects, has TLS verify the server, and closes: no request is sent, so any TLS server will do (a broker). Errors as net_request without an answer. */
MUST_USE enum err net_probe(struct net *n, struct fault *f);
/* body is JSON text */
MUST_USE enum err net_json(struct net *n, const char *method, const char *path, struct span body, struct net_reply *reply,
                           struct fault *f);

/* A GET whose answer never ends. All callbacks run in the caller's thread and may call net_request on the same struct net (the
 * stream has a connection of its own); false ends the stream with CE_OK. */
struct net_stream_calls {
    bool (*on_open)(void *arg);                      /* status 200 has come; may be NULL */
    bool (*on_bytes)(void *arg, struct span bytes);  /* any cut of the body */
    bool (*on_tick)(void *arg);                      /* every 100 ms at least, and when wake_fd is readable; may be NULL */
    int wake_fd;                                     /* polled for reading, -1 none; on_tick drains it */
    int64_t idle_ms;                                 /* no byte for so long: CE_TIMEOUT; 0: 5000 */
    void *arg;
};
/* Returns when the server ends it (CE_IO), on idle_ms (CE_TIMEOUT), on a refusal (as net_request) or when a callback says so. */
MUST_USE enum err net_stream(struct net *n, const char *path, const struct net_stream_calls *calls, struct fault *f);

/* A large GET that can go on where it was cut: bytes come as they arrive and are kept by nobody. Callbacks may call net_request on the same
 * struct net. */
struct net_download {
    int64_t from;        /* bytes that the caller holds already: asked for with Range */
    int64_t limit;       /* of the whole; a server that sends more is stopped: CE_TOO_LARGE */
    int64_t min_rate;    /* bytes a second; slower than this for stall_s on end: CE_TIMEOUT */
    int64_t stall_s;
    bool (*on_begin)(void *arg, int64_t from); /* before the first bytes; from is 0 when the server sends all of it again */
    bool (*on_bytes)(void *arg, struct span bytes);
    void *arg;
    int64_t retry_s;     /* out: Retry-After of a refusal */
};
/* CE_OK also when a callback returned false: the caller knows why. CE_IO: the connection was cut, or the answer is not the range that was asked for. */
MUST_USE enum err net_download(struct net *n, const char *path, struct net_download *d, struct fault *f);

/* Appends s percent-encoded for one path segment or query value. */
void net_escape(struct buf *out, struct span s);

#endif
