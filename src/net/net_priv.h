/* net_priv.h: what the files of src/net share. Not for others. */
#ifndef CRADLE_NET_PRIV_H
#define CRADLE_NET_PRIV_H

#include <curl/curl.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/net.h"

struct net {
    struct net_config cfg;
    CURL *easy;                       /* owned; keeps the connection alive between requests */
    bool loopback;                    /* the base names this machine: no proxy from the environment */
    char why[CURL_ERROR_SIZE];
    char agent[64];
};

struct net_sink {                     /* where a body goes while it arrives */
    struct net_reply *reply;
    size_t max_body;
    bool too_large;
};

/* A handle with everything that every request needs (TLS, protocols, user agent); why gets libcurl's own words. */
CURL *net_easy(struct net *n, char *why);
/* One request's method, URL, headers and body. The list is owned by the caller (curl_slist_free_all). */
void net_prepare(struct net *n, CURL *e, const char *method, const char *path, const char *const *headers, struct span body,
                 struct curl_slist **list);
size_t net_on_header(char *p, size_t size, size_t count, void *reply);
/* The fault for a transfer that did not end in an HTTP answer. */
enum err net_fail(const struct net *n, CURL *e, CURLcode rc, const char *why, struct fault *f);
/* The status of the answer that is coming in, noted in the reply. */
int net_status(CURL *e, struct net_reply *r);
/* A write callback's way with bytes of a refusal: keeps them in the reply; what it returns is for libcurl. */
size_t net_refusal_take(struct net_reply *r, const char *p, size_t n);
/* Judges a finished answer: CE_OK for 2xx, else the refusal. */
enum err net_judge(struct net_reply *r, struct fault *f);
/* Pure: the first byte that a Content-Range header tells ("bytes 100-199/200", RFC 9110 14.4); -1 when the line is another one or malformed. */
int64_t net_range_from(struct span line);
/* Pure: one header line into the reply; "HTTP/…" starts it anew. */
void net_reply_header(struct net_reply *r, struct span line);

#endif
