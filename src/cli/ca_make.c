/* ca_make.c: `cradle ca create`: an issuing CA is made under the offline root, on the server's machine, where its key stays.
 *
 * Order of the files: keys first, ca/NAME.pem last. So a run that was killed leaves either no CA (the next run takes the rest away and says so)
 * or a whole one, which the next run goes on with: bundle, register and evidence, reload. Each of these steps may be done twice.
 */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/ca_files.h"
#include "crypt/issue.h"
#include "crypt/pem.h"
#include "token/key_file.h"

#define BACKDATE_S 300
#define OCSP_S (5LL * 366 * 86400)
#define YEAR_S (366LL * 86400)

struct making {
    struct cli *c;
    const char *name;
    enum ca_use use;
    int64_t years;
    struct ceremony x;
};

static void file_of(char out[96], const char *fmt, const char *name)
{
    const char *at = strstr(fmt, "NAME");
    snprintf(out, 96, "%.*s%.60s%s", (int)(at - fmt), fmt, name, at + 4);
}

/* What a killed run leaves when it did not come to ca/NAME.pem: no certificate of it is anywhere, so it can go. */
static enum err rest_remove(struct making *m, struct fault *f)
{
    static const char *const files[] = { "keys/NAME.key", "keys/NAME-ocsp.key", "keys/NAME.uri", "ca/NAME-ocsp.pem", "ca/NAME.use", "pub/ca/NAME.cer" };
    char path[PATH_MAX_LEN], file[96];
    int n = 0;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        file_of(file, files[i], m->name);
        path_join(path, "%s/%s", m->c->site, file);
        if (!file_exists(path))
            continue;
        if (unlink(path))
            return fault_set(f, CE_IO, "%s cannot be removed", path);
        n++;
    }
    if (n)
        cli_say(m->c, "repaired: an earlier run was stopped before CA %s existed; its %d files are removed", m->name, n);
    return CE_OK;
}

static enum err make_ocsp(struct making *m, struct ca *ca, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    CLEANUP(key_free_p) struct key *key = NULL;
    char cn[160], file[96];
    snprintf(cn, sizeof cn, "%.60s %.40s OCSP", m->x.site, m->name);
    struct issue_spec spec = { .cn = cn, .org = m->x.org, .not_before = m->x.now_s - BACKDATE_S, .not_after = m->x.now_s + OCSP_S };
    if (spec.not_after > ca->cert.not_after)
        spec.not_after = ca->cert.not_after;
    snprintf(file, sizeof file, "%.60s-ocsp", m->name);
    enum err e = ca_key_make(m->c, file, "ec:P-256", NULL, &key, f);
    if (e)
        return e;
    spec.spki = key_spki(key);
    e = issue_ocsp(ca, &spec, &der, f);
    if (e)
        return e;
    CLEANUP(buf_free) struct buf pem = BUF_INIT(65536);
    pem_encode("CERTIFICATE", buf_span(&der), &pem);
    file_of(file, "ca/NAME-ocsp.pem", m->name);
    return ca_put(m->c, file, buf_span(&pem), 0644, f);
}

static enum err make_ca(struct making *m, struct key *key, struct buf *der, struct fault *f)
{
    char cn[160], file[96];
    bool infra = m->use == CA_USE_INFRA, idevid = m->use == CA_USE_IDEVID;
    struct ca ca = { 0 };
    snprintf(cn, sizeof cn, "%.60s %s CA %.40s", m->x.site, infra ? "Infra" : idevid ? "IDevID" : "Device", m->name);
    struct issue_spec spec = { .cn = cn, .org = m->x.org, .spki = key_spki(key), .not_before = m->x.now_s - BACKDATE_S,
                               .not_after = m->x.now_s + m->years * YEAR_S };
    if (spec.not_after > m->x.root.cert.not_after)
        spec.not_after = m->x.root.cert.not_after;
    enum err e = issue_issuing(&m->x.root, &spec, infra, der, f);
    if (e) {
        key_free(key);
        return e;
    }
    e = ca_open(&ca, m->name, buf_span(der), key, m->x.url, m->x.n_shards, f);
    e = e ? e : make_ocsp(m, &ca, f);
    file_of(file, "ca/NAME.use", m->name);
    CLEANUP(buf_free) struct buf word = BUF_INIT(64);
    buf_printf(&word, "%s\n", ca_use_name(m->use));
    e = e ? e : ca_put(m->c, file, buf_span(&word), 0644, f);
    e = e ? e : ca_put_cert(m->c, m->name, buf_span(der), f);
    ca_close(&ca);
    return e;
}

/* The certificate: made now, or by the run before this one. */
static enum err ca_there(struct making *m, struct buf *der, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct key *key = NULL;
    struct cert cert;
    const char *alg = cli_opt(m->c, "--alg"), *root = cli_opt(m->c, "--root");
    path_join(path, "%s/ca/%s.pem", m->c->site, m->name);
    if (file_exists(path)) {
        cli_say(m->c, "repaired: an earlier run made CA %s and was stopped after that; this one goes on with it", m->name);
        return cert_load(path, der, &cert, f);
    }
    enum err e = rest_remove(m, f);
    e = e ? e : ceremony_open(&m->x, m->c, root ? root : "root", false, f);
    e = e ? e : ca_key_make(m->c, m->name, alg ? alg : "ec:P-256", cli_opt(m->c, "--pkcs11"), &key, f);
    e = e ? e : make_ca(m, key, der, f);
    ceremony_close(&m->x);
    return e;
}

/* Is it in the register? Then an earlier run came so far. */
static enum err known_judge(struct making *m, bool *known, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *ca = NULL;
    enum err e = ca_ask(m->c, m->name, &ca, f);
    *known = e == CE_OK;
    if (e == CE_OK && json_is_true(json_object_get(ca, "ready")))
        return fault_set(f, CE_EXISTS, "there is a CA %s already, %s for use %s", m->name, json_path_str(ca, "state", "?"), json_path_str(ca, "use", "?"));
    return e == CE_NOT_FOUND ? CE_OK : e;
}

static enum err create_run(struct cli *c, struct fault *f)
{
    struct making m = { .c = c, .name = c->args[0], .use = ca_use_find(span_str(cli_opt(c, "--use") ? cli_opt(c, "--use") : "")) };
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    CLEANUP(json_decref_p) json_t *ca = NULL;
    char at[96];
    bool known = false;
    enum err e = ca_name_check(span_str(m.name), f);
    if (!e && !ca_use_issues(m.use))
        e = fault_set(f, CE_USAGE, "--use is device, infra or idevid");
    e = e ? e : cli_opt_int(c, "--years", m.use == CA_USE_IDEVID ? 50 : 10, 1, 50, &m.years, f);
    e = e ? e : cli_site(c, f);
    e = e ? e : known_judge(&m, &known, f);
    e = e ? e : ca_there(&m, &der, f);
    e = e ? e : ca_bundle_add(c, buf_span(&der), f);
    if (e)
        return e;
    bool token = key_is_in_token(c->site, m.name);
    snprintf(at, sizeof at, "%s:keys/%.60s.%s", token ? "token" : "file", m.name, token ? "uri" : "key");
    if (!known)
        e = ca_register(c, m.name, ca_use_name(m.use), buf_span(&der), at, f);
    e = e ? e : ca_reload(c, m.name, f);
    e = e ? e : ca_ask(c, m.name, &ca, f);
    if (e)
        return e;
    if (c->json) {
        CLEANUP(net_reply_free) struct net_reply r = { 0 };
        char path[128];
        snprintf(path, sizeof path, "/api/v1/cas/%.64s", m.name);
        e = cli_call(c, "GET", path, span_of(NULL, 0), &r, f);
        return e ? e : cli_print_reply(&r, f);
    }
    cli_say(c, "made CA %s for use %s, until %.10s; its key is %s\nSHA-256 %s\nEverybody who follows the service knows it; nothing is issued by it yet.",
            m.name, ca_use_name(m.use), json_path_str(ca, "not_after", ""), at, json_path_str(ca, "sha256", ""));
    cli_say(c, "Next: take the root key off this machine again, give ca/bundle.pem to those who follow nothing, then: cradle ca activate %s", m.name);
    return CE_OK;
}

static const struct verb_opt opts[] = {
    { "--use", "USE", "device, infra, or idevid: for initial identities of devices (profiles/idevid.conf with ca = idevid)", false },
    { "--alg", "ALG", "its key: ec:P-256 (default), ec:P-384, rsa:3072 …", false },
    { "--pkcs11", "URI", "its key is made in this token (RFC 7512, with pin-source) and never leaves it", false },
    { "--years", "N", "its life (default 10, for idevid 50; never beyond the root's)", false },
    { "--root", "NAME", "the root that signs it (default root)", false },
    { "--key", "FILE", "the root's key (default DIR/offline/ROOT.key, or the token of DIR/offline/ROOT.uri)", false },
    { "--passphrase-file", "FILE", "first line is its passphrase; asked on the terminal otherwise", false },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_ca_create = {
    .name = "ca create", .args = "NAME", .min_args = 1, .max_args = 1, .help = "make an issuing CA under the offline root (on the server's machine)",
    .text = "Key, certificate, OCSP responder and first CRLs; the service learns of it without losing a connection. It issues nothing before it is activated. A run "
            "that was stopped is finished by the same command.",
    .example = "cradle ca create device-2027 --use device --passphrase-file /root/pass", VERB_OPTS(opts), .run = create_run,
};
