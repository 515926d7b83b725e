/* spki.c: SubjectPublicKeyInfo: strict structure (spki_parse) and soundness plus policy (spki_judge). See key.h. */
#include <stdio.h>

#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/hash.h"
#include "crypt/key_impl.h"
#include "crypt/oid.h"

/* clang-format off */
static const struct curve_row {
    struct span oid;
    enum key_alg alg;       /* KEY_NONE: known, but not one of ours */
    unsigned bits;
    const char *name;
} curves[] = {
    { SPAN_LIT(OID_P256),                           KEY_EC_P256, 256, "ec:P-256" },
    { SPAN_LIT(OID_P384),                           KEY_EC_P384, 384, "ec:P-384" },
    { SPAN_LIT("\x2b\x81\x04\x00\x23"),             KEY_NONE,    521, "ec:P-521" },
    { SPAN_LIT("\x2b\x81\x04\x00\x0a"),             KEY_NONE,    256, "ec:secp256k1" },
    { SPAN_LIT("\x2a\x86\x48\xce\x3d\x03\x01\x01"), KEY_NONE,    192, "ec:P-192" },
    { SPAN_LIT("\x2b\x81\x04\x00\x21"),             KEY_NONE,    224, "ec:P-224" },
    { SPAN_LIT("\x2b\x81\x04\x00\x1f"),             KEY_NONE,    192, "ec:secp192k1" },
    { SPAN_LIT("\x2b\x81\x04\x00\x08"),             KEY_NONE,    160, "ec:secp160r1" },
    { SPAN_LIT("\x2b\x81\x04\x00\x09"),             KEY_NONE,    160, "ec:secp160k1" },
    { SPAN_LIT("\x2b\x81\x04\x00\x1e"),             KEY_NONE,    160, "ec:secp160r2" },
    { SPAN_LIT("\x2b\x81\x04\x00\x20"),             KEY_NONE,    224, "ec:secp224k1" },
    { SPAN_LIT("\x2b\x81\x04\x00\x01"),             KEY_NONE,    163, "ec:sect163k1" },
    { SPAN_LIT("\x2b\x81\x04\x00\x06"),             KEY_NONE,    112, "ec:secp112r1" },
};
static const struct fixed_row { /* algorithms without parameters and with keys of one size */
    struct span oid;
    enum key_alg alg;
    unsigned bits, bytes;
    const char *name;
} fixed[] = {
    { SPAN_LIT(OID_ED25519),      KEY_ED25519, 256,  32,   "ed25519" },
    { SPAN_LIT(OID_MLDSA "\x11"), KEY_MLDSA44, 2560, 1312, "ml-dsa-44" },
    { SPAN_LIT(OID_MLDSA "\x12"), KEY_MLDSA65, 3840, 1952, "ml-dsa-65" },
    { SPAN_LIT(OID_MLDSA "\x13"), KEY_MLDSA87, 5120, 2592, "ml-dsa-87" },
};
/* clang-format on */

static enum err spki_ec(struct span params, struct spki_info *out, struct fault *f)
{
    struct span oid;
    if (der_peek(params, DER_SEQUENCE) || der_peek(params, DER_NULL) || !params.n)
        return fault_set(f, CE_KEY_INVALID, "RFC 5480 2.1.1: EC keys must name their curve (namedCurve), explicit or absent parameters are refused");
    if (der_get_oid(&params, &oid) || params.n)
        return fault_set(f, CE_BAD_DER, "RFC 5480 2.1.1: malformed ECParameters");
    const struct curve_row *c = NULL;
    for (size_t i = 0; i < ARRAY_LEN(curves) && !c; i++)
        if (span_eq(curves[i].oid, oid))
            c = &curves[i];
    if (!c)
        return fault_set(f, CE_KEY_ALG, "the key is on an elliptic curve that is not supported (use ec:P-256)");
    if (c->bits < 256)
        return fault_set(f, CE_KEY_WEAK, "the key is on curve %s of %u bits; at least 256 are required", c->name + 3, c->bits);
    if (c->alg == KEY_NONE)
        return fault_set(f, CE_KEY_ALG, "keys on curve %s are not supported (use ec:P-256)", c->name + 3);
    size_t coord = c->bits / 8;
    if (out->key.n == 1 && out->key.p[0] == 0)
        return fault_set(f, CE_KEY_INVALID, "the public key is the point at infinity");
    if (out->key.n == coord + 1 && (out->key.p[0] == 2 || out->key.p[0] == 3))
        return fault_set(f, CE_KEY_INVALID, "RFC 5480 2.2: the public key must be an uncompressed point");
    if (out->key.n != 2 * coord + 1 || out->key.p[0] != 4)
        return fault_set(f, CE_KEY_INVALID, "RFC 5480 2.2: the public key is not a point of curve %s", c->name + 3);
    out->alg = c->alg;
    out->bits = c->bits;
    snprintf(out->name, sizeof out->name, "%s", c->name);
    return CE_OK;
}

static enum err rsa_split(struct span key, struct span *n, struct span *e)
{
    struct span seq;
    return der_get(&key, DER_SEQUENCE, &seq) || key.n || der_get_uint(&seq, n) || der_get_uint(&seq, e) || seq.n ? CE_BAD_DER : CE_OK;
}

static unsigned span_bits(struct span m)
{
    unsigned lead = 0;
    while (lead < 8 && m.n && !(m.p[0] & (0x80 >> lead)))
        lead++;
    return (unsigned)m.n * 8 - (m.n ? lead : 0);
}

static enum err spki_rsa(struct span params, struct spki_info *out, struct fault *f)
{
    struct span n, e;
    if (!span_eq(params, SPAN_LIT("\x05\x00")))
        return fault_set(f, CE_BAD_DER, "RFC 3279 2.3.1: rsaEncryption takes NULL as its parameters");
    if (rsa_split(out->key, &n, &e))
        return fault_set(f, CE_BAD_DER, "RFC 3279 2.3.1: malformed RSAPublicKey");
    if (n.n > 2048)
        return fault_set(f, CE_KEY_INVALID, "the RSA modulus has more than 16384 bits");
    out->alg = KEY_RSA;
    out->bits = span_bits(n);
    snprintf(out->name, sizeof out->name, "rsa:%u", out->bits);
    return CE_OK;
}

static enum err spki_fixed(struct span oid, struct span params, struct spki_info *out, struct fault *f)
{
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        if (!span_eq(fixed[i].oid, oid))
            continue;
        if (params.n)
            return fault_set(f, CE_BAD_DER, "RFC 8410 3: %s keys take no parameters", fixed[i].name);
        if (out->key.n != fixed[i].bytes)
            return fault_set(f, CE_KEY_INVALID, "the %s key has %zu bytes instead of %u", fixed[i].name, out->key.n, fixed[i].bytes);
        out->alg = fixed[i].alg;
        out->bits = fixed[i].bits;
        snprintf(out->name, sizeof out->name, "%s", fixed[i].name);
        return CE_OK;
    }
    return fault_set(f, CE_KEY_ALG, "the key's algorithm is not supported (use ec:P-256)");
}

enum err spki_parse(struct span spki, struct spki_info *out, struct fault *f)
{
    struct span seq, alg, oid;
    *out = (struct spki_info){ .alg = KEY_NONE };
    if (spki.n > KEY_SPKI_MAX)
        return fault_set(f, CE_KEY_INVALID, "the public key is larger than %d bytes", KEY_SPKI_MAX);
    if (der_get(&spki, DER_SEQUENCE, &seq) || spki.n || der_get(&seq, DER_SEQUENCE, &alg) || der_get_bits(&seq, &out->key) || seq.n ||
        der_get_oid(&alg, &oid) || (alg.n && der_check(alg)))
        return fault_set(f, CE_BAD_DER, "RFC 5280 4.1.2.7: malformed SubjectPublicKeyInfo");
    if (span_eq(oid, SPAN_LIT(OID_EC_PUBLIC_KEY)))
        return spki_ec(alg, out, f);
    if (span_eq(oid, SPAN_LIT(OID_RSA)))
        return spki_rsa(alg, out, f);
    return spki_fixed(oid, alg, out, f);
}

void spki_key_id(const struct spki_info *k, uint8_t out[20]) { sha1(k->key, out); }

/* Encodings (RFC 8032 5.1.2, sign bit cleared) of the points of small order: with such a key a signature proves nothing. */
static bool ed25519_small_order(struct span key)
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
    uint8_t masked[32];
    memcpy(masked, key.p, 32);
    masked[31] &= 0x7f;
    bool beyond_p = masked[31] == 0x7f && masked[0] >= 0xed; /* y >= p: not canonical, other spellings of 0 and 1 among them */
    for (int i = 1; i < 31; i++)
        beyond_p = beyond_p && masked[i] == 0xff;
    for (size_t i = 0; i < ARRAY_LEN(y); i++)
        if (memcmp(masked, y[i], 32) == 0)
            return true;
    return beyond_p;
}

static enum err rsa_judge(const struct spki_info *k, struct fault *f)
{
    struct span n, e;
    if (rsa_split(k->key, &n, &e))
        return fault_set(f, CE_BAD_DER, "RFC 3279 2.3.1: malformed RSAPublicKey");
    if (k->bits < 2048)
        return fault_set(f, CE_KEY_WEAK, "the RSA key has %u bits; fewer than 2048 are never accepted", k->bits);
    if (!(e.p[e.n - 1] & 1) || (e.n == 1 && e.p[0] < 3))
        return fault_set(f, CE_KEY_WEAK, "the RSA public exponent must be odd and at least 3");
    if (e.n > 32)
        return fault_set(f, CE_KEY_INVALID, "the RSA public exponent has more than 256 bits");
    if (!(n.p[n.n - 1] & 1))
        return fault_set(f, CE_KEY_INVALID, "the RSA modulus is even");
    return CE_OK;
}

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

enum err spki_judge(struct span spki, const char *allowed, struct spki_info *out, struct fault *f)
{
    enum err e = spki_parse(spki, out, f);
    if (e)
        return e;
    if (out->alg == KEY_RSA) {
        e = rsa_judge(out, f);
        if (e)
            return e;
    }
    if (allowed && !policy_allows(allowed, out))
        return out->alg == KEY_RSA && out->bits < 3072
                   ? fault_set(f, CE_KEY_WEAK, "the RSA key has %u bits; the policy wants at least 3072", out->bits)
                   : fault_set(f, CE_KEY_ALG, "%s keys are not allowed here; allowed: %s", out->name, allowed);
    if ((out->alg == KEY_EC_P256 || out->alg == KEY_EC_P384) && ec_point_set(ec_point_scratch(out->alg), out->key))
        return fault_set(f, CE_KEY_INVALID, "the public key is not a point on curve %s", out->name + 3);
    if (out->alg == KEY_ED25519 && ed25519_small_order(out->key))
        return fault_set(f, CE_KEY_INVALID, "the Ed25519 public key is a point of small order or not canonical");
    return CE_OK;
}
