/* operator.c: `cradle operator add|list|remove`, `cradle station add`: people and machines that may act on the site. The key is made here, in a file of the caller; only the CSR leaves this machine. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/name.h"
#include "cli/cli.h"
#include "cli/operator.h"
#include "crypt/cert.h"
#include "crypt/csr.h"
#include "crypt/hash.h"
#include "crypt/pem.h"
#include "wire/route.h"

#define FILE_MAX (1u << 20)

/* Where the new identity's files go: --out, else the site's operators folder, else here. */
static enum err out_dir(struct cli *c, const struct operator_new *n, char *dir, struct fault *f)
{
    const char *out = n->out ? n->out : cli_opt(c, "--out");
    if (out && strlen(out) > 400)
        return fault_set(f, CE_USAGE, "--out is too long");
    if (out)
        path_join(dir, "%s", out);
    else if (c->site[0])
        path_join(dir, "%s/operators", c->site);
    else
        path_join(dir, ".");
    enum err e = file_mkdirs(dir, 0700);
    return e ? fault_set(f, e, "cannot make the folder %s: %s", dir, strerror(errno)) : CE_OK;
}

/* A key that an earlier, interrupted call left without a certificate is used again. */
static enum err key_make(const char *path, const char *pem_path, struct key **key, bool *made, struct fault *f)
{
    if (file_exists(pem_path))
        return fault_set(f, CE_EXISTS, "%s is there already; remove it or choose another --out", pem_path);
    *made = !file_exists(path);
    if (!*made)
        return key_read_file(path, NULL, key, f);
    CLEANUP(buf_free) struct buf pem = BUF_INIT(16384);
    enum err e = key_generate("ec:P-256", key, f);
    if (!e && (e = key_write_pem(*key, NULL, &pem)))
        e = fault_set(f, e, "cannot encode the new key");
    if (!e && (e = file_write_new(path, buf_span(&pem), 0600)))
        e = fault_set(f, e, "cannot write %s: %s", path, strerror(errno));
    return e;
}

static enum err request_send(struct cli *c, const struct operator_new *n, struct key *key, struct net_reply *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf csr = BUF_INIT(CSR_MAX);
    CLEANUP(buf_free) struct buf b64 = BUF_INIT(2 * CSR_MAX);
    enum err e = csr_build(key, span_str(n->name), (struct span){ 0 }, (struct span){ 0 }, &csr);
    if (e)
        return fault_set(f, e, "cannot make the certificate request");
    buf_put_base64(&b64, buf_span(&csr), 0);
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s,s:s}", "name", n->name, "role", n->role, "csr", buf_cstr(&b64));
    if ((e = json_set_text(o, "lines", n->lines, f)))
        return e;
    if (n->more)
        json_object_update(o, n->more);
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    return cli_call(c, "POST", "/api/v1/operators", span_str(body), r, f);
}

/* Appends the issuer of leaf out of the CA bundle, so that the file holds the chain that TLS servers ask for. */
static void put_issuer(const char *bundle, const struct cert *leaf, struct buf *out)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(FILE_MAX);
    if (file_read(bundle, &text))
        return;
    for (unsigned i = 0; i < 16; i++) {
        CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
        struct cert ca;
        if (pem_decode(buf_span(&text), "CERTIFICATE", i, &der) || cert_parse(buf_span(&der), &ca, NULL))
            return;
        if (cert_check_issued(leaf, &ca) == CE_OK) {
            pem_encode("CERTIFICATE", buf_span(&der), out);
            return;
        }
    }
}

/* The service's certificate must be for our key before it is stored. */
static enum err certificate_store(struct cli *c, const struct net_reply *r, struct key *key, const char *path, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    CLEANUP(buf_free) struct buf pem = BUF_INIT(FILE_MAX);
    struct cert cert;
    enum err e = cli_json(r, &o, f);
    if (e)
        return e;
    e = pem_decode(span_str(json_path_str(o, "certificate", "")), "CERTIFICATE", 0, &der);
    if (e)
        return fault_set(f, e, "the service's answer holds no certificate");
    if ((e = cert_parse(buf_span(&der), &cert, f)))
        return e;
    if (!span_eq(cert.spki, key_spki(key)))
        return fault_set(f, CE_BAD_CERT, "the service answered with a certificate for another key");
    pem_encode("CERTIFICATE", buf_span(&der), &pem);
    put_issuer(c->net_cfg.ca, &cert, &pem);
    e = file_write_new(path, buf_span(&pem), 0644);
    return e ? fault_set(f, e, "cannot write %s: %s", path, strerror(errno)) : CE_OK;
}

/* Did the service decide, so that the key is of no use? (No answer, or busy: it may be tried again with the same key.) */
static bool decided(enum err e)
{
    enum err_class k = err_class(e);
    return k != ERRC_BUSY && k != ERRC_INTERNAL && k != ERRC_RATE && k != ERRC_TRUST;
}

enum err operator_make(struct cli *c, const struct operator_new *n, char *key_path, char *pem_path, struct fault *f)
{
    CLEANUP(key_free_p) struct key *key = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    char dir[PATH_MAX_LEN];
    bool made = false;
    enum err e = name_check_label("name", span_str(n->name), f);
    if (e || (e = cli_net(c, f)) || (e = out_dir(c, n, dir, f)))
        return e;
    path_join(key_path, "%s/%s.key", dir, n->file ? n->file : n->name);
    path_join(pem_path, "%s/%s.pem", dir, n->file ? n->file : n->name);
    if ((e = key_make(key_path, pem_path, &key, &made, f)))
        return e;
    e = request_send(c, n, key, &r, f);
    if (e && made && decided(e))
        remove(key_path);
    return e ? e : certificate_store(c, &r, key, pem_path, f);
}

static enum err add_print(struct cli *c, const struct operator_new *n, const char *key_path, const char *pem_path)
{
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s,s:s,s:s}", "name", n->name, "role", n->role, "key", key_path, "certificate", pem_path);
        cli_print_json(o);
    }
    cli_say(c, "added %s with role %s; key %s (keep it secret), certificate %s", n->name, n->role, key_path, pem_path);
    return CE_OK;
}

static enum err add_run(struct cli *c, struct fault *f)
{
    struct operator_new n = { .name = c->args[0], .role = cli_opt(c, "--role"), .lines = cli_opt(c, "--lines") };
    char key[PATH_MAX_LEN], pem[PATH_MAX_LEN];
    if (!route_role_bit(span_str(n.role)))
        return fault_set(f, CE_USAGE, "--role must be admin, operator, station, auditor, edge or backend");
    enum err e = operator_make(c, &n, key, pem, f);
    return e ? e : add_print(c, &n, key, pem);
}

static const struct verb_opt add_opts[] = {
    { "--role", "ROLE", "admin, operator, station, auditor, edge or backend (cradle backend add gives it topics)", false },
    { "--lines", "LINES", "product lines that a station may enroll, separated by commas (default all)", false },
    { "--out", "DIR", "where NAME.key and NAME.pem go (default: the site's operators folder)", false },
};
const struct verb verb_operator_add = {
    .name = "operator add", .args = "NAME", .min_args = 1, .max_args = 1, .help = "let a person or machine act on the site",
    .text = "Makes a key in NAME.key (0600) and stores the certificate that the service issues beside it. The key never leaves this machine.",
    .example = "cradle operator add alice --role operator --out /home/alice/cradle", VERB_OPTS(add_opts), .run = add_run,
};

static enum err station_run(struct cli *c, struct fault *f)
{
    struct operator_new n = { .name = c->args[0], .role = "station", .lines = cli_opt(c, "--lines") };
    char key[PATH_MAX_LEN], pem[PATH_MAX_LEN];
    enum err e = operator_make(c, &n, key, pem, f);
    return e ? e : add_print(c, &n, key, pem);
}
const struct verb verb_station_add = {
    .name = "station add", .args = "NAME", .min_args = 1, .max_args = 1, .help = "add a factory station, which may enroll devices",
    .example = "cradle station add line-7 --lines pump,valve --out ./line-7", .opts = add_opts + 1, .nopts = ARRAY_LEN(add_opts) - 1, .run = station_run,
};

static enum err list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "NAME", "name", 12, NULL }, { "ROLE", "role", 0, NULL }, { "STATE", "state", 0, tint_state }, { "LINES", "lines", 0, NULL },
    };
    struct list l = { .path = "/api/v1/operators", .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "There is no operator." };
    return cli_list(c, &l, f);
}
static const struct verb_opt list_opts[] = {
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_operator_list = { .name = "operator list", .args = "", .help = "list operators, stations, auditors, edges and backends", VERB_OPTS(list_opts), .run = list_run };

static enum err remove_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_object();
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(mem_free_p) char *body = NULL;
    char path[128];
    enum err e = name_check_label("name", span_str(c->args[0]), f);
    if (e)
        return e;
    snprintf(path, sizeof path, "/api/v1/operators/%s", c->args[0]);
    if (cli_opt(c, "--note")) {
        if ((e = json_set_text(o, "note", cli_opt(c, "--note"), f)))
            return e;
        body = json_dumps(o, JSON_COMPACT);
    }
    if ((e = cli_call(c, "DELETE", path, span_str(body), &r, f)))
        return e;
    cli_say(c, "removed %s: its certificates are revoked and its streams are closed", c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}
static const struct verb_opt remove_opts[] = { { "--note", "TEXT", "why, in your words; becomes evidence", false } };
const struct verb verb_operator_remove = {
    .name = "operator remove", .args = "NAME", .min_args = 1, .max_args = 1, .help = "end the access of an operator, station, auditor, edge or backend",
    VERB_OPTS(remove_opts), .run = remove_run,
};
