/* root_crl.c: `cradle root crl`: makes the root's CRL anew before it ends. The root key is offline: a person brings it. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/secret.h"
#include "crypt/crl.h"

#define CRL_MAX (1u << 20)
#define LINE_MAX_BYTES 4096

/* The root key, from --key (default offline/root.key) or the token that offline/root.uri names. */
static enum err root_open(struct cli *c, struct key **key, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/offline/root.uri", c->site);
    CLEANUP(buf_free) struct buf uri = BUF_INIT(LINE_MAX_BYTES);
    if (!cli_opt(c, "--key") && file_read(path, &uri) == CE_OK) {
        uri.len = span_trim(buf_span(&uri)).n;
        return secret_token_key(buf_cstr(&uri), NULL, key, NULL, f);
    }
    const char *given = cli_opt(c, "--key");
    if (given && strlen(given) >= PATH_MAX_LEN)
        return fault_set(f, CE_USAGE, "--key is too long");
    if (given)
        path_join(path, "%s", given);
    else
        path_join(path, "%s/offline/root.key", c->site);
    if (!file_exists(path))
        return fault_set(f, CE_NOT_FOUND, "the root key is not at %s: bring it and give --key FILE", path);
    char secret[SECRET_MAX];
    enum err e = secret_read(cli_opt(c, "--passphrase-file"), false, secret, f);
    if (!e)
        e = key_read_file(path, secret, key, f);
    mem_zero(secret, sizeof secret);
    return e;
}

/* The entries of the old CRL go into the new one; its number is the next. */
static enum err crl_carry(struct span der, struct crl_request *r, struct buf *packed, struct fault *f)
{
    struct crl old;
    struct crl_entry one;
    enum err e = crl_parse(der, &old, f);
    if (e)
        return e;
    while (crl_next(&old.entries, &one))
        crl_entry_put(packed, one.serial, one.revoked_at, (unsigned)one.reason);
    r->number = old.number + 1;
    r->entries = buf_span(packed);
    return CE_OK;
}

static enum err crl_run(struct cli *c, struct fault *f)
{
    struct ca root = { 0 };
    struct key *key = NULL;
    char path[PATH_MAX_LEN], url[CA_URL_MAX], until[CLOCK_TEXT_MAX];
    CLEANUP(buf_free) struct buf old = BUF_INIT(CRL_MAX);
    CLEANUP(buf_free) struct buf packed = BUF_INIT(CRL_MAX);
    CLEANUP(buf_free) struct buf der = BUF_INIT(CRL_MAX);
    CLEANUP(buf_free) struct buf cert_der = BUF_INIT(CERT_MAX);
    struct cert cert;
    struct crl_request r = { .this_update = clock_now_s() };
    int64_t validity;
    enum err e = cli_site(c, f);
    if (e || (e = cli_opt_span_s(c, "--validity", 366LL * 86400, &validity, f)) ||
        (e = site_http_url(c->site, url, NULL, f)))
        return e;
    path_join(path, "%s/ca/root.pem", c->site);
    if ((e = cert_load(path, &cert_der, &cert, f)))
        return e;
    path_join(path, "%s/pub/crl/root/0.crl", c->site);
    if ((e = file_read(path, &old)))
        return fault_set(f, e, "cannot read %s: %s", path, strerror(errno));
    if ((e = crl_carry(buf_span(&old), &r, &packed, f)) || (e = root_open(c, &key, f)))
        return e;
    r.next_update = r.this_update + validity < cert.not_after ? r.this_update + validity : cert.not_after;
    e = ca_open(&root, "root", buf_span(&cert_der), key, url, 1, f);
    if (!e && !(e = crl_build(&root, &r, &der, f)) && (e = file_write_atomic(path, buf_span(&der), 0644)))
        e = fault_set(f, e, "cannot write %s: %s", path, strerror(errno));
    ca_close(&root);
    clock_text_s(r.next_update, until);
    if (!e)
        cli_say(c, "made CRL number %llu of the root, good until %s: %s\nTake the root key off this machine again.", (unsigned long long)r.number, until, path);
    return e;
}

static const struct verb_opt opts[] = {
    { "--key", "FILE", "the root key (default DIR/offline/root.key, or the token of DIR/offline/root.uri)", false },
    { "--passphrase-file", "FILE", "first line is its passphrase; asked on the terminal otherwise", false },
    { "--validity", "TIME", "how long the new CRL is good (default 366d)", false },
};
const struct verb verb_root_crl = {
    .name = "root crl", .args = "", .help = "make the root's CRL anew before it ends (needs the root key)",
    .text = "Clients that check the issuing CAs need a root CRL that has not ended; status warns 30 days before.", VERB_OPTS(opts), .run = crl_run,
};
