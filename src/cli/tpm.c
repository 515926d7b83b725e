/* tpm.c: `cradle tpm trust|distrust|list|bind`: whose TPMs may prove that the key of a device lives in them: those that a CA of their maker vouches for, of a product line,
 * or the one that is bound to a device. Core judges the proofs (core/attest.h). */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/device.h"
#include "crypt/cert.h"
#include "crypt/hash.h"
#include "crypt/pem.h"

static enum err line_path(const char *line, const char *tail, struct buf *out, struct fault *f)
{
    enum err e = name_check_label("line", span_str(line), f);
    buf_printf(out, "/api/v1/lines/%.64s/ek-cas%s", line, tail);
    return e;
}

/* A certificate in PEM or DER. */
static enum err cert_read(const char *path, struct buf *der, struct cert *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(65536);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "cannot read %s", path);
    if (pem_decode(buf_span(&text), "CERTIFICATE", 0, der)) {
        buf_reset(der);
        buf_put_span(der, buf_span(&text));
    }
    return cert_parse(buf_span(der), out, f);
}

static enum err send(struct cli *c, const char *method, const char *path, json_t *o, struct net_reply *r, struct fault *f)
{
    enum err e = json_set_text(o, "note", cli_opt(c, "--note"), f);
    if (e)
        return e;
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    return cli_call(c, method, path, span_str(body), r, f);
}

static enum err trust_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024), der = BUF_INIT(CERT_MAX), text = BUF_INIT(65536);
    CLEANUP(json_decref_p) json_t *o = json_object();
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    struct cert cert;
    const char *file = cli_opt(c, "--cert");
    enum err e = file ? line_path(c->args[0], "", &path, f) : fault_set(f, CE_USAGE, "give --cert FILE: the certificate of the CA that signs the maker's EK certificates");
    e = e ? e : cert_read(file, &der, &cert, f);
    if (e)
        return e;
    buf_put_base64(&text, buf_span(&der), 0);
    json_object_set_new(o, "cert", json_string(buf_cstr(&text)));
    if ((e = send(c, "POST", buf_cstr(&path), o, &r, f)))
        return e;
    cli_say(c, "TPMs with a certificate of this CA may prove where keys of devices of line %s live", c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}

static enum err distrust_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(json_decref_p) json_t *o = json_object();
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    char tail[80];
    snprintf(tail, sizeof tail, "/%.64s", c->args[1]);
    enum err e = strlen(c->args[1]) == 64 ? line_path(c->args[0], tail, &path, f) : fault_set(f, CE_USAGE, "give the SHA-256 of the CA's certificate: cradle tpm list %s", c->args[0]);
    e = e ? e : send(c, "DELETE", buf_cstr(&path), o, &r, f);
    if (e)
        return e;
    cli_say(c, "the CA vouches for no more TPMs of line %s; proofs that were given stay", c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}

static enum err list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = { { "CA", "title", 20, NULL }, { "SINCE", "added_at", 20, NULL }, { "CERTIFICATE", "sha256", 64, NULL } };
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    enum err e = line_path(c->args[0], "", &path, f);
    struct list l = { .path = buf_cstr(&path), .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "No CA vouches for TPMs of this line; add one: cradle tpm trust LINE --cert FILE" };
    return e ? e : cli_list(c, &l, f);
}

/* The SHA-256 of the SubjectPublicKeyInfo: as digits, or of a public key or certificate in a file. */
static enum err ek_of(struct cli *c, struct buf *hex, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(65536), der = BUF_INIT(CERT_MAX);
    const char *digits = cli_opt(c, "--ek"), *file = cli_opt(c, "--ek-file");
    uint8_t hash[SHA256_LEN];
    struct cert cert;
    if ((digits != NULL) + (file != NULL) + cli_flag(c, "--none") != 1)
        return fault_set(f, CE_USAGE, "give one of --ek SHA256, --ek-file FILE, --none");
    if (!file) {
        buf_put_str(hex, digits ? digits : "");
        return digits && strlen(digits) != 64 ? fault_set(f, CE_USAGE, "--ek is 64 hexadecimal digits (cradle-agent ek prints them)") : CE_OK;
    }
    enum err e = file_read(file, &text);
    if (e)
        return fault_set(f, e, "cannot read %s", file);
    if (pem_decode(buf_span(&text), "PUBLIC KEY", 0, &der) == CE_OK)
        sha256(buf_span(&der), hash);
    else if ((e = cert_read(file, &der, &cert, f)))
        return e;
    else
        memcpy(hash, cert.spki_sha256, sizeof hash);
    buf_put_hex(hex, span_of(hash, sizeof hash));
    return CE_OK;
}

static enum err bind_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024), hex = BUF_INIT(128);
    CLEANUP(json_decref_p) json_t *o = json_object();
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = device_path(c->args[0], "/ek", &path, f);
    e = e ? e : ek_of(c, &hex, f);
    if (e)
        return e;
    if (hex.len)
        json_object_set_new(o, "ek", json_string(buf_cstr(&hex)));
    if ((e = send(c, "POST", buf_cstr(&path), o, &r, f)))
        return e;
    cli_say(c, hex.len ? "only the TPM with this endorsement key may prove where keys of %s live" : "no TPM belongs to %s; the next one that its line trusts will", c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}

#define NOTE_OPT { "--note", "TEXT", "why, in your words; becomes evidence", false }
static const struct verb_opt trust_opts[] = { { "--cert", "FILE", "certificate of the CA that signs EK certificates (PEM or DER)", false }, NOTE_OPT };
const struct verb verb_tpm_trust = {
    .name = "tpm trust", .args = "LINE", .min_args = 1, .max_args = 1, .help = "let TPMs of a maker prove where keys of a line's devices live",
    .text = "Give the CA that signs the endorsement key (EK) certificates itself, not a root above it. A device's first proof binds that TPM to it.",
    .example = "cradle tpm trust pump --cert tpm-maker-ca.pem\ncradle line set pump --key-home tpm", VERB_OPTS(trust_opts), .run = trust_run,
};
static const struct verb_opt note_opts[] = { NOTE_OPT };
const struct verb verb_tpm_distrust = {
    .name = "tpm distrust", .args = "LINE SHA256", .min_args = 2, .max_args = 2, .help = "take that back, for proofs to come", VERB_OPTS(note_opts), .run = distrust_run,
};
const struct verb verb_tpm_list = {
    .name = "tpm list", .args = "LINE", .min_args = 1, .max_args = 1, .help = "list the CAs that vouch for TPMs of a line", .run = list_run,
};
static const struct verb_opt bind_opts[] = {
    { "--ek", "SHA256", "of the SubjectPublicKeyInfo of the TPM's endorsement key, as `cradle-agent ek` prints it", false },
    { "--ek-file", "FILE", "the endorsement key (PEM) or its certificate (PEM or DER)", false },
    { "--none", NULL, "no TPM: its board was changed", false }, NOTE_OPT,
};
const struct verb verb_tpm_bind = {
    .name = "tpm bind", .args = "UID", .min_args = 1, .max_args = 1, .help = "say which TPM belongs to a device", .example = "cradle tpm bind pump-0001 --ek-file ek.pem",
    VERB_OPTS(bind_opts), .run = bind_run,
};
