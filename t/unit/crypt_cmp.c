/* cmp.c: CMP messages as OpenSSL's client makes them (t/corpus/cmp): what is read of them, their MAC and proof of possession; both kinds of MAC
 * against OpenSSL's functions; what may be signed as an answer and what not. */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/file.h"
#include "crypt/cmp.h"
#include "t/tap.h"

static struct buf file;

static struct cmp_message load(const char *name)
{
    char path[128];
    struct cmp_message m;
    struct fault f;
    snprintf(path, sizeof path, "t/corpus/cmp/%s.der", name);
    buf_reset(&file);
    ok(file_read(path, &file) == CE_OK && cmp_parse(buf_span(&file), &m, &f) == CE_OK, "%s is read", name);
    return m;
}

static void test_request(void)
{
    struct fault f;
    struct cmp_cert_request q;
    struct csr csr;
    struct cmp_mac mac;
    uint8_t own[SHA512_LEN];
    struct buf part = BUF_INIT(0), spki = BUF_INIT(KEY_SPKI_MAX);
    struct cmp_message m = load("ir-pbm");
    ok(m.pvno == 2 && m.type == CMP_IR && span_eq_str(m.sender_kid, "ref1") && m.transaction_id.n == 16 && m.sender_nonce.n == 16 && m.has_time, "its header");
    ok(cmp_alg_is_mac(m.alg) && cmp_mac_parse(m.alg, &mac, &f) == CE_OK && mac.iterations == 500 && mac.hash == 256 && mac.mac == 160, "SHA-256, 500 times, HMAC-SHA1");
    cmp_protected_put(m.header_body, &part);
    size_t n = cmp_mac_make(&mac, SPAN_LIT("secret1"), buf_span(&part), own);
    ok(span_eq(span_of(own, n), m.protection), "the MAC holds with its secret");
    n = cmp_mac_make(&mac, SPAN_LIT("secret2"), buf_span(&part), own);
    ok(!span_eq(span_of(own, n), m.protection), "and with no other");
    ok(cmp_cert_request_parse(m.body, &q, &f) == CE_OK && cmp_request_csr(&q, &spki, &csr, &f) == CE_OK && span_eq_str(csr.cn, "dev-1"), "the request in it");
    ok(cmp_pop_verify(&q, csr.spki, &f) == CE_OK, "possession is proved");
    q.request.n--;
    ok(cmp_pop_verify(&q, csr.spki, &f) == CE_CSR_POP, "of exactly this request");
    m = load("ir-ra");
    ok(cmp_cert_request_parse(m.body, &q, &f) == CE_OK && q.pop == CMP_POP_RA, "raVerified");
    m = load("ir-nopop");
    ok(cmp_cert_request_parse(m.body, &q, &f) == CE_OK && q.pop == CMP_POP_NONE && cmp_pop_verify(&q, csr.spki, &f) == CE_CSR_POP, "no proof at all");
    m = load("kur");
    ok(cmp_cert_request_parse(m.body, &q, &f) == CE_OK && q.old_serial.n && q.old_issuer.n && m.n_certs, "kur: oldCertID and extraCerts");
    buf_free(&part);
    buf_free(&spki);
}

static void test_others(void)
{
    struct fault f;
    struct cmp_confirm c;
    struct cmp_revocation rr;
    struct cmp_info infos[CMP_INFOS];
    struct span certs[CMP_ANSWER_CERTS];
    struct buf part = BUF_INIT(0);
    int64_t id;
    size_t n;
    struct cmp_message m = load("certconf-pbm");
    ok(cmp_confirm_parse(m.body, &c, &f) == CE_OK && c.accepted && c.hash.n == SHA256_LEN && m.recip_nonce.n == 16, "certConf");
    m = load("certconf-reject");
    ok(cmp_confirm_parse(m.body, &c, &f) == CE_OK && !c.accepted && c.text.n, "certConf that rejects, with its reason");
    m = load("rr");
    ok(cmp_revocation_parse(m.body, &rr, &f) == CE_OK && rr.reason == 1 && rr.cert.serial.n, "rr");
    m = load("pollreq");
    ok(cmp_poll_parse(m.body, &id, &f) == CE_OK && id == 0, "pollReq");
    m = load("genm");
    ok(cmp_infos_parse(m.body, infos, &n, &f) == CE_OK && n == 1, "genm");
    ok(cmp_cert_request_parse(m.body, &(struct cmp_cert_request){ .id = 0 }, &f) != CE_OK, "a genm is no request");
    cmp_protected_put(m.header_body, &part);
    ok(cmp_answer_check(buf_span(&part), certs, &n, &f) == CE_BAD_CMP, "a request is not signed as an answer");
    m = load("ip");
    buf_reset(&part);
    cmp_protected_put(m.header_body, &part);
    ok(cmp_answer_check(buf_span(&part), certs, &n, &f) == CE_OK && n == 1, "an ip is, with the certificate in it");
    buf_free(&part);
}

static void test_pbmac1(void)
{
    const struct cmp_mac m = { .pbmac1 = true, .salt = SPAN_LIT("0123456789abcdef"), .iterations = 1000, .hash = 512, .mac = 384 };
    struct cmp_mac again;
    struct fault f;
    struct buf alg = BUF_INIT(0);
    uint8_t own[SHA512_LEN], key[SHA512_LEN], theirs[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    size_t n = cmp_mac_make(&m, SPAN_LIT("secret"), SPAN_LIT("message"), own);
    PKCS5_PBKDF2_HMAC("secret", 6, m.salt.p, (int)m.salt.n, 1000, EVP_sha512(), sizeof key, key);
    HMAC(EVP_sha384(), key, sizeof key, (const unsigned char *)"message", 7, theirs, &len);
    ok(n == len && memcmp(own, theirs, n) == 0, "PBMAC1 is what OpenSSL's PBKDF2 and HMAC make");
    cmp_mac_put(&m, &alg);
    ok(cmp_mac_parse(buf_span(&alg), &again, &f) == CE_OK && again.pbmac1 && again.hash == 512 && again.mac == 384 && again.iterations == 1000, "and is read again");
    const struct cmp_mac few = { .salt = m.salt, .iterations = 99, .hash = 256, .mac = 256 }, many = { .salt = m.salt, .iterations = CMP_ITERATIONS_MAX + 1, .hash = 256, .mac = 256 };
    buf_reset(&alg);
    cmp_mac_put(&few, &alg);
    ok(cmp_mac_parse(buf_span(&alg), &again, &f) == CE_CMP_ALG, "99 iterations are too few");
    buf_reset(&alg);
    cmp_mac_put(&many, &alg);
    ok(cmp_mac_parse(buf_span(&alg), &again, &f) == CE_CMP_ALG, "100001 are too many");
    buf_free(&alg);
}

int main(void)
{
    test_request();
    test_others();
    test_pbmac1();
    buf_free(&file);
    return done();
}
