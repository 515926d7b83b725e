/* key_remote.c: see key_remote.h. An EC_KEY with a method of our own: deprecated since OpenSSL 3.0, and the only way that a TLS client of libcurl and
 * libmosquitto takes on 3.0 as on 3.5 without a provider loaded from a file. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "agent/key_remote.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <pthread.h>

#include "base/log.h"
#include "base/mem.h"

CLEANUP_PTR(EC_KEY, EC_KEY_free)
CLEANUP_PTR(ECDSA_SIG, ECDSA_SIG_free)

static EC_KEY_METHOD *method;
static int slot = -1; /* of the struct key_remote among an EC_KEY's data */

/* ECDSA takes the leftmost 256 bits of a longer hash and a shorter one as a number (FIPS 186-5 6.4.1): so every digest becomes one of 32 bytes. */
static int remote_sign(int type, const unsigned char *digest, int n, unsigned char *out, unsigned int *out_n, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
    struct key_remote *remote = EC_KEY_get_ex_data(key, slot);
    uint8_t fixed[32] = { 0 }, raw[64];
    struct fault f = { 0 };
    (void)type;
    (void)kinv;
    (void)r;
    if (!remote || n < 1)
        return 0;
    memcpy(n >= 32 ? fixed : fixed + 32 - n, digest, n >= 32 ? 32 : (size_t)n);
    if (remote->sign(remote, fixed, raw, &f)) {
        log_warn(0, "the device's key did not sign: %s", f.text);
        return 0;
    }
    CLEANUP(ECDSA_SIG_free_p) ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *a = BN_bin2bn(raw, 32, NULL), *b = BN_bin2bn(raw + 32, 32, NULL);
    if (!sig || !a || !b || ECDSA_SIG_set0(sig, a, b) != 1) {
        BN_free(a);
        BN_free(b);
        return 0;
    }
    int len = i2d_ECDSA_SIG(sig, &out);
    if (len <= 0)
        return 0;
    *out_n = (unsigned)len;
    return 1;
}

static void remote_finish(EC_KEY *key)
{
    struct key_remote *r = EC_KEY_get_ex_data(key, slot);
    EC_KEY_set_ex_data(key, slot, NULL);
    if (r)
        r->release(r);
}

/* The private half is not ours to copy. */
static int remote_copy(EC_KEY *to, const EC_KEY *from)
{
    (void)to;
    (void)from;
    return 0;
}

static void method_make(void)
{
    method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    slot = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    INVARIANT(method && slot >= 0);
    EC_KEY_METHOD_set_sign(method, remote_sign, NULL, NULL);
    EC_KEY_METHOD_set_init(method, NULL, remote_finish, remote_copy, NULL, NULL, NULL);
}

enum err key_remote_bind(struct key_remote *r, const uint8_t point[CRADLE_POINT_LEN], EVP_PKEY **out, struct fault *f)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, method_make);
    CLEANUP(EC_KEY_free_p) EC_KEY *key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    *out = EVP_PKEY_new();
    if (key && *out && EC_KEY_oct2key(key, point, CRADLE_POINT_LEN, NULL) == 1 && EC_KEY_set_method(key, method) == 1 && EVP_PKEY_assign_EC_KEY(*out, key) == 1) {
        EC_KEY_set_ex_data(key, slot, r);
        key = NULL;
        return CE_OK;
    }
    EVP_PKEY_free(*out);
    *out = NULL;
    return fault_set(f, CE_KEY_INVALID, "the device's public key is no point on P-256");
}
