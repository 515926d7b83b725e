/* key_gate.c: policy, elliptic curves and Edwards points; RSA is key_gate_rsa.c. See key_gate.h. */
#include "crypt/key_gate.h"

#include <openssl/bn.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypt/hash.h"
#include "crypt/key_impl.h"

/* -- policy ------------------------------------------------------------------------------------------------------------------------ */
static bool policy_allows(const char *allowed, const struct spki_info *k)
{
    struct span rest = span_str(allowed), word;
    int64_t bits;
    while (span_cut(&rest, ' ', &word)) {
        if (word.n == 0)
            continue;
        if (k->alg == KEY_RSA && span_starts(word, "rsa:") && span_to_i64(span_of(word.p + 4, word.n - 4), &bits) && k->bits >= bits)
            return true;
        if (k->alg != KEY_RSA && span_eq_str(word, k->name))
            return true;
    }
    return false;
}

static enum err policy_judge(const struct spki_info *k, const char *allowed, struct fault *f)
{
    unsigned least = allowed ? KEY_RSA_BITS_MIN : 2048;
    if (k->alg == KEY_RSA && k->bits < least)
        return fault_set(f, CE_KEY_WEAK, "the RSA key has %u bits; at least %u are required", k->bits, least);
    if (k->alg == KEY_RSA && k->bits > KEY_RSA_BITS_MAX)
        return fault_set(f, CE_KEY_ALG, "the RSA key has %u bits; more than %d are not taken", k->bits, KEY_RSA_BITS_MAX);
    return !allowed || policy_allows(allowed, k) ? CE_OK : fault_set(f, CE_KEY_ALG, "%s keys are not allowed here; allowed: %s", k->name, allowed);
}

/* -- Ed25519 ----------------------------------------------------------------------------------------------------------------------- */
/* Encodings (RFC 8032 5.1.2, sign bit cleared) of the points of small order: with such a key a signature proves nothing. */
static bool ed25519_small_order(const uint8_t masked[32])
{
    static const uint8_t y[][32] = {
        { 0 }, /* order 4 */
        { 1 }, /* order 1 */
        { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
          0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 }, /* order 8 */
        { 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
          0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a }, /* order 8 */
        { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f }, /* -1: order 2 */
    };
    bool beyond_p = masked[31] == 0x7f && masked[0] >= 0xed; /* y >= p: not canonical, other spellings of 0 and 1 among them */
    for (int i = 1; i < 31; i++)
        beyond_p = beyond_p && masked[i] == 0xff;
    for (size_t i = 0; i < ARRAY_LEN(y); i++)
        if (memcmp(masked, y[i], 32) == 0)
            return true;
    return beyond_p;
}

/* Is there an x for this y? x^2 = (y^2 - 1) / (d y^2 + 1), RFC 8032 5.1.3; u / v is a square just when u v is (v is never 0). */
static bool ed25519_on_curve(const uint8_t masked[32])
{
    static const uint8_t d_le[32] = { 0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75, 0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00,
                                      0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7, 0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52 };
    BN_CTX *ctx = BN_CTX_new();
    INVARIANT(ctx != NULL);
    BN_CTX_start(ctx);
    BIGNUM *p = BN_CTX_get(ctx), *d = BN_CTX_get(ctx), *u = BN_CTX_get(ctx), *v = BN_CTX_get(ctx);
    bool made = v && BN_set_bit(p, 255) && BN_sub_word(p, 19) && BN_lebin2bn(d_le, 32, d) && BN_lebin2bn(masked, 32, u) &&
                BN_mod_sqr(u, u, p, ctx) && BN_mod_mul(v, u, d, p, ctx) && BN_add_word(v, 1) && BN_add(u, u, p) && BN_sub_word(u, 1) &&
                BN_mod_mul(u, u, v, p, ctx);
    int square = made ? BN_kronecker(u, p, ctx) : -2;
    BN_CTX_end(ctx);
    BN_CTX_free(ctx);
    INVARIANT(square != -2); /* out of memory */
    return square >= 0;
}

static enum err ed25519_judge(struct span key, struct fault *f)
{
    uint8_t masked[32];
    memcpy(masked, key.p, 32);
    masked[31] &= 0x7f;
    if (ed25519_small_order(masked))
        return fault_set(f, CE_KEY_INVALID, "the Ed25519 public key is a point of small order or not canonical");
    return ed25519_on_curve(masked) ? CE_OK : fault_set(f, CE_KEY_INVALID, "RFC 8032 5.1.3: the Ed25519 public key is not a point of the curve");
}

/* -- the gate ---------------------------------------------------------------------------------------------------------------------- */
enum err key_gate(struct span spki, const struct key_policy *policy, struct spki_info *out, struct fault *f)
{
    enum err e = spki_parse(spki, out, f);
    e = e ? e : policy_judge(out, policy ? policy->algs : NULL, f);
    if (e)
        return e;
    if (out->alg == KEY_RSA)
        return key_gate_rsa(out, !policy || policy->exponent_any, f);
    if ((out->alg == KEY_EC_P256 || out->alg == KEY_EC_P384) && ec_point_set(ec_point_scratch(out->alg), out->key))
        return fault_set(f, CE_KEY_INVALID, "the public key is not a point on curve %s", out->name + 3);
    return out->alg == KEY_ED25519 ? ed25519_judge(out->key, f) : CE_OK;
}

bool key_debian_id(struct span spki, uint8_t out[KEY_DEBIAN_LEN])
{
    static const char hex[] = "0123456789ABCDEF";
    CLEANUP(buf_free) struct buf text = BUF_INIT(8192);
    struct spki_info k;
    struct span n, e;
    uint8_t digest[SHA1_LEN];
    if (spki_parse(spki, &k, NULL) || k.alg != KEY_RSA || spki_rsa_split(k.key, &n, &e))
        return false;
    buf_put_str(&text, "Modulus=");
    for (size_t i = 0; i < 2 * n.n; i++) {
        unsigned digit = i & 1 ? n.p[i / 2] & 15u : n.p[i / 2] >> 4;
        if (i || digit)
            buf_put_u8(&text, (uint8_t)hex[digit]);
    }
    buf_put_u8(&text, '\n');
    sha1(buf_span(&text), digest);
    memcpy(out, digest + SHA1_LEN - KEY_DEBIAN_LEN, KEY_DEBIAN_LEN);
    return true;
}
