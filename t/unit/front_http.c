/* The front over HTTP: answers, refusals, caches, streams; core and query are played (front_harness.h). */
#include "t/unit/front_harness.h"

#define JSON "Content-Type: application/json\r\n"
#define CSR "Content-Type: application/pkcs10\r\n"

/* A CSR made by openssl: subject and extra options as on its command line; base64 text. */
static char *csr_text(const char *key_options, const char *subject, const char *more)
{
    static char text[16384];
    char command[1024];
    snprintf(command, sizeof command,
             "cd %s && openssl req -new -utf8 -newkey %s -nodes -keyout tmp.key -subj '%s' %s -outform DER 2>/dev/null | openssl base64 -A",
             T, key_options, subject, more);
    FILE *p = popen(command, "r");
    size_t n = p ? fread(text, 1, sizeof text - 1, p) : 0;
    text[n] = 0;
    if (p)
        pclose(p);
    return text;
}
#define P256 "ec -pkeyopt ec_paramgen_curve:P-256"

static struct resp enroll(const char *csr)
{
    return request("POST", "/.well-known/est/simpleenroll", "station", CSR, csr);
}

static void test_est(void)
{
    struct resp r = request("GET", "/.well-known/est/cacerts", NULL, NULL, NULL);
    ok(r.status == 200 && has(&r, "application/pkcs7-mime; smime-type=certs-only") && has(&r, "Content-Transfer-Encoding: base64"),
       "cacerts: media type");
    FILE *p =
        popen("openssl base64 -d | openssl pkcs7 -inform DER -print_certs -noout | grep -c 'subject=CN *= *test' >/tmp/front.$PPID.out", "w");
    fwrite(r.body, 1, r.n, p);
    pclose(p);
    char path[64], got[8] = "";
    snprintf(path, sizeof path, "/tmp/front.%d.out", getpid());
    FILE *f = fopen(path, "r");
    ok(f && fgets(got, sizeof got, f) && strcmp(got, "3\n") == 0, "cacerts: openssl reads three certificates");
    if (f)
        fclose(f);
    unlink(path);
    resp_free(&r);
    r = request("GET", "/.well-known/est/pump/csrattrs", NULL, NULL, NULL);
    ok(r.status == 200 && has(&r, "application/csrattrs"), "csrattrs with a label");
    resp_free(&r);
    ok(answers(request("GET", "/.well-known/est/pu%20mp/cacerts", NULL, NULL, NULL), 400, "bad-name"), "a bad label is refused");
    ok(answers(request("GET", "/.well-known/est/valve/cacerts", NULL, NULL, NULL), 404, "line-unknown"), "a label that is no product line");
    r = enroll(csr_text(P256, "/CN=dev-7/serialNumber=S1/O=Maker", "-addext subjectAltName=URI:urn:x"));
    ok(r.status == 200 && has(&r, "certs-only"), "simpleenroll answers with certs-only");
    resp_free(&r);
    r = request("POST", "/.well-known/est/simplereenroll", "dev-1", CSR, csr_text(P256, "/CN=dev-1", ""));
    ok(r.status == 200, "simplereenroll by the device itself");
    resp_free(&r);
    ok(answers(request("POST", "/.well-known/est/serverkeygen", "station", CSR, "x"), 403, "serverkeygen-refused"),
       "serverkeygen is refused on principle");
    r = enroll(csr_text(P256, "/CN=UNKNOWN-1", ""));
    ok(r.status == 404 && has(&r, "text/plain") && strncmp(r.body, "uid-unknown: ", 13) == 0 && has(&r, "X-Cradle-Reason: uid-unknown"),
       "core's refusal is one line of text");
    resp_free(&r);
    r = enroll(csr_text(P256, "/CN=DISK-1", ""));
    ok(r.status == 503 && has(&r, "Retry-After: 3"), "our own trouble is 503 with Retry-After");
    resp_free(&r);
}

static const struct {
    const char *key, *subject, *more, *reason;
} bad_csrs[] = {
    {"rsa:1024", "/CN=dev-7", "", "key-weak"},
    {"rsa:2048 -sha256", "/CN=dev-7", "", "key-weak"},
    {"rsa:3072 -pkeyopt rsa_keygen_pubexp:3", "/CN=dev-7", "", "key-algorithm"},
    {"ec -pkeyopt ec_paramgen_curve:P-192", "/CN=dev-7", "", "key-weak"},
    {"ec -pkeyopt ec_paramgen_curve:secp256k1", "/CN=dev-7", "", "key-algorithm"},
    {P256, "/CN=a\\+b", "", "bad-"},
    {P256, "/CN=a#b", "", "bad-uid"},
    {P256, "/CN=a\\/b", "", "bad-uid"},
    {P256, "/CN=..", "", "bad-uid"},
    {P256, "/CN= dev", "", "bad-uid"},
    {P256, "/CN=d\xc3\xa9j\xc3\xa0", "", "bad-uid"},
    {P256, "/CN=dev-7/CN=dev-8", "", "bad-"},
    {P256, "/O=Maker", "", "bad-"},
    {P256, "/CN=dev-7/OU=x", "", "bad-name"},
    {P256, "/CN=dev-7", "-addext subjectAltName=DNS:evil.example", "bad-name"},
    {P256, "/CN=dev-7", "-addext subjectAltName=URI:urn:a,URI:urn:b", "bad-name"},
    {P256, "/CN=dev-7", "-addext subjectAltName=email:a@b", "bad-name"},
};

static void bad_csr(const char *text, const char *reason, const char *name)
{
    struct resp r = enroll(text);
    char want[64];
    snprintf(want, sizeof want, "X-Cradle-Reason: %s", reason);
    ok(r.status == 400 && has(&r, want) && has(&r, "text/plain"), "%s: %d %.60s", name, r.status, r.status ? strtok(r.body, "\n") : "");
    resp_free(&r);
}

static void test_bad_csrs(void)
{
    char name[128];
    for (size_t i = 0; i < ARRAY_LEN(bad_csrs); i++) {
        snprintf(name, sizeof name, "CSR with %.40s and %.60s", bad_csrs[i].key, bad_csrs[i].subject);
        const char *text = csr_text(bad_csrs[i].key, bad_csrs[i].subject, bad_csrs[i].more);
        if (strcmp(bad_csrs[i].key, "rsa:1024") != 0 || text[0])
            bad_csr(text, bad_csrs[i].reason, name);
    }
    /* the CN's bytes of a good CSR replaced: the signature breaks too, but the name is what counts first */
    struct buf der = BUF_INIT(0), b64 = BUF_INIT(0);
    ok(base64_decode(span_str(csr_text(P256, "/CN=QQQQ-9", "")), &der) == CE_OK, "a good CSR to spoil");
    uint8_t *cn = memmem(der.data, der.len, "QQQQ", 4);
    static const struct {
        const char *bytes, *what;
    } cns[] = {{"a\0bc", "NUL"},
               {"a\nbc", "newline"},
               {"a/bc", "/"},
               {"a+bc", "+"},
               {"\xff\xfe"
                "bc",
                "non-UTF-8"}};
    for (size_t i = 0; cn && i < ARRAY_LEN(cns); i++) {
        memcpy(cn, cns[i].bytes, 4);
        buf_reset(&b64);
        buf_put_base64(&b64, buf_span(&der), 0);
        snprintf(name, sizeof name, "CN with %s", cns[i].what);
        bad_csr(buf_cstr(&b64), "bad-", name);
    }
    memcpy(cn, "RRRR", 4);
    buf_reset(&b64);
    buf_put_base64(&b64, buf_span(&der), 64);
    bad_csr(buf_cstr(&b64), "csr-bad-signature", "CSR with another name than was signed");
    size_t bad = 0, n = 0, other = 0;
    memcpy(cn, "QQQQ", 4);
    for (size_t cut = 1; cut < der.len; cut += 7, n++) {
        buf_reset(&b64);
        buf_put_base64(&b64, span_of(der.data, cut), 0);
        struct resp r = enroll(buf_cstr(&b64));
        bad += r.status == 400;
        resp_free(&r);
    }
    ok(bad == n, "every truncated CSR is a 400 (%zu of %zu)", bad, n);
    bad = n = 0;
    for (size_t i = 0; i < der.len; i++, n++) {
        der.data[i] ^= (uint8_t)(1u << (i % 8));
        buf_reset(&b64);
        buf_put_base64(&b64, buf_span(&der), 0);
        struct resp r = enroll(buf_cstr(&b64));
        bad += r.status == 400;
        other += r.status >= 500;
        der.data[i] ^= (uint8_t)(1u << (i % 8));
        resp_free(&r);
    }
    ok(bad == n && other == 0, "every CSR with one flipped bit is a 400, none a 500 (%zu of %zu)", bad, n);
    char *big = mem_alloc(20001);
    memset(big, 'A', 20000);
    big[20000] = 0;
    ok(answers(enroll(big), 413, "too-large"), "an oversized CSR is a 413");
    big[16000] = 0;
    ok(answers(enroll(big), 413, "too-large"), "a CSR over the codec's bound is a 413 as well");
    free(big);
    ok(answers(enroll(""), 400, "truncated"), "an empty body is a 400");
    ok(answers(request("POST", "/.well-known/est/simpleenroll", "station", "Content-Type: text/plain\r\n", "MAA="), 415, "media-type"),
       "another media type is a 415");
    ok(strstr(tell("last"), "\"msg\":\"refused\"") != NULL, "core hears of what front refuses alone");
    buf_free(&der);
    buf_free(&b64);
}

static void test_callers(void)
{
    ok(answers(request("GET", "/api/v1/devices", NULL, NULL, NULL), 401, "no-client-certificate"), "no certificate");
    ok(answers(request_as("GET", "/api/v1/devices", "admin", "FAILED:certificate has expired", NULL, span_str("")), 401,
               "certificate-expired"),
       "expired");
    ok(answers(request_as("GET", "/api/v1/devices", "admin", "FAILED:certificate is not yet valid", NULL, span_str("")), 401,
               "certificate-not-yet-valid"),
       "not yet valid");
    ok(answers(request_as("GET", "/api/v1/devices", "foreign", "FAILED:self-signed certificate", NULL, span_str("")), 401,
               "certificate-foreign"),
       "foreign");
    ok(answers(request_as("GET", "/api/v1/devices", "foreign", "SUCCESS", NULL, span_str("")), 401, "certificate-foreign"),
       "foreign, even if it were verified");
    ok(answers(request("GET", "/api/v1/devices", "nobody", NULL, NULL), 401, "certificate-unknown"),
       "of our CA, but nobody that core named");
    ok(answers(request_as("GET", "/api/v1/devices", NULL, "SUCCESS", "X-Cradle-Client-Cert: %zz\r\n", span_str("")), 400,
               "bad-certificate"),
       "an unreadable certificate");
    ok(answers(request("GET", "/api/v1/devices", "dev-1", NULL, NULL), 403, "role-forbidden"), "a device is no operator");
    ok(answers(request("GET", "/api/v1/devices", "dev-1", "X-Cradle-Verify: SUCCESS\r\n", NULL), 400, "bad-input"),
       "a repeated header of the ingress is refused");
    tell("block %s/operator.pem certificate-revoked", T);
    bool cut = false;
    for (int i = 0; i < 200 && !cut; i++) {
        struct resp r = request("GET", "/api/v1/devices", "operator", NULL, NULL);
        cut = r.status == 403 && has(&r, "certificate-revoked");
        resp_free(&r);
    }
    ok(cut, "a revoked certificate is refused from the push on");
    tell("lift %s/operator.pem", T);
    tell("remove auditor auditor");
    tell("block %s/dev-2.pem device-suspended", T);
    ok(wait_tell("open", "0"), "(pushes are under way)");
    usleep(50000);
    struct resp r = request("GET", "/api/v1/devices", "operator", NULL, NULL);
    ok(r.status == 200, "lifted: served again");
    resp_free(&r);
    ok(answers(request("GET", "/api/v1/devices", "auditor", NULL, NULL), 403, "operator-removed"), "a removed operator");
    ok(answers(request("POST", "/.well-known/est/simplereenroll", "dev-2", CSR, "MAA="), 403, "device-suspended"), "a suspended device");
    tell("ident auditor auditor");
}

static void test_rest(void)
{
    struct resp r = request("POST", "/api/v1/devices", "admin", JSON "Idempotency-Key: k-1\r\n", "{\"uid\":\"D-1\",\"model\":\"m\"}");
    ok(r.status == 201 && has(&r, "Location: /api/v1/devices/D-1") && has(&r, "ETag: \"7\"") && has(&r, "\"idem\":\"k-1\"") &&
           has(&r, "\"addr\":\"192.0.2.7\"") && has(&r, "\"kind\":1") && has(&r, "\"cn\":\"admin\"") &&
           has(&r, "X-Request-Id: 0123456789abcdef"),
       "device_add: 201, Location, ETag, caller");
    resp_free(&r);
    r = request("PATCH", "/api/v1/devices/D%3A1", "admin", JSON "If-Match: \"7\"\r\n",
                "{\"state\":\"revoked\",\"reason\":\"keyCompromise\"}");
    ok(r.status == 200 && has(&r, "\"uid\":\"D:1\"") && has(&r, "\"if_match\":7") && has(&r, "\"state\":\"revoked\""),
       "device_state: path, If-Match, body");
    resp_free(&r);
    r = request("GET", "/api/v1/devices?line=pump&limit=7&after=abc%3D", "station", NULL, NULL);
    ok(r.status == 200 && has(&r, "\"what\":\"devices\"") && has(&r, "\"line\":\"pump\"") && has(&r, "\"limit\":7") &&
           has(&r, "\"after\":\"abc=\"") && has(&r, "\"scope\":\"pump\""),
       "device_list: filters, and a station's lines");
    resp_free(&r);
    r = request("POST", "/api/v1/certs/00aB01/revoke", "admin", NULL, NULL);
    ok(r.status == 200 && has(&r, "\"serial\":\"ab01\""), "cert_revoke: serial in canonical form, no body needed");
    resp_free(&r);
    r = request("POST", "/edge/v1/report", "edge", JSON,
                "[{\"id\":\"1\",\"kind\":\"cut\",\"at\":\"2026-11-20T22:57:00Z\"},{\"id\":\"2\",\"kind\":\"ack\",\"at\":\"2026-11-20T22:57:"
                "00.500Z\"}]");
    ok(r.status == 200 && strcmp(r.body, "{\"accepted\":2}") == 0, "edge reports are counted");
    resp_free(&r);
    static const struct {
        const char *method, *path, *headers, *body;
        int status;
        const char *reason;
    } bad[] = {
        {"GET", "/api/v1/devices?sort=up", NULL, NULL, 400, "bad-field"},
        {"GET", "/api/v1/devices?limit=0", NULL, NULL, 400, "bad-field"},
        {"GET", "/api/v1/devices?limit=501", NULL, NULL, 400, "bad-field"},
        {"GET", "/api/v1/devices?line=a&line=b", NULL, NULL, 400, "bad-field"},
        {"GET", "/api/v1/devices?line=%zz", NULL, NULL, 400, "bad-input"},
        {"GET", "/api/v1/devices/a%2Fb", NULL, NULL, 400, "bad-uid"},
        {"GET", "/api/v1/devices/%00", NULL, NULL, 400, "bad-input"},
        {"GET", "/api/v1/certs/xyz", NULL, NULL, 400, "bad-field"},
        {"GET", "/api/v1/nothing", NULL, NULL, 404, "no-route"},
        {"PUT", "/api/v1/devices", JSON, "{}", 405, "method-not-allowed"},
        {"DELETE", "/api/v1/devices/D-1", NULL, NULL, 405, "method-not-allowed"},
        {"POST", "/api/v1/devices", JSON, "{", 400, "bad-json"},
        {"POST", "/api/v1/devices", JSON, "{\"uid\":\"a\",\"uid\":\"b\",\"model\":\"m\"}", 400, "bad-json"},
        {"POST", "/api/v1/devices", JSON, "{\"uid\":\"a\"}", 400, "bad-field"},
        {"POST", "/api/v1/devices", JSON, "{\"uid\":1,\"model\":\"m\"}", 400, "bad-field"},
        {"POST", "/api/v1/devices", JSON, "{\"uid\":\"a\",\"model\":\"m\",\"role\":\"admin\"}", 400, "bad-field"},
        {"POST", "/api/v1/devices", JSON, "[]", 400, "bad-field"},
        {"POST", "/api/v1/devices", JSON, "", 400, "bad-json"},
        {"POST", "/api/v1/devices", "Content-Type: text/xml\r\n", "{}", 415, "media-type"},
        {"PATCH", "/api/v1/devices/D-1", JSON "If-Match: W/\"1\"\r\n", "{\"state\":\"revoked\"}", 400, "bad-field"},
        {"POST", "/api/v1/devices", JSON "Idempotency-Key: a b\r\n", "{\"uid\":\"D-1\",\"model\":\"m\"}", 400, "bad-field"},
        {"POST", "/api/v1/devices", JSON, "{\"uid\":\"UNKNOWN-1\",\"model\":\"m\"}", 404, "uid-unknown"},
        {"POST", "/api/v1/operators", JSON, "{\"name\":\"o\",\"role\":\"root\",\"csr\":\"MAA=\"}", 400, "bad-field"},
        {"POST", "/api/v1/operators", JSON, "{\"name\":\"o\",\"role\":\"admin\",\"csr\":\"MAA=\"}", 400, "bad-"},
        {"GET", "/healthz", NULL, "body", 413, "too-large"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        r = request(bad[i].method, bad[i].path, "admin", bad[i].headers, bad[i].body);
        char want[64];
        snprintf(want, sizeof want, "X-Cradle-Reason: %s", bad[i].reason);
        ok(r.status == bad[i].status && has(&r, want) && has(&r, "application/problem+json") && has(&r, "\"type\":\"urn:cradle:problem:"),
           "%s %s %.40s: %d %s", bad[i].method, bad[i].path, bad[i].body ? bad[i].body : "", r.status, bad[i].reason);
        resp_free(&r);
    }
    r = request("PUT", "/api/v1/devices", "admin", JSON, "{}");
    ok(has(&r, "Allow: GET, POST"), "405 says what is allowed");
    resp_free(&r);
    r = request("HEAD", "/healthz", NULL, NULL, NULL);
    ok(r.status == 200 && r.n == 0, "HEAD has no body");
    resp_free(&r);
    r = request("GET", "/metrics", "auditor", NULL, NULL);
    ok(r.status == 200 && has(&r, "version=0.0.4") && has(&r, "bad_fields ") && !has(&r, "bad_fields 0"),
       "metrics come from core, which has heard this front's counters before");
    resp_free(&r);
    r = request("GET", "/metrics", NULL, "X-Cradle-Port: plain\r\n", NULL);
    ok(r.status == 401, "on the plain port only for this host");
    resp_free(&r);
}

static void test_operator_add(void)
{
    struct buf body = BUF_INIT(0);
    buf_printf(&body, "{\"name\":\"line-2\",\"role\":\"station\",\"lines\":\"pump\",\"csr\":\"%s\"}", csr_text(P256, "/CN=line-2", ""));
    struct resp r = request("POST", "/api/v1/operators", "admin", JSON, buf_cstr(&body));
    ok(r.status == 201 &&
           has(&r, "{\"name\":\"line-2\",\"role\":\"station\",\"certificate\":\"-----BEGIN CERTIFICATE-----\\u000aMDEyMw==\\u000a"),
       "operator_add answers with PEM in JSON");
    resp_free(&r);
    buf_reset(&body);
    buf_printf(&body, "{\"name\":\"line-3\",\"role\":\"station\",\"csr\":\"%s\"}", csr_text(P256, "/CN=line-2", ""));
    ok(answers(request("POST", "/api/v1/operators", "admin", JSON, buf_cstr(&body)), 403, "name-mismatch"),
       "the CSR must name the operator");
    buf_free(&body);
}

int main(void)
{
    if (harness_start() != 0) {
        ok(false, "the front starts");
        return done();
    }
    bool ready = false;
    for (int i = 0; i < 250 && !ready; i++) {
        struct resp r = request("GET", "/healthz", NULL, NULL, NULL);
        ready = r.status == 200;
        resp_free(&r);
    }
    ok(ready, "the front is open");
    test_est();
    test_bad_csrs();
    test_callers();
    test_rest();
    test_operator_add();
    ok(harness_stop() == 0, "the front ends cleanly");
    return done();
}
