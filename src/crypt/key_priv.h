/* key_priv.h: struct key, for key.c, key_pem.c and ed25519.c only. */
#ifndef CRADLE_CRYPT_KEY_PRIV_H
#define CRADLE_CRYPT_KEY_PRIV_H

#include "crypt/key_impl.h"

struct key {
    EVP_PKEY *pkey;         /* owned; NULL when the private half is elsewhere */
    EVP_PKEY_CTX *ctx;      /* owned; ready to sign digests again and again; NULL for schemes that hash by themselves */
    EVP_MD_CTX *md;         /* owned */
    struct spki_info info;  /* points into spki */
    enum sig_alg sig;
    struct buf spki;        /* owned */
    key_sign_fn *sign;      /* key_external */
    key_sign_fn *sign_digest; /* NULL: it takes messages only */
    void (*release)(void *ctx);
    void *sign_ctx;
};
/* Takes pkey, also on failure. */
MUST_USE enum err key_from_pkey(EVP_PKEY *pkey, struct key **out, struct fault *f);

#endif
