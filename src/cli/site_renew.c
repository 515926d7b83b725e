/* site_renew.c: `cradle site renew`: new certificates for the keys of the TLS server, the OCSP responders and the signer of CMP answers before they end. Works
 * on the site's folder, because these certificates come from no request: the issuing CAs' keys sign them here. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/ca_files.h"
#include "cli/cli.h"
#include "cli/hosts.h"
#include "crypt/ca_set.h"
#include "crypt/issue.h"
#include "crypt/pem.h"
#include "token/key_file.h"

#define HOSTS_MAX 512
#define BACKDATE_S 300
#define CHAIN_MAX 65536

struct renewal {
    struct cli *c;
    int64_t now_s, validity_s;
    char hosts[HOSTS_MAX];
};

/* --host, else the names and addresses of the certificate in use. */
static enum err hosts_find(struct renewal *r, struct span old_der, struct fault *f)
{
    CLEANUP(buf_free) struct buf all = BUF_INIT(HOSTS_MAX - 1);
    const char *h;
    for (int i = 0; (h = cli_opt_n(r->c, "--host", i)); i++)
        buf_printf(&all, "%s ", h);
    if (!all.len)
        hosts_of(old_der, &all);
    if (!all.len || buf_err(&all))
        return fault_set(f, CE_USAGE, "the server's names are not in the old certificate: give --host");
    snprintf(r->hosts, sizeof r->hosts, "%s", buf_cstr(&all));
    return CE_OK;
}

/* ca/X-by-Y.pem that certifies the root key `kid` by one that is not in `seen`: from a new root to an older one that clients may have, or back. */
static bool link_find(struct renewal *r, struct span kid, const struct buf *seen, struct buf *der, struct cert *out)
{
    char path[PATH_MAX_LEN];
    struct dirent *entry;
    bool found = false;
    path_join(path, "%s/ca", r->c->site);
    DIR *folder = opendir(path);
    while (folder && !found && (entry = readdir(folder))) {
        if (strncmp(entry->d_name, "root", 4) != 0 || !strstr(entry->d_name, CA_LINK_PART))
            continue;
        path_join(path, "%s/ca/%.100s", r->c->site, entry->d_name);
        buf_reset(der);
        found = cert_load(path, der, out, NULL) == CE_OK && span_eq(out->issuer, out->subject) && span_eq(out->ski, kid) && out->aki.n &&
                !memmem(seen->data, seen->len, out->aki.p, out->aki.n) && out->not_after > r->now_s;
    }
    if (folder)
        closedir(folder);
    return found;
}

/* Links between roots (RFC 4210 4.4) go after the issuing CA, so that a client that knows only the root before the last change still reaches the server. */
static void links_put(struct renewal *r, const struct ca *chain, struct buf *pem)
{
    CLEANUP(buf_free) struct buf seen = BUF_INIT(4096), der = BUF_INIT(CERT_MAX);
    struct span kid = chain->cert.aki;
    struct cert link;
    buf_put_span(&seen, kid);
    while (kid.n && !buf_err(&seen) && link_find(r, kid, &seen, &der, &link)) {
        pem_encode("CERTIFICATE", link.der, pem);
        size_t at = seen.len;
        buf_put_span(&seen, link.aki);
        kid = span_of(seen.data + at, seen.len - at);
    }
}

static enum err put(struct renewal *r, const char *file, struct span der, const struct ca *chain, int64_t until_s, struct fault *f)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(CHAIN_MAX);
    char path[PATH_MAX_LEN], until[CLOCK_TEXT_MAX];
    path_join(path, "%s/%s", r->c->site, file);
    pem_encode("CERTIFICATE", der, &pem);
    if (chain) {
        pem_encode("CERTIFICATE", chain->cert.der, &pem);
        links_put(r, chain, &pem);
    }
    enum err e = file_write_atomic(path, buf_span(&pem), 0644);
    if (e)
        return fault_set(f, e, "cannot write %s: %s", path, strerror(errno));
    clock_text_s(until_s, until);
    cli_say(r->c, "renewed %-22s until %.10s", file, until);
    return CE_OK;
}

/* What stays: subject and key of the old certificate. */
static enum err spec_from(struct renewal *r, const char *file, struct buf *der, struct cert *old, char *cn, char *org, struct issue_spec *spec,
                          struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", r->c->site, file);
    enum err e = cert_load(path, der, old, f);
    if (e)
        return e;
    if (span_to_cstr(old->cn, cn, UID_MAX + 1) || span_to_cstr(old->o, org, UID_MAX + 1))
        return fault_set(f, CE_BAD_CERT, "%s has a name that cradle did not give it", path);
    *spec = (struct issue_spec){ .cn = cn, .org = org, .spki = old->spki, .not_before = r->now_s - BACKDATE_S, .not_after = r->now_s + r->validity_s };
    return CE_OK;
}

enum kind { KIND_TLS, KIND_OCSP, KIND_CMP };

static enum err renew_one(struct renewal *r, const char *file, struct ca *ca, enum kind kind, struct fault *f)
{
    CLEANUP(buf_free) struct buf was = BUF_INIT(CERT_MAX);
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    char cn[UID_MAX + 1], org[UID_MAX + 1];
    struct cert old;
    struct issue_spec spec;
    enum err e = spec_from(r, file, &was, &old, cn, org, &spec, f);
    if (!e && spec.not_after > ca->cert.not_after)
        spec.not_after = ca->cert.not_after;
    if (!e && kind == KIND_TLS)
        e = hosts_find(r, old.der, f);
    if (!e)
        e = kind == KIND_TLS ? issue_tls(ca, &spec, r->hosts, &der, f) : kind == KIND_CMP ? issue_cmp(ca, &spec, &der, f) : issue_ocsp(ca, &spec, &der, f);
    return e ? e : put(r, file, buf_span(&der), kind == KIND_TLS ? ca : NULL, spec.not_after, f);

}

/* Does this CA sign the TLS server's certificate: --ca names it, or it signed the old one? */
static bool signs_server(struct renewal *r, const struct ca *ca)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    const char *given = cli_opt(r->c, "--ca");
    char path[PATH_MAX_LEN];
    struct cert old;
    if (given)
        return strcmp(given, ca->name) == 0;
    path_join(path, "%s/tls/server.pem", r->c->site);
    return cert_load(path, &der, &old, NULL) == CE_OK && span_eq(old.aki, ca->cert.ski);
}

/* A site made before CMP came has neither key nor certificate for it: they are made here, named after the server's organisation. */
static enum err cmp_renew(struct renewal *r, struct ca *ca, struct fault *f)
{
    char path[PATH_MAX_LEN], org[UID_MAX + 1];
    path_join(path, "%s/keys/cmp.key", r->c->site);
    if (file_exists(path) || key_is_in_token(r->c->site, "cmp"))
        return renew_one(r, "ca/cmp.pem", ca, KIND_CMP, f);
    CLEANUP(key_free_p) struct key *key = NULL;
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    enum err e = key_generate("ec:P-256", &key, f);
    e = e ? e : ca_put_key(r->c, "keys/cmp.key", key, NULL, f);
    if (e)
        return e;
    if (span_to_cstr(ca->cert.o, org, sizeof org))
        org[0] = 0;
    struct issue_spec spec = { .cn = "CMP", .org = org, .spki = key_spki(key), .not_before = r->now_s - BACKDATE_S, .not_after = r->now_s + r->validity_s };
    if (spec.not_after > ca->cert.not_after)
        spec.not_after = ca->cert.not_after;
    e = issue_cmp(ca, &spec, &der, f);
    return e ? e : put(r, "ca/cmp.pem", buf_span(&der), NULL, spec.not_after, f);
}

static enum err renew_ca(struct renewal *r, const char *name, const char *url, unsigned shards, bool *server, struct fault *f)
{
    struct ca ca;
    char file[96];
    snprintf(file, sizeof file, "ca/%.60s-ocsp.pem", name);
    enum err e = ca_load(&ca, r->c->site, name, url, shards, &key_source_any, f);
    if (e)
        return e;
    if (ca.cert.not_after > r->now_s) {
        e = renew_one(r, file, &ca, KIND_OCSP, f);
        if (!e && ca.use == CA_USE_INFRA && signs_server(r, &ca)) {
            e = renew_one(r, "tls/server.pem", &ca, KIND_TLS, f);
            e = e ? e : cmp_renew(r, &ca, f);
            *server = true;
        }
    }
    ca_close(&ca);
    return e;
}

static enum err renew_all(struct renewal *r, const char *url, unsigned shards, struct fault *f)
{
    static const char *const where[] = { ".key", ".uri" };
    bool server = false;
    enum err e = CE_OK;
    for (size_t k = 0; !e && k < ARRAY_LEN(where); k++) {
        struct ca_names names;
        e = ca_names_list(r->c->site, where[k], &names, f);
        for (size_t i = 0; !e && i < names.n; i++)
            e = renew_ca(r, names.name[i], url, shards, &server, f);
    }
    if (!e && !server)
        e = fault_set(f, CE_USAGE, "no CA for infra that is here signed the TLS server's certificate: give --ca");
    return e;
}

static enum err renew_run(struct cli *c, struct fault *f)
{
    struct renewal r = { .c = c, .now_s = clock_now_s() };
    char url[CA_URL_MAX];
    int64_t shards;
    enum err e = cli_site(c, f);
    if (e || (e = cli_opt_span_s(c, "--validity", 5LL * 365 * 86400, &r.validity_s, f)) || (e = site_http_url(c->site, url, &shards, f)))
        return e;
    if (r.validity_s < 3600)
        return fault_set(f, CE_USAGE, "--validity must be an hour at least");
    e = renew_all(&r, url, (unsigned)shards, f);
    if (!e)
        cli_say(c, "restart cradled: it reads them at its start");
    return e;
}

static const struct verb_opt opts[] = {
    { "--ca", "NAME", "the infra CA that signs the TLS server's certificate (default: the one that signed the old one)", false },
    { "--host", "HOST", "name or address in the TLS server's certificate (default: those of the old one)", true },
    { "--validity", "TIME", "life of the new certificates (default 5y, never beyond the CA's)", false },
};
const struct verb verb_site_renew = {
    .name = "site renew", .args = "", .help = "renew the certificates of the TLS server, the OCSP responders and the signer of CMP answers",
    .text = "The keys stay, only the certificates are new; a site made before CMP came gets its key and certificate here. It reads the issuing CAs' keys in DIR/keys: run it as root or as their owner. "
            "status warns 30 days before one of them ends.",
    .example = "cradle site renew --site /srv/cradle && systemctl restart cradled", VERB_OPTS(opts), .run = renew_run,
};
