/* update_port.c: what libcradle-dev asks of a target (cradle/update.h), by OpenSSL. See update_store.h. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "agent/update_store.h"
#include "base/mem.h"

CLEANUP_PTR(EVP_PKEY, EVP_PKEY_free)
CLEANUP_PTR(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

static EVP_MD_CTX *hash; /* one hash runs at a time */

static int port_begin(void *ctx)
{
    (void)ctx;
    if (!hash)
        hash = EVP_MD_CTX_new();
    return hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

static int port_add(void *ctx, const void *data, size_t n)
{
    (void)ctx;
    return EVP_DigestUpdate(hash, data, n) == 1 ? 0 : -1;
}

static int port_end(void *ctx, uint8_t out[32])
{
    (void)ctx;
    return EVP_DigestFinal_ex(hash, out, NULL) == 1 ? 0 : -1;
}

static int port_verify(void *ctx, const uint8_t point[65], const uint8_t digest[32], const uint8_t *sig, size_t sig_len)
{
    char group[] = "prime256v1";
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point, 65), OSSL_PARAM_construct_end() };
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = NULL;
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    (void)ctx;
    if (!make || EVP_PKEY_fromdata_init(make) != 1 || EVP_PKEY_fromdata(make, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return -1;
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *judge = EVP_PKEY_CTX_new(key, NULL);
    return judge && EVP_PKEY_verify_init(judge) == 1 && EVP_PKEY_verify(judge, sig, sig_len, digest, 32) == 1 ? 0 : -1;
}

const struct cradle_update_port update_port = { NULL, port_begin, port_add, port_end, port_verify };
