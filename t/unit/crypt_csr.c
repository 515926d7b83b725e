/* crypt_csr.c: PKCS#10: our own requests, openssl's, bad names, and a differential run against OpenSSL's reader: whatever we accept,
 * OpenSSL accepts and verifies too. */
#include <openssl/err.h>
#include <openssl/x509.h>

#include "crypt/csr.h"
#include "crypt/der.h"
#include "crypt/dn.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"

static char dir[64];
static struct key *ec;

/* A request with any subject and attributes, signed by ec. */
static void csr_raw(struct span subject_rdns, struct span attributes, struct buf *out)
{
    CLEANUP(buf_free) struct buf tbs = BUF_INIT(0), sig = BUF_INIT(0);
    buf_reset(out);
    size_t info = der_begin(&tbs, DER_SEQUENCE);
    der_put_small(&tbs, 0);
    der_put(&tbs, DER_SEQUENCE, subject_rdns);
    buf_put_span(&tbs, key_spki(ec));
    der_put(&tbs, DER_CONTEXT_CONS(0), attributes);
    der_end(&tbs, info);
    site_must(key_sign(ec, buf_span(&tbs), &sig), NULL, "sign");
    size_t all = der_begin(out, DER_SEQUENCE);
    buf_put_span(out, buf_span(&tbs));
    buf_put_span(out, sig_alg_der(SIG_ECDSA_SHA256));
    der_put_bits(out, buf_span(&sig));
    der_end(out, all);
}

static void rdn(struct buf *b, uint8_t attr, unsigned tag, struct span value)
{
    size_t set = der_begin(b, DER_SET), seq = der_begin(b, DER_SEQUENCE);
    der_put(b, DER_OID, span_of((uint8_t[]){ 0x55, 4, attr }, 3));
    der_put(b, tag, value);
    der_end(b, seq);
    der_end(b, set);
}

static void expect(struct span der, enum err want, const char *what)
{
    struct csr r;
    struct fault f = { .code = CE_OK };
    enum err e = csr_parse(der, &r, &f);
    if (!e)
        e = csr_verify(&r, &f);
    ok(e == want && (!e || f.text[0]), "%s: %s %s", what, err_name(e), f.text);
}

static void good(void)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    struct csr r;
    struct fault f = { .code = CE_OK };
    ok(csr_build(ec, SPAN_LIT("dev-1"), SPAN_LIT("SN 7"), SPAN_LIT("urn:cradle:pump:dev-1"), &der) == CE_OK, "built");
    ok(csr_parse(buf_span(&der), &r, &f) == CE_OK && csr_verify(&r, &f) == CE_OK, "read and verified %s", f.text);
    ok(span_eq_str(r.cn, "dev-1") && span_eq_str(r.serial_number, "SN 7") && span_eq_str(r.san_uri, "urn:cradle:pump:dev-1") &&
       r.n_san_uri == 1 && r.n_san_dns == 0 && r.n_rdn_other == 0 && strcmp(r.key.name, "ec:P-256") == 0, "all fields");
    site_write(dir, "own.der", buf_span(&der), 0600);
    ok(site_sh("openssl req -inform DER -in %s/own.der -noout -verify -text > %s/t 2>&1 && grep -q 'CN *= *dev-1' %s/t && grep -q 'URI:urn:cradle:pump:dev-1' %s/t", dir, dir, dir, dir), "openssl req verifies it");
}

static void by_openssl(const char *key_args, const char *req_args, enum err want, const char *what)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    char path[PATH_MAX_LEN];
    path_join(path, "%s/o.der", dir);
    if (!site_sh("openssl genpkey %s -out %s/o.key 2>/dev/null && openssl req -new -key %s/o.key %s -outform DER -out %s", key_args, dir, dir, req_args, path) ||
        file_read(path, &der)) {
        ok(false, "openssl req: %s", what);
        return;
    }
    expect(buf_span(&der), want, what);
}

#define P256 "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
static void openssl_made(void)
{
    by_openssl(P256, "-subj /CN=dev-2", CE_OK, "openssl, P-256");
    by_openssl(P256, "-subj /O=Acme/CN=dev-2/serialNumber=99 -addext subjectAltName=URI:urn:x:y,DNS:a.b", CE_OK, "openssl, O, serialNumber, SAN");
    by_openssl(P256, "-subj /CN=dev-2 -addext keyUsage=digitalSignature -addext basicConstraints=CA:FALSE", CE_OK, "openssl, key usage asked for");
    by_openssl(P256, "-subj /CN=dev-2 -addext basicConstraints=critical,CA:TRUE", CE_BAD_CSR, "openssl, CA asked for");
    by_openssl(P256, "-subj /CN=dev-2 -sha1", CE_BAD_CSR, "openssl, signed with SHA-1");
    by_openssl("-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "-subj /CN=dev-2", CE_OK, "openssl, P-384 with SHA-256");
    by_openssl("-algorithm EC -pkeyopt ec_paramgen_curve:P-192", "-subj /CN=dev-2", CE_KEY_WEAK, "openssl, P-192");
    by_openssl("-algorithm ED25519", "-subj /CN=dev-2", CE_OK, "openssl, Ed25519");
    by_openssl("-algorithm RSA -pkeyopt rsa_keygen_bits:3072", "-subj /CN=dev-2", CE_OK, "openssl, RSA-3072");
    by_openssl("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-subj /CN=dev-2 -sigopt rsa_padding_mode:pss", CE_BAD_CSR, "openssl, RSA-PSS");
    by_openssl(P256, "-subj '/CN=a/CN=b'", CE_BAD_NAME, "openssl, two CNs");
    by_openssl(P256, "-subj '/O=only'", CE_BAD_NAME, "openssl, no CN");
    by_openssl(P256, "-subj '/CN=a+serialNumber=b' -multivalue-rdn", CE_BAD_NAME, "openssl, multi-valued RDN");
}

static void names(void)
{
    static const struct { unsigned tag; struct span cn; enum err want; const char *what; } rows[] = {
        { DER_UTF8, SPAN_LIT("dev-3"), CE_OK, "CN as UTF8String" },
        { DER_PRINTABLE, SPAN_LIT("dev-3"), CE_OK, "CN as PrintableString" },
        { DER_UTF8, SPAN_LIT("M\xc3\xbcller"), CE_OK, "CN with an umlaut (no UID, but well-formed)" },
        { DER_UTF8, SPAN_LIT("dev\0evil"), CE_BAD_NAME, "CN with NUL" },
        { DER_UTF8, SPAN_LIT("dev\nevil"), CE_BAD_NAME, "CN with a newline" },
        { DER_UTF8, SPAN_LIT("dev\x7f"), CE_BAD_NAME, "CN with DEL" },
        { DER_UTF8, SPAN_LIT("dev\xff\xfe"), CE_BAD_NAME, "CN that is not UTF-8" },
        { DER_UTF8, SPAN_LIT("dev\xc0\x80"), CE_BAD_NAME, "CN with an overlong NUL" },
        { DER_UTF8, SPAN_LIT(""), CE_BAD_NAME, "an empty CN" },
        { 0x1e, SPAN_LIT("\0d\0e\0v"), CE_BAD_NAME, "CN as BMPString" },
        { 0x14, SPAN_LIT("dev"), CE_BAD_NAME, "CN as T61String" },
        { 0x1c, SPAN_LIT("\0\0\0d"), CE_BAD_NAME, "CN as UniversalString" },
        { DER_IA5, SPAN_LIT("dev"), CE_BAD_NAME, "CN as IA5String" },
        { DER_INTEGER, SPAN_LIT("\x05"), CE_BAD_NAME, "CN as INTEGER" },
    };
    CLEANUP(buf_free) struct buf name = BUF_INIT(0), der = BUF_INIT(0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_reset(&name);
        rdn(&name, 3, rows[i].tag, rows[i].cn);
        csr_raw(buf_span(&name), span_of(NULL, 0), &der);
        expect(buf_span(&der), rows[i].want, rows[i].what);
    }
    uint8_t longer[300];
    memset(longer, 'a', sizeof longer);
    buf_reset(&name);
    rdn(&name, 3, DER_UTF8, span_of(longer, 300));
    csr_raw(buf_span(&name), span_of(NULL, 0), &der);
    expect(buf_span(&der), CE_BAD_NAME, "CN of 300 bytes");
    buf_reset(&name);
    csr_raw(buf_span(&name), span_of(NULL, 0), &der);
    expect(buf_span(&der), CE_BAD_NAME, "an empty subject");
    /* characters that are special in MQTT topics and paths: structure is right, the UID rule refuses them */
    static const char *const topics[] = { "a+b", "a#", "a/b", "$SYS", "..", "a b", "%u" };
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        struct csr r;
        struct fault f = { .code = CE_OK };
        buf_reset(&name);
        rdn(&name, 3, DER_UTF8, span_str(topics[i]));
        csr_raw(buf_span(&name), span_of(NULL, 0), &der);
        ok(csr_parse(buf_span(&der), &r, &f) == CE_OK && name_check_uid(r.cn, &f) == CE_BAD_UID, "CN '%s' is no UID", topics[i]);
    }
}

static void attributes(void)
{
    CLEANUP(buf_free) struct buf name = BUF_INIT(0), der = BUF_INIT(0);
    rdn(&name, 3, DER_UTF8, SPAN_LIT("dev-4"));
    static const struct { struct span attrs; enum err want; const char *what; } rows[] = {
        { SPAN_LIT("\x30\x10\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07\x31\x03\x0c\x01x"), CE_OK, "a challengePassword" },
        { SPAN_LIT("\x30\x10\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07\x31\x03\x02\x01x"), CE_BAD_CSR, "a challengePassword that is a number" },
        { SPAN_LIT("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07\x31\x00"), CE_BAD_CSR, "an attribute without a value" },
        { SPAN_LIT("\x30\x10\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05\x31\x03\x0c\x01x"), CE_BAD_CSR, "an attribute that we do not know" },
        { SPAN_LIT("\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e\x31\x02\x30\x00"), CE_BAD_CSR, "an empty extensionRequest" },
        { SPAN_LIT("\x31\x00"), CE_BAD_CSR, "an attribute that is a SET" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        csr_raw(buf_span(&name), rows[i].attrs, &der);
        expect(buf_span(&der), rows[i].want, rows[i].what);
    }
}

static void broken(void)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0), more = BUF_INIT(0);
    CLEANUP(key_free_p) struct key *other = NULL;
    struct fault f = { .code = CE_OK };
    struct csr r;
    site_must(csr_build(ec, SPAN_LIT("dev-5"), span_of(NULL, 0), span_of(NULL, 0), &der), NULL, "csr");
    for (size_t n = 0; n < der.len; n += der.len / 7)
        expect(span_of(der.data, n), CE_TRUNCATED, "cut short");
    buf_put_span(&more, buf_span(&der));
    buf_put_u8(&more, 0);
    expect(buf_span(&more), CE_TRAILING, "one byte after the end");
    expect(SPAN_LIT("-----BEGIN CERTIFICATE REQUEST-----"), CE_TRUNCATED, "PEM where DER is due");
    CLEANUP(mem_free_p) uint8_t *huge = mem_calloc(1, CSR_MAX + 1);
    expect(span_of(huge, CSR_MAX + 1), CE_TOO_LARGE, "more than CSR_MAX bytes");
    /* wrong proof of possession: another key's SPKI in place of the signer's */
    site_must(key_generate("ec:P-256", &other, &f), &f, "key");
    uint8_t *at = memmem(der.data, der.len, key_spki(ec).p, key_spki(ec).n);
    memcpy(at, key_spki(other).p, key_spki(other).n);
    ok(csr_parse(buf_span(&der), &r, &f) == CE_OK && csr_verify(&r, &f) == CE_CSR_POP, "somebody else's key: %s", f.text);
}

/* -- differential ---------------------------------------------------------------------------------------------------- */

static bool openssl_accepts(struct span der)
{
    const uint8_t *p = der.p;
    X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)der.n);
    EVP_PKEY *k = req ? X509_REQ_get0_pubkey(req) : NULL;
    bool good_ = req && p == der.p + der.n && k && X509_REQ_verify(req, k) == 1;
    X509_REQ_free(req);
    ERR_clear_error();
    return good_;
}

static uint32_t rnd(uint32_t *s) { return (*s = *s * 1664525u + 1013904223u) >> 8; }

static void differential(void)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    site_must(csr_build(ec, SPAN_LIT("dev-6"), SPAN_LIT("1"), SPAN_LIT("urn:a:b"), &der), NULL, "csr");
    CLEANUP(mem_free_p) uint8_t *copy = mem_alloc(der.len + 8);
    uint32_t seed = 7;
    unsigned parsed = 0, accepted = 0, wider = 0, loose = 0;
    struct csr r;
    for (unsigned i = 0; i < 16000; i++) {
        size_t n = der.len;
        memcpy(copy, der.data, n);
        for (unsigned k = 0; k < 1 + i % 2; k++) {
            size_t at = rnd(&seed) % n;
            copy[at] = i % 3 ? copy[at] ^ (uint8_t)(1u << rnd(&seed) % 8) : (uint8_t)rnd(&seed);
        }
        if (csr_parse(span_of(copy, n), &r, NULL))
            continue;
        parsed++;
        const uint8_t *p = copy;
        X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)n);
        loose += !req; /* we may not parse what OpenSSL does not */
        X509_REQ_free(req);
        ERR_clear_error();
        if (csr_verify(&r, NULL))
            continue;
        accepted++;
        wider += !openssl_accepts(span_of(copy, n));
    }
    ok(parsed > 1000 && loose == 0, "16 000 mutations: %u parse, all of them also with OpenSSL (%u not)", parsed, loose);
    ok(wider == 0, "%u of them verify, OpenSSL agrees", accepted);
    ok(openssl_accepts(buf_span(&der)), "the sample itself is accepted by OpenSSL");
}

int main(void)
{
    struct fault f = { .code = CE_OK };
    snprintf(dir, sizeof dir, "/tmp/cradle-csr-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    site_must(key_generate("ec:P-256", &ec, &f), &f, "key");
    good();
    openssl_made();
    names();
    attributes();
    broken();
    differential();
    key_free(ec);
    site_remove(dir);
    return done();
}
