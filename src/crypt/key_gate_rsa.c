/* key_gate_rsa.c: is an RSA modulus one that nobody can factor by knowing how such keys go wrong? Everything is bounded: a few
 * milliseconds at 3072 bits. No proof that a modulus is good: two random primes of half its size cannot be told from others.
 */
#include <openssl/bn.h>
#include <openssl/err.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypt/key_gate.h"
#include "crypt/key_impl.h"

#define PRIMES_BELOW 65536
#define FERMAT_ROUNDS 100

static void bn_ctx_end(BN_CTX **ctx)
{
    BN_CTX_end(*ctx);
    BN_CTX_free(*ctx);
}

static BN_CTX *bn_ctx_begin(void)
{
    BN_CTX *ctx = BN_CTX_new();
    INVARIANT(ctx != NULL);
    BN_CTX_start(ctx);
    return ctx;
}

static BN_ULONG word_mod(const BIGNUM *n, BN_ULONG w)
{
    BN_ULONG r = BN_mod_word(n, w);
    INVARIANT(r < w); /* else: out of memory */
    return r;
}

/* -- small factors --------------------------------------------------------------------------------------------------------------------- */
/* A prime that divides both n and product (of odd primes below PRIMES_BELOW); 0: there is none. */
static unsigned common_prime(const BIGNUM *n, BN_ULONG product)
{
    BN_ULONG a = product, b = word_mod(n, product);
    while (b) {
        BN_ULONG r = a % b;
        a = b;
        b = r;
    }
    unsigned p = 3;
    while (a > 1 && a % p)
        p += 2;
    return a > 1 ? p : 0;
}

/* The greatest common divisor with the product of all odd primes below PRIMES_BELOW, a machine word of primes at a time. */
static unsigned small_factor(const BIGNUM *n)
{
    uint8_t composite[PRIMES_BELOW / 2] = { 0 }; /* of the odd numbers */
    BN_ULONG product = 1;
    unsigned found = 0;
    for (unsigned p = 3; p < PRIMES_BELOW && !found; p += 2) {
        if (composite[p / 2])
            continue;
        for (unsigned m = p * p; p < 256 && m < PRIMES_BELOW; m += 2 * p)
            composite[m / 2] = 1;
        if (product > (BN_ULONG)-1 / p) {
            found = common_prime(n, product);
            product = 1;
        }
        product *= p;
    }
    return found ? found : common_prime(n, product);
}

/* -- ROCA, CVE-2017-15361 ---------------------------------------------------------------------------------------------------------------- */
/* Primes were made as k M + (65537^a mod M), M being the product of the first primes: 39 of them (up to 167) in the shortest keys, more
 * in longer ones. So a modulus is a power of 65537 modulo each of these primes; a sound one is that by chance once in 10^9 (t/unit/key_gate.c). */
static bool roca_fits(const BIGNUM *n)
{
    static const uint8_t primes[] = { 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
                                      113, 127, 131, 137, 139, 149, 151, 157, 163, 167 };
    for (size_t i = 0; i < ARRAY_LEN(primes); i++) {
        unsigned p = primes[i], want = (unsigned)word_mod(n, p), power = 1;
        do
            power = power * (65537 % p) % p;
        while (power != 1 && power != want);
        if (power != want)
            return false;
    }
    return true;
}

/* -- squares, powers, close primes ---------------------------------------------------------------------------------------------------------- */
/* The integer square root, by Newton's method from above. */
static bool bn_root(BIGNUM *root, const BIGNUM *n, BN_CTX *ctx)
{
    BN_CTX_start(ctx);
    BIGNUM *next = BN_CTX_get(ctx);
    bool good = next && BN_set_word(root, 0) && BN_set_bit(root, (BN_num_bits(n) + 1) / 2), down = good;
    while (down) {
        good = BN_div(next, NULL, n, root, ctx) && BN_add(next, next, root) && BN_rshift1(next, next);
        down = good && BN_cmp(next, root) < 0;
        good = good && (!down || BN_copy(root, next));
    }
    BN_CTX_end(ctx);
    return good;
}

static bool residue_of_square(unsigned r, unsigned m)
{
    for (unsigned i = 0; i <= m / 2; i++)
        if (i * i % m == r)
            return true;
    return false;
}

/* Nearly all numbers are told from squares by a few remainders; the root decides. Sets root when it is one. */
static bool bn_is_square(const BIGNUM *n, BIGNUM *root, BN_CTX *ctx)
{
    static const uint8_t moduli[] = { 64, 63, 65, 11 };
    for (size_t i = 0; i < ARRAY_LEN(moduli); i++)
        if (!residue_of_square((unsigned)word_mod(n, moduli[i]), moduli[i]))
            return false;
    BN_CTX_start(ctx);
    BIGNUM *again = BN_CTX_get(ctx);
    INVARIANT(again && bn_root(root, n, ctx) && BN_sqr(again, root, ctx));
    bool square = BN_cmp(again, n) == 0;
    BN_CTX_end(ctx);
    return square;
}

/* Fermat: n = a^2 - b^2 with a just above the root of n when the factors are close. n is no square. */
static bool primes_close(const BIGNUM *n, BN_CTX *ctx)
{
    BN_CTX_start(ctx);
    BIGNUM *a = BN_CTX_get(ctx), *rest = BN_CTX_get(ctx), *root = BN_CTX_get(ctx);
    bool close = false;
    INVARIANT(root && bn_root(a, n, ctx));
    for (int i = 0; i < FERMAT_ROUNDS && !close; i++) {
        INVARIANT(BN_add_word(a, 1) && BN_sqr(rest, a, ctx) && BN_sub(rest, rest, n));
        close = bn_is_square(rest, root, ctx);
    }
    BN_CTX_end(ctx);
    return close;
}

/* When n = p^k, k >= 1, then 2^n = 2 modulo p (Fermat's little theorem, k times): p divides 2^n - 2. Of two random primes neither does. */
static bool prime_power(const BIGNUM *n, BN_CTX *ctx)
{
    BN_CTX_start(ctx);
    BIGNUM *two = BN_CTX_get(ctx), *x = BN_CTX_get(ctx);
    INVARIANT(x && BN_set_word(two, 2) && BN_mod_exp_mont(x, two, n, n, ctx, NULL) && BN_mod_sub(x, x, two, n, ctx) && BN_gcd(x, x, n, ctx));
    bool is = !BN_is_one(x);
    BN_CTX_end(ctx);
    return is;
}

static enum err modulus_judge(const BIGNUM *n, BN_CTX *ctx, struct fault *f)
{
    BIGNUM *root = BN_CTX_get(ctx);
    if (!BN_is_odd(n))
        return fault_set(f, CE_KEY_INVALID, "the RSA modulus is even");
    unsigned p = small_factor(n);
    if (p)
        return fault_set(f, CE_KEY_FACTOR, "the RSA modulus is divisible by %u", p);
    if (roca_fits(n))
        return fault_set(f, CE_KEY_ROCA, "the RSA modulus has the structure of keys that are factored easily (ROCA, CVE-2017-15361)");
    if (bn_is_square(n, root, ctx))
        return fault_set(f, CE_KEY_POWER, "the RSA modulus is a square");
    if (primes_close(n, ctx))
        return fault_set(f, CE_KEY_CLOSE, "the two primes of the RSA modulus are so close that Fermat's method finds them");
    if (prime_power(n, ctx))
        return fault_set(f, CE_KEY_POWER, "the RSA modulus is a prime or the power of one");
    return CE_OK;
}

static enum err exponent_judge(struct span e, bool any, struct fault *f)
{
    bool standard = span_eq(e, SPAN_LIT("\x01\x00\x01"));
    if (!standard && !any)
        return fault_set(f, CE_KEY_EXPONENT, "the RSA public exponent is not 65537");
    if (e.n > 32)
        return fault_set(f, CE_KEY_EXPONENT, "the RSA public exponent has more than 256 bits");
    if (!(e.p[e.n - 1] & 1) || e.n < 3)
        return fault_set(f, CE_KEY_EXPONENT, "the RSA public exponent must be odd and at least 65537");
    return CE_OK;
}

enum err key_gate_rsa(const struct spki_info *k, bool exponent_any, struct fault *f)
{
    struct span n, e;
    if (spki_rsa_split(k->key, &n, &e))
        return fault_set(f, CE_BAD_DER, "RFC 3279 2.3.1: malformed RSAPublicKey");
    enum err bad = exponent_judge(e, exponent_any, f);
    if (bad)
        return bad;
    CLEANUP(bn_ctx_end) BN_CTX *ctx = bn_ctx_begin();
    BIGNUM *modulus = BN_CTX_get(ctx);
    INVARIANT(modulus && BN_bin2bn(n.p, (int)n.n, modulus));
    return modulus_judge(modulus, ctx, f);
}
