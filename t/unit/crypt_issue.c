/* crypt_issue.c: certificates of a site and leaves, judged by openssl and certtool. */
#include "crypt/crl.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"

static char dir[64];
static struct ca root, device, infra;
static struct profile prof, oper;
static struct key *dev_key;

static struct issue_request request(const uint8_t *serial, const char *uid)
{
    int64_t now = clock_now_s();
    return (struct issue_request){ .serial = span_of(serial, 16), .spki = key_spki(dev_key), .not_before = now - 300,
                                   .not_after = now + prof.validity_s, .values = { .uid = span_str(uid), .serial = SPAN_LIT("SN 1/2"),
                                   .line = SPAN_LIT("pump"), .role = SPAN_LIT("admin") } };
}

static void chains(void)
{
    ok(site_sh("openssl x509 -in %s/ca/root.pem -noout -text | grep -q 'CA:TRUE, pathlen:1'", dir), "root: pathlen 1");
    ok(site_sh("openssl verify -x509_strict -CAfile %s/ca/root.pem %s/ca/device.pem %s/ca/infra.pem >&2", dir, dir, dir), "issuing CAs verify strictly");
    ok(site_sh("openssl x509 -in %s/ca/device.pem -noout -text > %s/t; cat %s/t >&2; grep -q 'CA:TRUE, pathlen:0' %s/t && grep -q 'URI:" SITE_URL
               "/crl/root/0.crl' %s/t && grep -q 'CA Issuers - URI:" SITE_URL "/ca/root.cer' %s/t", dir, dir, dir, dir, dir, dir), "device CA: pathlen 0, CDP and AIA of root");
    ok(site_sh("openssl verify -x509_strict -CAfile %s/ca/root.pem -untrusted %s/ca/device.pem %s/ca/device-ocsp.pem >&2", dir, dir, dir), "OCSP responder certificate verifies");
    ok(site_sh("openssl x509 -in %s/ca/infra-ocsp.pem -noout -text | grep -q 'OCSP No Check'", dir), "OCSP responder certificate: ocsp-nocheck");
}

static void leaf(const char *uid)
{
    uint8_t serial[16];
    struct fault f = { .code = CE_OK };
    struct buf der = BUF_INIT(0);
    struct cert c;
    site_must(issue_serial(serial), NULL, "serial");
    struct issue_request r = request(serial, uid);
    ok(issue_leaf(&device, &prof, &r, &der, &f) == CE_OK, "a leaf for %s is issued (%s)", uid, f.text);
    ok(cert_parse(buf_span(&der), &c, &f) == CE_OK && cert_check_issued(&c, &device.cert) == CE_OK, "our reader takes it (%s)", f.text);
    ok(span_eq_str(c.cn, uid) && span_eq_str(c.serial_number, "SN 1/2") && span_eq_str(c.o, "Test, Works"), "names as the profile says");
    ok(c.not_before == r.not_before && c.not_after == r.not_after && span_eq(c.serial, r.serial) && span_eq(c.aki, device.cert.ski) &&
       c.key_usage == KU_DIGITAL_SIGNATURE && c.eku == EKU_CLIENT_AUTH && !c.is_ca && c.ski.n == 20, "dates, serial, AKI, usage");
    site_write_cert(dir, "leaf.pem", buf_span(&der));
    ok(site_sh("openssl verify -x509_strict -purpose sslclient -CAfile %s/ca/root.pem -untrusted %s/ca/device.pem %s/leaf.pem >&2", dir, dir, dir), "openssl verify -x509_strict");
    ok(!site_sh("openssl verify -purpose sslserver -CAfile %s/ca/root.pem -untrusted %s/ca/device.pem %s/leaf.pem >/dev/null 2>&1", dir, dir, dir), "not as a TLS server");
    ok(site_sh("cat %s/leaf.pem %s/ca/device.pem %s/ca/root.pem > %s/chain.pem; certtool --verify --load-ca-certificate %s/ca/root.pem --infile %s/chain.pem > %s/t 2>&1 || { cat %s/t >&2; false; }",
               dir, dir, dir, dir, dir, dir, dir, dir), "certtool verifies the chain");
    ok(site_sh("openssl x509 -in %s/leaf.pem -noout -text > %s/t; cat %s/t >&2; grep -q 'URI:urn:cradle:pump:%s' %s/t && grep -q 'OCSP - URI:" SITE_URL "/ocsp' %s/t && grep -q 'URI:" SITE_URL
               "/crl/device/%u.crl' %s/t", dir, dir, dir, uid, dir, dir, ca_shard(&device, r.serial), dir), "SAN, OCSP and shard URLs");
    buf_free(&der);
}

static void refusals(void)
{
    uint8_t serial[16] = { 1, 2, 3 }, high[16] = { 0x80 }, zero[16] = { 0, 1 };
    struct fault f = { .code = CE_OK };
    struct buf der = BUF_INIT(0);
    struct key *weak;
    struct issue_request good = request(serial, "dev-1"), r;
#define REFUSED(change, want, what)                                                              \
    do {                                                                                         \
        r = good;                                                                                \
        change;                                                                                  \
        enum err e = issue_leaf(&device, &prof, &r, &der, &f);                                   \
        ok(e == want && der.len == 0 && f.text[0], "refused: %s (%s: %s)", what, err_name(e), f.text); \
    } while (0)
    REFUSED(r.not_after = r.not_before + prof.validity_max_s + 301, CE_BAD_FIELD, "a life beyond the profile's maximum");
    REFUSED(r.not_before = device.cert.not_after - 60; r.not_after = device.cert.not_after + 1, CE_BAD_FIELD, "a life beyond the CA's end");
    REFUSED(r.serial = span_of(serial, 15), CE_BAD_FIELD, "a serial of 15 bytes");
    REFUSED(r.serial = span_of(high, 16), CE_BAD_FIELD, "a negative serial");
    REFUSED(r.serial = span_of(zero, 16), CE_BAD_FIELD, "a serial with a leading zero");
    REFUSED(r.values.uid = SPAN_LIT("a\nb"), CE_BAD_UID, "a UID with a newline");
    REFUSED(r.values.uid = SPAN_LIT(""), CE_BAD_UID, "an empty UID");
    REFUSED(r.values.line = SPAN_LIT("a/b"), CE_BAD_NAME, "a line with a slash");
    REFUSED(r.not_after = r.not_before, CE_BAD_FIELD, "no life at all");
    site_must(key_generate("rsa:2048", &weak, &f), &f, "rsa");
    REFUSED(r.spki = key_spki(weak), CE_KEY_WEAK, "an RSA-2048 key");
    key_free(weak);
    site_must(key_generate("rsa:3072", &weak, &f), &f, "rsa");
    REFUSED(r.spki = key_spki(weak), CE_KEY_ALG, "an RSA-3072 key, which the profile does not name");
    key_free(weak);
    r = good;
    ok(issue_leaf(&infra, &prof, &r, &der, &f) == CE_BAD_FIELD, "refused: profile device at CA infra");
    buf_free(&der);
}

/* A token with a fault: its signatures have a bit flipped. */
static enum err sign_faulty(void *ctx, struct span message, struct buf *sig)
{
    enum err e = key_sign(ctx, message, sig);
    sig->data[sig->len - 1] ^= 1;
    return e;
}

static void faulty_signatures(void)
{
    uint8_t serial[16] = { 1 };
    struct fault f = { .code = CE_OK };
    struct ca bad;
    struct key *k;
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    site_must(key_external(device.cert.spki, sign_faulty, NULL, device.key, &k, &f), &f, "external key");
    site_must(ca_open(&bad, "device", buf_span(&device.der), k, SITE_URL, 16, &f), &f, "CA");
    struct issue_request r = request(serial, "dev-1");
    ok(issue_leaf(&bad, &prof, &r, &out, &f) == CE_CRYPTO && out.len == 0, "a certificate with a wrong signature is not released: %s", f.text);
    struct crl_request c = { .number = 1, .this_update = 1, .next_update = 2 };
    ok(crl_build(&bad, &c, &out, &f) == CE_CRYPTO && out.len == 0, "nor a CRL: %s", f.text);
    ca_close(&bad);
    ok(ca_open(&bad, "device", buf_span(&device.der), NULL, SITE_URL, 16, &f) == CE_OK && issue_leaf(&bad, &prof, &r, &out, &f) == CE_SIGNER, "without its key: %s", f.text);
    ca_close(&bad);
}

static void tls(void)
{
    struct fault f = { .code = CE_OK };
    struct buf der = BUF_INIT(0);
    int64_t now = clock_now_s();
    struct issue_spec spec = { .cn = "server", .org = "Test Works", .spki = key_spki(dev_key), .not_before = now - 300, .not_after = now + SITE_DAY };
    ok(issue_tls(&infra, &spec, "localhost, 127.0.0.1 ::1 broker.example", &der, &f) == CE_OK, "TLS server certificate (%s)", f.text);
    site_write_cert(dir, "tls.pem", buf_span(&der));
    ok(site_sh("openssl verify -x509_strict -purpose sslserver -verify_hostname broker.example -CAfile %s/ca/root.pem -untrusted %s/ca/infra.pem %s/tls.pem >&2", dir, dir, dir), "it verifies for its host name");
    ok(site_sh("openssl verify -purpose sslserver -verify_ip ::1 -CAfile %s/ca/root.pem -untrusted %s/ca/infra.pem %s/tls.pem >&2", dir, dir, dir), "and for its address");
    buf_reset(&der);
    ok(issue_tls(&infra, &spec, "bad/host", &der, &f) == CE_BAD_NAME && issue_tls(&infra, &spec, " ", &der, &f) == CE_BAD_NAME, "bad host names are refused");
    spec.not_after = infra.cert.not_after + 1;
    ok(issue_tls(&infra, &spec, "localhost", &der, &f) == CE_BAD_FIELD, "no server certificate outlives its CA");
    buf_reset(&der);
    struct buf devtls = BUF_INIT(0);
    spec.not_after = now + SITE_DAY;
    site_must(issue_tls(&device, &spec, "localhost", &devtls, &f), &f, "tls by device CA");
    site_write_cert(dir, "tls2.pem", buf_span(&devtls));
    ok(!site_sh("openssl verify -purpose sslserver -CAfile %s/ca/root.pem -untrusted %s/ca/device.pem %s/tls2.pem >/dev/null 2>&1", dir, dir, dir),
       "a TLS server certificate of the device CA would not be accepted");
    buf_free(&devtls);
    buf_free(&der);
}

int main(void)
{
    struct fault f = { .code = CE_OK };
    site_make(dir, &root, 16);
    site_must(ca_load(&device, dir, "device", SITE_URL, 16, &key_source_files, &f), &f, "device CA");
    site_must(ca_load(&infra, dir, "infra", SITE_URL, 16, &key_source_files, &f), &f, "infra CA");
    site_must(profile_load(dir, "device", &prof, &f), &f, "profile device");
    site_must(profile_load(dir, "operator", &oper, &f), &f, "profile operator");
    site_must(key_generate("ec:P-256", &dev_key, &f), &f, "device key");
    chains();
    leaf("dev-0001");
    leaf("A.B:c_d-e.example");
    refusals();
    faulty_signatures();
    tls();
    key_free(dev_key);
    ca_close(&root);
    ca_close(&device);
    ca_close(&infra);
    site_remove(dir);
    return done();
}
