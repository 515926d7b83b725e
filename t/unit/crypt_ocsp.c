/* crypt_ocsp.c: OCSP requests made by openssl ocsp, answers judged by it, and malformed requests. */
#include "crypt/der.h"
#include "crypt/ocsp.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"

static char dir[64];
static struct ca root, device, infra;
static int64_t now;

static void read_der(const char *name, struct buf *out)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", dir, name);
    buf_reset(out);
    site_must(file_read(path, out), NULL, path);
}

/* Asks with openssl, answers with our code, lets openssl judge the answer (-no_nonce: it would put a new nonce into the
 * request that it reads back; the one already there is compared). */
static bool round_trip(const char *args, enum ocsp_cert_status status, int reason, const char *grep)
{
    CLEANUP(buf_free) struct buf req = BUF_INIT(0), resp = BUF_INIT(0);
    struct ocsp_request q;
    struct ocsp_single s[OCSP_IDS_MAX];
    struct fault f = { .code = CE_OK };
    if (!site_sh("openssl ocsp -issuer %s/ca/device.pem %s -reqout %s/q.der 2>/dev/null", dir, args, dir))
        return false;
    read_der("q.der", &req);
    site_must(ocsp_request_parse(buf_span(&req), &q, &f), &f, "request");
    for (size_t i = 0; i < q.n; i++) {
        if (!ocsp_certid_match(&q.ids[i], &device) || ocsp_certid_match(&q.ids[i], &infra))
            return false;
        s[i] = (struct ocsp_single){ .certid = q.ids[i].der, .status = status, .revoked_at = now - 100, .reason = reason };
    }
    site_must(ocsp_response_build(&device, s, q.n, now, now + 300, q.nonce, &resp, &f), &f, "response");
    site_write(dir, "r.der", buf_span(&resp), 0644);
    return site_sh("openssl ocsp -issuer %s/ca/device.pem %s -no_nonce -reqin %s/q.der -respin %s/r.der -CAfile %s/ca/root.pem > %s/t 2>&1; cat %s/t >&2; "
                   "grep -q 'Response verify OK' %s/t && ! grep -q 'Nonce Verify error' %s/t && grep -q '%s' %s/t", dir, args, dir, dir, dir, dir, dir, dir, dir, grep, dir);
}

static void judged_by_openssl(void)
{
    ok(round_trip("-serial 0x1234", OCSP_GOOD, -1, "0x1234: good"), "good, with nonce");
    ok(round_trip("-serial 0x1234", OCSP_REVOKED, 1, "Reason: keyCompromise"), "revoked, with its reason");
    ok(round_trip("-serial 0x1234", OCSP_REVOKED, 0, "0x1234: revoked"), "revoked, unspecified");
    ok(round_trip("-serial 0x1234", OCSP_UNKNOWN, -1, "0x1234: unknown"), "unknown");
    ok(round_trip("-no_nonce -serial 0x1234", OCSP_GOOD, -1, "0x1234: good"), "without nonce");
    ok(round_trip("-sha256 -serial 0x1234", OCSP_GOOD, -1, "0x1234: good"), "CertID with SHA-256");
    ok(round_trip("-serial 1 -serial 2 -sha256 -serial 0xff00000000000000000000000000000000000001", OCSP_GOOD, -1, "2: good"), "three certificates in one request");
    ok(site_sh("openssl ocsp -issuer %s/ca/device.pem -serial 7 -signer %s/ca/device-ocsp.pem -signkey %s/keys/device-ocsp.key -reqout %s/q.der 2>/dev/null", dir, dir, dir, dir), "openssl signs a request");
    CLEANUP(buf_free) struct buf req = BUF_INIT(0);
    struct ocsp_request q;
    struct fault f = { .code = CE_OK };
    read_der("q.der", &req);
    ok(ocsp_request_parse(buf_span(&req), &q, &f) == CE_OK && q.n == 1, "the signature and requestor are ignored %s", f.text);
}

static void requests(void)
{
    CLEANUP(buf_free) struct buf req = BUF_INIT(0), bad = BUF_INIT(0), resp = BUF_INIT(0);
    struct ocsp_request q;
    struct fault f = { .code = CE_OK };
    site_sh("openssl ocsp -issuer %s/ca/infra.pem -serial 5 -reqout %s/q.der 2>/dev/null", dir, dir);
    read_der("q.der", &req);
    ok(ocsp_request_parse(buf_span(&req), &q, &f) == CE_OK && q.nonce.n == 16 && span_eq(q.ids[0].serial, SPAN_LIT("\5")), "serial and nonce are read");
    struct ocsp_single s = { .certid = q.ids[0].der, .status = OCSP_GOOD, .reason = -1 };
    ok(ocsp_response_build(&device, &s, 1, now, now + 300, q.nonce, &resp, &f) == CE_BAD_FIELD && resp.len == 0, "a CertID of another CA is not answered: %s", f.text);
    ok(ocsp_response_build(&infra, &s, 1, now, now, q.nonce, &resp, &f) == CE_BAD_FIELD, "an answer without validity is refused");
    for (size_t n = 0; n < req.len; n++)
        if (ocsp_request_parse(span_of(req.data, n), &q, NULL) == CE_OK) {
            ok(false, "%zu of %zu bytes are taken for a request", n, req.len);
            return;
        }
    ok(true, "a request that is cut short is refused at every length");
    buf_put_span(&bad, buf_span(&req));
    buf_put_u8(&bad, 0);
    ok(ocsp_request_parse(buf_span(&bad), &q, &f) == CE_BAD_OCSP, "trailing bytes: %s", f.text);
    ok(ocsp_request_parse(SPAN_LIT("\x30\x04\x30\x02\x30\x00"), &q, &f) == CE_BAD_OCSP, "no CertID: %s", f.text);
    CLEANUP(mem_free_p) uint8_t *huge = mem_calloc(1, OCSP_REQUEST_MAX + 1);
    ok(ocsp_request_parse(span_of(huge, OCSP_REQUEST_MAX + 1), &q, &f) == CE_TOO_LARGE, "too large: %s", f.text);
    char many[1200] = "";
    for (int i = 0; i < OCSP_IDS_MAX + 1; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "-serial %d ", i + 1);
    site_sh("openssl ocsp -issuer %s/ca/infra.pem %s -reqout %s/q.der 2>/dev/null", dir, many, dir);
    read_der("q.der", &req);
    ok(ocsp_request_parse(buf_span(&req), &q, &f) == CE_BAD_OCSP, "too many CertIDs: %s", f.text);
}

/* A request with a nonce of n bytes. */
static enum err with_nonce(size_t n, struct ocsp_request *q, struct buf *b)
{
    uint8_t nonce[160] = { 0 };
    buf_reset(b);
    size_t all = der_begin(b, DER_SEQUENCE), tbs = der_begin(b, DER_SEQUENCE), list = der_begin(b, DER_SEQUENCE), one = der_begin(b, DER_SEQUENCE);
    buf_put_span(b, SPAN_LIT("\x30\x12\x30\x07\x06\x05\x2b\x0e\x03\x02\x1a\x04\x01X\x04\x01Y\x02\x01\x05"));
    der_end(b, one);
    der_end(b, list);
    size_t wrap = der_begin(b, DER_CONTEXT_CONS(2)), exts = der_begin(b, DER_SEQUENCE), ext = der_begin(b, DER_SEQUENCE);
    buf_put_span(b, SPAN_LIT("\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x02"));
    size_t oct = der_begin(b, DER_OCTET_STRING);
    der_put(b, DER_OCTET_STRING, span_of(nonce, n));
    der_end(b, oct);
    der_end(b, ext);
    der_end(b, exts);
    der_end(b, wrap);
    der_end(b, tbs);
    der_end(b, all);
    return ocsp_request_parse(buf_span(b), q, NULL);
}

static void nonces(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    struct ocsp_request q;
    ok(with_nonce(1, &q, &b) == CE_OK && q.nonce.n == 1, "a nonce of 1 byte");
    ok(with_nonce(32, &q, &b) == CE_OK && with_nonce(128, &q, &b) == CE_OK && q.nonce.n == 128, "of 32 and 128 bytes");
    ok(with_nonce(0, &q, &b) == CE_BAD_OCSP && with_nonce(129, &q, &b) == CE_BAD_OCSP, "of 0 and 129 bytes: refused (RFC 9654 2.1)");
}

static void errors(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    ocsp_error_response(OCSP_TRY_LATER, &b);
    site_write(dir, "e.der", buf_span(&b), 0644);
    ok(site_sh("openssl ocsp -respin %s/e.der -noverify -text 2>&1 | grep -q trylater", dir), "openssl reads the error answer");
}

int main(void)
{
    struct fault f = { .code = CE_OK };
    now = clock_now_s();
    site_make(dir, &root, 16);
    site_must(ca_load(&device, dir, "device", SITE_URL, 16, &key_source_files, &f), &f, "device CA");
    site_must(ca_load(&infra, dir, "infra", SITE_URL, 16, &key_source_files, &f), &f, "infra CA");
    judged_by_openssl();
    requests();
    nonces();
    errors();
    ca_close(&root);
    ca_close(&device);
    ca_close(&infra);
    site_remove(dir);
    return done();
}
