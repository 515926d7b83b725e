/* The pure functions of front: HTTP's small grammars, EST bodies, problems, certs-only. */
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "t/tap.h"
#include "wire/cms.h"
#include "wire/est.h"
#include "wire/http.h"
#include "wire/problem.h"

#define S(text) span_str(text)

static bool decodes(const char *in, const char *want)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(64);
    enum err e = percent_decode(S(in), &b);
    return want ? !e && span_eq_str(buf_span(&b), want) : e != CE_OK;
}

static void test_http(void)
{
    struct span path, query, key, value;
    struct fault f;
    struct arena a = {0};
    int64_t rev;
    ok(decodes("a%20b%2B+", "a b++") && decodes("", "") && decodes("%%", NULL) && decodes("%2", NULL) && decodes("%2g", NULL),
       "percent-decoding is strict");
    ok(http_target_split(S("/a?b=c?d"), &path, &query, &f) == CE_OK && span_eq_str(path, "/a") && span_eq_str(query, "b=c?d"),
       "the first ? splits");
    ok(http_target_split(S("/a"), &path, &query, &f) == CE_OK && query.n == 0, "no query is an empty one");
    ok(http_target_split(S("http://h/a"), &path, &query, &f) && http_target_split(S("*"), &path, &query, &f) &&
           http_target_split(S("/a#b"), &path, &query, &f) && http_target_split(S("/a b"), &path, &query, &f) &&
           http_target_split(S(""), &path, &query, &f),
       "other targets are refused");
    struct span rest = S("a=1&b=%26&c&d=");
    ok(http_query_next(&rest, &a, &key, &value, &f) == CE_OK && span_eq_str(key, "a") && span_eq_str(value, "1"), "query: first pair");
    ok(http_query_next(&rest, &a, &key, &value, &f) == CE_OK && span_eq_str(value, "&"), "query: decoded after splitting");
    ok(http_query_next(&rest, &a, &key, &value, &f) == CE_OK && span_eq_str(key, "c") && value.n == 0, "query: a name alone");
    ok(http_query_next(&rest, &a, &key, &value, &f) == CE_OK && http_query_next(&rest, &a, &key, &value, &f) == CE_NOT_FOUND,
       "query: ends");
    rest = S("a=%00");
    ok(http_query_next(&rest, &a, &key, &value, &f) == CE_BAD_INPUT, "query: control bytes are refused");
    rest = S("=x");
    ok(http_query_next(&rest, &a, &key, &value, &f) == CE_BAD_INPUT, "query: an empty name is refused");
    ok(http_media_is(S("Application/JSON; charset=utf-8"), "application/json") &&
           !http_media_is(S("application/jsonx"), "application/json") && !http_media_is(S(""), "application/json"),
       "media types");
    ok(http_accepts(S("text/html, application/pkix-cert;q=0.5"), "application/pkix-cert") &&
           !http_accepts(S("application/pkix-cert;q=0.0"), "application/pkix-cert") && !http_accepts(S("*/*"), "application/pkix-cert"),
       "Accept by name");
    ok(http_if_match(S("\"17\""), &rev, &f) == CE_OK && rev == 17 && http_if_match(S("*"), &rev, &f) == CE_OK && rev == -1, "If-Match");
    ok(http_if_match(S("W/\"17\""), &rev, &f) && http_if_match(S("17"), &rev, &f) && http_if_match(S("\"1\", \"2\""), &rev, &f) &&
           http_if_match(S("\"-1\""), &rev, &f) && http_if_match(S("\"99999999999999999999\""), &rev, &f),
       "If-Match takes one strong number");
    ok(!http_idem_check(S("abc-1"), &f) && http_idem_check(S("a b"), &f) && http_idem_check(S("\x7f"), &f) &&
           http_idem_check(S("0123456789012345678901234567890123456789012345678901234567890123x"), &f),
       "idempotency keys");
    ok(http_verify_err(S("SUCCESS")) == CE_OK && http_verify_err(S("NONE")) == CE_NO_CERT && http_verify_err(S("")) == CE_NO_CERT &&
           http_verify_err(S("FAILED:certificate has expired")) == CE_CERT_EXPIRED &&
           http_verify_err(S("FAILED:certificate is not yet valid")) == CE_CERT_NOT_YET &&
           http_verify_err(S("FAILED:self-signed certificate")) == CE_CERT_FOREIGN && http_verify_err(S("success")) == CE_CERT_FOREIGN,
       "nginx' words");
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    ok(http_client_cert(S("-----BEGIN%20CERTIFICATE-----%0AMAA%3D%0A-----END%20CERTIFICATE-----%0A"), &der, &f) == CE_OK && der.len == 2,
       "an escaped PEM certificate");
    ok(http_client_cert(S("%"), &der, &f) == CE_BAD_CERT && http_client_cert(S("MAA="), &der, &f) == CE_BAD_CERT &&
           http_client_cert(S(""), &der, &f) == CE_BAD_CERT,
       "anything else is none");
    arena_free(&a);
}

static enum err est(const char *body, size_t n, size_t want)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(8192);
    struct fault f;
    enum err e = est_body_decode(span_of(body, n), &b, &f);
    return e ? e : b.len == want ? CE_OK : CE_INTERNAL;
}
#define EST(body, want) est(body, sizeof(body) - 1, want)

static void test_est(void)
{
    ok(EST("MAMCAQE=", 5) == CE_OK && EST("MAMC\r\nAQE=\r\n", 5) == CE_OK && EST("  MAMCAQE", 5) == CE_OK,
       "EST: base64 with, without breaks and padding");
    ok(EST("-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQE=\n-----END CERTIFICATE REQUEST-----\n", 5) == CE_OK,
       "EST: PEM armour is tolerated");
    ok(EST("-----BEGIN NEW CERTIFICATE REQUEST-----\nMAMCAQE=\n-----END NEW CERTIFICATE REQUEST-----\n", 5) == CE_OK,
       "EST: the old armour too");
    ok(EST("-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n", 5) == CE_BAD_BASE64, "EST: other armour is not");
    ok(EST("\x30\x82\x00\x00", 4) == CE_OK, "EST: raw DER is taken as it is");
    ok(EST("", 0) == CE_TRUNCATED && EST(" \r\n", 0) == CE_TRUNCATED && EST("MAM!", 0) == CE_BAD_BASE64 &&
           EST("MAMCAQE=x", 0) == CE_BAD_BASE64,
       "EST: bad bodies");
    CLEANUP(buf_free) struct buf attrs = BUF_INIT(0), none = BUF_INIT(0);
    struct fault f;
    static const uint8_t want[] = {0x30, 0x21, 0x30, 0x15, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
                                   0x01, 0x31, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
                                   0x07, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    ok(est_csrattrs("ec:P-256", false, &attrs, &f) == CE_OK && span_eq(buf_span(&attrs), span_of(want, sizeof want)),
       "csrattrs: P-256 with ecdsa-with-SHA256, byte by byte");
    ok(est_csrattrs("ec:P-256 ec:P-384 ed25519 rsa:3072", true, &none, &f) == CE_OK && est_csrattrs("dsa", true, &none, &f) == CE_UNSUPPORTED,
       "csrattrs of every algorithm, none of an unknown one");
}

static void test_cms(void)
{
    static const uint8_t fake[] = {0x30, 0x03, 0x02, 0x01, 0x01};
    const struct span certs[] = {{fake, sizeof fake}, {fake, sizeof fake}};
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    cms_certs_only(NULL, 0, &b);
    const uint8_t *p = b.data;
    PKCS7 *p7 = d2i_PKCS7(NULL, &p, (long)b.len);
    ok(p7 && PKCS7_type_is_signed(p7) && p == b.data + b.len, "certs-only: OpenSSL reads the empty one");
    PKCS7_free(p7);
    size_t empty = b.len;
    buf_reset(&b);
    cms_certs_only(certs, 2, &b);
    ok(b.len >= empty + 2 * sizeof fake && memmem(b.data, b.len, fake, sizeof fake), "certs-only holds what was given");
}

static void test_problem(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0), t = BUF_INIT(0);
    const struct problem p = {.code = CE_UID_UNKNOWN, .detail = S("no device \"x\""), .instance = S("abc")};
    problem_json(&p, &b);
    ok(span_eq_str(buf_span(&b),
                   "{\"type\":\"urn:cradle:problem:uid-unknown\",\"title\":\"no device with this UID is registered\",\"status\":404,"
                   "\"detail\":\"no device \\\"x\\\"\",\"reason\":\"uid-unknown\",\"instance\":\"urn:cradle:request:abc\"}\n"),
       "RFC 9457 problem");
    problem_text(&p, &t);
    ok(span_eq_str(buf_span(&t), "uid-unknown: no device \"x\"\n"), "EST text");
}

int main(void)
{
    test_http();
    test_est();
    test_cms();
    test_problem();
    return done();
}
