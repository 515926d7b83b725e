/* key_impl.h: what the files behind key.h share. Nobody else includes it. */
#ifndef CRADLE_CRYPT_KEY_IMPL_H
#define CRADLE_CRYPT_KEY_IMPL_H

#include <openssl/evp.h>

#include "crypt/key.h"

#define DIGEST_MAX SIG_DIGEST_MAX

struct sig_desc {
    enum sig_alg alg;
    enum key_alg key;       /* KEY_EC_P256 stands for every EC key */
    unsigned hash_bits;     /* 256, 384, 512; 0: the scheme hashes by itself */
    struct span der;        /* AlgorithmIdentifier */
    const char *name;       /* sig_alg_name */
};
const struct sig_desc *sig_desc_of(enum sig_alg a);       /* NULL for SIG_NONE */
bool sig_alg_fits(enum sig_alg a, enum key_alg k);
/* Hashes message; returns the digest's length. hash_bits 256, 384 or 512. */
size_t sig_digest(unsigned hash_bits, struct span message, uint8_t out[DIGEST_MAX]);

/* Modulus and exponent of an RSAPublicKey. CE_BAD_DER. */
MUST_USE enum err spki_rsa_split(struct span key, struct span *n, struct span *e);
/* The RSA half of key_gate. */
MUST_USE enum err key_gate_rsa(const struct spki_info *k, bool exponent_any, struct fault *f);

/* EC points on OpenSSL's low-level objects: see pubkey_ec.c. */
struct ec_point; /* a decoded public point, reusable */
struct ec_point *ec_point_new(enum key_alg curve);
void ec_point_free(struct ec_point *p);
MUST_USE enum err ec_point_set(struct ec_point *p, struct span uncompressed);  /* CE_KEY_INVALID */
MUST_USE enum err ec_point_verify(struct ec_point *p, struct span digest, struct span sig);
struct ec_point *ec_point_scratch(enum key_alg curve);    /* one a thread and curve, never freed */

/* P-256 verification with one key that stays: see pubkey_fixed.c. */
struct ec_fixed;
struct ec_fixed *ec_fixed_new(struct span uncompressed);  /* NULL: not a point, or no table */
void ec_fixed_free(struct ec_fixed *v);
MUST_USE enum err ec_fixed_verify(struct ec_fixed *v, struct span digest, struct span sig);

#endif
