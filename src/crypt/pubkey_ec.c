/* pubkey_ec.c: ECDSA verification with keys that are set cheaply.
 *
 * Why the low-level EC_KEY: on OpenSSL 3.0 d2i_PUBKEY or EVP_PKEY_fromdata build a new group for each key (120 to 210 us, against
 * 66 us for the verification itself). One EC_KEY per curve keeps its group; setting another point checks that it is on the
 * curve (P-256 and P-384 have cofactor 1: no subgroup check is needed) and costs about 1 us. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypt/key_impl.h"

struct ec_point {
    EC_KEY *key;
};

struct ec_point *ec_point_new(enum key_alg curve)
{
    struct ec_point *p = mem_calloc(1, sizeof *p);
    p->key = EC_KEY_new_by_curve_name(curve == KEY_EC_P256 ? NID_X9_62_prime256v1 : NID_secp384r1);
    INVARIANT(p->key != NULL);
    return p;
}

void ec_point_free(struct ec_point *p)
{
    if (!p)
        return;
    EC_KEY_free(p->key);
    free(p);
}

enum err ec_point_set(struct ec_point *p, struct span uncompressed)
{
    if (EC_KEY_oct2key(p->key, uncompressed.p, uncompressed.n, NULL) == 1)
        return CE_OK;
    ERR_clear_error();
    return CE_KEY_INVALID;
}

enum err ec_point_verify(struct ec_point *p, struct span digest, struct span sig)
{
    if (sig.n < 8 || sig.n > 160)
        return CE_BAD_SIGNATURE;
    int rc = ECDSA_verify(0, digest.p, (int)digest.n, sig.p, (int)sig.n, p->key);
    if (rc != 1)
        ERR_clear_error();
    return rc == 1 ? CE_OK : CE_BAD_SIGNATURE;
}

struct ec_point *ec_point_scratch(enum key_alg curve)
{
    static __thread struct ec_point *scratch[2];
    struct ec_point **at = &scratch[curve == KEY_EC_P384];
    if (!*at)
        *at = ec_point_new(curve);
    return *at;
}
