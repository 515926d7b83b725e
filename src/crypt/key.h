/* key.h: keys: private ones that sign, public ones that are judged and verify. The only place that touches OpenSSL's
 * key objects. A struct key is used by one thread at a time. Not a key store: where keys lie is the caller's business.
 *
 * Algorithms are named by policy text: "ec:P-256" "ec:P-384" "ed25519" "rsa:3072" (any RSA size >= 3072 matches an allowed
 * "rsa:N" with N <= its size) "ml-dsa-44" "ml-dsa-65" "ml-dsa-87" (OpenSSL >= 3.5; CE_UNSUPPORTED on older ones).
 */
#ifndef CRADLE_CRYPT_KEY_H
#define CRADLE_CRYPT_KEY_H

#include "base/span.h"
#include "crypt/hash.h"

enum key_alg { KEY_NONE, KEY_EC_P256, KEY_EC_P384, KEY_ED25519, KEY_RSA, KEY_MLDSA44, KEY_MLDSA65, KEY_MLDSA87 };
enum sig_alg {
    SIG_NONE, SIG_ECDSA_SHA256, SIG_ECDSA_SHA384, SIG_ECDSA_SHA512, SIG_ED25519, SIG_RSA_SHA256, SIG_RSA_SHA384,
    SIG_RSA_SHA512, SIG_MLDSA44, SIG_MLDSA65, SIG_MLDSA87
};
#define KEY_NAME_MAX 24      /* "rsa:16384" and the like, with NUL */
#define KEY_SPKI_MAX 3072    /* bytes of the largest SubjectPublicKeyInfo looked at (an ML-DSA-87 one has 2614) */

/* -- private keys -- */
struct key; /* owned by who made it; key_free zeroes */
void key_free(struct key *k);        /* NULL is fine */
void key_free_p(struct key **k);     /* for CLEANUP */
/* Can keys of this name be made and judged here? CE_UNSUPPORTED: ML-DSA with an OpenSSL before 3.5. Says nothing about names that are not known. */
MUST_USE enum err key_alg_supported(struct span name, struct fault *f);
MUST_USE enum err key_generate(const char *alg, struct key **out, struct fault *f);
/* PKCS#8 or SEC1 PEM. passphrase NULL: the key must be plain. A wrong passphrase is CE_CRYPTO with a clear text. */
MUST_USE enum err key_from_pem(struct span pem, const char *passphrase, struct key **out, struct fault *f);
/* Refuses a file that group or others may access (CE_IO), or that is not there (CE_NOT_FOUND). */
MUST_USE enum err key_read_file(const char *path, const char *passphrase, struct key **out, struct fault *f);
/* PKCS#8; with a passphrase AES-256-CBC and scrypt (PBKDF2-SHA256 where scrypt is missing). Write it 0600. */
MUST_USE enum err key_write_pem(const struct key *k, const char *passphrase, struct buf *out);
struct span key_spki(const struct key *k);              /* SubjectPublicKeyInfo DER; lives as long as k */
enum key_alg key_alg(const struct key *k);
enum sig_alg sig_alg_of_key(enum key_alg a);            /* the same for any key of its kind */
enum sig_alg key_sig_alg(const struct key *k);          /* what key_sign makes: ECDSA with the curve's hash, … */
/* Appends the signature over message as X.509 wants it (DER for ECDSA, raw else). CE_CRYPTO. */
MUST_USE enum err key_sign(struct key *k, struct span message, struct buf *sig);
/* Signs what is hashed already, as struct sig_hash does for key_sig_alg; where key_hashes says so. CE_CRYPTO. */
MUST_USE enum err key_sign_digest(struct key *k, struct span digest, struct buf *sig);
bool key_hashes(const struct key *k);                  /* false: key_sign_digest is not for it: the scheme (Ed25519, ML-DSA) or the place of the key wants the message */

/* A key whose private half is elsewhere (PKCS#11, TPM): sign gets the whole message and appends an X.509 signature. ctx is
 * taken on CE_OK only; key_free then calls release(ctx). */
typedef enum err key_sign_fn(void *ctx, struct span message, struct buf *sig);
MUST_USE enum err key_external(struct span spki, key_sign_fn *sign, void (*release)(void *ctx), void *ctx, struct key **out,
                               struct fault *f);

/* Tells such a key how a digest is signed. */
void key_external_digest(struct key *k, key_sign_fn *sign_digest);

/* Where the keys of a site are. open gives the private half of keys/NAME; CE_OK and *out NULL: it is not for this process to have. */
struct key_source {
    enum err (*open)(void *ctx, const char *dir, const char *name, struct key **out, struct fault *f);
    void *ctx;
};
extern const struct key_source key_source_files; /* DIR/keys/NAME.key */

/* -- signature algorithms in X.509 -- */
struct span sig_alg_der(enum sig_alg a);                /* the AlgorithmIdentifier SEQUENCE */
const char *sig_alg_name(enum sig_alg a);               /* "ecdsa-sha256", "ml-dsa-65"; "unknown" */
enum sig_alg sig_alg_from_der(struct span algorithm);   /* from the whole SEQUENCE; SIG_NONE when not one of ours */

/* A message that comes in pieces, hashed as its signature wants it. */
struct sig_hash { unsigned bits; union { struct sha256 s256; struct sha384 s384; } u; }; /* private; needs no release */
#define SIG_DIGEST_MAX 64
MUST_USE bool sig_hash_begin(struct sig_hash *h, enum sig_alg a); /* false: its scheme hashes by itself, and wants the whole message */
void sig_hash_add(struct sig_hash *h, struct span piece);
size_t sig_hash_end(struct sig_hash *h, uint8_t out[SIG_DIGEST_MAX]);

/* -- public keys -- */
struct spki_info {
    enum key_alg alg;
    unsigned bits;
    char name[KEY_NAME_MAX];  /* "ec:P-256", "rsa:2048" */
    struct span key;          /* EC point 04||X||Y, raw Ed25519 or ML-DSA key, RSAPublicKey DER; points into the SPKI */
};
/* Reads the structure of a SubjectPublicKeyInfo (RFC 5280 4.1.2.7, RFC 5480, RFC 8410) strictly: named curves only, uncompressed
 * points only. CE_BAD_DER, CE_KEY_ALG, CE_KEY_WEAK (curves below 256 bits), CE_KEY_INVALID. Says nothing about policy and soundness: see key_gate.h. */
MUST_USE enum err spki_parse(struct span spki, struct spki_info *out, struct fault *f);
/* Does sig hold? Also refuses an algorithm that does not belong to the key. CE_BAD_SIGNATURE, CE_KEY_INVALID, CE_KEY_ALG. */
MUST_USE enum err spki_verify(struct span spki, enum sig_alg alg, struct span message, struct span sig);
void spki_key_id(const struct spki_info *k, uint8_t out[20]); /* RFC 5280 4.2.1.2 (1): SHA-1 of the BIT STRING's bytes */

/* A public key decoded once, for many verifications. */
struct pubkey; /* owned by who made it */
MUST_USE enum err pubkey_open(struct span spki, struct pubkey **out);
void pubkey_free(struct pubkey *k);
void pubkey_free_p(struct pubkey **k);
/* Spends a few ms and 150 kB once to make each later P-256 verification about twice as fast; other keys: nothing happens. */
void pubkey_prepare(struct pubkey *k, struct span spki);
MUST_USE enum err pubkey_verify(struct pubkey *k, enum sig_alg alg, struct span message, struct span sig);
MUST_USE enum err pubkey_verify_digest(struct pubkey *k, enum sig_alg alg, struct span digest, struct span sig); /* what sig_hash_end gave */

#endif
