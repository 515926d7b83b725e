/* enroll.c: see enroll.h. HTTP is net/, ASN.1 is the device library. */
#include "agent/enroll.h"

#include <stdio.h>

#include "agent/tpm_attest.h"
#include "agent/trust.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define CERT_TEXT_MAX 16384

static const char pem_begin[] = "-----BEGIN CERTIFICATE-----";
static const char pem_end[] = "-----END CERTIFICATE-----";

static enum err dev_fault(int code, const char *what, struct fault *f)
{
    switch (code) {
    case CRADLE_E_NAME: return fault_set(f, CE_BAD_NAME, "%s: the UID or serial number has characters that are not allowed", what);
    case CRADLE_E_SIGN: return fault_set(f, CE_CRYPTO, "%s: the key could not sign", what);
    case CRADLE_E_MISMATCH: return fault_set(f, CE_NAME_MISMATCH, "%s: the certificate is not for this device's key and name", what);
    case CRADLE_E_SPACE: return fault_set(f, CE_TOO_LARGE, "%s: too large", what);
    default: return fault_set(f, CE_BAD_CERT, "%s: the bytes are malformed", what);
    }
}

static struct cradle_name config_name(const struct agent_config *cfg)
{
    return (struct cradle_name){ .uid = cfg->uid, .serial = *cfg->serial ? cfg->serial : NULL };
}

enum err enroll_csr(const struct agent_config *cfg, const struct agent_key *k, uint8_t *der, size_t *len, struct fault *f)
{
    struct cradle_name name = config_name(cfg);
    int r = cradle_csr_make(&k->port, &name, der, len);
    return r ? dev_fault(r, "request", f) : CE_OK;
}

/* PEM of the certificate, after checking that it is for this key and name. */
static enum err cert_accept(const struct agent_config *cfg, const struct agent_key *k, struct span der, struct buf *pem, struct fault *f)
{
    struct cradle_cert cert;
    struct cradle_name name = config_name(cfg);
    int r = cradle_cert_read(der.p, der.n, &cert);
    if (!r)
        r = cradle_cert_matches(&cert, &k->port, &name);
    if (r)
        return dev_fault(r, "certificate from the server", f);
    buf_printf(pem, "%s\n", pem_begin);
    buf_put_base64(pem, der, 64);
    buf_printf(pem, "%s\n", pem_end);
    return buf_err(pem);
}

/* A site that demands the proof refuses the enrollment that follows; any other takes it without. */
static void home_prove(const struct agent_config *cfg, const char *dir, struct net *net)
{
    struct fault f = { 0 };
    if (cfg->attest && strcmp(key_home(dir), "tpm") == 0 && tpm_attest(cfg, dir, net, &f))
        log_warn(0, "that the key of %s lives in the TPM is not proved: %s", cfg->uid, f.text);
}

/* Posts the CSR of k and leaves the new certificate as PEM in pem. */
static enum err est_post(const struct agent_config *cfg, struct net *net, const char *operation, const char *dir, const struct agent_key *k, struct buf *pem,
                         int64_t *retry_s, struct fault *f)
{
    char home[64];
    const char *const headers[] = { "Content-Type: application/pkcs10", "Content-Transfer-Encoding: base64", home, NULL };
    uint8_t csr[CRADLE_CSR_MAX];
    char body[CRADLE_CSR_MAX * 4 / 3 + 8], path[PATH_MAX_LEN];
    size_t csr_len = sizeof csr, body_len = sizeof body;
    home_prove(cfg, dir, net);
    snprintf(home, sizeof home, "Cradle-Key-Home: %s", key_home(dir));
    enum err e = enroll_csr(cfg, k, csr, &csr_len, f);
    if (e)
        return e;
    if (cradle_est_body(csr, csr_len, body, &body_len))
        return dev_fault(CRADLE_E_SPACE, "request", f);
    path_join(path, "/.well-known/est%s%s/%s", *cfg->est_label ? "/" : "", cfg->est_label, operation);

    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    e = net_request(net, "POST", path, headers, span_of(body, body_len), &reply, f);
    *retry_s = reply.retry_s;
    if (e)
        return e;
    if (reply.status == 202) /* RFC 7030 4.2.3: the key stays, and the same request is repeated */
        return fault_set(f, CE_PENDING, "somebody has to approve this enrollment first: ask the operators of the site; the request is repeated");
    const uint8_t *der;
    size_t der_len;
    if (reply.body.len == 0 || cradle_est_answer((char *)reply.body.data, reply.body.len, &der, &der_len))
        return fault_set(f, CE_BAD_CERT, "the EST server's answer is not a certs-only PKCS#7 in base64 (RFC 7030 4.2.3)");
    return cert_accept(cfg, k, span_of(der, der_len), pem, f);
}

struct net_config enroll_net(const struct agent_config *cfg)
{
    struct net_config nc = { 0 };
    path_join(nc.base, "%s", cfg->est_url);
    trust_path(cfg, nc.ca);
    path_join(nc.cert, "%s", *cfg->idevid_cert ? cfg->idevid_cert : cfg->enroll_cert);
    path_join(nc.key, "%s", *cfg->idevid_cert ? cfg->idevid_key : cfg->enroll_key);
    return nc;
}

enum err enroll_open_by(const struct creds *c, enum creds_slot slot, const char *url, const char *roots, size_t max_body, struct net **out, struct fault *f)
{
    char dir[PATH_MAX_LEN];
    struct net_config nc = { .max_body = max_body };
    CLEANUP(key_close) struct agent_key k = { 0 };
    creds_slot_dir(c, slot, dir);
    creds_cert_path(c, slot, nc.cert);
    path_join(nc.base, "%s", *url ? url : c->cfg->est_url);
    path_join(nc.ca, "%s", roots);
    enum err e = key_open(c->cfg, dir, &k, f);
    nc.evp = k.pkey;
    return e ? e : net_open(&nc, out, f);
}

enum err enroll_open(const struct creds *c, enum creds_slot slot, const char *url, size_t max_body, struct net **out, struct fault *f)
{
    char roots[PATH_MAX_LEN];
    trust_path(c->cfg, roots);
    return enroll_open_by(c, slot, url, roots, max_body, out, f);
}

enum err enroll_first(const struct agent_config *cfg, struct creds *c, int64_t *retry_s, struct fault *f)
{
    char dir[PATH_MAX_LEN];
    CLEANUP(net_close_p) struct net *net = NULL;
    CLEANUP(key_close) struct agent_key k = { 0 };
    CLEANUP(buf_free) struct buf pem = BUF_INIT(CERT_TEXT_MAX);
    *retry_s = 0;
    if (!*cfg->est_url || (!*cfg->enroll_cert && !*cfg->idevid_cert))
        return fault_set(f, CE_NO_CERT, "no certificate yet: carry the request (cradle-agent csr) to a factory station, then cradle-agent import FILE");
    creds_slot_dir(c, CREDS_CURRENT, dir);
    enum err e = key_open(cfg, dir, &k, f);
    struct net_config nc = enroll_net(cfg);
    e = e ? e : net_open(&nc, &net, f);
    if (!e)
        e = est_post(cfg, net, "simpleenroll", dir, &k, &pem, retry_s, f);
    return e ? e : creds_store_current(c, buf_span(&pem), f);
}

static bool has_ended(const struct creds *c)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_TEXT_MAX);
    struct cradle_cert cert;
    struct fault ignored;
    return enroll_cert_load(c, CREDS_CURRENT, &der, &cert, &ignored) == CE_OK && clock_now_s() > cert.not_after_s;
}

enum err enroll_renew(const struct agent_config *cfg, struct creds *c, int64_t *retry_s, struct fault *f)
{
    char dir[PATH_MAX_LEN];
    CLEANUP(net_close_p) struct net *net = NULL;
    CLEANUP(key_close) struct agent_key k = { 0 };
    CLEANUP(buf_free) struct buf pem = BUF_INIT(CERT_TEXT_MAX);
    *retry_s = 0;
    if (!*cfg->est_url)
        return fault_set(f, CE_BAD_CONFIG, "est_url is not set, so this certificate cannot be renewed here");
    /* one that has ended is renewed with its own key: what a line's grace takes in each case */
    enum err e = creds_begin(c, !cfg->renew_key || has_ended(c), dir, &k, f);
    e = e ? e : enroll_open(c, CREDS_CURRENT, "", 0, &net, f);
    if (!e)
        e = est_post(cfg, net, "simplereenroll", dir, &k, &pem, retry_s, f);
    return e ? e : creds_store_next(c, buf_span(&pem), f);
}

/* The DER of the first certificate in PEM text or in base64 PKCS#7. */
static enum err text_to_der(struct span text, struct buf *der, struct fault *f)
{
    const uint8_t *begin = text.n ? memmem(text.p, text.n, pem_begin, strlen(pem_begin)) : NULL;
    if (begin) {
        begin += strlen(pem_begin);
        size_t left = (size_t)(text.p + text.n - begin);
        const uint8_t *end = memmem(begin, left, pem_end, strlen(pem_end));
        if (end && base64_decode(span_of(begin, (size_t)(end - begin)), der) == CE_OK)
            return CE_OK;
        return fault_set(f, CE_BAD_CERT, "the PEM text is damaged");
    }
    CLEANUP(buf_free) struct buf copy = BUF_INIT(CERT_TEXT_MAX);
    const uint8_t *at;
    size_t n;
    buf_put_span(&copy, text);
    if (buf_err(&copy) || copy.len == 0 || cradle_est_answer((char *)copy.data, copy.len, &at, &n))
        return fault_set(f, CE_BAD_CERT, "neither a PEM certificate nor a PKCS#7 in base64");
    buf_put(der, at, n);
    return buf_err(der);
}

enum err enroll_import(const struct agent_config *cfg, struct creds *c, struct span text, struct fault *f)
{
    char dir[PATH_MAX_LEN];
    CLEANUP(key_close) struct agent_key k = { 0 };
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_TEXT_MAX), pem = BUF_INIT(CERT_TEXT_MAX);
    creds_slot_dir(c, CREDS_CURRENT, dir);
    enum err e = key_open(cfg, dir, &k, f);
    if (!e)
        e = text_to_der(text, &der, f);
    if (!e)
        e = cert_accept(cfg, &k, buf_span(&der), &pem, f);
    return e ? e : creds_store_current(c, buf_span(&pem), f);
}

enum err enroll_cert_load(const struct creds *c, enum creds_slot slot, struct buf *der, struct cradle_cert *cert, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(CERT_TEXT_MAX);
    creds_cert_path(c, slot, path);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "cannot read %s", path);
    buf_reset(der);
    if ((e = text_to_der(buf_span(&text), der, f)))
        return e;
    if (cradle_cert_read(der->data, der->len, cert))
        return fault_set(f, CE_BAD_CERT, "%s: the certificate cannot be read", path);
    return CE_OK;
}
