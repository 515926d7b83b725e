/* root_crl.c: `cradle root crl`: makes a root's CRL anew before it ends, or because a CA is to be in it. The root key is offline: a person
 * brings it. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/ca_files.h"
#include "crypt/crl.h"

#define CRL_MAX (1u << 20)
#define REASON_CA_COMPROMISE 2 /* RFC 5280 5.3.1 */

/* The entries of the old CRL go into the new one; its number is the next. */
static enum err crl_carry(struct span der, struct span revoke, struct crl_request *r, struct buf *packed, struct fault *f)
{
    struct crl old;
    struct crl_entry one;
    bool there = false;
    enum err e = crl_parse(der, &old, f);
    if (e)
        return e;
    while (crl_next(&old.entries, &one)) {
        crl_entry_put(packed, one.serial, one.revoked_at, (unsigned)one.reason);
        there |= span_eq(one.serial, revoke);
    }
    if (revoke.n && !there)
        crl_entry_put(packed, revoke, r->this_update, REASON_CA_COMPROMISE);
    r->number = old.number + 1;
    r->entries = buf_span(packed);
    return CE_OK;
}

enum err root_crl_make(struct cli *c, const char *name, struct key *key, struct span revoke, int64_t validity_s, struct fault *f)
{
    struct ca root = { 0 };
    struct cert cert;
    char path[PATH_MAX_LEN], file[96], url[CA_URL_MAX], until[CLOCK_TEXT_MAX];
    CLEANUP(buf_free) struct buf old = BUF_INIT(CRL_MAX), packed = BUF_INIT(CRL_MAX), der = BUF_INIT(CRL_MAX), cert_der = BUF_INIT(CERT_MAX);
    struct crl_request r = { .this_update = clock_now_s() };
    enum err e = site_http_url(c->site, url, NULL, f);
    path_join(path, "%s/ca/%s.pem", c->site, name);
    e = e ? e : cert_load(path, &cert_der, &cert, f);
    snprintf(file, sizeof file, "pub/crl/%.40s/0.crl", name);
    path_join(path, "%s/%s", c->site, file);
    if (!e && (e = file_read(path, &old)))
        fault_set(f, e, "cannot read %s: %s", path, strerror(errno));
    e = e ? e : crl_carry(buf_span(&old), revoke, &r, &packed, f);
    if (e) {
        key_free(key);
        return e;
    }
    r.next_update = r.this_update + validity_s < cert.not_after ? r.this_update + validity_s : cert.not_after;
    e = ca_open(&root, name, buf_span(&cert_der), key, url, 1, f);
    e = e ? e : crl_build(&root, &r, &der, f);
    ca_close(&root);
    e = e ? e : ca_put(c, file, buf_span(&der), 0644, f);
    clock_text_s(r.next_update, until);
    if (!e)
        cli_say(c, "made CRL number %llu of the root, good until %s: %s\nTake the root key off this machine again.", (unsigned long long)r.number, until, path);
    return e;
}

static enum err crl_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    const char *root = cli_opt(c, "--root") ? cli_opt(c, "--root") : "root", *ca = cli_opt(c, "--revoke");
    struct key *key = NULL;
    struct cert cert = { 0 };
    char path[PATH_MAX_LEN];
    int64_t validity;
    enum err e = cli_site(c, f);
    e = e ? e : cli_opt_span_s(c, "--validity", 366LL * 86400, &validity, f);
    if (!e && ca) {
        path_join(path, "%s/ca/%.60s.pem", c->site, ca);
        e = cert_load(path, &der, &cert, f);
    }
    e = e ? e : root_key_open(c, root, false, &key, f);
    return e ? e : root_crl_make(c, root, key, ca ? cert.serial : span_of(NULL, 0), validity, f);
}

static const struct verb_opt opts[] = {
    { "--key", "FILE", "the root key (default DIR/offline/ROOT.key, or the token of DIR/offline/ROOT.uri)", false },
    { "--passphrase-file", "FILE", "first line is its passphrase; asked on the terminal otherwise", false },
    { "--validity", "TIME", "how long the new CRL is good (default 366d)", false },
    { "--root", "NAME", "whose CRL (default root)", false },
    { "--revoke", "CA", "the certificate of this CA is in it from now on, as compromised", false },
};
const struct verb verb_root_crl = {
    .name = "root crl", .args = "", .help = "make the root's CRL anew before it ends (needs the root key)",
    .text = "Clients that check the issuing CAs need a root CRL that has not ended; status warns 30 days before.", VERB_OPTS(opts), .run = crl_run,
};
