/* pubkey_fixed.c: ECDSA P-256 verification with a key that stays the same (the issuer's own), at about a third of the usual cost.
 *
 * The signer verifies everything that it signs, so verification is most of its work, and most of a verification is u2 * Q with an
 * arbitrary point Q. Here Q does not change: a group of its own takes Q as its generator, with OpenSSL's table of precomputed
 * multiples (EC_GROUP_precompute_mult, 150 kB), and u2 * Q costs what u1 * G costs. Only public values are touched. Signatures of
 * strangers are verified by ECDSA_verify (pubkey_ec.c); t/unit/crypt_key.c compares the two.
 *
 * Why the low-level API: the table has no other interface. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/key_impl.h"

struct ec_fixed {
    EC_GROUP *std, *own;            /* generators G and Q */
    EC_POINT *a, *b;
    BN_CTX *ctx;
    BN_MONT_CTX *mont;              /* for the order */
    BIGNUM *p;                      /* of the field */
    BIGNUM *r, *s, *e, *u1, *u2, *x, *zz, *minus2; /* minus2: order - 2 */
};

void ec_fixed_free(struct ec_fixed *v)
{
    if (!v)
        return;
    EC_POINT_free(v->a);
    EC_POINT_free(v->b);
    EC_GROUP_free(v->std);
    EC_GROUP_free(v->own);
    BIGNUM *all[] = { v->p, v->r, v->s, v->e, v->u1, v->u2, v->x, v->zz, v->minus2 };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        BN_free(all[i]);
    BN_MONT_CTX_free(v->mont);
    BN_CTX_free(v->ctx);
    free(v);
}

static bool fixed_table(struct ec_fixed *v, struct span point)
{
    const BIGNUM *n = EC_GROUP_get0_order(v->std);
    return EC_GROUP_get_curve(v->std, v->p, NULL, NULL, v->ctx) == 1 && EC_POINT_oct2point(v->own, v->a, point.p, point.n, v->ctx) == 1 && EC_POINT_is_at_infinity(v->own, v->a) == 0 &&
           EC_GROUP_set_generator(v->own, v->a, n, BN_value_one()) == 1 && BN_MONT_CTX_set(v->mont, n, v->ctx) == 1 &&
           BN_copy(v->minus2, n) && BN_sub_word(v->minus2, 2) == 1 && EC_GROUP_precompute_mult(v->own, v->ctx) == 1;
}

struct ec_fixed *ec_fixed_new(struct span point)
{
    struct ec_fixed *v = mem_calloc(1, sizeof *v);
    BIGNUM **all[] = { &v->p, &v->r, &v->s, &v->e, &v->u1, &v->u2, &v->x, &v->zz, &v->minus2 };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        INVARIANT((*all[i] = BN_new()) != NULL);
    v->std = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    v->own = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    v->ctx = BN_CTX_new();
    v->mont = BN_MONT_CTX_new();
    INVARIANT(v->std && v->own && v->ctx && v->mont);
    v->a = EC_POINT_new(v->own);
    v->b = EC_POINT_new(v->std);
    INVARIANT(v->a && v->b);
    if (fixed_table(v, point))
        return v;
    ERR_clear_error();
    ec_fixed_free(v);
    return NULL;
}

/* r and s from Ecdsa-Sig-Value, RFC 3279 2.2.3: strict DER, 1 <= r, s < n. */
static bool fixed_split(struct ec_fixed *v, struct span sig)
{
    struct span seq, r, s;
    const BIGNUM *n = EC_GROUP_get0_order(v->std);
    if (der_get(&sig, DER_SEQUENCE, &seq) || sig.n || der_get_uint(&seq, &r) || der_get_uint(&seq, &s) || seq.n || r.n > 32 || s.n > 32)
        return false;
    return BN_bin2bn(r.p, (int)r.n, v->r) && BN_bin2bn(s.p, (int)s.n, v->s) && !BN_is_zero(v->r) && !BN_is_zero(v->s) &&
           BN_cmp(v->r, n) < 0 && BN_cmp(v->s, n) < 0;
}

/* x(R) mod n = r, without the inverse that x itself would take: R is X : Y : Z with x = X / Z^2. x is below p, which is less than 2 n, so it is r or r + n. */
static bool fixed_x_is_r(struct ec_fixed *v)
{
    const BIGNUM *n = EC_GROUP_get0_order(v->std);
    if (EC_POINT_get_Jprojective_coordinates_GFp(v->std, v->b, v->x, NULL, v->zz, v->ctx) != 1 || BN_mod_sqr(v->zz, v->zz, v->p, v->ctx) != 1)
        return false;
    for (int i = 0; i < 2 && BN_cmp(v->r, v->p) < 0; i++) {
        if (BN_mod_mul(v->u1, v->r, v->zz, v->p, v->ctx) != 1)
            return false;
        if (BN_cmp(v->u1, v->x) == 0)
            return true;
        if (BN_add(v->r, v->r, n) != 1)
            return false;
    }
    return false;
}

/* 1/s is s^(n-2), n being prime: BN_mod_inverse takes 20 us instead of 12 on values that it has not seen before.
 * SEC 1 4.1.4: (u1, u2) = (e, r) / s mod n; R = u1 G + u2 Q; valid when x(R) mod n = r. digest: the leftmost 32 bytes count. */
static bool fixed_equation(struct ec_fixed *v, struct span digest)
{
    const BIGNUM *n = EC_GROUP_get0_order(v->std);
    return BN_bin2bn(digest.p, digest.n < 32 ? (int)digest.n : 32, v->e) && BN_mod_exp_mont(v->x, v->s, v->minus2, n, v->ctx, v->mont) == 1 &&
           BN_mod_mul(v->u1, v->e, v->x, n, v->ctx) == 1 && BN_mod_mul(v->u2, v->r, v->x, n, v->ctx) == 1 &&
           EC_POINT_mul(v->own, v->a, v->u2, NULL, NULL, v->ctx) == 1 && EC_POINT_mul(v->std, v->b, v->u1, NULL, NULL, v->ctx) == 1 &&
           EC_POINT_add(v->std, v->b, v->b, v->a, v->ctx) == 1 && EC_POINT_is_at_infinity(v->std, v->b) == 0 &&
           fixed_x_is_r(v);
}

enum err ec_fixed_verify(struct ec_fixed *v, struct span digest, struct span sig)
{
    bool good = fixed_split(v, sig) && fixed_equation(v, digest);
    if (!good)
        ERR_clear_error();
    return good ? CE_OK : CE_BAD_SIGNATURE;
}
