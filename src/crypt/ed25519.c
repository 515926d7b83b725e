/* ed25519.c: see ed25519.h. */
#include "crypt/ed25519.h"

#include <openssl/err.h>

#include "base/mem.h"
#include "crypt/key_priv.h"

CLEANUP_PTR(EVP_PKEY, EVP_PKEY_free)
CLEANUP_PTR(EVP_MD_CTX, EVP_MD_CTX_free)

enum err ed25519_public(const struct key *k, uint8_t out[ED25519_PUB])
{
    if (k->info.alg != KEY_ED25519)
        return CE_KEY_ALG;
    memcpy(out, k->info.key.p, ED25519_PUB);
    return CE_OK;
}

enum err ed25519_sign(struct key *k, struct span message, uint8_t out[ED25519_SIG])
{
    CLEANUP(buf_free) struct buf sig = BUF_INIT(ED25519_SIG);
    if (k->info.alg != KEY_ED25519)
        return CE_KEY_ALG;
    enum err e = key_sign(k, message, &sig);
    if (!e && sig.len != ED25519_SIG)
        e = CE_CRYPTO;
    if (!e)
        memcpy(out, sig.data, ED25519_SIG);
    return e;
}

enum err ed25519_verify(const uint8_t pub[ED25519_PUB], struct span message, struct span sig)
{
    if (sig.n != ED25519_SIG)
        return CE_BAD_SIGNATURE;
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, ED25519_PUB);
    CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(ctx, sig.p, sig.n, message.p, message.n) == 1;
    if (!good)
        ERR_clear_error();
    return good ? CE_OK : CE_BAD_SIGNATURE;
}
