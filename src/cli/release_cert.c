/* release_cert.c: `cradle release cert|crl`: certificates of those who sign what third parties verify (CMS), by a small offline CA or by themselves.
 * They have nothing to do with the CAs of a site, and cradled never sees them.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/release_key.h"
#include "crypt/crl.h"
#include "crypt/hash.h"
#include "crypt/issue.h"
#include "crypt/pem.h"

#define YEAR_S (365LL * 86400)
#define SIGNER_LIFE_S (15 * YEAR_S)
#define CA_LIFE_S (25 * YEAR_S)
#define BACKDATE_S 300 /* for a verifier whose clock is slow */
#define CRL_MAX (1u << 20)

/* The release CA with its key, from --issuer and the options of its key. */
static enum err issuer_open(struct cli *c, struct ca *ca, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    struct cert cert;
    struct key *key = NULL;
    const char *path = cli_opt(c, "--issuer");
    if (!path)
        return fault_set(f, CE_USAGE, "--issuer is needed: the certificate of the release CA");
    enum err e = cert_load(path, &der, &cert, f);
    e = e ? e : release_key_open(c, &release_key_issuer, &key, f);
    return e ? e : ca_open(ca, "release", buf_span(&der), key, "", 1, f);
}

/* -- release cert ------------------------------------------------------------------------------------------------------------------- */
struct making {
    struct cli *c;
    const char *name;        /* NAME.pem, and NAME.key of a new key */
    bool is_ca;
    struct key *key;         /* owned; NULL: only the public key is here */
    struct buf spki;
    struct ca issuer;        /* der empty: none */
    struct issue_spec spec;
};
static void making_end(struct making *m)
{
    key_free(m->key);
    buf_free(&m->spki);
    ca_close(&m->issuer);
}

/* The subject's key: its public half from a file, a key that is there, or a new one. */
static enum err subject_key(struct making *m, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(65536);
    const char *public = cli_opt(m->c, "--public"), *file = cli_opt(m->c, "--key"), *uri = cli_opt(m->c, "--pkcs11");
    if (public) {
        enum err e = file || uri ? fault_set(f, CE_USAGE, "give --public, --key or --pkcs11, not more than one of them") : file_read(public, &text);
        if (e && !file && !uri)
            e = fault_set(f, e, "cannot read %s: %s", public, strerror(errno));
        if (!e && pem_decode(buf_span(&text), "PUBLIC KEY", 0, &m->spki))
            e = fault_set(f, CE_BAD_INPUT, "%s holds no public key (PEM, -----BEGIN PUBLIC KEY-----)", public);
        return e;
    }
    enum err e = file || uri ? release_key_open(m->c, &release_key_own, &m->key, f) : release_key_new(m->c, m->name, "ec:P-256", &m->key, f);
    if (!e)
        buf_put_span(&m->spki, key_spki(m->key));
    return e;
}

static enum err dates_set(struct making *m, struct fault *f)
{
    int64_t life_s = 0, end_s = m->issuer.der.len ? m->issuer.cert.not_after : 0;
    enum err e = cli_opt_span_s(m->c, "--life", m->is_ca ? CA_LIFE_S : SIGNER_LIFE_S, &life_s, f);
    m->spec.not_before = clock_now_s() - BACKDATE_S;
    m->spec.not_after = clock_now_s() + life_s;
    if (!e && end_s && m->spec.not_after > end_s) {
        if (cli_opt(m->c, "--life"))
            return fault_set(f, CE_USAGE, "--life: the certificate would outlive its issuer");
        m->spec.not_after = end_s;
    }
    return e;
}

static enum err pem_put(const char *path, const char *label, struct span der, bool replace, struct fault *f)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(0);
    pem_encode(label, der, &pem);
    enum err e = replace ? file_write_atomic(path, buf_span(&pem), 0644) : file_write_new(path, buf_span(&pem), 0644);
    return e ? fault_set(f, e, "cannot write %s: %s", path, strerror(errno)) : CE_OK;
}

static enum err cert_make(struct making *m, struct buf *der, struct fault *f)
{
    bool below = cli_opt(m->c, "--issuer") != NULL;
    if (m->is_ca && (below || cli_opt(m->c, "--public")))
        return fault_set(f, CE_USAGE, "--ca makes a CA that signs itself: --issuer and --public do not go with it");
    if (!below && cli_opt(m->c, "--public"))
        return fault_set(f, CE_USAGE, "--public needs --issuer: nobody else can sign the certificate");
    enum err e = below ? issuer_open(m->c, &m->issuer, f) : CE_OK;
    e = e ? e : dates_set(m, f);
    e = e ? e : subject_key(m, f);
    if (e)
        return e;
    m->spec.spki = buf_span(&m->spki);
    return m->is_ca ? issue_root(m->key, &m->spec, der, f) : issue_release_signer(below ? &m->issuer : NULL, m->key, &m->spec, der, f);
}

static enum err cert_run(struct cli *c, struct fault *f)
{
    CLEANUP(making_end) struct making m = { .c = c, .name = c->args[0], .is_ca = cli_flag(c, "--ca"), .spki = BUF_INIT(KEY_SPKI_MAX) };
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX), hex = BUF_INIT(0);
    char path[PATH_MAX_LEN], until[CLOCK_TEXT_MAX];
    uint8_t digest[SHA256_LEN];
    const char *slash = strrchr(m.name, '/');
    if (strlen(m.name) > PATH_MAX_LEN - 10)
        return fault_set(f, CE_USAGE, "the file's name is too long");
    path_join(path, "%s.pem", m.name);
    if (file_exists(path))
        return fault_set(f, CE_EXISTS, "%s is there already; it is not overwritten", path);
    m.spec.cn = cli_opt_or(c, "--cn", slash ? slash + 1 : m.name);
    m.spec.org = cli_opt(c, "--org");
    enum err e = cert_make(&m, &der, f);
    e = e ? e : pem_put(path, "CERTIFICATE", buf_span(&der), false, f);
    if (e)
        return e;
    sha256(buf_span(&der), digest);
    buf_put_hex(&hex, span_of(digest, sizeof digest));
    clock_text_s(m.spec.not_after, until);
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s,s:s}", "certificate", path, "sha256", buf_cstr(&hex), "not_after", until);
        cli_print_json(o);
    }
    cli_say(c, "made %s, good until %s\nsha256 %s: whoever verifies should have this digest from you in another way than the file", path, until, buf_cstr(&hex));
    return CE_OK;
}
static const struct verb_opt cert_opts[] = {
    { "--ca", NULL, "a release CA, which signs itself and issues the certificates of signers", false },
    { "--issuer", "FILE", "certificate of the release CA; without it the signer's certificate signs itself", false },
    { "--issuer-key", "FILE", "the release CA's key", false },
    { "--issuer-pkcs11", "URI", "the release CA's key is in this token", false },
    { "--issuer-passphrase-file", "FILE", "first line of FILE opens the release CA's key; otherwise asked on the terminal", false },
    { "--key", "FILE", "use this key instead of making NAME.key", false },
    { "--pkcs11", "URI", "the key is in this token (made there when it is not, unless NAME.pub is there)", false },
    { "--public", "FILE", "only the public key of the signer is here (NAME.pub of cradle tuf key)", false },
    { "--passphrase-file", "FILE", "first line of FILE opens the key, or encrypts the new one; otherwise asked on the terminal", false },
    { "--cn", "TEXT", "common name (default: NAME)", false },
    { "--org", "TEXT", "organisation", false },
    { "--life", "SPAN", "life of the certificate (default 15y, a CA 25y): it must outlive the support of what it signs", false },
};
const struct verb verb_release_cert = {
    .name = "release cert", .args = "NAME", .min_args = 1, .max_args = 1, .help = "make the certificate of a signer of releases (CMS), or the CA that issues it",
    .text = "Makes NAME.pem, and NAME.key with NAME.pub when no key is given. P-256, critical digitalSignature, codeSigning and emailProtection: what OpenSSL, "
            "SWUpdate and RAUC accept. Use a key that signs nothing else: cradle release seal refuses those of the release metadata.",
    .example = "cradle release cert release-ca --ca --org \"Example Maker\"\n"
               "cradle release cert signer --org \"Example Maker\" --issuer release-ca.pem --issuer-key release-ca.key",
    VERB_OPTS(cert_opts), .run = cert_run,
};

/* -- release crl -------------------------------------------------------------------------------------------------------------------- */
/* Entries and number of the list that is there already. */
static enum err crl_carry(const char *path, const struct ca *ca, struct crl_request *r, struct buf *packed, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(2 * CRL_MAX), der = BUF_INIT(CRL_MAX);
    struct crl old;
    struct crl_entry one;
    r->number = 1;
    if (!file_exists(path))
        return CE_OK;
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "cannot read %s: %s", path, strerror(errno));
    if (pem_decode(buf_span(&text), "X509 CRL", 0, &der))
        return fault_set(f, CE_BAD_INPUT, "%s holds no CRL (PEM, -----BEGIN X509 CRL-----)", path);
    e = crl_parse(buf_span(&der), &old, f);
    if (!e && (e = crl_verify(&old, &ca->cert)))
        e = fault_set(f, e, "%s is not a CRL of this issuer", path);
    while (!e && crl_next(&old.entries, &one))
        crl_entry_put(packed, one.serial, one.revoked_at, (unsigned)one.reason);
    r->number = old.number + 1;
    return e;
}

/* The certificate in path must be the CA's; one that is listed already stays as it is. */
static enum err crl_add(const char *path, const struct ca *ca, unsigned reason, struct buf *packed, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX), prefix = BUF_INIT(64);
    struct cert cert;
    enum err e = cert_load(path, &der, &cert, f);
    if (!e && (e = cert_check_issued(&cert, &ca->cert)))
        e = fault_set(f, e, "%s was not issued by this CA", path);
    if (e)
        return e;
    buf_put_u8(&prefix, (uint8_t)cert.serial.n);
    buf_put_span(&prefix, cert.serial);
    if (!packed->len || !memmem(packed->data, packed->len, prefix.data, prefix.len))
        crl_entry_put(packed, cert.serial, clock_now_s(), reason);
    return CE_OK;
}

static void crl_end(struct ca *ca) { ca_close(ca); }

static enum err crl_run(struct cli *c, struct fault *f)
{
    CLEANUP(crl_end) struct ca ca = { 0 };
    CLEANUP(buf_free) struct buf packed = BUF_INIT(CRL_MAX), der = BUF_INIT(CRL_MAX);
    struct crl_request r = { .this_update = clock_now_s() };
    int64_t life_s = 0;
    const char *path, *why = cli_opt_or(c, "--reason", "keyCompromise");
    char until[CLOCK_TEXT_MAX];
    int reason = crl_reason_from_name(span_str(why));
    if (reason < 0)
        return fault_set(f, CE_USAGE, "--reason is a word of RFC 5280 such as keyCompromise, superseded or cessationOfOperation, not '%s'", why);
    enum err e = cli_opt_span_s(c, "--life", YEAR_S, &life_s, f);
    e = e ? e : issuer_open(c, &ca, f);
    e = e ? e : crl_carry(c->args[0], &ca, &r, &packed, f);
    for (int i = 0; !e && (path = cli_opt_n(c, "--revoke", i)) != NULL; i++)
        e = crl_add(path, &ca, (unsigned)reason, &packed, f);
    if (e)
        return e;
    r.next_update = r.this_update + life_s < ca.cert.not_after ? r.this_update + life_s : ca.cert.not_after;
    r.entries = buf_span(&packed);
    e = crl_build(&ca, &r, &der, f);
    e = e ? e : pem_put(c->args[0], "X509 CRL", buf_span(&der), true, f);
    clock_text_s(r.next_update, until);
    if (!e)
        cli_say(c, "made CRL number %llu of the release CA, good until %s: %s", (unsigned long long)r.number, until, c->args[0]);
    return e;
}
static const struct verb_opt crl_opts[] = {
    { "--issuer", "FILE", "certificate of the release CA", false },
    { "--issuer-key", "FILE", "its key", false },
    { "--issuer-pkcs11", "URI", "its key is in this token", false },
    { "--issuer-passphrase-file", "FILE", "first line of FILE opens the key; otherwise asked on the terminal", false },
    { "--revoke", "FILE", "certificate of a signer that does not count any more", true },
    { "--reason", "WORD", "why (default keyCompromise)", false },
    { "--life", "SPAN", "how long the list is good (default 1y)", false },
};
const struct verb verb_release_crl = {
    .name = "release crl", .args = "FILE", .min_args = 1, .max_args = 1, .help = "make the release CA's list of revoked signers (PEM), or its next one",
    .text = "Entries of a list that is there already are kept.",
    .example = "cradle release crl release.crl --issuer release-ca.pem --issuer-key release-ca.key --revoke signer.pem", VERB_OPTS(crl_opts), .run = crl_run,
};
