/* ca_root.c: `cradle ca rollover-root` and `cradle ca cross-sign`: a new root beside the old one, and the certificates that lead from one to the
 * other (RFC 4210 4.4), for devices and programs that know only one of them. */
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/ca_files.h"
#include "cli/secret.h"
#include "crypt/crl.h"
#include "crypt/issue.h"

#define BACKDATE_S 300
#define YEAR_S (366LL * 86400)
#define CRL_S (366LL * 86400)

static enum err cert_of(struct cli *c, const char *name, struct buf *der, struct cert *cert, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/ca/%.60s.pem", c->site, name);
    return cert_load(path, der, cert, f);
}

/* Another certificate for the key of CA NAME, signed by root BY: file, register, evidence. Made once; found there, it is only registered. */
static enum err link_make(struct ceremony *by, const char *name, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX), out = BUF_INIT(CERT_MAX);
    CLEANUP(json_decref_p) json_t *there = NULL;
    struct cli *c = by->c;
    struct cert cert, made;
    char link[LABEL_MAX + 1], cn[UID_MAX + 1], path[PATH_MAX_LEN];
    if (snprintf(link, sizeof link, "%s-by-%s", name, by->root.name) >= (int)sizeof link)
        return fault_set(f, CE_BAD_NAME, "the names %s and %s are too long together", name, by->root.name);
    enum err e = cert_of(c, name, &der, &cert, f);
    if (!e && span_to_cstr(cert.cn, cn, sizeof cn))
        e = fault_set(f, CE_BAD_CERT, "CA %s has a name that cradle did not give it", name);
    if (e)
        return e;
    struct issue_spec spec = { .cn = cn, .org = by->org, .spki = cert.spki, .not_before = by->now_s - BACKDATE_S, .not_after = cert.not_after };
    if (spec.not_after > by->root.cert.not_after)
        spec.not_after = by->root.cert.not_after;
    bool is_root = span_eq(cert.ski, cert.aki) || !cert.aki.n;
    path_join(path, "%s/ca/%s.pem", c->site, link);
    if (file_exists(path))
        e = cert_load(path, &out, &made, f);
    else if (is_root && !span_eq(cert.subject, by->root.cert.subject))
        e = fault_set(f, CE_BAD_CERT, "the roots %s and %s have different names: a link would count in path lengths (RFC 5280 4.2.1.9)", name, by->root.name);
    else {
        e = is_root ? issue_root_link(&by->root, &spec, &out, f) : issue_issuing(&by->root, &spec, (cert.eku & EKU_SERVER_AUTH) != 0, &out, f);
        e = e ? e : ca_put_cert(c, link, buf_span(&out), f);
    }
    if (e)
        return e;
    if (ca_ask(c, link, &there, f) == CE_OK)
        return CE_OK;
    *f = (struct fault){ 0 };
    e = ca_register(c, link, "link", buf_span(&out), "", f);
    if (!e)
        cli_say(c, "made link %s: the key of %s, signed by %s: ca/%s.pem", link, name, by->root.name, link);
    return e;
}

/* -- a new root ----------------------------------------------------------------------------------------------------------------------------- */
static enum err new_secret(struct cli *c, char *secret, struct fault *f)
{
    const char *path = cli_opt(c, "--new-passphrase-file");
    return secret_read(path ? path : cli_opt(c, "--passphrase-file"), true, secret, f);
}

/* Key and certificate of root NAME: the same name as the old root's, which makes links self-issued. */
static enum err root_make(struct ceremony *old, const char *name, int64_t years, struct ceremony *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX), crl = BUF_INIT(CERT_MAX);
    const char *alg = cli_opt(old->c, "--alg");
    char cn[UID_MAX + 1], secret[SECRET_MAX], file[96];
    struct key *key = NULL;
    *out = *old;
    out->root = (struct ca){ .n_shards = 0 };
    if (span_to_cstr(old->root.cert.cn, cn, sizeof cn))
        return fault_set(f, CE_BAD_CERT, "the old root has a name that cradle did not give it");
    struct issue_spec spec = { .cn = cn, .org = old->org, .not_before = old->now_s - BACKDATE_S, .not_after = old->now_s + years * YEAR_S };
    if (spec.not_before <= old->root.cert.not_before) /* who follows links (RFC 9483 4.3.2, agents, microcontrollers) tells by it which root is the newer */
        spec.not_before = old->root.cert.not_before + 1;
    if (spec.not_before > old->now_s)
        return fault_set(f, CE_CLOCK_BACK, "the clock of this machine is behind the beginning of root %s: set it, then repeat", old->root.name);
    enum err e = key_generate(alg ? alg : "ec:P-256", &key, f);
    e = e ? e : new_secret(old->c, secret, f);
    snprintf(file, sizeof file, "offline/%.40s.key", name);
    e = e ? e : ca_put_key(old->c, file, key, secret, f);
    mem_zero(secret, sizeof secret);
    e = e ? e : issue_root(key, &spec, &der, f);
    if (e) {
        key_free(key);
        return e;
    }
    if ((e = ca_open(&out->root, name, buf_span(&der), key, old->url, 1, f)))
        return e;
    struct crl_request r = { .number = 1, .this_update = old->now_s, .next_update = old->now_s + CRL_S };
    char dir[PATH_MAX_LEN];
    path_join(dir, "%s/pub/crl/%.40s", old->c->site, name);
    if ((e = file_mkdirs(dir, 0755)))
        return fault_set(f, e, "folder %s cannot be made", dir);
    snprintf(file, sizeof file, "pub/crl/%.40s/0.crl", name);
    e = crl_build(&out->root, &r, &crl, f);
    e = e ? e : ca_put(old->c, file, buf_span(&crl), 0644, f);
    return e ? e : ca_put_cert(old->c, name, buf_span(&der), f);
}

/* Every issuing CA that counts, signed by the new root too: whoever trusts the new root alone can use what is there already. */
static enum err cross_all(struct ceremony *by, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    json_t *one;
    size_t i;
    enum err e = cli_call(by->c, "GET", "/api/v1/cas", span_of(NULL, 0), &r, f);
    e = e ? e : cli_json(&r, &o, f);
    if (e)
        return e;
    json_array_foreach(json_object_get(o, "items"), i, one) {
        const char *use = json_path_str(one, "use", ""), *state = json_path_str(one, "state", "");
        if (!e && ca_use_issues(ca_use_find(span_str(use))) && (strcmp(state, "active") == 0 || strcmp(state, "passive") == 0))
            e = link_make(by, json_path_str(one, "name", ""), f);
    }
    return e;
}

static enum err root_register(struct ceremony *x, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *there = NULL;
    char at[96];
    if (ca_ask(x->c, x->root.name, &there, f) == CE_OK)
        return CE_OK;
    *f = (struct fault){ 0 };
    snprintf(at, sizeof at, "file:offline/%.40s.key", x->root.name);
    return ca_register(x->c, x->root.name, "root", buf_span(&x->root.der), at, f);
}

static enum err rollover_run(struct cli *c, struct fault *f)
{
    struct ceremony old = { 0 }, new = { 0 };
    const char *name = c->args[0], *from = cli_opt(c, "--root") ? cli_opt(c, "--root") : "root";
    char path[PATH_MAX_LEN];
    int64_t years;
    bool lost = cli_flag(c, "--old-key-lost");
    enum err e = name_check_label("name", span_str(name), f);
    if (!e && (strncmp(name, "root", 4) != 0 || strlen(name) > 20))
        e = fault_set(f, CE_USAGE, "the name of a root begins with root and has 20 characters at most, like root2");
    e = e ? e : cli_opt_int(c, "--years", 20, 1, 50, &years, f);
    e = e ? e : cli_site(c, f);
    e = e ? e : lost ? ceremony_open_lost(&old, c, from, f) : ceremony_open(&old, c, from, false, f);
    path_join(path, "%s/ca/%.60s.pem", c->site, name);
    if (!e && file_exists(path)) {
        cli_say(c, "repaired: an earlier run made root %s and was stopped after that; this one goes on with it", name);
        e = ceremony_open(&new, c, name, true, f);
    } else if (!e) {
        e = root_make(&old, name, years, &new, f);
    }
    e = e ? e : root_register(&new, f);
    e = e ? e : ca_bundle_add(c, buf_span(&new.root.der), f);
    e = e || lost ? e : link_make(&old, name, f); /* new with old */
    e = e ? e : link_make(&new, from, f); /* old with new */
    e = e ? e : cross_all(&new, f);
    ceremony_close(&old);
    ceremony_close(&new);
    if (e)
        return e;
    if (lost) {
        cli_say(c, "root %s is there, beside %s; nothing proves it to who trusts %s: bring ca/%s.pem to devices by a signed update, and to brokers and servers.", name, from, from, name);
        cli_say(c, "Next: move offline/%s.key to two places that are not this machine; cradle site renew puts the link ca/%s-by-%s.pem into the server's chain", name, from, name);
        return CE_OK;
    }
    cli_say(c, "root %s is there, beside %s: EST's /cacerts gives both and the links; who trusts only %s reaches what %s signs through ca/%s-by-%s.pem.", name, from, from,
            name, name, from);
    cli_say(c, "Next: move offline/%s.key to two places that are not this machine; give ca/bundle.pem to brokers and servers; then new issuing CAs: "
               "cradle ca create NAME --use device --root %s; when nobody trusts %s alone any more: cradle ca retire %s", name, name, from, from);
    return CE_OK;
}

static const struct verb_opt roll_opts[] = {
    { "--root", "NAME", "the root that there is (default root)", false },
    { "--alg", "ALG", "the new root's key: ec:P-256 (default), ec:P-384, rsa:3072 …", false },
    { "--years", "N", "the new root's life (default 20)", false },
    { "--key", "FILE", "the old root's key (default DIR/offline/ROOT.key, or the token of DIR/offline/ROOT.uri)", false },
    { "--passphrase-file", "FILE", "first line is its passphrase; asked on the terminal otherwise", false },
    { "--new-passphrase-file", "FILE", "first line is the passphrase of the new root's key (default: the same)", false },
    { "--old-key-lost", NULL, "nobody has the old root's key any more: make no link by it, so that devices must get the new root by an update", false },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_ca_rollover_root = {
    .name = "ca rollover-root", .args = "NAME", .min_args = 1, .max_args = 1, .help = "make a new root beside the old one, with links in both directions",
    .text = "The new root has the old one's name and a key of its own. Links (RFC 4210 4.4) are the new key signed by the old root, the old key signed by the new "
            "root, and every issuing CA signed by the new root too. A run that was stopped is finished by the same command.",
    .example = "cradle ca rollover-root root2 --passphrase-file /root/pass --new-passphrase-file /root/pass2", VERB_OPTS(roll_opts), .run = rollover_run,
};

static enum err cross_run(struct cli *c, struct fault *f)
{
    struct ceremony by = { 0 };
    const char *root = cli_opt(c, "--root");
    enum err e = name_check_label("name", span_str(c->args[0]), f);
    if (!e && !root)
        e = fault_set(f, CE_USAGE, "--root is needed: the root that signs");
    e = e ? e : cli_site(c, f);
    e = e ? e : ceremony_open(&by, c, root, false, f);
    e = e ? e : link_make(&by, c->args[0], f);
    ceremony_close(&by);
    return e;
}
static const struct verb_opt cross_opts[] = {
    { "--root", "NAME", "the root that signs", false },
    { "--key", "FILE", "its key (default DIR/offline/ROOT.key, or the token of DIR/offline/ROOT.uri)", false },
    { "--passphrase-file", "FILE", "first line is its passphrase; asked on the terminal otherwise", false },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_ca_cross_sign = {
    .name = "ca cross-sign", .args = "NAME", .min_args = 1, .max_args = 1, .help = "have another root sign the key of an issuing CA too",
    .text = "The link is given out by EST's /cacerts and with the revocation stream; certificates stay as they are.",
    .example = "cradle ca cross-sign device --root root2 --passphrase-file /root/pass2", VERB_OPTS(cross_opts), .run = cross_run,
};
