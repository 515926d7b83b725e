/* release_seal.c: `cradle release seal|cms`: what a release gives third parties, beside its file in the folder of the ceremony: a plain signature, the manifest
 * with a CMS signature, an in-toto statement and two sigstore bundles. Nothing that a device installs by: that is the metadata and the directive.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/release_doc.h"
#include "cli/release_key.h"
#include "cli/tuf_repo.h"
#include "crypt/pem.h"
#include "wire/cms_signed.h"
#include "wire/intoto.h"
#include "wire/manifest.h"
#include "wire/sigstore.h"

struct seal {
    struct cli *c;
    struct repo repo;
    struct repo_file line;
    struct tuf_line releases;
    const struct tuf_target *target;
    char dir[PATH_MAX_LEN];
    const char *file;          /* its name */
    struct release_map map;    /* the file */
    uint8_t sha256[SHA256_LEN];
    struct key *key;           /* owned */
    struct buf cert_der;
    struct cert cert;
    struct buf sig;            /* over the file */
};
static void seal_end(struct seal *s)
{
    release_map_close(&s->map);
    key_free(s->key);
    buf_free(&s->cert_der);
    buf_free(&s->sig);
    repo_close(&s->repo);
}

/* -- what may be sealed ------------------------------------------------------------------------------------------------------------ */
static enum err target_find(struct seal *s, const char *line, const char *release, struct fault *f)
{
    enum err e = repo_line(&s->repo, line, &s->line, f);
    if (!e && !s->line.complete)
        e = fault_set(f, CE_THRESHOLD, "line %s: %lld of %lld signatures are there; a release is sealed when it is approved (cradle tuf sign %s %s)", line,
                      (long long)s->line.signed_by, (long long)s->line.threshold, s->repo.dir, line);
    e = e ? e : tuf_line_read(s->line.env.payload, span_str(line), &s->repo.arena, &s->releases, f);
    for (size_t i = 0; !e && i < s->releases.n; i++) {
        if (!span_eq_str(s->releases.list[i].release, release))
            continue;
        if (s->target)
            return fault_set(f, CE_UNSUPPORTED, "release %s names more than one file", release);
        s->target = &s->releases.list[i];
    }
    if (!e && !s->target)
        e = fault_set(f, CE_NOT_FOUND, "line %s has no release %s", line, release);
    if (e)
        return e;
    const char *slash = strrchr((const char *)s->target->path.p, '/');
    s->file = slash ? slash + 1 : (const char *)s->target->path.p;
    path_join(s->dir, "%s/files/%s/%s", s->repo.dir, line, release);
    return CE_OK;
}

/* The bytes that are signed must be those that the signers of the line approved. */
static enum err file_check(struct seal *s, struct fault *f)
{
    char path[PATH_MAX_LEN];
    uint8_t sbom[SHA256_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    path_join(path, "%s/%s", s->dir, s->file);
    enum err e = release_map_open(path, &s->map, f);
    if (e)
        return e;
    if (span_starts(s->map.bytes, "DSSEv1 ")) /* its plain signature would be that of an envelope */
        return fault_set(f, CE_BAD_INPUT, "%s begins like what is signed of an envelope (DSSEv1); it is not sealed", path);
    sha256(s->map.bytes, s->sha256);
    if (!span_eq(s->target->sha256, span_of(s->sha256, SHA256_LEN)))
        return fault_set(f, CE_BAD_SIGNATURE, "%s is not the file that was approved: its SHA-256 is another", path);
    path_join(path, "%s/sbom.json", s->dir);
    if ((e = file_read(path, &text)))
        return fault_set(f, e, "cannot read %s: %s", path, strerror(errno));
    sha256(buf_span(&text), sbom);
    if (!span_eq(s->target->sbom_sha256, span_of(sbom, SHA256_LEN)))
        return fault_set(f, CE_BAD_SIGNATURE, "%s is not the SBOM that was approved: its SHA-256 is another", path);
    return CE_OK;
}

/* A key of the metadata must not sign files of others' making: a file could be an envelope's encoding (DSSEv1 …), and its seal a vote. */
static enum err key_check(struct seal *s, struct fault *f)
{
    const struct tuf_keys *rings[] = { &s->repo.new_root.keys, &s->repo.root.keys, &s->repo.targets.keys };
    for (size_t i = 0; i < ARRAY_LEN(rings); i++)
        for (size_t k = 0; k < rings[i]->n; k++)
            if (span_eq(rings[i]->list[k].spki, key_spki(s->key)))
                return fault_set(f, CE_KEY_OF_OTHER, "this key signs release metadata; a seal needs one that signs nothing else (cradle release cert)");
    return key_alg(s->key) == KEY_EC_P256 ? CE_OK : fault_set(f, CE_KEY_ALG, "a seal is made with an ec:P-256 key");
}

static enum err cert_check(struct seal *s, struct fault *f)
{
    char text[40], until[CLOCK_TEXT_MAX];
    int64_t now_s = clock_now_s(), support_ms = 0;
    const char *path = cli_opt(s->c, "--cert");
    if (!path)
        return fault_set(f, CE_USAGE, "--cert is needed: the signer's certificate (cradle release cert)");
    enum err e = cert_load(path, &s->cert_der, &s->cert, f);
    e = e ? e : release_cert_judge(&s->cert, now_s, f);
    if (!e && !span_eq(s->cert.spki, key_spki(s->key)))
        e = fault_set(f, CE_NAME_MISMATCH, "%s is the certificate of another key", path);
    if (e)
        return e;
    snprintf(text, sizeof text, "%.10sT00:00:00Z", (const char *)s->target->support_end.p);
    clock_text_s(s->cert.not_after, until);
    if (!clock_parse_ms(span_str(text), &support_ms) && support_ms / 1000 > s->cert.not_after)
        return fault_set(f, CE_CERT_EXPIRED, "the certificate ends on %.10s, the release is supported until %.10s: verifiers would refuse it; make one with a longer --life", until,
                         text);
    return CE_OK;
}

/* -- what is made ------------------------------------------------------------------------------------------------------------------ */
static enum err put(const struct seal *s, const char *stem, const char *ending, const struct buf *text, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s%s", s->dir, stem, ending);
    enum err e = buf_err(text);
    e = e ? e : file_write_atomic(path, buf_span(text), 0644);
    return e ? fault_set(f, e, "cannot write %s: %s", path, strerror(errno)) : CE_OK;
}

static enum err signature_put(struct seal *s, struct fault *f)
{
    CLEANUP(buf_free) struct buf bundle = BUF_INIT(0);
    enum err e = key_sign(s->key, s->map.bytes, &s->sig);
    e = e ? e : spki_verify(s->cert.spki, SIG_ECDSA_SHA256, s->map.bytes, buf_span(&s->sig));
    if (e)
        return fault_set(f, CE_CRYPTO, "the key did not sign: %s", err_text(e));
    const struct sigstore plain = { .sha256 = span_of(s->sha256, SHA256_LEN), .sig = buf_span(&s->sig) };
    sigstore_write(&plain, s->cert.spki, &bundle);
    e = put(s, s->file, ".sig", &s->sig, f);
    return e ? e : put(s, s->file, ".sigstore.json", &bundle, f);
}

static enum err manifest_put(struct seal *s, int64_t now_s, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(MANIFEST_MAX), cms = BUF_INIT(CMS_MAX);
    uint8_t digest[SHA256_LEN];
    const struct manifest m = { .version = s->target->version, .firmware = span_str(s->file), .min_version = s->target->min_version, .signature = buf_span(&s->sig),
                                .certificate = s->cert.der, .sha256 = span_of(s->sha256, SHA256_LEN), .release_date_s = now_s };
    manifest_write(&m, &text);
    sha256(buf_span(&text), digest);
    enum err e = cms_sign(s->key, &s->cert, digest, now_s, &cms, f);
    e = e ? e : put(s, "manifest.json", "", &text, f);
    return e ? e : put(s, "manifest.json", ".p7s", &cms, f);
}

static enum err statement_put(struct seal *s, struct fault *f)
{
    CLEANUP(buf_free) struct buf payload = BUF_INIT(DSSE_MAX), envelope = BUF_INIT(DSSE_MAX), bundle = BUF_INIT(DSSE_MAX);
    uint8_t line_digest[SHA256_LEN];
    struct intoto_release r = { .line = span_str(s->line.role), .file = span_str(s->file), .target = s->target, .line_version = s->line.version };
    const struct tuf_role *role = repo_line_role(&s->repo, r.line);
    sha256(s->line.env.payload, line_digest);
    r.line_sha256 = span_of(line_digest, SHA256_LEN);
    for (size_t i = 0; role && i < role->n_keyids; i++) {
        const struct tuf_role one = { .keyids = { role->keyids[i] }, .n_keyids = 1, .threshold = 1 };
        if (tuf_verify(&s->line.env, &s->repo.targets.keys, &one, NULL) == CE_OK)
            r.approved[r.n_approved++] = role->keyids[i];
    }
    enum err e = intoto_write(&r, &payload);
    if (e)
        return fault_set(f, e, "the statement cannot be written");
    struct sigstore attestation = { .has_envelope = true, .envelope = { .type = SPAN_LIT(DSSE_TYPE_INTOTO), .payload = buf_span(&payload) } };
    e = dsse_sign(&attestation.envelope, s->key, SPAN_LIT(""), &s->repo.arena, f);
    if (e)
        return e;
    dsse_encode(&attestation.envelope, &envelope);
    sigstore_write(&attestation, s->cert.spki, &bundle);
    e = put(s, s->file, ".intoto.json", &envelope, f);
    return e ? e : put(s, s->file, ".attestation.sigstore.json", &bundle, f);
}

static enum err signer_put(struct seal *s, struct fault *f)
{
    CLEANUP(buf_free) struct buf cert = BUF_INIT(0), pub = BUF_INIT(0);
    pem_encode("CERTIFICATE", s->cert.der, &cert);
    pem_encode("PUBLIC KEY", s->cert.spki, &pub);
    enum err e = put(s, "signer.pem", "", &cert, f);
    return e ? e : put(s, "signer.pub", "", &pub, f);
}

static enum err seal_run(struct cli *c, struct fault *f)
{
    CLEANUP(seal_end) struct seal s = { .c = c, .cert_der = BUF_INIT(CERT_MAX), .sig = BUF_INIT(1024) };
    int64_t now_s = clock_now_s();
    enum err e = repo_open(&s.repo, c->args[0], f);
    e = e ? e : target_find(&s, c->args[1], c->args[2], f);
    e = e ? e : file_check(&s, f);
    e = e ? e : release_key_open(c, &release_key_own, &s.key, f);
    e = e ? e : key_check(&s, f);
    e = e ? e : cert_check(&s, f);
    e = e ? e : signature_put(&s, f);
    e = e ? e : manifest_put(&s, now_s, f);
    e = e ? e : statement_put(&s, f);
    e = e ? e : signer_put(&s, f);
    if (!e && c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s}", "folder", s.dir, "file", s.file);
        cli_print_json(o);
    }
    if (!e)
        cli_say(c, "sealed release %s of line %s; all that third parties need is in %s; try: cradle release verify %s --ca FILE", c->args[2], c->args[1], s.dir, s.dir);
    return e;
}
static const struct verb_opt seal_opts[] = {
    { "--key", "FILE", "the signer's key (cradle release cert), which signs nothing else", false },
    { "--pkcs11", "URI", "the signer's key is in this token", false },
    { "--passphrase-file", "FILE", "first line of FILE opens the key; otherwise asked on the terminal", false },
    { "--cert", "FILE", "the signer's certificate", false },
};
const struct verb verb_release_seal = {
    .name = "release seal", .args = "DIR LINE RELEASE", .min_args = 3, .max_args = 3, .help = "sign a release for third parties: manifest with CMS, in-toto statement, sigstore bundles",
    .text = "The release must have been approved by enough signers of its line. Beside the file, in DIR/files/LINE/RELEASE, come FILE.sig (ECDSA, DER), manifest.json with "
            "manifest.json.p7s (CMS), FILE.intoto.json (DSSE), FILE.sigstore.json, FILE.attestation.sigstore.json, signer.pem and signer.pub. Devices need none of them.",
    .example = "cradle release seal release vib r7 --key signer.key --cert signer.pem", VERB_OPTS(seal_opts), .run = seal_run,
};

/* -- release cms -------------------------------------------------------------------------------------------------------------------- */
static enum err cms_run(struct cli *c, struct fault *f)
{
    CLEANUP(seal_end) struct seal s = { .c = c, .cert_der = BUF_INIT(CERT_MAX), .sig = BUF_INIT(CMS_MAX) };
    const char *cert = cli_opt(c, "--cert");
    if (!cert)
        return fault_set(f, CE_USAGE, "--cert is needed: the signer's certificate (cradle release cert)");
    enum err e = release_map_open(c->args[0], &s.map, f);
    e = e ? e : release_key_open(c, &release_key_own, &s.key, f);
    e = e ? e : cert_load(cert, &s.cert_der, &s.cert, f);
    e = e ? e : release_cert_judge(&s.cert, clock_now_s(), f);
    if (e)
        return e;
    sha256(s.map.bytes, s.sha256);
    e = cms_sign(s.key, &s.cert, s.sha256, clock_now_s(), &s.sig, f);
    if (!e && (e = file_write_atomic(c->args[1], buf_span(&s.sig), 0644)))
        e = fault_set(f, e, "cannot write %s: %s", c->args[1], strerror(errno));
    if (!e)
        cli_say(c, "signed %s: %s (CMS, DER)", c->args[0], c->args[1]);
    return e;
}
const struct verb verb_release_cms = {
    .name = "release cms", .args = "FILE OUT", .min_args = 2, .max_args = 2, .help = "sign a file in CMS, detached: sw-description.sig of SWUpdate and the like",
    .example = "cradle release cms sw-description sw-description.sig --key signer.key --cert signer.pem", VERB_OPTS(seal_opts), .run = cms_run,
};
