/* dev.c: libcradle-dev against OpenSSL: its requests verify there, OpenSSL's certificates are read here. */
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "agent/key.h"
#include "base/file.h"
#include "t/tap.h"

static char folder[] = "/tmp/dev-test-XXXXXX";

static void test_csr(struct agent_key *k)
{
    uint8_t der[CRADLE_CSR_MAX];
    size_t n = sizeof der;
    struct cradle_name name = { .uid = "sensor-0001", .serial = "SN 77", .san_uri = "urn:cradle:vib:sensor-0001" };
    ok(cradle_csr_make(&k->port, &name, der, &n) == CRADLE_OK, "a request is made");
    const uint8_t *p = der;
    X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)n);
    ok(req && p == der + n, "OpenSSL decodes all of it");
    ok(req && X509_REQ_verify(req, X509_REQ_get0_pubkey(req)) == 1, "OpenSSL verifies its signature");
    char text[256] = "";
    X509_NAME_oneline(X509_REQ_get_subject_name(req), text, sizeof text);
    ok(strcmp(text, "/CN=sensor-0001/serialNumber=SN 77") == 0, "the subject is %s", text);
    STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(req);
    ok(sk_X509_EXTENSION_num(exts) == 1, "one extension, the SAN");
    sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
    X509_REQ_free(req);
    static const char *const bad[] = { "", "a/b", "a+b", "a#b", "a b", "-a", "a\nb", "\xff\xfe",
        "0123456789012345678901234567890123456789012345678901234567890123456789" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        name.uid = bad[i];
        n = sizeof der;
        ok(cradle_csr_make(&k->port, &name, der, &n) == CRADLE_E_NAME, "bad UID %zu is refused", i);
    }
    name.uid = "u";
    n = 40;
    ok(cradle_csr_make(&k->port, &name, der, &n) == CRADLE_E_SPACE, "a small buffer is an error, not an overflow");
}

static X509 *make_cert(EVP_PKEY *pkey, const char *cn, const char *from, const char *to)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_NAME_new();
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
    X509_set_version(x, 2);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), 0x80f1f2f3f4f5f6f7u);
    ASN1_TIME_set_string_X509(X509_getm_notBefore(x), from);
    ASN1_TIME_set_string_X509(X509_getm_notAfter(x), to);
    X509_set_subject_name(x, subject);
    X509_set_issuer_name(x, subject);
    X509_set_pubkey(x, pkey);
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_key_identifier, "hash");
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    X509_sign(x, pkey, EVP_sha256());
    X509_NAME_free(subject);
    return x;
}

/* Base64 of a certs-only PKCS#7 in lines of 64, as a server sends it. */
static size_t make_answer(X509 *x, char *out, size_t cap)
{
    PKCS7 *p7 = PKCS7_new();
    unsigned char *der = NULL;
    PKCS7_set_type(p7, NID_pkcs7_signed);
    PKCS7_content_new(p7, NID_pkcs7_data);
    PKCS7_set_detached(p7, 1);
    PKCS7_add_certificate(p7, x);
    int n = i2d_PKCS7(p7, &der);
    struct buf b = BUF_INIT(0);
    buf_put_base64(&b, span_of(der, (size_t)n), 64);
    size_t len = b.len < cap ? b.len : 0;
    memcpy(out, b.data, len);
    buf_free(&b);
    OPENSSL_free(der);
    PKCS7_free(p7);
    return len;
}

static void test_cert(struct agent_key *k)
{
    struct cradle_cert cert;
    struct cradle_name name = { .uid = "meter-9" };
    char body[8192];
    const uint8_t *der;
    size_t der_len;
    X509 *x = make_cert(k->pkey, "meter-9", "20260101000000Z", "20260411000000Z");
    size_t n = make_answer(x, body, sizeof body);
    ok(n && cradle_est_answer(body, n, &der, &der_len) == CRADLE_OK, "the PKCS#7 answer is unwrapped");
    ok(cradle_cert_read(der, der_len, &cert) == CRADLE_OK, "the certificate is read");
    ok(cert.not_before_s == 1767225600 && cert.not_after_s == 1767225600 + 100 * 86400, "its dates are right");
    ok(cert.serial_len == 8 && cert.serial[0] == 0x80, "its serial is minimal");
    ok(cert.aki && cert.aki_len == 20, "it names its issuer's key");
    ok(cradle_cert_matches(&cert, &k->port, &name) == CRADLE_OK, "it is for this key and name");
    name.uid = "meter-8";
    ok(cradle_cert_matches(&cert, &k->port, &name) == CRADLE_E_MISMATCH, "another name is refused");
    int64_t at = cradle_renew_at_s(&cert, 67, "meter-9");
    ok(at >= cert.not_before_s + 67 * 86400 && at <= cert.not_before_s + 79 * 86400, "renewal falls into the first half of its window");
    ok(cradle_renew_at_s(&cert, 67, "meter-1") != at, "another device renews at another time");
    for (size_t cut = 0; cut < der_len; cut += 7)
        if (cradle_cert_read(der, cut, &cert) == CRADLE_OK)
            ok(0, "truncated to %zu bytes it was accepted", cut);
    X509_free(x);
    x = make_cert(k->pkey, "d", "20500101000000Z", "99991231235959Z");
    unsigned char *out = NULL;
    int len = i2d_X509(x, &out);
    ok(len > 0 && cradle_cert_read(out, (size_t)len, &cert) == CRADLE_OK && cert.not_after_s == 253402300799, "GeneralizedTime and the year 9999 are read");
    OPENSSL_free(out);
    X509_free(x);
}

static void test_states(void)
{
    enum cradle_phase p = CRADLE_NO_KEY;
    ok(cradle_step(&p, CRADLE_EV_START) == CRADLE_DO_MAKE_KEY && cradle_step(&p, CRADLE_EV_KEY_MADE) == CRADLE_DO_ENROLL, "key, then enrollment");
    ok(cradle_step(&p, CRADLE_EV_SWAPPED) == CRADLE_DO_NOTHING && p == CRADLE_NO_CERT, "an event that does not belong changes nothing");
    ok(cradle_step(&p, CRADLE_EV_CERT_STORED) == CRADLE_DO_CONNECT && cradle_step(&p, CRADLE_EV_DUE) == CRADLE_DO_RENEW, "connected, renewed when due");
    ok(cradle_step(&p, CRADLE_EV_CERT_STORED) == CRADLE_DO_TRY_CANDIDATE && p == CRADLE_CANDIDATE, "the new certificate is a candidate first");
    ok(cradle_step(&p, CRADLE_EV_CONNECTED) == CRADLE_DO_SWAP && cradle_step(&p, CRADLE_EV_SWAPPED) == CRADLE_DO_NOTHING && p == CRADLE_CURRENT, "swapped after it worked");
    uint32_t worst = 0;
    for (unsigned i = 0; i < 64; i++) {
        uint32_t w = cradle_backoff_ms(i, 1000, 300000, 0xffffffffu - i * 77777u);
        worst = w > worst ? w : worst;
    }
    ok(worst <= 300000 && cradle_backoff_ms(0, 1000, 300000, 5) <= 1000, "back-off grows and is capped");
}

int main(void)
{
    char path[PATH_MAX_LEN];
    struct agent_key k, again;
    const struct agent_config cfg = { .key = "file" };
    struct fault f;
    if (!mkdtemp(folder))
        return 1;
    path_join(path, "%s/key.pem", folder);
    ok(key_make(&cfg, folder, &k, &f) == CE_OK, "a device key is made");
    ok(key_make(&cfg, folder, &again, &f) == CE_EXISTS, "a key is never replaced");
    key_close(&again);
    test_csr(&k);
    test_cert(&k);
    test_states();
    key_close(&k);
    remove(path);
    remove(folder);
    return done();
}
