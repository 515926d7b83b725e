/* crypt_fixed.c: the rare case of ECDSA P-256 that no random signature meets: the point's x is not below the order n, so that r is x - n (SEC 1 4.1.4). Such
 * signatures are made backwards here, from the point to a key and a digest that fit it; OpenSSL's own verification is the judge of them, and prepared keys
 * (crypt/pubkey_fixed.c) must say the same, also of what is bent. What any signature meets is in crypt_key.c. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>

#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/key.h"
#include "t/tap.h"

#define CASES 40
static EC_GROUP *g;
static BN_CTX *ctx;
static const BIGNUM *n;

struct made { BIGNUM *r, *s, *e; EC_POINT *q; };

/* A signature over R = (n + i, y), if there is such a point: u1, u2 at will, Q = (R - u1 G) / u2, s = r / u2, e = u1 s. */
static bool make(unsigned i, struct made *m)
{
    BIGNUM *x = BN_dup(n), *u1 = BN_new(), *u2 = BN_new(), *inv = BN_new();
    EC_POINT *big = EC_POINT_new(g), *t = EC_POINT_new(g);
    bool good = x && BN_add_word(x, i) == 1 && EC_POINT_set_compressed_coordinates(g, big, x, (int)(i & 1), ctx) == 1;
    if (good) {
        *m = (struct made){ BN_new(), BN_new(), BN_new(), EC_POINT_new(g) };
        good = BN_set_word(m->r, i) == 1 && BN_rand_range(u1, n) == 1 && BN_rand_range(u2, n) == 1 && BN_mod_inverse(inv, u2, n, ctx) &&
               BN_mod_mul(m->s, m->r, inv, n, ctx) == 1 && BN_mod_mul(m->e, u1, m->s, n, ctx) == 1 && EC_POINT_mul(g, t, u1, NULL, NULL, ctx) == 1 &&
               EC_POINT_invert(g, t, ctx) == 1 && EC_POINT_add(g, t, t, big, ctx) == 1 && EC_POINT_mul(g, m->q, NULL, t, inv, ctx) == 1;
    }
    BN_free(x), BN_free(u1), BN_free(u2), BN_free(inv);
    EC_POINT_free(big), EC_POINT_free(t);
    return good;
}

static bool openssl_says(const struct made *m, const uint8_t digest[32])
{
    EC_KEY *k = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    bool good = EC_KEY_set_public_key(k, m->q) == 1 && ECDSA_SIG_set0(sig, BN_dup(m->r), BN_dup(m->s)) == 1 && ECDSA_do_verify(digest, 32, sig, k) == 1;
    ECDSA_SIG_free(sig);
    EC_KEY_free(k);
    return good;
}

static void put_uint(struct buf *b, const BIGNUM *v)
{
    uint8_t bytes[32];
    BN_bn2binpad(v, bytes, sizeof bytes);
    der_put_uint(b, span_of(bytes, sizeof bytes));
}

static struct pubkey *prepared(const struct made *m)
{
    CLEANUP(buf_free) struct buf spki = BUF_INIT(0);
    uint8_t point[65];
    struct pubkey *pub = NULL;
    EC_POINT_point2oct(g, m->q, POINT_CONVERSION_UNCOMPRESSED, point, sizeof point, ctx);
    buf_put(&spki, "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00", 26);
    buf_put(&spki, point, sizeof point);
    if (pubkey_open(buf_span(&spki), &pub) == CE_OK)
        pubkey_prepare(pub, buf_span(&spki));
    return pub;
}

static bool we_say(struct pubkey *pub, const struct made *m, const uint8_t digest[32])
{
    CLEANUP(buf_free) struct buf sig = BUF_INIT(0);
    size_t at = der_begin(&sig, DER_SEQUENCE);
    put_uint(&sig, m->r);
    put_uint(&sig, m->s);
    der_end(&sig, at);
    return pub && pubkey_verify_digest(pub, SIG_ECDSA_SHA256, span_of(digest, 32), buf_span(&sig)) == CE_OK;
}

int main(void)
{
    unsigned made = 0, good = 0, bent = 0;
    g = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    ctx = BN_CTX_new();
    n = EC_GROUP_get0_order(g);
    for (unsigned i = 1; i < 200 && made < CASES; i++) {
        struct made m;
        uint8_t digest[32];
        if (!make(i, &m))
            continue;
        made++;
        BN_bn2binpad(m.e, digest, 32);
        struct pubkey *pub = prepared(&m);
        good += openssl_says(&m, digest) && we_say(pub, &m, digest);
        digest[31] ^= 1;
        bent += !openssl_says(&m, digest) && !we_say(pub, &m, digest);
        digest[31] ^= 1;
        BN_add_word(m.r, 1);
        bent += !openssl_says(&m, digest) && !we_say(pub, &m, digest);
        pubkey_free(pub);
        BN_free(m.r), BN_free(m.s), BN_free(m.e);
        EC_POINT_free(m.q);
    }
    ok(made == CASES, "signatures whose point lies at n or above it (%u)", made);
    ok(good == CASES, "OpenSSL takes them, and so do prepared keys (%u)", good);
    ok(bent == 2 * CASES, "with another digest or another r neither does (%u)", bent);
    BN_CTX_free(ctx);
    EC_GROUP_free(g);
    return done();
}
