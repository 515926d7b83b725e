/* spki.c: SubjectPublicKeyInfo: its structure, strictly. Soundness and policy are key_gate.c's. See key.h. */
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

enum err spki_rsa_split(struct span key, struct span *n, struct span *e)
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
    if (spki_rsa_split(out->key, &n, &e))
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
