/* ca.c: `cradle ca list|show|activate|retire|compromise|reenroll`: which CAs there are, and what they are used for from now on. Nothing here
 * makes a key or a certificate: ca_make.c does. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "cli/ca_files.h"

static enum err ca_list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "CA", "name", 12, NULL }, { "USE", "use", 0, NULL }, { "STATE", "state", 0, NULL }, { "READY", "ready", 0, NULL },
        { "LINES", "lines", 0, NULL }, { "UNTIL", "not_after", 10, NULL }, { "SUBJECT", "subject", 0, NULL },
    };
    struct list l = { .path = "/api/v1/cas", .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "There is no CA" };
    return cli_list(c, &l, f);
}
const struct verb verb_ca_list = { .name = "ca list", .args = "", .help = "list the CAs of the site: roots, issuing CAs, links", .run = ca_list_run };

static enum err ca_show_run(struct cli *c, struct fault *f)
{
    static const char *const rows[][2] = {
        { "name", "name" }, { "used for", "use" }, { "state", "state" }, { "since", "changed_at" }, { "subject", "subject" }, { "from", "not_before" },
        { "until", "not_after" }, { "serial", "serial" }, { "key id", "kid" }, { "signed by key", "issuer_kid" }, { "SHA-256", "sha256" },
    };
    CLEANUP(json_decref_p) json_t *ca = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    char path[128];
    enum err e = name_check_label("name", span_str(c->args[0]), f);
    snprintf(path, sizeof path, "/api/v1/cas/%.64s", c->args[0]);
    e = e ? e : cli_call(c, "GET", path, span_of(NULL, 0), &r, f);
    e = e ? e : cli_json(&r, &ca, f);
    if (e || c->json)
        return e ? e : cli_print_reply(&r, f);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        cli_say(c, "%-14s %s", rows[i][0], json_path_str(ca, rows[i][1], ""));
    cli_say(c, "%-14s %s", "CRLs", json_is_true(json_object_get(ca, "ready")) ? "all made" : "not all made by this service");
    cli_say(c, "%-14s %lld", "product lines", (long long)json_integer_value(json_object_get(ca, "lines")));
    return CE_OK;
}
const struct verb verb_ca_show = {
    .name = "ca show", .args = "NAME", .min_args = 1, .max_args = 1, .help = "one CA: what it is used for, its certificate, its state", .run = ca_show_run,
};

/* -- changes ------------------------------------------------------------------------------------------------------------------------------ */
static enum err ca_patch(struct cli *c, json_t *o, struct net_reply *r, struct fault *f)
{
    char path[128];
    enum err e = name_check_label("name", span_str(c->args[0]), f);
    e = e ? e : json_set_text(o, "note", cli_opt(c, "--note"), f);
    if (e)
        return e;
    snprintf(path, sizeof path, "/api/v1/cas/%.64s", c->args[0]);
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    return cli_call(c, "PATCH", path, span_str(body), r, f);
}

static enum err ca_activate_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s}", "state", "active"), *ca = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = ca_patch(c, o, &r, f);
    e = e ? e : cli_json(&r, &ca, f);
    if (e)
        return e;
    const char *use = json_path_str(ca, "use", "?");
    cli_say(c, "CA %s issues for use %s from now on; the one before is passive: its certificates go on, renewals move their holders to %s.", c->args[0], use,
            c->args[0]);
    cli_say(c, "Next: cradle ca list; when the old one has no live certificate any more: cradle ca retire OLD");
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}

#define NOTE_OPT { "--note", "TEXT", "why, in your words; becomes evidence", false }
static const struct verb_opt note_opts[] = { NOTE_OPT };
const struct verb verb_ca_activate = {
    .name = "ca activate", .args = "NAME", .min_args = 1, .max_args = 1, .help = "have an issuing CA issue from now on; the one before goes passive",
    .text = "Brokers, APIs, OCSP and CRLs know the CA since it was made, so nothing is cut: devices of the old CA go on and get certificates of the new one at "
            "their next renewal. A product line that names a CA (line set --ca) stays with that one.",
    .example = "cradle ca activate device-2027 --note 'yearly rollover'", VERB_OPTS(note_opts), .run = ca_activate_run,
};

static enum err ca_retire_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:b}", "state", "retired", "force", cli_flag(c, "--force"));
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = ca_patch(c, o, &r, f);
    if (e)
        return e;
    cli_say(c, "CA %s is retired: certificates of it let nobody in any more. Its OCSP answers and CRLs go on; keep its key until the last of them has ended.",
            c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}
static const struct verb_opt retire_opts[] = {
    { "--force", NULL, "also while certificates of it live: their holders are shut out at once", false },
    NOTE_OPT,
};
const struct verb verb_ca_retire = {
    .name = "ca retire", .args = "NAME", .min_args = 1, .max_args = 1, .help = "end a passive CA: its certificates count no more",
    .text = "Refused while certificates of it live (the answer says how many), while it issues, and while a product line names it.",
    .example = "cradle ca retire device --note 'the fleet has moved to device-2027'", VERB_OPTS(retire_opts), .run = ca_retire_run,
};

/* The root's word about it is for those who check chains: it needs the root's key, which may be elsewhere now. */
static enum err crl_revoke(struct cli *c, const json_t *ca, struct fault *f)
{
    CLEANUP(buf_free) struct buf serial = BUF_INIT(64);
    const char *root = cli_opt(c, "--root") ? cli_opt(c, "--root") : "root";
    struct key *key = NULL;
    if (cli_flag(c, "--no-crl")) {
        cli_say(c, "Next, with the root's key: cradle root crl --revoke %s", c->args[0]);
        return CE_OK;
    }
    enum err e = hex_decode(span_str(json_path_str(ca, "serial", "")), &serial);
    e = e ? e : cli_site(c, f);
    e = e ? e : root_key_open(c, root, false, &key, f);
    return e ? e : root_crl_make(c, root, key, buf_span(&serial), 366LL * 86400, f);
}

static enum err ca_compromise_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s}", "state", "compromised"), *ca = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    int64_t waves;
    enum err e = cli_opt_int(c, "--reenroll", 0, 1, 100, &waves, f);
    if (!e && waves)
        json_object_set_new(o, "reenroll", json_integer(waves));
    e = e ? e : ca_patch(c, o, &r, f);
    e = e ? e : cli_json(&r, &ca, f);
    if (e)
        return e;
    cli_say(c, "CA %s is compromised: every certificate of it, known here or not, is refused by the service and by every broker and server that follows the stream.",
            c->args[0]);
    e = crl_revoke(c, ca, f);
    if (e) {
        struct fault why = *f;
        return fault_set(f, e, "CA %s is blocked, but the root's CRL was not made: %.150s. Next: cradle root crl --revoke %s", c->args[0], why.text, c->args[0]);
    }
    cli_say(c, "%lld of 100 devices may renew with their old certificate; have another CA issue, then let them come in waves: cradle ca reenroll %s PERCENT",
            (long long)waves, c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}
static const struct verb_opt compromise_opts[] = {
    { "--reenroll", "PERCENT", "so many of a hundred devices may renew at once with their certificate of this CA (default 0)", false },
    { "--no-crl", NULL, "the root's key is not here: block it now, make the root's CRL later", false },
    { "--root", "NAME", "the root that signed it (default root)", false },
    { "--key", "FILE", "the root's key (default DIR/offline/ROOT.key, or the token of DIR/offline/ROOT.uri)", false },
    { "--passphrase-file", "FILE", "first line is its passphrase; asked on the terminal otherwise", false },
    NOTE_OPT,
};
const struct verb verb_ca_compromise = {
    .name = "ca compromise", .args = "NAME", .min_args = 1, .max_args = 1, .help = "say that a CA's key is in other hands: everything that it signed is blocked",
    .text = "At once and for good. Forged certificates are blocked with the true ones: brokers and servers judge by the CA. The root's CRL names the CA's "
            "certificate from now on.",
    .example = "cradle ca compromise device --passphrase-file /root/pass --note 'the server was broken into'", VERB_OPTS(compromise_opts), .run = ca_compromise_run,
};

static enum err ca_reenroll_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_object();
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    int64_t percent;
    if (!span_to_i64(span_str(c->args[1]), &percent) || percent < 0 || percent > 100)
        return fault_set(f, CE_USAGE, "PERCENT is 0 to 100");
    json_object_set_new(o, percent ? "reenroll" : "closed", percent ? json_integer(percent) : json_true());
    enum err e = ca_patch(c, o, &r, f);
    if (e)
        return e;
    cli_say(c, "%lld of 100 devices with a certificate of CA %s may renew; always the same ones, so a larger number adds to them.", (long long)percent, c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}
const struct verb verb_ca_reenroll = {
    .name = "ca reenroll", .args = "NAME PERCENT", .min_args = 2, .max_args = 2, .help = "let devices of a compromised CA renew, in waves",
    .text = "A device comes with its old certificate and proves the key that the register has for exactly that certificate, so a forged one is no use. The key may "
            "stay: it was not the device's key that was lost. 0 closes the way again.",
    .example = "cradle ca reenroll device 5", VERB_OPTS(note_opts), .run = ca_reenroll_run,
};
