/* token.h: key pairs in a PKCS#11 token (HSM, smart card, SoftHSM), through the vendor's module itself: dlopen, C_Login, C_GenerateKeyPair,
 * C_Sign. ECDSA on P-256 and P-384, Ed25519 where the token can, RSA PKCS#1 v1.5. What a signature is over, and its outer DER, is made here.
 *
 * A module is loaded and initialised once a process. Threads: tokens are made and freed by one thread while no other uses them; a
 * session and its keys belong to one thread at a time; several sessions of one token work at the same time when the module can lock.
 *
 * A token that goes away (removed, its daemon stopped, its session closed by itself) is looked for once, quietly, within the call that saw it; then
 * calls give CE_TOKEN_LOST until token_retry succeeds. A wrong PIN is never tried twice: tokens lock themselves.
 */
#ifndef CRADLE_TOKEN_TOKEN_H
#define CRADLE_TOKEN_TOKEN_H

#include "crypt/key.h"
#include "token/uri.h"

#define TOKEN_PIN_MAX 256

struct token_info { /* as the token says it, without the padding */
    char label[33], serial[17], manufacturer[33], model[17];
};

struct token_options {
    bool stay;     /* keep the PIN, in memory that is never swapped or dumped, until token_free: for logging in again */
    bool need_pin; /* the URI must have pin-source: nobody is there to be asked */
    /* The PIN when the URI has no pin-source: first line of out[TOKEN_PIN_MAX]; NULL: CE_USAGE. */
    enum err (*ask_pin)(void *ctx, const char *token, char *out, struct fault *f);
    void *ask_ctx;
};

struct token;         /* owned by who opened it; token_free comes after its sessions' */
struct token_session; /* owned by who opened it, and by each key that is open in it */

/* Loads the module and reads the PIN; speaks to no token yet. CE_NOT_FOUND: no such file; CE_UNSUPPORTED: not a module; CE_USAGE. */
MUST_USE enum err token_new(const struct pkcs11_uri *u, const struct token_options *o, struct token **out, struct fault *f);
void token_free(struct token *t); /* NULL is fine; zeroes the PIN */
/* Finds the token and logs in. CE_NOT_FOUND: there is none like it. CE_TOKEN_LOST: it does not answer. CE_CRYPTO: PIN. CE_EXISTS: two are like it. */
MUST_USE enum err token_connect(struct token *t, struct fault *f);
/* The same for one that was lost: everything about its module is begun anew, unless another token of it answers. */
MUST_USE enum err token_retry(struct token *t, struct fault *f);
bool token_is_lost(struct token *t);
/* Did the token refuse the PIN? Then this struct token does not log in again. */
bool token_pin_refused(struct token *t);
/* As of the last connect. */
void token_info_get(struct token *t, struct token_info *out);

struct token_session *token_session_new(struct token *t); /* opens when first used */
void token_session_free(struct token_session *s);

/* The key pair that u names. alg (see key.h): makes it, not extractable, when the token has none; NULL: CE_NOT_FOUND then. CE_EXISTS: there are two
 * like it. *out signs in the token. */
MUST_USE enum err token_key_open(struct token_session *s, const struct pkcs11_uri *u, const char *alg, struct key **out, struct fault *f);

/* -- P-256 pairs for callers that hash by themselves (TLS) -- */
struct token_key; /* owned by who opened it; it belongs to its session */
/* The pair that u names; make: makes it, as token_key_open does, when there is none. point: its public half, uncompressed. */
MUST_USE enum err token_digest_open(struct token_session *s, const struct pkcs11_uri *u, bool make, struct token_key **out, uint8_t point[65], struct fault *f);
void token_digest_close(struct token_key *k); /* NULL is fine */
/* r || s over 32 bytes as they are (CKM_ECDSA). CE_TOKEN_LOST: until token_retry; CE_CRYPTO. */
MUST_USE enum err token_digest_sign(struct token_key *k, const uint8_t digest[32], uint8_t sig[64], struct fault *f);
/* Destroys all pairs that u names, whole or half, in the token (C_DestroyObject). CE_OK also when there is none. */
MUST_USE enum err token_key_destroy(struct token_session *s, const struct pkcs11_uri *u, struct fault *f);

/* All of it for ceremonies: token, session and key of one URI; key_free ends them. alg NULL: the key must be there. where may be NULL. */
MUST_USE enum err token_key_own(const struct pkcs11_uri *u, const char *alg, const struct token_options *o, struct key **out, struct token_info *where,
                                struct fault *f);
/* From the text of a URI. */
MUST_USE enum err token_key_make(const char *uri, const char *object_default, const char *alg, const struct token_options *o, struct key **out,
                                 struct token_info *where, struct fault *f);

#endif
