/* crypt_chain.c: paths from other makers' certificates to a pinned anchor, made by openssl: what holds, and each rule that can be broken. */
#include "crypt/chain.h"
#include "crypt/oid.h"
#include "crypt/oid_text.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"

static char dir[64];
static int64_t now_s;

/* openssl makes NAME.key, NAME.pem: subject /CN=NAME signed by BY (itself when BY is empty), with these lines of extensions */
static void make(const char *name, const char *by, const char *alg, const char *days, const char *ext)
{
    char sign[200];
    if (*by)
        snprintf(sign, sizeof sign, "-CA %s.pem -CAkey %s.key -set_serial 0x%x", by, by, (unsigned)strlen(name) * 7u + 1u);
    else
        snprintf(sign, sizeof sign, "-signkey %s.key", name);
    int good = site_sh("cd %s && openssl genpkey -algorithm %s -out %s.key 2>/dev/null && openssl req -new -key %s.key -subj '/O=Maker/CN=%s/serialNumber=S-1' -out r.csr 2>/dev/null"
                       " && printf '%%b' '%s' > r.ext && openssl x509 -req -in r.csr %s %s -extfile r.ext -out %s.pem 2>/dev/null",
                       dir, alg, name, name, name, ext, sign, days, name);
    if (!good)
        printf("# openssl could not make %s\n", name);
}

#define EC "EC -pkeyopt ec_paramgen_curve:P-256"
#define CA "basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\n"
#define CA_LEN(n) "basicConstraints=critical,CA:TRUE,pathlen:" n "\\nkeyUsage=critical,keyCertSign\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\n"
#define LEAF "keyUsage=critical,digitalSignature\\nauthorityKeyIdentifier=keyid\\n"
#define HARD LEAF "subjectAltName=otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hw\\n[hw]\\ntype=OID:1.3.6.1.4.1.32473.7\\nserial=FORMAT:ASCII,OCTETSTRING:hw-0815\\n"

static void der_load(const char *name, struct buf *der)
{
    char path[PATH_MAX_LEN];
    struct cert c;
    struct fault f = { .code = CE_OK };
    path_join(path, "%s/%s.pem", dir, name);
    site_must(cert_load(path, der, &c, &f), &f, path);
}

/* inters: names separated by blanks */
static enum err judge_at(const char *leaf, const char *root, const char *inters, int64_t at_s, struct fault *f)
{
    CLEANUP(buf_free) struct buf l = BUF_INIT(0), r = BUF_INIT(0), all = BUF_INIT(0);
    struct chain_anchor a;
    struct cert c;
    struct span rest = span_str(inters), name;
    *f = (struct fault){ .code = CE_OK };
    der_load(leaf, &l);
    der_load(root, &r);
    while (span_cut(&rest, ' ', &name)) {
        CLEANUP(buf_free) struct buf one = BUF_INIT(0);
        char text[64];
        if (!name.n)
            continue;
        site_must(span_to_cstr(name, text, sizeof text), NULL, "name");
        der_load(text, &one);
        buf_put_span(&all, buf_span(&one));
    }
    enum err e = chain_anchor_read(buf_span(&r), buf_span(&all), &a, f);
    e = e ? e : cert_parse(buf_span(&l), &c, f);
    return e ? e : chain_verify(&c, &a, NULL, at_s, f);
}

static void good(const char *leaf, const char *root, const char *inters, const char *what)
{
    struct fault f;
    enum err e = judge_at(leaf, root, inters, now_s, &f);
    ok(e == CE_OK, "holds: %s %s", what, f.text);
}

static void bad(const char *leaf, const char *root, const char *inters, enum err want, const char *word, const char *what)
{
    struct fault f;
    enum err e = judge_at(leaf, root, inters, now_s, &f);
    ok(e == want && strstr(f.text, word), "refused: %s: %s: %s", what, err_name(e), f.text);
}

static void paths(void)
{
    make("root", "", EC, "-days 9000", CA);
    make("mid", "root", "RSA -pkeyopt rsa_keygen_bits:2048", "-days 4000", CA_LEN("1"));
    make("low", "mid", "EC -pkeyopt ec_paramgen_curve:P-384", "-days 3000", CA_LEN("0"));
    make("dev", "root", EC, "-days 3000", HARD);
    make("dev3", "mid", EC, "-days 3000", LEAF);
    make("dev4", "low", "RSA -pkeyopt rsa_keygen_bits:2048", "-days 2000", LEAF "extendedKeyUsage=clientAuth\\n");
    good("dev", "root", "", "P-256 straight below the anchor");
    good("dev3", "root", "mid", "below an RSA CA");
    good("dev4", "root", "low mid", "RSA below P-384, below RSA, below P-256: four certificates, given in any order");
    good("dev4", "mid", "low", "a CA that is not self-signed may be the anchor");
    bad("dev4", "root", "mid", CE_CERT_FOREIGN, "no issuer", "the CA between is not given");
    bad("dev4", "root", "low", CE_CHAIN, "neither the anchor", "the CA above it is not given");
    make("stranger", "", EC, "-days 9000", CA);
    bad("dev", "stranger", "", CE_CERT_FOREIGN, "no issuer", "another maker's anchor");
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    struct cert c;
    der_load("dev", &der);
    ok(cert_parse(buf_span(&der), &c, NULL) == CE_OK && cert_is_idevid(&c) && span_eq_str(c.hw_serial, "hw-0815") && span_eq(c.hw_type, SPAN_LIT("\x2b\x06\x01\x04\x01\x81\xfd\x59\x07")),
       "hardwareModuleName is read");
    der_load("dev3", &der);
    ok(cert_parse(buf_span(&der), &c, NULL) == CE_OK && !cert_is_idevid(&c), "one without it is not taken for an IDevID");
}

static void broken(void)
{
    make("c2", "root", EC, "-days 4000", CA);
    make("c3", "c2", EC, "-days 4000", CA);
    make("c4", "c3", EC, "-days 4000", CA);
    make("dev5", "c4", EC, "-days 2000", LEAF);
    bad("dev5", "root", "c2 c3 c4", CE_CHAIN, "more than 4", "five certificates");
    make("five", "low", EC, "-days 2000", CA);
    make("dev6", "five", EC, "-days 2000", LEAF);
    bad("dev6", "mid", "five low", CE_CHAIN, "4.2.1.9: its path length", "a CA below one with path length 0");
    make("noca", "root", EC, "-days 3000", LEAF);
    make("below", "noca", EC, "-days 2000", LEAF);
    bad("below", "root", "noca", CE_CHAIN, "4.2.1.9: is no CA", "a device's certificate as CA");
    make("nosign", "root", EC, "-days 3000", "basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,cRLSign\\n");
    bad("dev", "nosign", "", CE_CHAIN, "4.2.1.3", "a CA that may not sign certificates");
    make("names", "root", EC, "-days 3000", CA "nameConstraints=permitted;DNS:maker.example\\n");
    bad("dev", "root", "names", CE_CHAIN, "name constraints", "name constraints, critical or not");
    make("server", "root", EC, "-days 3000", LEAF "extendedKeyUsage=serverAuth\\n");
    bad("server", "root", "", CE_CHAIN, "4.2.1.12", "an extended key usage for servers only");
    make("encipher", "root", EC, "-days 3000", "keyUsage=critical,keyAgreement\\n");
    bad("encipher", "root", "", CE_CHAIN, "4.2.1.3", "a key that may not sign");
    make("critical", "root", EC, "-days 3000", LEAF "1.2.3.4=critical,ASN1:NULL\\n");
    bad("critical", "root", "", CE_CHAIN, "4.2: has a critical", "a critical extension that nobody knows");
    bad("mid", "root", "", CE_CHAIN, "a CA is no device", "a CA as device");
    make("weak", "root", "RSA -pkeyopt rsa_keygen_bits:1024", "-days 3000", LEAF);
    bad("weak", "root", "", CE_KEY_WEAK, "1024", "a leaf of 1024 bits");
    make("sha1", "root", EC, "-days 3000 -sha1", LEAF);
    bad("sha1", "root", "", CE_CHAIN, "4.1.1.2", "a signature over SHA-1");
    /* the same name and no key identifiers, another key */
    make("plain", "", EC, "-days 3000", "basicConstraints=critical,CA:TRUE\\nsubjectKeyIdentifier=none\\nauthorityKeyIdentifier=none\\n");
    make("child", "plain", EC, "-days 3000", "keyUsage=digitalSignature\\nsubjectKeyIdentifier=none\\nauthorityKeyIdentifier=none\\n");
    good("child", "plain", "", "without key identifiers");
    make("plain", "", EC, "-days 3000", "basicConstraints=critical,CA:TRUE\\nsubjectKeyIdentifier=none\\nauthorityKeyIdentifier=none\\n");
    bad("child", "plain", "", CE_CHAIN, "signature", "a namesake of the anchor");
}

static void dates(void)
{
    struct fault f;
    make("old", "root", EC, "-days 1", CA);
    make("ofold", "old", EC, "-days 3000", LEAF);
    ok(judge_at("ofold", "root", "old", now_s, &f) == CE_OK, "an intermediate CA of one day holds today %s", f.text);
    ok(judge_at("ofold", "root", "old", now_s + 2 * SITE_DAY, &f) == CE_CHAIN && strstr(f.text, "has expired"), "and not in two days: %s", f.text);
    ok(judge_at("ofold", "root", "old", now_s - 2 * SITE_DAY, &f) == CE_CHAIN && strstr(f.text, "not valid yet"), "nor two days ago: %s", f.text);
    make("day", "root", EC, "-days 1", LEAF);
    ok(judge_at("day", "root", "", now_s + 2 * SITE_DAY, &f) == CE_CERT_EXPIRED, "the leaf's own end: %s", f.text);
    site_sh("cd %s && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ever.key 2>/dev/null && openssl req -new -key ever.key -subj '/CN=ever' -out r.csr 2>/dev/null"
            " && touch index.txt && printf '%%b' '" LEAF "' > r.ext && openssl ca -batch -in r.csr -cert root.pem -keyfile root.key -create_serial -rand_serial -md sha256 -extfile r.ext"
            " -startdate 20200101000000Z -enddate 99991231235959Z -config ca.cnf -notext -out ever.pem 2>/dev/null", dir);
    struct cert c;
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    der_load("ever", &der);
    ok(cert_parse(buf_span(&der), &c, &f) == CE_OK && c.not_after == CERT_NO_END, "99991231235959Z is read as no end");
    ok(judge_at("ever", "root", "", now_s, &f) == CE_OK, "and holds %s", f.text);
}

/* Every byte of leaf and intermediate changed: nothing is accepted, except where the DER of a signature's outside does not change it. */
static void tampered(void)
{
    CLEANUP(buf_free) struct buf leaf = BUF_INIT(0), root = BUF_INIT(0), mid = BUF_INIT(0);
    struct chain_anchor a;
    struct cert c;
    unsigned taken = 0;
    der_load("dev3", &leaf);
    der_load("root", &root);
    der_load("mid", &mid);
    for (size_t i = 0; i < leaf.len; i++) {
        leaf.data[i] ^= 1;
        if (!chain_anchor_read(buf_span(&root), buf_span(&mid), &a, NULL) && !cert_parse(buf_span(&leaf), &c, NULL))
            taken += chain_verify(&c, &a, NULL, now_s, NULL) == CE_OK;
        leaf.data[i] ^= 1;
    }
    for (size_t i = 0; i < mid.len; i++) {
        mid.data[i] ^= 1;
        if (!chain_anchor_read(buf_span(&root), buf_span(&mid), &a, NULL) && !cert_parse(buf_span(&leaf), &c, NULL))
            taken += chain_verify(&c, &a, NULL, now_s, NULL) == CE_OK;
        mid.data[i] ^= 1;
    }
    ok(taken == 0, "with any bit 0 of a byte changed, in the leaf or in the CA between, no path holds");
}

/* The CAs between come with the leaf. */
static enum err judge_sent(const char *leaf, const char *root, const char *const *sent, size_t n, int *tries)
{
    CLEANUP(buf_free) struct buf l = BUF_INIT(0), r = BUF_INIT(0);
    struct buf mids[CHAIN_CAS_MAX + 1];
    struct span ders[CHAIN_CAS_MAX + 1];
    struct chain_anchor a;
    struct chain_more more;
    struct cert c;
    struct fault f = { .code = CE_OK };
    for (size_t i = 0; i < n; i++) {
        mids[i] = BUF_INIT(0);
        der_load(sent[i], &mids[i]);
        ders[i] = buf_span(&mids[i]);
    }
    der_load(leaf, &l);
    der_load(root, &r);
    chain_more_read(ders, n, &more);
    enum err e = chain_anchor_read(buf_span(&r), span_of(NULL, 0), &a, &f);
    e = e ? e : cert_parse(buf_span(&l), &c, &f);
    e = e ? e : chain_verify(&c, &a, &more, now_s, &f);
    *tries = more.tries;
    for (size_t i = 0; i < n; i++)
        buf_free(&mids[i]);
    return e;
}

static void sent(void)
{
    static const char *const both[] = { "low", "mid" }, *const mid[] = { "mid" }, *const noca[] = { "noca", "dev" };
    int tries, all;
    ok(judge_sent("dev4", "root", both, 2, &tries) == CE_OK, "the CAs between come with the leaf, in any order");
    ok(judge_sent("dev4", "root", mid, 1, &all) == CE_CERT_FOREIGN, "one of them does not");
    ok(judge_sent("dev4", "stranger", both, 2, &all) == CE_CERT_FOREIGN && all > tries, "a whole path to a stranger is foreign, and costs no signature");
    ok(judge_sent("below", "root", noca, 2, &all) == CE_CERT_FOREIGN, "what is no CA is left out, whoever sends it");
    static const char *const many[] = { "mid", "low", "mid", "low", "mid", "low", "mid", "low", "mid" };
    ok(judge_sent("dev4", "root", many, 9, &all) == CE_OK, "more than are read: the first count");
}

static void oids(void)
{
    static const char *const good[] = { "1.3.6.1.4.1.32473.7", "2.25.139923960999525251500141259579953825029", "2.999", "0.39.1", "2.25.0", "2.25.340282366920938463463374607431768211455" };
    static const char *const refused[] = { "", "1", "1.", "3.1.2", "1.40.1", "0.40", "1.3.", "1..3", "1.3.06", "1.3.a", "1.3.-1", "1.3 .1", "2.25.1e5" };
    struct fault f;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        CLEANUP(buf_free) struct buf der = BUF_INIT(0), text = BUF_INIT(0);
        enum err e = oid_from_text("oid", span_str(good[i]), &der, &f);
        oid_to_text(buf_span(&der), &text);
        ok(!e && span_eq_str(buf_span(&text), good[i]), "%s there and back", good[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        CLEANUP(buf_free) struct buf der = BUF_INIT(0);
        ok(oid_from_text("oid", span_str(refused[i]), &der, &f) == CE_BAD_FIELD, "'%s' is no OBJECT IDENTIFIER", refused[i]);
    }
    CLEANUP(buf_free) struct buf der = BUF_INIT(0), text = BUF_INIT(0);
    oid_uuid((const uint8_t[16]){ 0x69, 0x44, 0x5f, 0xe8, 0x94, 0x41, 0x40, 0x86, 0xb9, 0x05, 0x8c, 0xe9, 0xa7, 0x74, 0xc5, 0x05 }, &der);
    oid_to_text(buf_span(&der), &text);
    ok(span_eq_str(buf_span(&text), good[1]) && span_eq(buf_span(&der), SPAN_LIT(OID_KP_IDEVID)), "a UUID below 2.25");
}

static void corpus(const char *folder, const char *name, const char *leaf, const char *root, const char *inter)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    const char *const first[] = { leaf, root };
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(buf_free) struct buf der = BUF_INIT(0);
        const char *which = i < 2 ? first[i] : inter;
        if (!*which)
            continue;
        der_load(which, &der);
        if (i < 2) {
            buf_put_u8(&out, (uint8_t)(der.len >> 8));
            buf_put_u8(&out, (uint8_t)der.len);
        }
        buf_put_span(&out, buf_span(&der));
    }
    site_write(folder, name, buf_span(&out), 0644);
}

int main(int argc, char **argv)
{
    snprintf(dir, sizeof dir, "/tmp/cradle-chain-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    now_s = clock_now_s() + 3600; /* certificates made during the test begin before it */
    site_write(dir, "ca.cnf", SPAN_LIT("[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n"), 0644);
    site_sh("cd %s && sed -i 's|database=|database=%s/|; s|^policy|serial=%s/serial\\nnew_certs_dir=%s\\npolicy|' ca.cnf", dir, dir, dir, dir);
    paths();
    broken();
    dates();
    tampered();
    sent();
    oids();
    if (argc > 1) { /* makes the corpus of the fuzz target */
        corpus(argv[1], "straight.bin", "dev", "root", "");
        corpus(argv[1], "between.bin", "dev3", "root", "mid");
        corpus(argv[1], "rsa.bin", "dev4", "mid", "low");
        corpus(argv[1], "no_end.bin", "ever", "root", "");
    }
    site_remove(dir);
    return done();
}
