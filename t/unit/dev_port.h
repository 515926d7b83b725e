/* dev_port.h: the port of libcradle-dev by OpenSSL, for its tests: ctx points at a struct sha256. */
#ifndef CRADLE_T_DEV_PORT_H
#define CRADLE_T_DEV_PORT_H

#include <openssl/ec.h>
#include <openssl/objects.h>

#include "crypt/hash.h"

static int port_begin(void *ctx) { sha256_begin(ctx); return 0; }
static int port_add(void *ctx, const void *p, size_t n) { sha256_add(ctx, span_of(p, n)); return 0; }
static int port_end(void *ctx, uint8_t out[32]) { sha256_end(ctx, out); return 0; }
static int port_verify(void *ctx, const uint8_t point[65], const uint8_t digest[32], const uint8_t *sig, size_t n)
{
    (void)ctx;
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    int good = EC_KEY_oct2key(ec, point, 65, NULL) == 1 && ECDSA_verify(0, digest, 32, sig, (int)n, ec) == 1;
    EC_KEY_free(ec);
    return !good;
}

#endif
