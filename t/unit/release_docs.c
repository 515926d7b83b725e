/* Unit test of what a release gives others: CMS signatures, manifests, in-toto statements and sigstore bundles: round trips, and refusals that name the rule. */
#include "base/clock.h"
#include "crypt/issue.h"
#include "t/tap.h"
#include "wire/cms_signed.h"
#include "wire/intoto.h"
#include "wire/manifest.h"
#include "wire/sigstore.h"

#define T0 1800000000

static struct arena arena;
static struct fault f;
static struct key *key, *other;
static struct buf cert_der = BUF_INIT(CERT_MAX);
static struct cert cert;
static uint8_t digest[SHA256_LEN];

static void setup(void)
{
    if (key_generate("ec:P-256", &key, &f) || key_generate("ec:P-256", &other, &f))
        abort();
    const struct issue_spec spec = { .cn = "signer", .spki = key_spki(key), .not_before = T0, .not_after = T0 + 86400 };
    ok(!issue_release_signer(NULL, key, &spec, &cert_der, &f) && !cert_parse(buf_span(&cert_der), &cert, &f), "a signer's certificate");
    ok(!cert.is_ca && cert.key_usage == KU_DIGITAL_SIGNATURE && cert.eku == (EKU_CODE_SIGNING | EKU_EMAIL), "with the one profile that all verifiers take");
    sha256(SPAN_LIT("content"), digest);
}

static void test_cms(void)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(CMS_MAX), bad = BUF_INIT(CMS_MAX);
    struct cms_signed c;
    uint8_t another[SHA256_LEN] = { 0 };
    ok(cms_sign(other, &cert, digest, T0, &out, &f) == CE_NAME_MISMATCH, "CMS: another key than the certificate's is refused");
    ok(!cms_sign(key, &cert, digest, T0, &out, &f) && !cms_read(buf_span(&out), &c, &f), "CMS: written and read");
    ok(!cms_verify(&c, digest, &f) && c.signed_at_s == T0 && span_eq(c.cert, cert.der), "CMS: it holds, with its time and certificate");
    ok(cms_verify(&c, another, &f) == CE_BAD_SIGNATURE, "CMS: not of another content");
    size_t wrong = 0;
    for (size_t i = 0; i < out.len * 8; i++) { /* the certificate is its issuer's to judge; versions and lists of algorithms outside are not signed, and say nothing */
        buf_reset(&bad);
        buf_put_span(&bad, buf_span(&out));
        bad.data[i / 8] ^= (uint8_t)(1 << i % 8);
        size_t at = (size_t)((const uint8_t *)memmem(out.data, out.len, cert.der.p, cert.der.n) - out.data);
        if (i / 8 >= at && i / 8 < at + cert.der.n)
            continue;
        wrong += !cms_read(buf_span(&bad), &c, &f) && !cms_verify(&c, digest, &f) && c.signed_at_s != T0;
    }
    ok(wrong == 0, "CMS: no changed bit makes it hold with another time of signing");
    buf_put_u8(&out, 0);
    ok(cms_read(buf_span(&out), &c, &f) != CE_OK, "CMS: bytes after the end are refused");
    ok(cms_read(SPAN_LIT("\x30\x03\x02\x01\x01"), &c, &f) == CE_BAD_DER && strstr(f.text, "RFC 5652"), "CMS: something else is refused with the rule");
}

static bool manifest_refused(const char *json, const char *word)
{
    struct manifest m;
    enum err e = manifest_read(span_str(json), &arena, &m, &f);
    return (e == CE_BAD_METADATA || e == CE_BAD_JSON || e == CE_BAD_NAME) && strstr(f.text, word);
}

static void test_manifest(void)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    struct manifest back;
    const struct manifest m = { .version = SPAN_LIT("1.7.0"), .firmware = SPAN_LIT("fw.bin"), .min_version = SPAN_LIT("0"), .signature = SPAN_LIT("sig"),
                                .certificate = cert.der, .sha256 = span_of(digest, SHA256_LEN), .release_date_s = T0 };
    manifest_write(&m, &out);
    ok(!manifest_read(buf_span(&out), &arena, &back, &f) && span_eq(back.certificate, cert.der) && span_eq(back.sha256, m.sha256) && back.release_date_s == T0,
       "manifest: written and read");
    ok(manifest_refused("[]", "version"), "manifest: no object");
    ok(manifest_refused("{\"version\":\"1\",\"firmware\":\"../fw\"}", "firmware"), "manifest: a file's name with a path");
    ok(manifest_refused("{\"version\":\"1\",\"firmware\":\"fw\",\"signature\":\"!\"}", "base64"), "manifest: a signature that is not base64");
    ok(manifest_refused("{\"version\":\"1\",\"firmware\":\"fw\",\"signature\":\"AA==\",\"certificate\":\"x\"}", "PEM"), "manifest: a certificate that is none");
}

static void test_intoto(void)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    struct intoto back;
    const struct tuf_target t = { .release = SPAN_LIT("r7"), .version = SPAN_LIT("1.7.0"), .min_version = SPAN_LIT("0"), .handler = SPAN_LIT("raw"), .support_end = SPAN_LIT("2031-12-31"),
                                  .sha256 = span_of(digest, SHA256_LEN), .sbom_format = SPAN_LIT("spdx"), .sbom_sha256 = span_of(digest, SHA256_LEN) };
    struct intoto_release r = { .line = SPAN_LIT("vib"), .file = SPAN_LIT("fw.bin"), .target = &t, .line_version = 2, .line_sha256 = span_of(digest, SHA256_LEN) };
    ok(!intoto_write(&r, &out) && !intoto_read(buf_span(&out), &arena, &back, &f), "in-toto: written and read");
    ok(span_eq_str(back.line, "vib") && span_eq_str(back.release, "r7") && span_eq(back.sha256, t.sha256) && span_eq(back.sbom_sha256, t.sha256), "in-toto: with line, release and SBOM");
    r.file = SPAN_LIT("\xff");
    ok(intoto_write(&r, &out) == CE_BAD_METADATA, "in-toto: a name that is not UTF-8 is refused");
    ok(intoto_read(SPAN_LIT("{\"_type\":\"x\"}"), &arena, &back, &f) == CE_BAD_METADATA && strstr(f.text, "Statement"), "in-toto: another type");
    ok(intoto_read(SPAN_LIT("{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[]}"), &arena, &back, &f) == CE_BAD_METADATA && strstr(f.text, "one subject"),
       "in-toto: no subject");
}

static void test_sigstore(void)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    static struct sigstore s, back;
    s = (struct sigstore){ .sha256 = span_of(digest, SHA256_LEN), .sig = SPAN_LIT("sig") };
    sigstore_write(&s, key_spki(key), &out);
    ok(!sigstore_read(buf_span(&out), &arena, &back, &f) && !back.has_envelope && span_eq(back.sig, s.sig) && span_eq(back.sha256, s.sha256), "sigstore: a signature, written and read");
    buf_reset(&out);
    s = (struct sigstore){ .has_envelope = true, .envelope = { .type = SPAN_LIT(DSSE_TYPE_INTOTO), .payload = SPAN_LIT("{}") } };
    ok(!dsse_sign(&s.envelope, key, SPAN_LIT(""), &arena, &f), "an envelope");
    sigstore_write(&s, key_spki(key), &out);
    ok(!sigstore_read(buf_span(&out), &arena, &back, &f) && back.has_envelope && !dsse_verify(&back.envelope, 0, key_spki(key)), "sigstore: an envelope, written and read; its signature holds");
    ok(sigstore_read(SPAN_LIT("{\"mediaType\":\"x\"}"), &arena, &back, &f) == CE_BAD_ENVELOPE && strstr(f.text, "v0.3"), "sigstore: another version is refused");
    ok(sigstore_read(SPAN_LIT("{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\"}"), &arena, &back, &f) == CE_BAD_ENVELOPE && strstr(f.text, "either"),
       "sigstore: neither signature nor envelope");
}

int main(void)
{
    setup();
    test_cms();
    test_manifest();
    test_intoto();
    test_sigstore();
    key_free(key);
    key_free(other);
    buf_free(&cert_der);
    arena_free(&arena);
    return done();
}
