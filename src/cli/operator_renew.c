/* operator_renew.c: `cradle operator renew`: a new certificate for the caller's own key, by EST (RFC 7030 4.2.2), in its renewal window. */
#include <errno.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/operator.h"
#include "crypt/cert.h"
#include "crypt/csr.h"
#include "crypt/pem.h"

CLEANUP_PTR(PKCS7, PKCS7_free)

/* The certificate for our key out of a certs-only answer, which is base64 of DER. */
static enum err answer_certificate(struct span body, struct span spki, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(1u << 20);
    if (base64_decode(body, &der))
        return fault_set(f, CE_BAD_BASE64, "the service's answer is not base64");
    const unsigned char *p = der.data;
    CLEANUP(PKCS7_free_p) PKCS7 *p7 = d2i_PKCS7(NULL, &p, (long)der.len);
    if (!p7 || !PKCS7_type_is_signed(p7))
        return fault_set(f, CE_BAD_DER, "the service's answer is no certs-only PKCS#7 (RFC 7030 4.2.3)");
    STACK_OF(X509) *all = p7->d.sign->cert;
    for (int i = 0; i < sk_X509_num(all); i++) {
        unsigned char *bytes = NULL;
        struct cert c;
        int n = i2d_X509(sk_X509_value(all, i), &bytes);
        bool ours = n > 0 && cert_parse(span_of(bytes, (size_t)n), &c, NULL) == CE_OK && span_eq(c.spki, spki);
        if (ours)
            buf_put(out, bytes, (size_t)n);
        OPENSSL_free(bytes);
        if (ours)
            return CE_OK;
    }
    return fault_set(f, CE_BAD_CERT, "the service's answer holds no certificate for our key");
}

/* The new certificate takes the place of the first one in the file; the chain behind it stays. */
static enum err file_replace(const char *path, struct span der, struct fault *f)
{
    CLEANUP(buf_free) struct buf old = BUF_INIT(1u << 20);
    CLEANUP(buf_free) struct buf pem = BUF_INIT(1u << 20);
    enum err e = file_read(path, &old);
    if (e)
        return fault_set(f, e, "cannot read %s: %s", path, strerror(errno));
    pem_encode("CERTIFICATE", der, &pem);
    for (unsigned i = 1; i < 8; i++) {
        CLEANUP(buf_free) struct buf next = BUF_INIT(CERT_MAX);
        if (pem_decode(buf_span(&old), "CERTIFICATE", i, &next) == CE_OK)
            pem_encode("CERTIFICATE", buf_span(&next), &pem);
    }
    e = file_write_atomic(path, buf_span(&pem), 0644);
    return e ? fault_set(f, e, "cannot write %s: %s", path, strerror(errno)) : CE_OK;
}

enum err operator_renew(struct cli *c, struct operator_renewed *out, struct fault *f)
{
    static const char *const headers[] = { "Content-Type: application/pkcs10", NULL };
    CLEANUP(key_free_p) struct key *key = NULL;
    CLEANUP(buf_free) struct buf old = BUF_INIT(CERT_MAX);
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    CLEANUP(buf_free) struct buf csr = BUF_INIT(CSR_MAX);
    CLEANUP(buf_free) struct buf body = BUF_INIT(2 * CSR_MAX);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    struct cert was, now;
    enum err e = cli_net(c, f);
    if (e || (e = key_read_file(c->net_cfg.key, NULL, &key, f)) || (e = cert_load(c->net_cfg.cert, &old, &was, f)))
        return e;
    if ((e = csr_build(key, was.cn, was.serial_number, was.san_uri, &csr)))
        return fault_set(f, e, "cannot make the certificate request");
    buf_put_base64(&body, buf_span(&csr), 64);
    if ((e = net_request(c->net, "POST", "/.well-known/est/simplereenroll", headers, buf_span(&body), &r, f)) ||
        (e = answer_certificate(buf_span(&r.body), key_spki(key), &der, f)) || (e = cert_parse(buf_span(&der), &now, f)))
        return e;
    out->renewed = !span_eq(now.serial, was.serial);
    clock_text_s(now.not_after, out->until);
    snprintf(out->name, sizeof out->name, "%.*s", (int)now.cn.n, (const char *)now.cn.p);
    return out->renewed ? file_replace(c->net_cfg.cert, buf_span(&der), f) : CE_OK;
}

static enum err renew_run(struct cli *c, struct fault *f)
{
    struct operator_renewed r;
    enum err e = operator_renew(c, &r, f);
    if (e)
        return e;
    if (r.renewed)
        cli_say(c, "renewed the certificate of %s until %s: %s", r.name, r.until, c->net_cfg.cert);
    else
        cli_say(c, "the certificate of %s is good until %s; the service keeps it", r.name, r.until);
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s,s:b}", "name", r.name, "not_after", r.until, "renewed", r.renewed);
        cli_print_json(o);
    }
    return CE_OK;
}

const struct verb verb_operator_renew = {
    .name = "operator renew", .args = "", .help = "renew your own certificate (or that of --as NAME)",
    .text = "Asks for a new certificate for the same key. Before the renewal window (two thirds of its life) the service answers with the old one or says when to come again.",
    .run = renew_run,
};
