/* devkey.c: see devkey.h. */
#include "agent/devkey.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>

#include "base/file.h"
#include "base/mem.h"

CLEANUP_PTR(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP_PTR(BIO, BIO_free_all)

static int port_sha256(void *ctx, const void *data, size_t n, uint8_t out[32])
{
    (void)ctx;
    return EVP_Digest(data, n, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

static int port_sign(void *ctx, const uint8_t digest[32], uint8_t *sig, size_t *sig_len)
{
    struct devkey *k = ctx;
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *pc = EVP_PKEY_CTX_new(k->pkey, NULL);
    if (!pc || EVP_PKEY_sign_init(pc) != 1 || EVP_PKEY_CTX_set_signature_md(pc, EVP_sha256()) != 1)
        return -1;
    return EVP_PKEY_sign(pc, sig, sig_len, digest, 32) == 1 ? 0 : -1;
}

/* OpenSSL would ask for the passphrase of an encrypted key on the terminal, and a daemon would wait for ever. */
static int no_passphrase(char *out, int size, int rwflag, void *arg)
{
    (void)out;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static enum err devkey_bind(struct devkey *k, struct fault *f)
{
    size_t n = 0;
    char group[32] = "";
    EVP_PKEY_get_utf8_string_param(k->pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL);
    if (strcmp(group, "prime256v1") != 0)
        return fault_set(f, CE_KEY_ALG, "the device key must be P-256");
    EVP_PKEY_set_utf8_string_param(k->pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed");
    if (EVP_PKEY_get_octet_string_param(k->pkey, OSSL_PKEY_PARAM_PUB_KEY, k->port.point, CRADLE_POINT_LEN, &n) != 1 || n != CRADLE_POINT_LEN)
        return fault_set(f, CE_CRYPTO, "the device key has no public point");
    k->port.ctx = k;
    k->port.sha256 = port_sha256;
    k->port.sign = port_sign;
    return CE_OK;
}

enum err devkey_make(const char *path, struct devkey *k, struct fault *f)
{
    *k = (struct devkey){ .pkey = EVP_EC_gen("P-256") };
    CLEANUP(BIO_free_all_p) BIO *bio = BIO_new(BIO_s_secmem());
    if (!k->pkey || !bio || PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL) != 1)
        return fault_set(f, CE_CRYPTO, "cannot make a P-256 key");
    char *pem;
    long n = BIO_get_mem_data(bio, &pem);
    enum err e = file_write_new(path, span_of(pem, (size_t)n), 0600);
    mem_zero(pem, (size_t)n);
    if (e)
        return fault_set(f, e, "cannot store the key at %s: %s", path, strerror(errno));
    return devkey_bind(k, f);
}

enum err devkey_load(const char *path, struct devkey *k, struct fault *f)
{
    *k = (struct devkey){ 0 };
    CLEANUP(buf_free) struct buf pem = BUF_INIT(16384);
    struct fault why;
    enum err e = file_read_private(path, &pem, &why);
    if (e)
        return fault_set(f, e, "the device's key: %s", why.text);
    CLEANUP(BIO_free_all_p) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    k->pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    if (!k->pkey)
        return fault_set(f, CE_KEY_INVALID, "%s holds no private key that can be used (encrypted ones cannot)", path);
    return devkey_bind(k, f);
}

void devkey_free(struct devkey *k)
{
    EVP_PKEY_free(k->pkey);
    *k = (struct devkey){ 0 };
}
