/* anchor.c: `cradle anchor add|list|remove` and `cradle device forget-idevid`: makers whose initial device identities (IDevIDs) may enroll. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/name.h"
#include "cli/device.h"
#include "crypt/cert.h"
#include "crypt/hash.h"
#include "crypt/pem.h"

#define PEM_FILE_MAX 65536

/* Every certificate of a PEM file, or the one of a DER file. */
static enum err certs_read(const char *path, unsigned most, struct buf *der, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(PEM_FILE_MAX);
    unsigned n = 0;
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "%s cannot be read: %s", path, err_text(e));
    if (text.len && text.data[0] == 0x30) {
        buf_put_span(der, buf_span(&text));
        return buf_err(der);
    }
    while (pem_decode(buf_span(&text), "CERTIFICATE", n, der) == CE_OK)
        n++;
    if (!n || n > most)
        return fault_set(f, CE_BAD_CERT, n ? "%s: %u certificates; exactly one is the anchor, the others are given with --intermediate" : "%s: no CERTIFICATE block in PEM, and no DER", path, n);
    return buf_err(der);
}

static void set_base64(json_t *o, const char *key, struct span der)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    buf_put_base64(&text, der, 0);
    json_object_set_new(o, key, json_stringn((const char *)text.data, text.len));
}

static enum err anchors_path(const char *line, const char *tail, char *out, size_t cap, struct fault *f)
{
    snprintf(out, cap, "/api/v1/lines/%.64s/anchors%s%.64s", line, *tail ? "/" : "", tail);
    return name_check_label("line", span_str(line), f);
}

static enum err add_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf root = BUF_INIT(PEM_FILE_MAX), inters = BUF_INIT(PEM_FILE_MAX);
    CLEANUP(json_decref_p) json_t *o = json_object(), *answer = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    static const char *const texts[][2] = { { "rule", "--map" }, { "hw_type", "--hw-type" }, { "model", "--register" }, { "title", "--title" }, { "note", "--note" } };
    const char *cert = cli_opt(c, "--cert"), *v;
    char path[200];
    if (!cert || !cli_opt(c, "--map"))
        return fault_set(f, CE_USAGE, "an anchor needs --cert FILE (the maker's root) and --map RULE (serial, cn or hwserial: what in an IDevID names the device)");
    enum err e = anchors_path(c->args[0], "", path, sizeof path, f);
    e = e ? e : certs_read(cert, 1, &root, f);
    for (int i = 0; !e && (v = cli_opt_n(c, "--intermediate", i)); i++)
        e = certs_read(v, 100, &inters, f);
    for (size_t i = 0; !e && i < ARRAY_LEN(texts); i++)
        e = json_set_text(o, texts[i][0], cli_opt(c, texts[i][1]), f);
    if (e)
        return e;
    set_base64(o, "cert", buf_span(&root));
    if (inters.len)
        set_base64(o, "intermediates", buf_span(&inters));
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    e = cli_call(c, "POST", path, span_str(body), &r, f);
    if (e || c->json)
        return e ? e : cli_print_reply(&r, f);
    if ((e = cli_json(&r, &answer, f)))
        return e;
    cli_say(c, "line %s takes IDevIDs of %s (%s)", c->args[0], cert, json_path_str(answer, "sha256", "?"));
    cli_say(c, "next: such a device sends its CSR, signed by a new key, to /.well-known/est/%s/simpleenroll with its IDevID as TLS client certificate", c->args[0]);
    return CE_OK;
}

static const struct verb_opt add_opts[] = {
    { "--cert", "FILE", "the maker's trust anchor, PEM or DER; compare its SHA-256 with what the maker told you", false },
    { "--intermediate", "FILE", "CAs between it and the devices; clients do not send them on", true },
    { "--map", "RULE", "what names the device: serial (serialNumber in the subject is the registered serial number), cn (the common name is the UID), "
                       "hwserial (hwSerialNum of the hardwareModuleName is the registered serial number)", false },
    { "--hw-type", "OID", "the hardwareModuleName must have this hardware type", false },
    { "--register", "MODEL", "an IDevID that names no device registers one of this model, under the name as UID (default: it is refused)", false },
    { "--title", "TEXT", "name for humans", false },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_anchor_add = {
    .name = "anchor add", .args = "LINE", .min_args = 1, .max_args = 1, .help = "let initial identities (IDevIDs) of a maker enroll devices of a line",
    .text = "A device with an IDevID of that maker enrolls without a station. The first IDevID of a device stays its only one. IDevIDs enroll and do nothing else: no broker, no "
            "API and no update takes them. The maker's revocation lists are not fetched: bring them with cradle anchor crl.",
    .example = "cradle anchor add pump --cert maker-root.pem --intermediate maker-ca.pem --map serial", VERB_OPTS(add_opts), .run = add_run,
};

static enum err list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "SHA-256", "sha256", 0, NULL }, { "SUBJECT", "subject", 0, NULL }, { "RULE", "rule", 0, NULL }, { "HW TYPE", "hw_type", 0, NULL },
        { "REGISTERS", "model", 0, NULL }, { "UNTIL", "not_after", 0, NULL }, { "TITLE", "title", 0, NULL },
    };
    char path[200];
    enum err e = anchors_path(c->args[0], "", path, sizeof path, f);
    struct list l = { .path = path, .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "No maker's IDevIDs enroll devices of this line: cradle anchor add LINE --cert FILE --map RULE" };
    return e ? e : cli_list(c, &l, f);
}
const struct verb verb_anchor_list = { .name = "anchor list", .args = "LINE", .min_args = 1, .max_args = 1, .help = "list makers whose IDevIDs enroll devices of a line", .run = list_run };

static enum err note_send(struct cli *c, const char *method, const char *path, struct net_reply *r, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_object();
    enum err e = json_set_text(o, "note", cli_opt(c, "--note"), f);
    if (e)
        return e;
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    return cli_call(c, method, path, span_str(body), r, f);
}

static enum err remove_run(struct cli *c, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    char path[200];
    if (strlen(c->args[1]) != 64)
        return fault_set(f, CE_USAGE, "an anchor is named by the SHA-256 of its certificate, 64 hexadecimal digits: cradle anchor list %s", c->args[0]);
    enum err e = anchors_path(c->args[0], c->args[1], path, sizeof path, f);
    e = e ? e : note_send(c, "DELETE", path, &r, f);
    if (e)
        return e;
    cli_say(c, "line %s takes no new IDevIDs of this maker; devices that have enrolled keep their certificates", c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}
static const struct verb_opt note_opts[] = { { "--note", "TEXT", "why, in your words; becomes evidence", false } };
const struct verb verb_anchor_remove = {
    .name = "anchor remove", .args = "LINE SHA256", .min_args = 2, .max_args = 2, .help = "take no IDevIDs of a maker any more", VERB_OPTS(note_opts), .run = remove_run,
};

static enum err forget_run(struct cli *c, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    enum err e = device_path(c->args[0], "/forget-idevid", &path, f);
    e = e ? e : note_send(c, "POST", buf_cstr(&path), &r, f);
    if (e)
        return e;
    cli_say(c, "device %s may enroll with another IDevID now; the next one that names it stays", c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}
const struct verb verb_device_forget_idevid = {
    .name = "device forget-idevid", .args = "UID", .min_args = 1, .max_args = 1, .help = "let a device enroll with another IDevID: its board was changed",
    .text = "What it was known by enrolls it no more once another has. A stolen board's IDevID still names the device: revoke the device instead.",
    .example = "cradle device forget-idevid pump-0001 --note 'RMA 4711: mainboard changed'", VERB_OPTS(note_opts), .run = forget_run,
};
