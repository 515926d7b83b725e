/* net.c: see net.h. Handles, single requests, and what a failed connection is called. */
#include "net/net.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/net_priv.h"

bool net_url_is_loopback(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t n = *host == '[' ? strcspn(host, "]/") + 1 : strcspn(host, ":/?#");
    struct span h = span_of(host, n < strlen(host) ? n : strlen(host));
    if (span_eq_nocase(h, "localhost") || span_eq_str(h, "[::1]"))
        return true;
    bool digits = span_starts(h, "127.");
    for (size_t i = 0; i < h.n; i++)
        digits = digits && (h.p[i] == '.' || (h.p[i] >= '0' && h.p[i] <= '9'));
    return digits;
}

static enum err net_check(const struct net_config *c, struct fault *f)
{
    bool https = strncmp(c->base, "https://", 8) == 0;
    if (!https && strncmp(c->base, "http://", 7) != 0)
        return fault_set(f, CE_BAD_CONFIG, "'%s' is not a URL of a site: it must begin with https://", c->base);
    if (!https && c->cert[0])
        return fault_set(f, CE_BAD_CONFIG, "%s: a client certificate is shown over https:// only", c->base);
    if (https && access(c->ca, R_OK))
        return fault_set(f, CE_BAD_CONFIG, "cannot read the CA file '%s': %s", c->ca, strerror(errno));
    if (c->cert[0] && access(c->cert, R_OK))
        return fault_set(f, CE_BAD_CONFIG, "cannot read the client certificate '%s': %s", c->cert, strerror(errno));
    if (c->cert[0] && !c->evp && access(c->key, R_OK))
        return fault_set(f, CE_BAD_CONFIG, "cannot read the client key '%s': %s", c->key, strerror(errno));
    return CE_OK;
}

enum err net_open(const struct net_config *cfg, struct net **out, struct fault *f)
{
    *out = NULL;
    enum err e = net_check(cfg, f);
    if (e)
        return e;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct net *n = mem_calloc(1, sizeof *n);
    n->cfg = *cfg;
    n->cfg.connect_ms = cfg->connect_ms ? cfg->connect_ms : 5000;
    n->cfg.total_ms = cfg->total_ms ? cfg->total_ms : 30000;
    n->cfg.max_body = cfg->max_body ? cfg->max_body : NET_BODY_MAX;
    n->loopback = net_url_is_loopback(cfg->base);
    snprintf(n->agent, sizeof n->agent, "%s", cfg->agent ? cfg->agent : "cradle/" CRADLE_VERSION);
    n->easy = net_easy(n, n->why);
    if (cfg->evp)
        EVP_PKEY_up_ref(cfg->evp);
    *out = n;
    return CE_OK;
}

void net_close(struct net *n)
{
    if (!n)
        return;
    curl_easy_cleanup(n->easy);
    curl_global_cleanup();
    EVP_PKEY_free(n->cfg.evp);
    free(n);
}

void net_close_p(struct net **n)
{
    net_close(*n);
    *n = NULL;
}

/* The key that is no file enters here; the chain goes with it so that OpenSSL can check that they belong together. */
static CURLcode on_ssl_ctx(CURL *e, void *ctx, void *arg)
{
    (void)e;
    struct net *n = arg;
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    if (!n->cfg.evp)
        return CURLE_OK;
    if (SSL_CTX_use_certificate_chain_file(ctx, n->cfg.cert) != 1 || SSL_CTX_use_PrivateKey(ctx, n->cfg.evp) != 1)
        return CURLE_SSL_CERTPROBLEM;
    return CURLE_OK;
}

CURL *net_easy(struct net *n, char *why)
{
    CURL *e = curl_easy_init();
    INVARIANT(e);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    if (n->cfg.ca[0])
        curl_easy_setopt(e, CURLOPT_CAINFO, n->cfg.ca);
    if (n->cfg.cert[0] && !n->cfg.evp) {
        curl_easy_setopt(e, CURLOPT_SSLCERT, n->cfg.cert);
        curl_easy_setopt(e, CURLOPT_SSLKEY, n->cfg.key);
    }
    curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
    curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, n);
    if (n->loopback)
        curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_USERAGENT, n->agent);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)n->cfg.connect_ms);
    curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    return e;
}

void net_prepare(struct net *n, CURL *e, const char *method, const char *path, const char *const *headers, struct span body,
                 struct curl_slist **list)
{
    CLEANUP(buf_free) struct buf url = BUF_INIT(65536);
    buf_put_str(&url, n->cfg.base);
    buf_put_str(&url, path);
    curl_easy_setopt(e, CURLOPT_URL, buf_cstr(&url));
    bool get = strcmp(method, "GET") == 0;
    curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, get ? NULL : method);
    if (!get && (body.n || strcmp(method, "DELETE") != 0)) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, body.n ? (const char *)body.p : "");
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    }
    *list = curl_slist_append(*list, "Expect:");
    for (; headers && *headers; headers++)
        *list = curl_slist_append(*list, *headers);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, *list);
}

size_t net_on_header(char *p, size_t size, size_t count, void *reply)
{
    net_reply_header(reply, span_of(p, size * count));
    return size * count;
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct net_sink *s = arg;
    size_t n = size * count;
    if (s->reply->body.len + n > s->max_body) {
        s->too_large = true;
        return 0;
    }
    buf_put(&s->reply->body, p, n);
    return n;
}

void net_reply_free(struct net_reply *r) { buf_free(&r->body); }

static void net_reply_reset(struct net_reply *r, size_t max)
{
    buf_free(&r->body);
    *r = (struct net_reply){ .body = BUF_INIT(max) };
}

enum err net_request(struct net *n, const char *method, const char *path, const char *const *headers, struct span body,
                     struct net_reply *reply, struct fault *f)
{
    INVARIANT(path[0] == '/');
    net_reply_reset(reply, n->cfg.max_body);
    struct net_sink sink = { .reply = reply, .max_body = n->cfg.max_body };
    struct curl_slist *list = NULL;
    net_prepare(n, n->easy, method, path, headers, body, &list);
    curl_easy_setopt(n->easy, CURLOPT_TIMEOUT_MS, (long)n->cfg.total_ms);
    curl_easy_setopt(n->easy, CURLOPT_HEADERFUNCTION, net_on_header);
    curl_easy_setopt(n->easy, CURLOPT_HEADERDATA, reply);
    curl_easy_setopt(n->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(n->easy, CURLOPT_WRITEDATA, &sink);
    n->why[0] = 0;
    CURLcode rc = curl_easy_perform(n->easy);
    curl_easy_setopt(n->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(list);
    net_status(n->easy, reply);
    if (sink.too_large)
        return fault_set(f, CE_TOO_LARGE, "the answer to %s %s is larger than %zu bytes", method, path, n->cfg.max_body);
    if (rc != CURLE_OK) {
        reply->status = 0;
        return net_fail(n, n->easy, rc, n->why, f);
    }
    curl_off_t total_us = 0, before_us = 0;
    curl_easy_getinfo(n->easy, CURLINFO_TOTAL_TIME_T, &total_us);
    curl_easy_getinfo(n->easy, CURLINFO_PRETRANSFER_TIME_T, &before_us);
    curl_easy_getinfo(n->easy, CURLINFO_APPCONNECT_TIME_T, &reply->connect_us);
    reply->answer_us = total_us - before_us;
    return net_judge(reply, f);
}

enum err net_probe(struct net *n, struct fault *f)
{
    CURL *e = net_easy(n, n->why);
    curl_easy_setopt(e, CURLOPT_URL, n->cfg.base);
    curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_ENABLE_ALPN, 0L); /* a broker knows neither HTTP */
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)n->cfg.total_ms);
    n->why[0] = 0;
    CURLcode rc = curl_easy_perform(e);
    enum err err = rc ? net_fail(n, e, rc, n->why, f) : CE_OK;
    curl_easy_cleanup(e);
    return err;
}

int net_status(CURL *e, struct net_reply *r)
{
    long status = 0;
    curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
    return r->status = (int)status;
}

size_t net_refusal_take(struct net_reply *r, const char *p, size_t n)
{
    buf_put(&r->body, p, n);
    return buf_err(&r->body) ? 0 : n;
}

enum err net_json(struct net *n, const char *method, const char *path, struct span body, struct net_reply *reply, struct fault *f)
{
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    return net_request(n, method, path, headers, body, reply, f);
}

enum err net_fail(const struct net *n, CURL *e, CURLcode rc, const char *why, struct fault *f)
{
    const char *base = n->cfg.base;
    long eno = 0;
    curl_easy_getinfo(e, CURLINFO_OS_ERRNO, &eno);
    if (!why[0])
        why = curl_easy_strerror(rc);
    switch (rc) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return fault_set(f, CE_IO, "cannot reach %s: the host name does not resolve; check the URL", base);
    case CURLE_COULDNT_CONNECT:
        return fault_set(f, CE_IO, "cannot reach %s: %s; is %s running there?", base,
                         eno ? strerror((int)eno) : "connection refused", n->cfg.peer ? n->cfg.peer : "cradled");
    case CURLE_OPERATION_TIMEDOUT:
        return fault_set(f, CE_TIMEOUT, "%s did not answer in time (%s)", base, why);
    case CURLE_PEER_FAILED_VERIFICATION:
        return fault_set(f, CE_BAD_SIGNATURE, "the server at %s is not the one that '%s' vouches for: %s", base, n->cfg.ca, why);
    case CURLE_SSL_CACERT_BADFILE:
        return fault_set(f, CE_BAD_CERT, "the CA file '%s' holds no certificate that can be read: %s", n->cfg.ca, why);
    case CURLE_SSL_CERTPROBLEM:
        return fault_set(f, CE_BAD_CERT, "the client certificate '%s' and its key do not fit or cannot be read: %s", n->cfg.cert, why);
    case CURLE_SSL_CONNECT_ERROR:
        return fault_set(f, CE_IO, "no TLS connection to %s: %s", base, why);
    default:
        return fault_set(f, CE_IO, "the connection to %s failed: %s", base, why);
    }
}
