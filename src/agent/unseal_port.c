/* unseal_port.c: see unseal_port.h. */
#include "agent/unseal_port.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/mem.h"

CLEANUP_PTR(EVP_PKEY, EVP_PKEY_free)
CLEANUP_PTR(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP_PTR(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

int unseal_ecdh(EVP_PKEY *key, const uint8_t point[65], uint8_t x[32])
{
    char group[] = "prime256v1";
    size_t n = 32;
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point, 65), OSSL_PARAM_construct_end() };
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *peer = NULL;
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    if (!make || !c || EVP_PKEY_fromdata_init(make) != 1 || EVP_PKEY_fromdata(make, &peer, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return -1;
    return EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, peer) == 1 && EVP_PKEY_derive(c, x, &n) == 1 && n == 32 ? 0 : -1;
}

int unseal_gcm_open(void *ctx, const uint8_t key[32], const uint8_t nonce[12], const void *aad, size_t aad_n, void *data, size_t n,
                    const uint8_t tag[CRADLE_UNSEAL_TAG])
{
    int out = 0;
    uint8_t last[16];
    CLEANUP(EVP_CIPHER_CTX_free_p) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    (void)ctx;
    if (!c || EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce) != 1 || (aad_n && EVP_DecryptUpdate(c, NULL, &out, aad, (int)aad_n) != 1) ||
        (n && EVP_DecryptUpdate(c, data, &out, data, (int)n) != 1) || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, CRADLE_UNSEAL_TAG, (void *)(uintptr_t)tag) != 1)
        return -1;
    return EVP_DecryptFinal_ex(c, last, &out) == 1 ? 0 : 1;
}
