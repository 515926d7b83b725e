/* gate.c: who this device is: configuration, certificate, running version. See gate.h. */
#include "gate/gate.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "agent/trust.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/name.h"

#define REQUEST_MS 10000 /* the installer waits */

CLEANUP_PTR(BIO, BIO_free_all)
CLEANUP_PTR(X509, X509_free)

const struct config_key gate_keys[] = {
#define CFG(...) CONFIG_ROW(gate_config, __VA_ARGS__)
#include "gate/gate.def"
#undef CFG
};
const size_t gate_nkeys = ARRAY_LEN(gate_keys);

static enum err config_check(const struct gate_config *c, struct fault *f)
{
    if (name_check_uid(span_str(c->uid), f))
        return fault_set(f, CE_BAD_CONFIG, "uid: a UID is 1 to 64 characters of A-Z a-z 0-9 . _ - :");
    if (name_check_label("line", span_str(c->line), f) || name_check_label("model", span_str(c->model), f))
        return CE_BAD_CONFIG;
    if (!*c->cert_file)
        return fault_set(f, CE_BAD_CONFIG, "cert_file is needed: orders are for the key of this device");
    if (*c->update_url && strncmp(c->update_url, "https://", 8) != 0)
        return fault_set(f, CE_BAD_CONFIG, "update_url must begin with https://");
    if (*c->update_url && (!*c->key_file || !*c->ca_file))
        return fault_set(f, CE_BAD_CONFIG, "update_url needs key_file and ca_file");
    return CE_OK;
}

/* Orders are for a key, not only for a name. */
static enum err spki_read(const char *path, uint8_t out[32], struct fault *f)
{
    CLEANUP(BIO_free_all_p) BIO *bio = BIO_new_file(path, "r");
    CLEANUP(X509_free_p) X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    unsigned char *der = NULL;
    int n = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : -1;
    if (n <= 0)
        return fault_set(f, CE_BAD_CONFIG, "cert_file: %s is not a certificate in PEM that can be read", path);
    int ok = EVP_Digest(der, (size_t)n, out, NULL, EVP_sha256(), NULL);
    OPENSSL_free(der);
    return ok == 1 ? CE_OK : fault_set(f, CE_CRYPTO, "cannot compute SHA-256");
}

static enum err version_read(struct gate *g, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(4096);
    struct span rest, line = { 0 };
    if (!*g->cfg.version_file)
        return CE_OK;
    enum err e = file_read(g->cfg.version_file, &text);
    if (e)
        return fault_set(f, CE_BAD_CONFIG, "version_file %s: %s", g->cfg.version_file, strerror(errno));
    rest = buf_span(&text);
    span_cut(&rest, '\n', &line);
    return span_to_cstr(span_trim(line), g->version, sizeof g->version) ? fault_set(f, CE_BAD_CONFIG, "version_file %s: its first line is too long",
                                                                                    g->cfg.version_file) : CE_OK;
}

/* The agent keeps the roots up to date; the gate reads what it has learnt. */
static void roots_find(const struct gate_config *c, char *out)
{
    struct agent_config a = { .trust_check_s = 0 };
    snprintf(a.ca_file, sizeof a.ca_file, "%s", c->ca_file);
    snprintf(a.state_dir, sizeof a.state_dir, "%s", c->agent_state_dir);
    if (*a.state_dir)
        trust_path(&a, out);
    else
        path_join(out, "%s", c->ca_file);
}

static enum err net_make(struct gate *g, struct fault *f)
{
    struct net_config n = { .connect_ms = REQUEST_MS / 2, .total_ms = REQUEST_MS, .agent = "cradle-gate/" CRADLE_VERSION, .max_body = 1u << 20 };
    if (!*g->cfg.update_url)
        return CE_OK;
    snprintf(n.base, sizeof n.base, "%s", g->cfg.update_url);
    roots_find(&g->cfg, n.ca);
    snprintf(n.cert, sizeof n.cert, "%s", g->cfg.cert_file);
    snprintf(n.key, sizeof n.key, "%s", g->cfg.key_file);
    return net_open(&n, &g->net, f);
}

enum err gate_open(struct gate *g, const char *path, struct fault *f)
{
    *g = (struct gate){ .store.lock_fd = -1, .reason = "" };
    enum err e = config_load(gate_keys, gate_nkeys, path, &g->cfg, f);
    e = e ? e : config_check(&g->cfg, f);
    g->self = (struct cradle_update_self){ .uid = g->cfg.uid, .line = g->cfg.line, .model = g->cfg.model, .hw_rev = g->cfg.hw_rev, .version = g->version };
    e = e ? e : spki_read(g->cfg.cert_file, g->self.spki_sha256, f);
    e = e ? e : version_read(g, f);
    return e ? e : net_make(g, f);
}

void gate_close(struct gate *g)
{
    update_store_close(&g->store);
    net_close_p(&g->net);
}

enum err gate_refuse(struct gate *g, int up_err, struct fault *f, const char *what)
{
    g->reason = cradle_update_reason(up_err);
    return fault_set(f, CE_ORDER_REFUSED, "%s: %s", what, g->reason);
}
