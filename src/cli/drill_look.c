/* drill_look.c: see drill_look.h. */
#include "cli/drill_look.h"

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypt/crl.h"
#include "crypt/pem.h"

#define LOOK_EVERY_MS 20

CLEANUP_PTR(X509, X509_free)
CLEANUP_PTR(X509_STORE, X509_STORE_free)
CLEANUP_PTR(OCSP_REQUEST, OCSP_REQUEST_free)
CLEANUP_PTR(OCSP_RESPONSE, OCSP_RESPONSE_free)
CLEANUP_PTR(OCSP_BASICRESP, OCSP_BASICRESP_free)
CLEANUP_PTR(OCSP_CERTID, OCSP_CERTID_free)

enum err look_open(struct cli *c, const json_t *device, struct look *out, struct fault *f)
{
    static const char *const headers[] = { "Accept: application/pkix-cert", NULL };
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    const char *serial = NULL;
    char path[120];
    size_t i;
    json_t *cert;
    *out = (struct look){ .c = c, .der = BUF_INIT(CERT_MAX), .pem = BUF_INIT(65536) };
    json_array_foreach(json_object_get(device, "certs"), i, cert)
        if (strcmp(json_path_str(cert, "status", ""), "good") == 0)
            serial = json_path_str(cert, "serial", "");
    if (!serial)
        return fault_set(f, CE_NOT_FOUND, "the canary holds no good certificate to ask about");
    snprintf(path, sizeof path, "/api/v1/certs/%.40s", serial);
    enum err e = net_request(c->net, "GET", path, headers, (struct span){ 0 }, &r, f);
    if (e)
        return e;
    buf_put_span(&out->der, buf_span(&r.body));
    pem_encode("CERTIFICATE", buf_span(&out->der), &out->pem);
    return cert_parse(buf_span(&out->der), &out->cert, f);
}

void look_free(struct look *l)
{
    buf_free(&l->der);
    buf_free(&l->pem);
}

/* "http://host:port/path" apart; CE_USAGE. */
static enum err url_split(const struct look *l, const char *url, struct net_config *cfg, const char **path, struct fault *f)
{
    const char *host = strstr(url, "://"), *slash = host ? strchr(host + 3, '/') : NULL;
    size_t n = slash ? (size_t)(slash - url) : strlen(url);
    *cfg = (struct net_config){ .total_ms = 5000 };
    if (!host || n >= sizeof cfg->base)
        return fault_set(f, CE_USAGE, "'%s' is no address: http://HOST:PORT/PATH", url);
    memcpy(cfg->base, url, n);
    memcpy(cfg->ca, l->c->net_cfg.ca, sizeof cfg->ca);
    *path = slash ? slash : "/";
    return CE_OK;
}

/* -- a proxy ------------------------------------------------------------------------------------------------------------------------ */
static enum err ask_authz(struct look *l, struct net *net, const char *path, bool *refused, struct fault *f)
{
    CLEANUP(buf_free) struct buf header = BUF_INIT(65536);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    struct fault why = { 0 };
    buf_put_str(&header, "X-SSL-Client-Cert: ");
    net_escape(&header, buf_span(&l->pem));
    const char *const headers[] = { buf_cstr(&header), NULL };
    enum err e = net_request(net, "GET", path, headers, (struct span){ 0 }, &r, &why);
    *refused = r.status == 403;
    return r.status == 403 || r.status == 200 ? CE_OK : fault_set(f, e ? e : CE_IO, "the proxy's question was not answered by 200 or 403: %.200s", why.text);
}


/* -- OCSP --------------------------------------------------------------------------------------------------------------------------- */
static X509 *issuer_find(const char *bundle, X509 *cert, X509_STORE *store)
{
    FILE *in = fopen(bundle, "re");
    X509 *found = NULL, *ca;
    while (in && (ca = PEM_read_X509(in, NULL, NULL, NULL))) {
        X509_STORE_add_cert(store, ca);
        if (!found && X509_check_issued(ca, cert) == X509_V_OK)
            found = ca;
        else
            X509_free(ca);
    }
    if (in)
        fclose(in);
    return found;
}

/* The answer is verified as any relying party does it. */
static enum err ocsp_judge(struct span body, OCSP_CERTID *id, X509 *issuer, X509_STORE *store, bool *refused, struct fault *f)
{
    const unsigned char *p = body.p;
    CLEANUP(OCSP_RESPONSE_free_p) OCSP_RESPONSE *resp = d2i_OCSP_RESPONSE(NULL, &p, (long)body.n);
    CLEANUP(OCSP_BASICRESP_free_p) OCSP_BASICRESP *basic = resp ? OCSP_response_get1_basic(resp) : NULL;
    int status = -1, reason;
    ASN1_GENERALIZEDTIME *at, *from, *until;
    STACK_OF(X509) *more = sk_X509_new_null();
    sk_X509_push(more, issuer);
    bool good = basic && OCSP_basic_verify(basic, more, store, 0) == 1 && OCSP_resp_find_status(basic, id, &status, &reason, &at, &from, &until);
    sk_X509_free(more);
    *refused = status == V_OCSP_CERTSTATUS_REVOKED;
    return good ? CE_OK : fault_set(f, CE_BAD_SIGNATURE, "OCSP did not give an answer that verifies");
}

static enum err ask_ocsp(struct look *l, struct net *net, const char *path, bool *refused, struct fault *f)
{
    static const char *const headers[] = { "Content-Type: application/ocsp-request", NULL };
    const unsigned char *p = l->der.data;
    CLEANUP(X509_free_p) X509 *cert = d2i_X509(NULL, &p, (long)l->der.len), *issuer = NULL;
    CLEANUP(X509_STORE_free_p) X509_STORE *store = X509_STORE_new();
    CLEANUP(OCSP_REQUEST_free_p) OCSP_REQUEST *req = OCSP_REQUEST_new();
    CLEANUP(OCSP_CERTID_free_p) OCSP_CERTID *id = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    unsigned char *body = NULL;
    if (cert && store)
        issuer = issuer_find(l->c->net_cfg.ca, cert, store);
    if (!issuer || !(id = OCSP_cert_to_id(EVP_sha1(), cert, issuer)))
        return fault_set(f, CE_CERT_FOREIGN, "the issuer of the canary's certificate is not in %s", l->c->net_cfg.ca);
    OCSP_request_add0_id(req, OCSP_CERTID_dup(id));
    OCSP_request_add1_nonce(req, NULL, -1);
    int n = i2d_OCSP_REQUEST(req, &body);
    enum err e = net_request(net, "POST", path, headers, span_of(body, n > 0 ? (size_t)n : 0), &r, f);
    OPENSSL_free(body);
    return e ? e : ocsp_judge(buf_span(&r.body), id, issuer, store, refused, f);
}

static void ocsp_url(X509 *cert, char *out, size_t cap)
{
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(cert);
    *out = 0;
    if (sk_OPENSSL_STRING_num(urls) > 0)
        snprintf(out, cap, "%s", sk_OPENSSL_STRING_value(urls, 0));
    X509_email_free(urls);
}

/* -- CRL ---------------------------------------------------------------------------------------------------------------------------- */
static enum err ask_crl(struct look *l, struct net *net, const char *path, bool *refused, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    struct crl crl;
    struct crl_entry one;
    enum err e = net_request(net, "GET", path, NULL, (struct span){ 0 }, &r, f);
    if (e && r.status == 404)
        return CE_OK; /* the first shard is not made yet */
    e = e ? e : crl_parse(buf_span(&r.body), &crl, f);
    if (e)
        return e;
    while (!*refused && crl_next(&crl.entries, &one))
        *refused = span_eq(one.serial, l->cert.serial);
    return CE_OK;
}

static void crl_url(X509 *cert, char *out, size_t cap)
{
    CRL_DIST_POINTS *points = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);
    *out = 0;
    for (int i = 0; i < sk_DIST_POINT_num(points); i++) {
        const DIST_POINT_NAME *name = sk_DIST_POINT_value(points, i)->distpoint;
        const GENERAL_NAME *g = name && name->type == 0 ? sk_GENERAL_NAME_value(name->name.fullname, 0) : NULL;
        if (!*out && g && g->type == GEN_URI)
            snprintf(out, cap, "%.*s", ASN1_STRING_length(g->d.uniformResourceIdentifier), (const char *)ASN1_STRING_get0_data(g->d.uniformResourceIdentifier));
    }
    CRL_DIST_POINTS_free(points);
}

/* -- all of them ------------------------------------------------------------------------------------------------------------------------ */
struct asked { /* one of enum look_at */
    const char *path;
    struct net *net;
    bool refused;
};
static enum err (*const ask[LOOKS])(struct look *, struct net *, const char *, bool *, struct fault *) = { ask_authz, ask_ocsp, ask_crl };

static enum err asked_open(struct look *l, struct asked a[LOOKS], struct fault *f)
{
    static const char *const what[LOOKS] = { "", "OCSP", "a CRL" };
    const unsigned char *p = l->der.data;
    CLEANUP(X509_free_p) X509 *cert = d2i_X509(NULL, &p, (long)l->der.len);
    enum err e = cert ? CE_OK : fault_set(f, CE_BAD_CERT, "the canary's certificate cannot be read");
    if (!e) {
        ocsp_url(cert, l->ocsp_url, sizeof l->ocsp_url);
        crl_url(cert, l->crl_url, sizeof l->crl_url);
    }
    const char *const urls[LOOKS] = { l->authz_url, l->ocsp_url, l->crl_url };
    for (int i = 0; !e && i < LOOKS; i++) {
        struct net_config cfg;
        if (!(l->want & 1u << i))
            continue;
        if (!*urls[i])
            return fault_set(f, CE_NOT_FOUND, "the canary's certificate names no address of %s", what[i]);
        e = url_split(l, urls[i], &cfg, &a[i].path, f);
        e = e ? e : net_open(&cfg, &a[i].net, f);
    }
    return e;
}

/* In turns, so that none waits for another. */
static enum err asked_round(struct look *l, struct asked a[LOOKS], int *open, struct fault *f)
{
    *open = 0;
    for (int i = 0; i < LOOKS; i++) {
        if (!a[i].net || a[i].refused)
            continue;
        enum err e = ask[i](l, a[i].net, a[i].path, &a[i].refused, f);
        if (e)
            return e;
        int64_t ms = clock_mono_ms() - l->from_ms;
        l->ms[i] = ms > 0 ? ms : 1;
        l->refused |= a[i].refused ? 1u << i : 0;
        *open += !a[i].refused;
    }
    return CE_OK;
}

enum err look_run(struct look *l, struct fault *f)
{
    struct asked a[LOOKS] = { 0 };
    int open = 1;
    enum err e = asked_open(l, a, f);
    while (!e && open) {
        e = asked_round(l, a, &open, f);
        if (clock_mono_ms() - l->from_ms > l->limit_ms)
            break;
        if (open && !e)
            poll(NULL, 0, LOOK_EVERY_MS);
    }
    for (int i = 0; i < LOOKS; i++)
        net_close(a[i].net);
    return e;
}
