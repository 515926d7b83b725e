/* release_verify.c: `cradle release verify`: judges offline all that `cradle release seal` made, and says of each thing whether it holds. The anchor is what the
 * caller brings: the release CA's or the signer's certificate, and for the approvals the first root of the ceremony.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/release_doc.h"
#include "cli/tuf_repo.h"
#include "crypt/crl.h"
#include "crypt/pem.h"
#include "wire/cms_signed.h"
#include "wire/intoto.h"
#include "wire/manifest.h"
#include "wire/sigstore.h"

#define CRL_MAX (1u << 20)

struct verify {
    struct cli *c;
    char dir[PATH_MAX_LEN];
    struct arena arena;
    struct manifest manifest;
    char name[LABEL_MAX + 1];    /* the file's */
    struct release_map map;
    uint8_t sha256[SHA256_LEN];
    struct intoto statement;     /* once it has been found good */
    struct buf signer_der;       /* the certificate that was found good; empty: none */
    struct cert signer;
    json_t *items;
    int bad;
};
static void verify_end(struct verify *v)
{
    release_map_close(&v->map);
    buf_free(&v->signer_der);
    arena_free(&v->arena);
    json_decref(v->items);
}

/* One line of the list. */
static void told(struct verify *v, enum err e, const char *what, const struct fault *why)
{
    v->bad += e != CE_OK;
    json_array_append_new(v->items, json_pack("{s:s,s:b,s:s}", "what", what, "holds", e == CE_OK, "why", e ? why->text : ""));
    if (v->c->json || (v->c->quiet && !e))
        return;
    printf("%s%s%s  %s", cli_tint(v->c, e ? TINT_BAD : TINT_GOOD), e ? "FAILS" : "holds", cli_tint(v->c, TINT_NONE), what);
    if (e) {
        printf(": ");
        cli_put_safe(why->text, 240);
    }
    putchar('\n');
}

static enum err text_read(const struct verify *v, const char *stem, const char *ending, struct buf *out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s%s", v->dir, stem, ending);
    enum err e = file_read(path, out);
    return e ? fault_set(f, e, "cannot read %s: %s", path, strerror(errno)) : CE_OK;
}

/* -- who signed ---------------------------------------------------------------------------------------------------------------------- */
static enum err crl_check(const char *path, const struct cert *ca, const struct cert *signer, int64_t at_s, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(2 * CRL_MAX), der = BUF_INIT(CRL_MAX);
    struct crl crl;
    struct crl_entry one;
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "cannot read %s: %s", path, strerror(errno));
    if (pem_decode(buf_span(&text), "X509 CRL", 0, &der))
        return fault_set(f, CE_BAD_INPUT, "%s holds no CRL (PEM)", path);
    e = crl_parse(buf_span(&der), &crl, f);
    if (!e && (e = crl_verify(&crl, ca)))
        e = fault_set(f, e, "%s is not a CRL of the issuer", path);
    if (!e && at_s > crl.next_update)
        e = fault_set(f, CE_STALE, "%s has ended: ask for a newer one", path);
    while (!e && crl_next(&crl.entries, &one))
        if (span_eq(one.serial, signer->serial))
            e = fault_set(f, CE_CERT_REVOKED, "the signer's certificate is revoked (%s)", one.reason > 0 ? crl_reason_name(one.reason) : "no reason given");
    return e;
}

/* Is this the anchor itself, or was it issued by it? */
static enum err chain_check(const struct verify *v, const struct cert *signer, int64_t at_s, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    struct cert ca;
    const char *path = cli_opt(v->c, "--ca"), *crl = cli_opt(v->c, "--crl");
    enum err e = cert_load(path, &der, &ca, f);
    if (e)
        return e;
    if (span_eq(ca.der, signer->der))
        return crl ? fault_set(f, CE_USAGE, "--crl: a certificate that is trusted itself is in no list") : CE_OK;
    if ((e = cert_check_issued(signer, &ca)))
        return fault_set(f, e, "the signer's certificate was not issued by %s", path);
    if (at_s < ca.not_before || at_s > ca.not_after)
        return fault_set(f, CE_CERT_EXPIRED, "%s is not good at this time", path);
    return crl ? crl_check(crl, &ca, signer, at_s, f) : CE_OK;
}

static enum err signer_check(struct verify *v, struct span der, int64_t at_s, struct fault *f)
{
    struct cert cert;
    enum err e = cert_parse(der, &cert, f);
    e = e ? e : release_cert_judge(&cert, at_s, f);
    e = e ? e : chain_check(v, &cert, at_s, f);
    if (e)
        return e;
    buf_put_span(&v->signer_der, der);
    return cert_parse(buf_span(&v->signer_der), &v->signer, f);
}

/* manifest.json with its CMS signature: everything else is measured by it. */
static enum err manifest_check(struct verify *v, int64_t at_s, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(MANIFEST_MAX), p7s = BUF_INIT(CMS_MAX);
    struct cms_signed cms = { 0 };
    uint8_t digest[SHA256_LEN];
    enum err e = text_read(v, "manifest.json", "", &text, f);
    e = e ? e : manifest_read(buf_span(&text), &v->arena, &v->manifest, f);
    e = e ? e : span_to_cstr(v->manifest.firmware, v->name, sizeof v->name);
    told(v, e, "manifest.json can be read", f);
    if (e)
        return e;
    sha256(buf_span(&text), digest);
    e = text_read(v, "manifest.json", ".p7s", &p7s, f);
    e = e ? e : cms_read(buf_span(&p7s), &cms, f);
    e = e ? e : cms_verify(&cms, digest, f);
    told(v, e, "manifest.json.p7s: the CMS signature is of this manifest, by the certificate inside", f);
    if (e)
        return e;
    e = signer_check(v, cms.cert, at_s, f);
    told(v, e, cli_opt(v->c, "--crl") ? "the certificate: a signer of releases, in its time, trusted, not revoked" : "the certificate: a signer of releases, in its time, trusted", f);
    if (!e && !span_eq(v->manifest.certificate, v->signer.der))
        e = fault_set(f, CE_BAD_CERT, "the manifest names another certificate");
    return e;
}

/* -- the file and what is said of it ---------------------------------------------------------------------------------------------------- */
static enum err file_check(struct verify *v, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", v->dir, v->name);
    enum err e = release_map_open(path, &v->map, f);
    if (e)
        return e;
    sha256(v->map.bytes, v->sha256);
    if (!span_eq(v->manifest.sha256, span_of(v->sha256, SHA256_LEN)))
        return fault_set(f, CE_BAD_SIGNATURE, "the file's SHA-256 is not the manifest's");
    return CE_OK;
}

static enum err plain_check(const struct verify *v, struct span sig, struct fault *f)
{
    enum err e = spki_verify(v->signer.spki, SIG_ECDSA_SHA256, v->map.bytes, sig);
    return e ? fault_set(f, CE_BAD_SIGNATURE, "the signature is not of this file by the signer's key") : CE_OK;
}

static enum err sig_check(const struct verify *v, struct fault *f)
{
    CLEANUP(buf_free) struct buf sig = BUF_INIT(1024);
    enum err e = text_read(v, v->name, ".sig", &sig, f);
    e = e ? e : plain_check(v, buf_span(&sig), f);
    return e ? e : plain_check(v, v->manifest.signature, f);
}

static enum err bundle_check(struct verify *v, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(DSSE_MAX);
    struct sigstore s;
    enum err e = text_read(v, v->name, ".sigstore.json", &text, f);
    e = e ? e : sigstore_read(buf_span(&text), &v->arena, &s, f);
    if (!e && (s.has_envelope || !span_eq(s.sha256, span_of(v->sha256, SHA256_LEN))))
        e = fault_set(f, CE_BAD_SIGNATURE, "the bundle is not one of this file");
    return e ? e : plain_check(v, s.sig, f);
}

static enum err envelope_check(struct verify *v, const struct dsse *env, struct fault *f)
{
    struct intoto st;
    CLEANUP(buf_free) struct buf sbom = BUF_INIT(0);
    uint8_t digest[SHA256_LEN];
    if (!span_eq_str(env->type, DSSE_TYPE_INTOTO) || env->n_sigs != 1 || dsse_verify(env, 0, v->signer.spki))
        return fault_set(f, CE_BAD_SIGNATURE, "the envelope is not signed by the signer's key");
    enum err e = intoto_read(env->payload, &v->arena, &st, f);
    if (e)
        return e;
    if (!span_eq(st.sha256, span_of(v->sha256, SHA256_LEN)) || !span_eq_str(st.name, v->name))
        return fault_set(f, CE_BAD_SIGNATURE, "the statement is about another file");
    if (!st.sbom_sha256.n || !span_eq(st.version, v->manifest.version))
        return fault_set(f, CE_BAD_METADATA, "the statement names another version than the manifest, or no SBOM");
    if ((e = text_read(v, "sbom.json", "", &sbom, f)))
        return e;
    sha256(buf_span(&sbom), digest);
    if (!span_eq(st.sbom_sha256, span_of(digest, SHA256_LEN)))
        return fault_set(f, CE_BAD_SIGNATURE, "sbom.json is not the SBOM that the statement names");
    v->statement = st;
    return CE_OK;
}

static enum err statement_check(struct verify *v, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(DSSE_MAX);
    struct dsse env;
    enum err e = text_read(v, v->name, ".intoto.json", &text, f);
    e = e ? e : dsse_parse(buf_span(&text), &v->arena, &env, f);
    return e ? e : envelope_check(v, &env, f);
}

static enum err attestation_check(struct verify *v, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(DSSE_MAX);
    struct sigstore s;
    enum err e = text_read(v, v->name, ".attestation.sigstore.json", &text, f);
    e = e ? e : sigstore_read(buf_span(&text), &v->arena, &s, f);
    if (!e && !s.has_envelope)
        e = fault_set(f, CE_BAD_ENVELOPE, "the bundle holds no envelope");
    return e ? e : envelope_check(v, &s.envelope, f);
}

/* -- who approved ------------------------------------------------------------------------------------------------------------------------ */
/* The first root must be the one that the caller trusts; from there on each root is signed by the one before (tuf_repo.h). */
static enum err root_check(const struct verify *v, const struct repo *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf want = BUF_INIT(DSSE_MAX), have = BUF_INIT(DSSE_MAX);
    char path[PATH_MAX_LEN];
    const char *given = cli_opt(v->c, "--root");
    path_join(path, "%s/1.root.json", r->dir);
    enum err e = file_read(given, &want);
    if (e)
        return fault_set(f, e, "cannot read %s: %s", given, strerror(errno));
    e = file_read(path, &have);
    if (e || !span_eq(buf_span(&want), buf_span(&have)))
        return fault_set(f, CE_BAD_SIGNATURE, "%s is not the root that you trust", path);
    return r->root_file.complete ? CE_OK : fault_set(f, CE_THRESHOLD, "%s is not signed by enough keys", path);
}

static enum err approval_check(const struct verify *v, const char *dir, struct fault *f)
{
    const struct span release = v->statement.release, line = v->statement.line;
    CLEANUP(repo_close) struct repo r = { 0 };
    struct repo_file file;
    struct tuf_line l;
    enum err e = line.n ? repo_open(&r, dir, f) : fault_set(f, CE_BAD_METADATA, "there is no good statement that names line and release");
    e = e ? e : root_check(v, &r, f);
    if (!e && !r.targets_file.complete)
        e = fault_set(f, CE_THRESHOLD, "the newest targets metadata is not signed by enough keys");
    e = e ? e : repo_line(&r, (const char *)line.p, &file, f);
    if (!e && !file.complete)
        e = fault_set(f, CE_THRESHOLD, "%lld of %lld signatures of the line's signers are there", (long long)file.signed_by, (long long)file.threshold);
    e = e ? e : tuf_line_read(file.env.payload, line, &r.arena, &l, f);
    for (size_t i = 0; !e && i < l.n; i++)
        if (span_eq(l.list[i].release, release) && span_eq(l.list[i].sha256, span_of(v->sha256, SHA256_LEN)) && span_eq(l.list[i].version, v->manifest.version))
            return CE_OK;
    return e ? e : fault_set(f, CE_NOT_FOUND, "the line's newest metadata names no release " SPAN_FMT " with this file and version", SPAN_ARG(release));
}

/* -- the verb ---------------------------------------------------------------------------------------------------------------------------- */
static enum err time_take(const struct cli *c, int64_t *at_s, struct fault *f)
{
    const char *text = cli_opt(c, "--at");
    int64_t ms = 0;
    *at_s = clock_now_s();
    if (text && clock_parse_ms(span_str(text), &ms))
        return fault_set(f, CE_USAGE, "--at is a time such as 2031-01-31T00:00:00Z, not '%s'", text);
    *at_s = text ? ms / 1000 : *at_s;
    return CE_OK;
}

static void folder_check(struct verify *v, int64_t at_s)
{
    struct fault f = { 0 };
    enum err e = manifest_check(v, at_s, &f);
    if (e || !v->signer_der.len) {
        if (v->signer_der.len)
            told(v, e, "manifest.json names the certificate", &f);
        return; /* nothing to measure the rest by */
    }
    e = file_check(v, &f);
    told(v, e, "the file has the SHA-256 of the manifest", &f);
    if (e)
        return;
    told(v, sig_check(v, &f), "FILE.sig, and the signature in the manifest", &f);
    told(v, bundle_check(v, &f), "FILE.sigstore.json", &f);
    told(v, statement_check(v, &f), "FILE.intoto.json: the statement is about this file, version and SBOM", &f);
    told(v, attestation_check(v, &f), "FILE.attestation.sigstore.json", &f);
    if (cli_opt(v->c, "--metadata"))
        told(v, approval_check(v, cli_opt(v->c, "--metadata"), &f), "approved by enough signers of the line, from the root that you trust", &f);
}

static enum err verify_run(struct cli *c, struct fault *f)
{
    CLEANUP(verify_end) struct verify v = { .c = c, .signer_der = BUF_INIT(CERT_MAX), .items = json_array() };
    int64_t at_s = 0;
    if (strlen(c->args[0]) > PATH_MAX_LEN - 100)
        return fault_set(f, CE_USAGE, "the folder's name is too long");
    if (!cli_opt(c, "--metadata") != !cli_opt(c, "--root"))
        return fault_set(f, CE_USAGE, "--metadata and --root belong together: approvals are judged from 1.root.json as you trust it");
    if (!cli_opt(c, "--ca"))
        return fault_set(f, CE_USAGE, "--ca is needed: the certificate that you trust, of the release CA or of the signer");
    enum err e = time_take(c, &at_s, f);
    if (e)
        return e;
    path_join(v.dir, "%s", c->args[0]);
    folder_check(&v, at_s);
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:b,s:O}", "holds", v.bad == 0, "items", v.items);
        cli_print_json(o);
    }
    return v.bad ? fault_set(f, CE_BAD_SIGNATURE, "%s: %d of %zu checks failed", v.dir, v.bad, json_array_size(v.items)) : CE_OK;
}
static const struct verb_opt verify_opts[] = {
    { "--ca", "FILE", "certificate that you trust: the release CA's, or the signer's own", false },
    { "--crl", "FILE", "the release CA's list of revoked signers (PEM)", false },
    { "--metadata", "DIR", "folder of the release metadata (N.root.json, N.targets.json, N.LINE.json), to check who approved", false },
    { "--root", "FILE", "1.root.json as you trust it, for --metadata", false },
    { "--at", "TIME", "judge certificates at this time (default: now)", false },
};
const struct verb verb_release_verify = {
    .name = "release verify", .args = "DIR", .min_args = 1, .max_args = 1, .help = "check offline all that cradle release seal made, and who approved it",
    .text = "DIR holds the file and what cradle release seal made beside it. Says of each thing whether it holds; the exit code is 7 when one does not.",
    .example = "cradle release verify release/files/vib/r7 --ca release-ca.pem --crl release.crl\ncradle release verify r7 --ca release-ca.pem --metadata release --root 1.root.json",
    VERB_OPTS(verify_opts), .run = verify_run,
};
