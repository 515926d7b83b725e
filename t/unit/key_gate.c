/* key_gate.c: the gate for public keys: moduli of every weakness, made here by how such keys are known to go wrong, each refused for its
 * own reason; points that are none; and that good keys of OpenSSL pass. */
#include <openssl/bn.h>
#include <time.h>

#include "crypt/der.h"
#include "crypt/key_gate.h"
#include "crypt/oid.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"

#define BITS 3072
static BN_CTX *ctx;
static char dir[64];
static const struct key_policy rsa = { .algs = "rsa:3072" }, rsa_any = { .algs = "rsa:3072", .exponent_any = true };

static void spki_rsa(const BIGNUM *n, struct span e, struct buf *b)
{
    uint8_t bytes[2048];
    int len = BN_bn2bin(n, bytes);
    buf_reset(b);
    size_t all = der_begin(b, DER_SEQUENCE);
    buf_put_span(b, SPAN_LIT("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"));
    size_t bits = der_begin(b, DER_BIT_STRING);
    buf_put_u8(b, 0);
    size_t seq = der_begin(b, DER_SEQUENCE);
    der_put_uint(b, span_of(bytes, (size_t)len));
    der_put_uint(b, e);
    der_end(b, seq);
    der_end(b, bits);
    der_end(b, all);
}

static void judged(struct span spki, const struct key_policy *p, enum err want, const char *what)
{
    struct spki_info info;
    struct fault f = { .code = CE_OK };
    enum err e = key_gate(spki, p, &info, &f);
    ok(e == want && (e == CE_OK || (f.code == e && f.text[0])), "%s: %s %s", what, err_name(e), f.text);
}

static void modulus(const BIGNUM *n, enum err want, const char *what)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    spki_rsa(n, SPAN_LIT("\x01\x00\x01"), &b);
    judged(buf_span(&b), &rsa, want, what);
}

static BIGNUM *prime_of(int bits)
{
    BIGNUM *p = BN_new();
    do /* OpenSSL sets the two highest bits: not enough for products of four */
        if (!p || !BN_generate_prime_ex(p, bits, 0, NULL, NULL, NULL))
            exit(1);
    while (!BN_is_bit_set(p, bits - 3));
    return p;
}

/* p = k M + (65537^a mod M), M the product of the first n_primes primes: Nemec et al., "The Return of Coppersmith's Attack", 2.2. */
static BIGNUM *roca_prime(int bits, int n_primes)
{
    BIGNUM *m = BN_new(), *p = BN_new(), *a = BN_new(), *k = BN_new(), *g = BN_new();
    BN_one(m);
    for (unsigned q = 2; n_primes > 0; q++) {
        bool prime = true;
        for (unsigned d = 2; d * d <= q; d++)
            prime = prime && q % d;
        if (prime && n_primes-- > 0)
            BN_mul_word(m, q);
    }
    BN_set_word(g, 65537);
    do {
        BN_rand(a, 256, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY);
        BN_rand(k, bits - BN_num_bits(m) + 1, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ANY);
        BN_mod_exp(p, g, a, m, ctx);
        BN_mul(k, k, m, ctx);
        BN_add(p, p, k);
    } while (!BN_check_prime(p, ctx, NULL));
    BN_free(m), BN_free(a), BN_free(k), BN_free(g);
    return p;
}

static void roca(void)
{
    static const struct { int bits, n_primes; } rows[] = { { 3072, 126 }, { 4096, 225 }, { 3072, 39 } };
    BIGNUM *n = BN_new();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char what[80];
        BIGNUM *p = roca_prime(rows[i].bits / 2, rows[i].n_primes), *q = roca_prime(rows[i].bits / 2, rows[i].n_primes);
        BN_mul(n, p, q, ctx);
        snprintf(what, sizeof what, "ROCA, %d bits, %d primes", BN_num_bits(n), rows[i].n_primes);
        modulus(n, CE_KEY_ROCA, what);
        BN_free(p);
        BN_free(q);
    }
    BN_free(n);
    double rarity = 1; /* one of so many random moduli has the fingerprint */
    for (unsigned r = 3; r <= 167; r += 2) {
        unsigned order = 1, x = 65537 % r, prime = 1;
        for (unsigned d = 3; d < r; d += 2)
            prime &= r % d != 0;
        for (unsigned y = x; prime && y != 1; order++)
            y = y * x % r;
        rarity *= prime ? (double)(r - 1) / order : 1;
    }
    ok(rarity > 1e8, "a sound modulus looks like ROCA once in %.0f", rarity);
}

/* The next primes after a random one and after it plus distance: what a generator that searches both from one start makes. */
static void close_primes(int distance_bits, enum err want, const char *what)
{
    BIGNUM *p = prime_of(BITS / 2), *q = BN_dup(p), *n = BN_new();
    if (distance_bits)
        BN_set_word(n, 0), BN_set_bit(n, distance_bits), BN_add(q, q, n);
    do
        BN_add_word(q, 2);
    while (!BN_check_prime(q, ctx, NULL));
    BN_mul(n, p, q, ctx);
    modulus(n, want, what);
    BN_free(p), BN_free(q), BN_free(n);
}

static void powers(void)
{
    BIGNUM *p = prime_of(BITS / 2), *n = BN_new(), *small = prime_of(BITS / 3), *whole = prime_of(BITS);
    BN_sqr(n, p, ctx);
    modulus(n, CE_KEY_POWER, "the square of a prime");
    BN_sqr(n, small, ctx);
    BN_mul(n, n, small, ctx);
    modulus(n, CE_KEY_POWER, "the cube of a prime");
    modulus(whole, CE_KEY_POWER, "a prime");
    BN_mul(n, small, p, ctx);
    BIGNUM *r = prime_of(BITS / 4);
    BN_free(p);
    p = prime_of(BITS / 4);
    BN_mul(n, p, r, ctx);
    BN_sqr(n, n, ctx);
    modulus(n, CE_KEY_POWER, "the square of a product of primes");
    BN_free(p), BN_free(r), BN_free(n), BN_free(small), BN_free(whole);
}

static void factors(void)
{
    static const unsigned first[] = { 3, 5, 251, 257, 40961, 65519, 65521 };
    BIGNUM *n = BN_new(), *rest = prime_of(BITS), *half = prime_of(BITS / 2), *half2 = prime_of(BITS / 2);
    char what[64];
    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        BN_copy(n, rest);
        BN_mul_word(n, first[i]);
        snprintf(what, sizeof what, "a modulus with the factor %u", first[i]);
        modulus(n, CE_KEY_FACTOR, what);
    }
    BN_one(n);
    for (unsigned p = 3; BN_num_bits(n) < BITS; p += 2)
        BN_mul_word(n, p);
    modulus(n, CE_KEY_FACTOR, "a smooth modulus: a product of small numbers only");
    BN_mul(n, half, half2, ctx);
    BN_add_word(n, 1);
    modulus(n, CE_KEY_INVALID, "an even modulus");
    BN_free(n), BN_free(rest), BN_free(half), BN_free(half2);
}

static void exponents(void)
{
    uint8_t big[33] = { 1 }, top[32];
    memset(top, 0xff, sizeof top);
    big[32] = 1;
    const struct { struct span e; enum err plain, any; const char *what; } rows[] = {
        { SPAN_LIT("\x01\x00\x01"), CE_OK, CE_OK, "65537" },
        { SPAN_LIT("\x01"), CE_KEY_EXPONENT, CE_KEY_EXPONENT, "1" },
        { SPAN_LIT("\x03"), CE_KEY_EXPONENT, CE_KEY_EXPONENT, "3" },
        { SPAN_LIT("\xff\xff"), CE_KEY_EXPONENT, CE_KEY_EXPONENT, "65535" },
        { SPAN_LIT("\x01\x00\x00"), CE_KEY_EXPONENT, CE_KEY_EXPONENT, "65536" },
        { SPAN_LIT("\x01\x00\x02"), CE_KEY_EXPONENT, CE_KEY_EXPONENT, "65538" },
        { SPAN_LIT("\x01\x00\x03"), CE_KEY_EXPONENT, CE_OK, "65539" },
        { span_of(top, 32), CE_KEY_EXPONENT, CE_OK, "2^256 - 1" },
        { span_of(big, 33), CE_KEY_EXPONENT, CE_KEY_EXPONENT, "2^256 + 1" },
        { SPAN_LIT("\x00"), CE_KEY_EXPONENT, CE_KEY_EXPONENT, "0" },
    };
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    BIGNUM *p = prime_of(BITS / 2), *q = prime_of(BITS / 2), *n = BN_new();
    BN_mul(n, p, q, ctx);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char what[80];
        spki_rsa(n, rows[i].e, &b);
        snprintf(what, sizeof what, "exponent %s", rows[i].what);
        judged(buf_span(&b), &rsa, rows[i].plain, what);
        snprintf(what, sizeof what, "exponent %s where any is taken", rows[i].what);
        judged(buf_span(&b), &rsa_any, rows[i].any, what);
    }
    BN_free(p), BN_free(q), BN_free(n);
}

/* Ed25519: of random encodings OpenSSL takes no less than the gate, about half are points. y = 2 is none. */
static void edwards(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    struct spki_info info;
    uint8_t y[32] = { 2 };
    unsigned points = 0, good = 0;
    buf_put_span(&b, SPAN_LIT("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"));
    buf_put(&b, y, 32);
    judged(buf_span(&b), NULL, CE_KEY_INVALID, "Ed25519, y = 2: no point");
    for (int i = 0; i < 200; i++) {
        site_must(random_bytes(b.data + 12, 32), NULL, "random");
        points += key_gate(buf_span(&b), NULL, &info, NULL) == CE_OK;
    }
    ok(points > 60 && points < 140, "%u of 200 random encodings are points", points);
    for (int i = 0; i < 50; i++) {
        CLEANUP(key_free_p) struct key *k = NULL;
        struct fault f = { .code = CE_OK };
        site_must(key_generate("ed25519", &k, &f), &f, "ed25519");
        good += key_gate(key_spki(k), &(struct key_policy){ .algs = "ed25519" }, &info, &f) == CE_OK;
    }
    ok(good == 50, "50 keys of OpenSSL are taken");
}

/* Keys of OpenSSL, of every kind that a policy can name: all are taken, by what the gate and what OpenSSL say they are. */
static void sound(void)
{
    static const char *const algs[] = { "ec:P-256", "ec:P-384", "rsa:3072", "rsa:4096" };
    struct spki_info info;
    struct timespec a, b;
    for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
        const struct key_policy p = { .algs = algs[i] };
        CLEANUP(key_free_p) struct key *k = NULL;
        struct fault f = { .code = CE_OK };
        site_must(key_generate(algs[i], &k, &f), &f, algs[i]);
        clock_gettime(CLOCK_MONOTONIC, &a);
        enum err e = key_gate(key_spki(k), &p, &info, &f);
        clock_gettime(CLOCK_MONOTONIC, &b);
        ok(e == CE_OK && strcmp(info.name, algs[i]) == 0, "%s is taken, in %.2f ms %s", algs[i],
           (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6, f.text);
        judged(key_spki(k), &(struct key_policy){ .algs = "ml-dsa-44" }, CE_KEY_ALG, "and refused by a policy that names others");
    }
    CLEANUP(key_free_p) struct key *k = NULL;
    struct fault f = { .code = CE_OK };
    site_must(key_generate("rsa:2048", &k, &f), &f, "rsa:2048");
    judged(key_spki(k), &(struct key_policy){ .algs = "rsa:2048" }, CE_KEY_WEAK, "RSA with 2048 bits, whatever the policy says");
    BIGNUM *n = BN_new();
    BN_set_bit(n, 8192);
    BN_set_bit(n, 0);
    modulus(n, CE_KEY_ALG, "RSA with 8193 bits");
    BN_free(n);
}

static void explicit_curve(void)
{
    CLEANUP(buf_free) struct buf spki = BUF_INIT(0);
    char path[PATH_MAX_LEN];
    path_join(path, "%s/x.der", dir);
    bool made = site_sh("openssl ecparam -name prime256v1 -genkey -noout -param_enc explicit -out %s/x.pem && openssl pkey -in %s/x.pem -pubout -outform DER -out %s",
                        dir, dir, path);
    ok(made && file_read(path, &spki) == CE_OK, "openssl makes a P-256 key with explicit parameters");
    judged(buf_span(&spki), NULL, CE_KEY_INVALID, "explicit parameters");
}

int main(void)
{
    snprintf(dir, sizeof dir, "/tmp/cradle-gate-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    ctx = BN_CTX_new();
    sound();
    roca();
    close_primes(0, CE_KEY_CLOSE, "two primes next to each other");
    close_primes(BITS / 4, CE_KEY_CLOSE, "two primes that agree in the upper half of their bits");
    close_primes(BITS / 2 - 10, CE_OK, "two primes that agree in ten bits");
    powers();
    factors();
    exponents();
    edwards();
    explicit_curve();
    BN_CTX_free(ctx);
    site_remove(dir);
    return done();
}
