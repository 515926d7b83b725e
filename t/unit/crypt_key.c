/* crypt_key.c: keys: every algorithm signs and verifies, PEM as OpenSSL reads it, and every bad public key is refused. */
#include <sys/stat.h>

#include "crypt/der.h"
#include "crypt/hash.h"
#include "crypt/key_gate.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"

static char dir[64];

static void algorithm(const char *alg)
{
    CLEANUP(key_free_p) struct key *k = NULL;
    CLEANUP(pubkey_free_p) struct pubkey *pub = NULL;
    CLEANUP(buf_free) struct buf sig = BUF_INIT(0);
    struct spki_info info, made;
    const struct key_policy policy = { .algs = alg };
    struct fault f = { .code = CE_OK };
    ok(key_generate(alg, &k, &f) == CE_OK && spki_parse(key_spki(k), &made, &f) == CE_OK && strcmp(made.name, alg) == 0, "%s is made %s", alg, f.text);
    ok(key_gate(key_spki(k), &policy, &info, &f) == CE_OK && strcmp(info.name, alg) == 0, "%s is allowed by a policy that names it", alg);
    ok(pubkey_open(key_spki(k), &pub) == CE_OK, "%s: decoded once", alg);
    bool good = true;
    for (int i = 0; i < 3; i++) {
        buf_reset(&sig);
        good = good && key_sign(k, SPAN_LIT("message"), &sig) == CE_OK && pubkey_verify(pub, key_sig_alg(k), SPAN_LIT("message"), buf_span(&sig)) == CE_OK &&
               spki_verify(key_spki(k), key_sig_alg(k), SPAN_LIT("message"), buf_span(&sig)) == CE_OK;
    }
    ok(good, "%s: signs and verifies again and again", alg);
    ok(spki_verify(key_spki(k), key_sig_alg(k), SPAN_LIT("Message"), buf_span(&sig)) == CE_BAD_SIGNATURE, "%s: another message does not verify", alg);
    sig.data[sig.len / 2] ^= 1;
    ok(pubkey_verify(pub, key_sig_alg(k), SPAN_LIT("message"), buf_span(&sig)) == CE_BAD_SIGNATURE, "%s: a flipped bit does not verify", alg);
    enum sig_alg other = key_alg(k) == KEY_ED25519 ? SIG_ECDSA_SHA256 : SIG_ED25519;
    ok(pubkey_verify(pub, other, SPAN_LIT("message"), buf_span(&sig)) == CE_KEY_ALG, "%s: an algorithm of other keys is refused", alg);
}

static void pem_files(void)
{
    CLEANUP(key_free_p) struct key *k = NULL, *back = NULL;
    CLEANUP(buf_free) struct buf plain = BUF_INIT(0), sealed = BUF_INIT(0);
    struct fault f = { .code = CE_OK };
    char path[PATH_MAX_LEN];
    site_must(key_generate("ec:P-256", &k, &f), &f, "key");
    ok(key_write_pem(k, NULL, &plain) == CE_OK && key_write_pem(k, "correct horse", &sealed) == CE_OK, "written plain and with a passphrase");
    ok(pem_present(buf_span(&sealed), "ENCRYPTED PRIVATE KEY"), "the second is encrypted PKCS#8");
    ok(key_from_pem(buf_span(&sealed), "correct horse", &back, &f) == CE_OK && span_eq(key_spki(back), key_spki(k)), "read back with the passphrase");
    key_free_p(&back);
    ok(key_from_pem(buf_span(&sealed), "wrong horse", &back, &f) == CE_CRYPTO && strstr(f.text, "passphrase is wrong"), "wrong passphrase: %s", f.text);
    ok(key_from_pem(buf_span(&sealed), NULL, &back, &f) == CE_CRYPTO && strstr(f.text, "no passphrase"), "no passphrase: %s", f.text);
    ok(key_from_pem(SPAN_LIT("nonsense"), NULL, &back, &f) == CE_CRYPTO, "nonsense: %s", f.text);
    site_write(dir, "k.pem", buf_span(&sealed), 0600);
    ok(site_sh("openssl pkey -in %s/k.pem -passin 'pass:correct horse' -noout -check >&2", dir), "openssl reads the encrypted key");
    site_write(dir, "k.pem", buf_span(&plain), 0600);
    path_join(path, "%s/k.pem", dir);
    ok(key_read_file(path, NULL, &back, &f) == CE_OK, "a file of mode 0600 is read");
    key_free_p(&back);
    chmod(path, 0640);
    ok(key_read_file(path, NULL, &back, &f) == CE_IO && strstr(f.text, "chmod 600"), "mode 0640 is refused: %s", f.text);
    chmod(path, 0604);
    ok(key_read_file(path, NULL, &back, &f) == CE_IO, "mode 0604 is refused");
    path_join(path, "%s/none.pem", dir);
    ok(key_read_file(path, NULL, &back, &f) == CE_NOT_FOUND, "a missing file: %s", f.text);
    ok(site_sh("openssl ecparam -name prime256v1 -genkey -noout -out %s/sec1.pem", dir), "a SEC1 key made by openssl");
    path_join(path, "%s/sec1.pem", dir);
    ok(key_read_file(path, NULL, &back, &f) == CE_OK, "is read %s", f.text);
    key_free_p(&back);
    ok(key_generate("dsa", &back, &f) == CE_KEY_ALG, "unknown algorithm: %s", f.text);
}

/* The SPKI that openssl makes with these arguments to genpkey. */
static bool spki_of(const char *args, struct buf *out)
{
    char path[PATH_MAX_LEN];
    buf_reset(out);
    path_join(path, "%s/spki.der", dir);
    return site_sh("openssl genpkey %s -out %s/gen.pem 2>&2 && openssl pkey -in %s/gen.pem -pubout -outform DER -out %s", args, dir, dir, path) &&
           file_read(path, out) == CE_OK;
}

static void judged(struct span spki, const char *allowed, enum err want, const char *what)
{
    struct spki_info info;
    struct fault f = { .code = CE_OK };
    const struct key_policy policy = { .algs = allowed };
    enum err e = key_gate(spki, allowed ? &policy : NULL, &info, &f);
    ok(e == want && (e == CE_OK || f.text[0]), "%s: %s %s", what, err_name(e), f.text);
}

static void made_by_openssl(void)
{
    static const struct { const char *args; const char *allowed; enum err want; } rows[] = {
        { "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "ec:P-256", CE_OK },
        { "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "ed25519", CE_KEY_ALG },
        { "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "ec:P-256 ec:P-384", CE_OK },
        { "-algorithm EC -pkeyopt ec_paramgen_curve:P-521", NULL, CE_KEY_ALG },
        { "-algorithm EC -pkeyopt ec_paramgen_curve:P-192", NULL, CE_KEY_WEAK },
        { "-algorithm EC -pkeyopt ec_paramgen_curve:P-224", NULL, CE_KEY_WEAK },
        { "-algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1", NULL, CE_KEY_ALG },
        { "-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit", NULL, CE_KEY_INVALID },
        { "-algorithm ED25519", "ed25519", CE_OK },
        { "-algorithm ED448", NULL, CE_KEY_ALG },
        { "-algorithm X25519", NULL, CE_KEY_ALG },
        { "-algorithm RSA -pkeyopt rsa_keygen_bits:1024", "rsa:1024", CE_KEY_WEAK },
        { "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "rsa:3072", CE_KEY_WEAK },
        { "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", NULL, CE_OK },
        { "-algorithm RSA -pkeyopt rsa_keygen_bits:3072", "ec:P-256 rsa:3072", CE_OK },
        { "-algorithm RSA -pkeyopt rsa_keygen_bits:3072", "ec:P-256", CE_KEY_ALG },
    };
    CLEANUP(buf_free) struct buf spki = BUF_INIT(0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char what[160];
        snprintf(what, sizeof what, "%s, allowed %s", rows[i].args, rows[i].allowed ? rows[i].allowed : "all");
        if (spki_of(rows[i].args, &spki))
            judged(buf_span(&spki), rows[i].allowed, rows[i].want, what);
        else
            ok(false, "openssl genpkey %s", rows[i].args);
    }
}

static void bent_points(void)
{
    CLEANUP(key_free_p) struct key *ec = NULL, *ed = NULL;
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    struct fault f = { .code = CE_OK };
    site_must(key_generate("ec:P-256", &ec, &f), &f, "ec");
    site_must(key_generate("ed25519", &ed, &f), &f, "ed");
    buf_put_span(&b, key_spki(ec));
    b.data[b.len - 1] ^= 1;
    judged(buf_span(&b), NULL, CE_KEY_INVALID, "a point off the curve");
    memset(b.data + b.len - 64, 0, 64);
    judged(buf_span(&b), NULL, CE_KEY_INVALID, "the point (0, 0)");
    memset(b.data + b.len - 64, 0xff, 64);
    judged(buf_span(&b), NULL, CE_KEY_INVALID, "coordinates beyond the field");
    buf_reset(&b);
    buf_put_span(&b, SPAN_LIT("\x30\x19\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x02\x00\x00"));
    judged(buf_span(&b), NULL, CE_KEY_INVALID, "the point at infinity");
    buf_reset(&b);
    buf_put_span(&b, SPAN_LIT("\x30\x39\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x22\x00\x02"));
    buf_put(&b, key_spki(ec).p + 27, 32);
    judged(buf_span(&b), NULL, CE_KEY_INVALID, "a compressed point");
    judged(span_of(key_spki(ec).p, key_spki(ec).n - 1), NULL, CE_BAD_DER, "a key cut short");
    static const uint8_t low[] = { 0, 1, 0xec, 0xed, 0xee };
    for (size_t i = 0; i < sizeof low; i++) {
        buf_reset(&b);
        buf_put_span(&b, key_spki(ed));
        memset(b.data + b.len - 32, low[i] > 1 ? 0xff : 0, 32);
        b.data[b.len - 32] = low[i];
        b.data[b.len - 1] = low[i] > 1 ? 0x7f : 0x80 * (i & 1);
        judged(buf_span(&b), NULL, CE_KEY_INVALID, "an Ed25519 point of small order");
    }
}

/* Appends an Ecdsa-Sig-Value of two numbers. */
static void put_sig(struct buf *b, struct span r, struct span s)
{
    buf_reset(b);
    size_t at = der_begin(b, DER_SEQUENCE);
    der_put_uint(b, r);
    der_put_uint(b, s);
    der_end(b, at);
}

/* The faster verification with the issuer's own key against OpenSSL's, over good, bent and extreme signatures. */
static void prepared(void)
{
    static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                       0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };
    CLEANUP(buf_free) struct buf sig = BUF_INIT(0), odd = BUF_INIT(0);
    struct fault f = { .code = CE_OK };
    unsigned good = 0, differ = 0, bent = 0;
    uint32_t seed = 3;
    for (unsigned i = 0; i < 80; i++) {
        CLEANUP(key_free_p) struct key *k = NULL;
        CLEANUP(pubkey_free_p) struct pubkey *pub = NULL;
        site_must(key_generate("ec:P-256", &k, &f), &f, "key");
        site_must(pubkey_open(key_spki(k), &pub), NULL, "pubkey");
        pubkey_prepare(pub, key_spki(k));
        for (unsigned j = 0; j < 10; j++) {
            struct span m = span_of(&seed, sizeof seed);
            buf_reset(&sig);
            site_must(key_sign(k, m, &sig), NULL, "sign");
            good += pubkey_verify(pub, SIG_ECDSA_SHA256, m, buf_span(&sig)) == CE_OK;
            seed = seed * 1664525u + 1013904223u;
            sig.data[(seed >> 8) % sig.len] ^= (uint8_t)(1u << (seed >> 29));
            bool ours = pubkey_verify(pub, SIG_ECDSA_SHA256, m, buf_span(&sig)) == CE_OK;
            bent += !ours;
            differ += ours != (spki_verify(key_spki(k), SIG_ECDSA_SHA256, m, buf_span(&sig)) == CE_OK);
        }
        const struct span edge[] = { SPAN_LIT(""), SPAN_LIT("\1"), span_of(order, 32), span_of(order, 31), SPAN_LIT("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0") };
        for (size_t a = 0; a < 25 && i < 8; a++) {
            put_sig(&odd, edge[a / 5], edge[a % 5]);
            differ += pubkey_verify(pub, SIG_ECDSA_SHA256, SPAN_LIT("m"), buf_span(&odd)) == CE_OK;
            differ += spki_verify(key_spki(k), SIG_ECDSA_SHA256, SPAN_LIT("m"), buf_span(&odd)) == CE_OK;
        }
    }
    ok(good == 800, "prepared keys verify good signatures (%u of 800)", good);
    ok(differ == 0 && bent > 780, "and agree with OpenSSL on %u bent ones and on extreme values", bent);
}

/* All hashes that X.509 pairs with P-256, also those longer than the order. */
static void prepared_hashes(void)
{
    struct buf sig = BUF_INIT(0);
    bool same = true;
    for (int bits = 256; bits <= 512; bits += 128) {
        same = same && site_sh("cd %s && openssl ecparam -name prime256v1 -genkey -noout -out h.key && openssl pkey -in h.key -pubout -outform DER -out h.spki && "
                               "printf message > h.msg && openssl dgst -sha%d -sign h.key -out h.sig h.msg", dir, bits);
        CLEANUP(buf_free) struct buf spki = BUF_INIT(0);
        CLEANUP(pubkey_free_p) struct pubkey *pub = NULL;
        char path[PATH_MAX_LEN];
        path_join(path, "%s/h.spki", dir);
        site_must(file_read(path, &spki), NULL, path);
        path_join(path, "%s/h.sig", dir);
        buf_reset(&sig);
        site_must(file_read(path, &sig), NULL, path);
        site_must(pubkey_open(buf_span(&spki), &pub), NULL, "pubkey");
        pubkey_prepare(pub, buf_span(&spki));
        enum sig_alg alg = bits == 256 ? SIG_ECDSA_SHA256 : bits == 384 ? SIG_ECDSA_SHA384 : SIG_ECDSA_SHA512;
        same = same && pubkey_verify(pub, alg, SPAN_LIT("message"), buf_span(&sig)) == CE_OK &&
               pubkey_verify(pub, alg, SPAN_LIT("massage"), buf_span(&sig)) == CE_BAD_SIGNATURE;
    }
    ok(same, "prepared keys verify openssl's signatures with SHA-256, SHA-384 and SHA-512");
    buf_free(&sig);
}

static enum err sign_elsewhere(void *ctx, struct span message, struct buf *sig) { return key_sign(ctx, message, sig); }

static void external(void)
{
    CLEANUP(key_free_p) struct key *inside = NULL, *k = NULL;
    CLEANUP(buf_free) struct buf sig = BUF_INIT(0), pem = BUF_INIT(0);
    struct fault f = { .code = CE_OK };
    site_must(key_generate("ec:P-256", &inside, &f), &f, "key");
    ok(key_external(key_spki(inside), sign_elsewhere, NULL, inside, &k, &f) == CE_OK, "a key whose private half is elsewhere");
    ok(key_sign(k, SPAN_LIT("m"), &sig) == CE_OK && spki_verify(key_spki(k), key_sig_alg(k), SPAN_LIT("m"), buf_span(&sig)) == CE_OK, "signs");
    ok(key_write_pem(k, NULL, &pem) == CE_UNSUPPORTED, "and cannot be written out");
}

static void post_quantum(void)
{
    CLEANUP(key_free_p) struct key *k = NULL;
    struct fault f = { .code = CE_OK };
    enum err e = key_generate("ml-dsa-65", &k, &f);
    if (e)
        ok(e == CE_UNSUPPORTED && strstr(f.text, "OpenSSL 3.5"), "ml-dsa-65 without OpenSSL 3.5: %s", f.text);
    else
        algorithm("ml-dsa-65");
}

int main(void)
{
    static const char *const algs[] = { "ec:P-256", "ec:P-384", "ed25519", "rsa:3072" };
    snprintf(dir, sizeof dir, "/tmp/cradle-key-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    for (size_t i = 0; i < ARRAY_LEN(algs); i++)
        algorithm(algs[i]);
    pem_files();
    made_by_openssl();
    bent_points();
    prepared();
    prepared_hashes();
    external();
    post_quantum();
    site_remove(dir);
    return done();
}
