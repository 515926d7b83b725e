/* registry.c: `cradle model add|list`, `cradle cert list|show|revoke`. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "cli/cli.h"
#include "crypt/pem.h"

/* POST of the given members (NULL values are left out). */
struct member { const char *key, *value; };
static enum err post_members(struct cli *c, const char *path, json_t *o, const struct member *m, size_t n, struct net_reply *r, struct fault *f)
{
    for (size_t i = 0; i < n; i++) {
        enum err e = json_set_text(o, m[i].key, m[i].value, f);
        if (e)
            return e;
    }
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    return cli_call(c, "POST", path, span_str(body), r, f);
}

/* -- models ------------------------------------------------------------------------------------------------------------------ */
static enum err model_add_run(struct cli *c, struct fault *f)
{
    const struct member m[] = { { "name", c->args[0] }, { "line", cli_opt(c, "--line") }, { "title", cli_opt(c, "--title") },
                                { "hw_rev", cli_opt(c, "--hw-rev") } };
    CLEANUP(json_decref_p) json_t *o = json_object();
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = name_check_label("model", span_str(c->args[0]), f);
    if (!e && !m[1].value)
        e = fault_set(f, CE_USAGE, "a model belongs to a product line: give --line");
    if (e || (e = post_members(c, "/api/v1/models", o, m, ARRAY_LEN(m), &r, f)))
        return e;
    cli_say(c, "added model %s of line %s; next: cradle device add UID --model %s", c->args[0], m[1].value, c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}

static const struct verb_opt model_add_opts[] = {
    { "--line", "LINE", "its product line", false }, { "--title", "TEXT", "name for humans", false },
    { "--hw-rev", "REV", "hardware revision", false },
};
const struct verb verb_model_add = {
    .name = "model add", .args = "NAME", .min_args = 1, .max_args = 1, .help = "add a model to a product line",
    .example = "cradle model add P100 --line pump", VERB_OPTS(model_add_opts), .run = model_add_run,
};

static enum err model_list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "MODEL", "name", 12, NULL }, { "LINE", "line", 0, NULL }, { "TITLE", "title", 0, NULL }, { "HW REV", "hw_rev", 0, NULL },
    };
    CLEANUP(buf_free) struct buf q = BUF_INIT(1024);
    query_add(&q, "line", cli_opt(c, "--line"));
    struct list l = { .path = "/api/v1/models", .query = buf_span(&q), .cols = cols, .ncols = ARRAY_LEN(cols),
                      .empty = "There is no model yet: cradle model add NAME --line LINE" };
    return cli_list(c, &l, f);
}
static const struct verb_opt model_list_opts[] = {
    { "--line", "LINE", "of this product line", false },
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_model_list = { .name = "model list", .args = "", .help = "list models", VERB_OPTS(model_list_opts), .run = model_list_run };

/* -- certificates -------------------------------------------------------------------------------------------------------------- */
static enum err cert_path(const char *serial, const char *tail, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(20);
    if (hex_decode(span_str(serial), &bytes) || !bytes.len)
        return fault_set(f, CE_BAD_FIELD, "'%s' is not a serial number: 2 to 40 hexadecimal digits", serial);
    buf_printf(out, "/api/v1/certs/%s%s", serial, tail);
    return CE_OK;
}

static enum err cert_list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "SERIAL", "serial", 32, NULL }, { "STATUS", "status", 0, tint_state }, { "HOLDER", "holder", 0, NULL },
        { "PROFILE", "profile", 0, NULL }, { "UNTIL", "not_after", 0, NULL },
    };
    CLEANUP(buf_free) struct buf q = BUF_INIT(4096);
    query_add(&q, "device", cli_opt(c, "--device"));
    query_add(&q, "line", cli_opt(c, "--line"));
    query_add(&q, "state", cli_opt(c, "--state"));
    query_add(&q, "q", cli_opt(c, "--prefix"));
    struct list l = { .path = "/api/v1/certs", .query = buf_span(&q), .cols = cols, .ncols = ARRAY_LEN(cols),
                      .empty = "No certificate matches." };
    return cli_list(c, &l, f);
}

static const struct verb_opt cert_list_opts[] = {
    { "--device", "UID", "of this device", false },
    { "--line", "LINE", "of this product line", false },
    { "--state", "STATUS", "good, revoked, hold, superseded", false },
    { "--prefix", "HEX", "serial begins with this", false },
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_cert_list = { .name = "cert list", .args = "", .help = "list certificates", VERB_OPTS(cert_list_opts), .run = cert_list_run };

/* The certificate itself (RFC 5280 4.2.2.1 media type), as PEM or, with --json, inside an object. */
static enum err cert_show_pem(struct cli *c, const char *path, struct fault *f)
{
    static const char *const headers[] = { "Accept: application/pkix-cert", NULL };
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(buf_free) struct buf pem = BUF_INIT(65536);
    enum err e = cli_net(c, f);
    if (e || (e = net_request(c->net, "GET", path, headers, (struct span){ 0 }, &r, f)))
        return e;
    pem_encode("CERTIFICATE", buf_span(&r.body), &pem);
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:s}", "pem", buf_cstr(&pem));
        cli_print_json(o);
    } else
        fputs(buf_cstr(&pem), stdout);
    return CE_OK;
}

static enum err cert_show_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    enum err e = cert_path(c->args[0], "", &path, f);
    if (e)
        return e;
    if (cli_flag(c, "--pem"))
        return cert_show_pem(c, buf_cstr(&path), f);
    if ((e = cli_call(c, "GET", buf_cstr(&path), (struct span){ 0 }, &r, f)) || (e = cli_json(&r, &o, f)))
        return e;
    const char *key;
    json_t *v;
    struct json_text t;
    if (c->json) {
        cli_print_json(o);
        return CE_OK;
    }
    json_object_foreach(o, key, v) {
        const char *text = json_path_text(o, key, &t);
        enum cli_tint tint = strcmp(key, "status") == 0 ? tint_state(text) : TINT_NONE;
        printf("%-14s %s", key, tint ? cli_tint(c, tint) : "");
        cli_put_safe(text, 300);
        printf("%s\n", tint ? cli_tint(c, TINT_NONE) : "");
    }
    return CE_OK;
}
static const struct verb_opt cert_show_opts[] = { { "--pem", NULL, "print the certificate itself", false } };
const struct verb verb_cert_show = {
    .name = "cert show", .args = "SERIAL", .min_args = 1, .max_args = 1, .help = "show one certificate",
    .example = "cradle cert show 3f2a… --pem | openssl x509 -text", VERB_OPTS(cert_show_opts), .run = cert_show_run,
};

static enum err cert_revoke_run(struct cli *c, struct fault *f)
{
    const struct member m[] = { { "reason", cli_opt(c, "--reason") }, { "note", cli_opt(c, "--note") } };
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(json_decref_p) json_t *o = json_object();
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = cert_path(c->args[0], "/revoke", &path, f);
    if (e || (e = post_members(c, buf_cstr(&path), o, m, ARRAY_LEN(m), &r, f)))
        return e;
    cli_say(c, "revoked certificate %s; its device may enroll a new one (cradle device revoke UID ends that too)", c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}
static const struct verb_opt cert_revoke_opts[] = {
    { "--reason", "REASON", "keyCompromise, cessationOfOperation, superseded, unspecified … (RFC 5280 5.3.1)", false },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_cert_revoke = {
    .name = "cert revoke", .args = "SERIAL", .min_args = 1, .max_args = 1, .help = "revoke one certificate, not its holder",
    VERB_OPTS(cert_revoke_opts), .run = cert_revoke_run,
};
