/* crypt_cert.c: reading certificates of others and profiles: what must be taken, what must be refused. */
#include "crypt/der.h"
#include "crypt/pem.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"

static char dir[64];

static void load(const char *name, struct buf *der, struct cert *c)
{
    struct fault f = { .code = CE_OK };
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", dir, name);
    site_must(cert_load(path, der, c, &f), &f, path);
}

static void foreign(void)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0), der2 = BUF_INIT(0);
    struct cert c, other;
    struct fault f = { .code = CE_OK };
    ok(site_sh("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout a.key -out a.pem -days 20000 -subj '/C=DE/O=Foreign/CN=some one/serialNumber=9' -set_serial 0xff01 "
               "-addext subjectAltName=DNS:a.example,URI:urn:x:y -addext extendedKeyUsage=clientAuth,serverAuth,1.2.3 -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null", dir),
       "openssl makes a self-signed certificate");
    load("a.pem", &der, &c);
    ok(span_eq_str(c.cn, "some one") && span_eq_str(c.o, "Foreign") && span_eq_str(c.serial_number, "9") && span_eq_str(c.san_uri, "urn:x:y") &&
       span_eq_str(c.san_dns, "a.example"), "names");
    ok(span_eq(c.serial, SPAN_LIT("\xff\x01")) && c.is_ca && c.path_len == -1 && c.eku == (EKU_CLIENT_AUTH | EKU_SERVER_AUTH | EKU_OTHER) &&
       c.key_usage == (KU_CERT_SIGN | KU_CRL_SIGN) && c.sig_alg == SIG_RSA_SHA256 && c.not_after - c.not_before == 20000 * (int64_t)SITE_DAY, "serial, usage, dates");
    ok(cert_check_issued(&c, &c) == CE_OK, "its RSA signature holds");
    site_sh("cd %s && openssl req -x509 -newkey ed25519 -nodes -keyout b.key -out b.pem -subj '/C=DE/O=Foreign/CN=some one/serialNumber=9' 2>/dev/null", dir);
    load("b.pem", &der2, &other);
    ok(cert_check_issued(&other, &other) == CE_OK && other.sig_alg == SIG_ED25519, "an Ed25519 one too");
    ok(cert_check_issued(&c, &other) != CE_OK, "a namesake is not the issuer");
    CLEANUP(buf_free) struct buf copy = BUF_INIT(0);
    buf_put_span(&copy, buf_span(&der));
    buf_put_u8(&copy, 0);
    ok(cert_parse(buf_span(&copy), &c, &f) == CE_TRAILING, "trailing byte: %s", f.text);
    unsigned taken = 0;
    for (size_t n = 0; n < der.len; n++)
        taken += cert_parse(span_of(der.data, n), &c, &f) == CE_OK;
    ok(taken == 0, "cut short at each byte: refused (%s)", f.text);
    uint8_t digest[32];
    memcpy(digest, other.spki_sha256, 32);
    ok(memcmp(digest, (uint8_t[32]){ 0 }, 32) != 0, "SPKI hash is filled in");
    char path[PATH_MAX_LEN];
    path_join(path, "%s/a.key", dir);
    ok(cert_load(path, &copy, &c, &f) == CE_BAD_CERT, "a key is no certificate: %s", f.text);
    path_join(path, "%s/none", dir);
    ok(cert_load(path, &copy, &c, &f) == CE_NOT_FOUND, "no file: %s", f.text);
}

static void profile_refused(const char *text, const char *what)
{
    struct profile p;
    struct fault f = { .code = CE_OK };
    ok(profile_parse("test", span_str(text), &p, &f) == CE_BAD_CONFIG && f.text[0], "refused: %s: %s", what, f.text);
}

static void profiles(void)
{
    struct profile p;
    struct fault f = { .code = CE_OK };
    CLEANUP(buf_free) struct buf text = BUF_INIT(0), out = BUF_INIT(0);
    ok(profile_default_text("device", SPAN_LIT("A, B & Co #1 = {best} \\ \"x\""), &text) && profile_parse("device", buf_span(&text), &p, &f) == CE_OK,
       "the default file takes any organisation %s", f.text);
    struct profile_values v = { .uid = SPAN_LIT("d"), .line = SPAN_LIT("l") };
    ok(profile_subject(&p, &v, &out, &f) == CE_OK && memmem(out.data, out.len, "A, B & Co #1 = {best} \\ \"x\"", 27), "and writes it as it is");
    ok(!memmem(out.data, out.len, "\x55\x04\x05", 3), "an empty serialNumber is left out");
    buf_reset(&out);
    ok(profile_san_uri(&p, &v, &out, &f) == CE_OK && span_eq_str(buf_span(&out), "urn:cradle:l:d"), "SAN");
    ok(p.validity_s == 2 * 365 * SITE_DAY && p.backdate_s == 300 && p.client_auth && !p.server_auth && strcmp(p.ca, "device") == 0, "defaults");
    ok(profile_renew_at(&p, 1000, 1000 + 900) == 1000 + 603, "the window begins after 67 %%");
    ok(profile_validity(&p, 0) == p.validity_s && profile_validity(&p, 5) == 5 && profile_validity(&p, 1ll << 40) == p.validity_max_s, "lifetimes are cut");
    ok(!profile_default_text("other", SPAN_LIT(""), &out), "no default for another name");
    v.serial = SPAN_LIT("a\nb");
    ok(profile_subject(&p, &v, &out, &f) == CE_BAD_NAME, "a serial with a newline: %s", f.text);
    profile_refused("ca = idevid\n", "a CA for IDevIDs, in another profile");
    profile_refused("subject = CN={who}\n", "unknown place");
    profile_refused("subject = CN={uid\n", "open brace");
    profile_refused("subject = CN=a}\n", "closed brace");
    profile_refused("subject = CN={uid}, XX=y\n", "unknown attribute");
    profile_refused("subject = CN={uid}, CN=y\n", "attribute twice");
    profile_refused("subject = O=x\n", "no CN");
    profile_refused("subject = CN={uid}, C=DEU\n", "a country of three letters");
    profile_refused("subject = CN={uid}, O=a\\0ab\n", "an escaped newline");
    profile_refused("subject = CN={uid}, O=a\\2\n", "half an escape");
    profile_refused("subject = CN\n", "no value");
    profile_refused("san_uri = no-scheme-{uid}\n", "a SAN without a scheme");
    profile_refused("san_uri = urn:a b\n", "a SAN with a blank");
    profile_refused("ca = root\n", "the root as issuing CA");
    profile_refused("key_algs = ec:P-256 dsa\n", "unknown key algorithm");
    profile_refused("key_algs = rsa:1024\n", "RSA-1024");
    profile_refused("validity_s = 11y\n", "a life beyond the maximum");
    profile_refused("validity_s = 60\n", "backdating longer than the life");
    profile_refused("client_auth = no\n", "no usage at all");
    profile_refused("renew_at_pct = 100\n", "a window that never begins");
    profile_refused("ca = device\nca = infra\n", "a key twice");
    ok(profile_parse("a/b", SPAN_LIT(""), &p, &f) == CE_BAD_NAME, "a profile's name is a label");
}

int main(void)
{
    snprintf(dir, sizeof dir, "/tmp/cradle-cert-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    foreign();
    profiles();
    site_remove(dir);
    return done();
}
