/* tpm_read.c: the reading and judging half of tpm.h. */
#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/key.h"
#include "crypt/oid.h"
#include "crypt/tpm.h"

enum { /* part 2: 6.3 TPM_ALG_ID, 6.4 TPM_ECC_CURVE, 6.2 TPM_GENERATED, 6.9 TPM_ST */
    ALG_RSA = 0x0001, ALG_AES = 0x0006, ALG_SHA256 = 0x000b, ALG_NULL = 0x0010, ALG_RSASSA = 0x0014, ALG_RSAES = 0x0015, ALG_ECDSA = 0x0018, ALG_ECDAA = 0x001a,
    ALG_ECC = 0x0023, ALG_CFB = 0x0043, CURVE_P256 = 0x0003, ST_ATTEST_CERTIFY = 0x8017,
};
#define GENERATED 0xff544347u

struct in { struct span s; bool bad; }; /* sticky */

static unsigned in_u16(struct in *in)
{
    uint16_t v = 0;
    in->bad |= !span_get_u16(&in->s, &v);
    return v;
}
static uint32_t in_u32(struct in *in)
{
    uint32_t v = 0;
    in->bad |= !span_get_u32(&in->s, &v);
    return v;
}
static struct span in_2b(struct in *in) /* 10.4: a size and so many bytes */
{
    struct span v = { 0 };
    unsigned n = in_u16(in);
    in->bad |= in->bad || !span_get(&in->s, n, &v);
    return v;
}

static enum err truncated(const char *what, struct fault *f) { return fault_set(f, CE_TRUNCATED, "%s is shorter or longer than it says", what); }

/* -- public areas ----------------------------------------------------------------------------------------------------------------------- */
static void symmetric_read(struct in *in, struct tpm_key *k)
{
    unsigned alg = in_u16(in);
    if (alg == ALG_NULL)
        return;
    unsigned bits = in_u16(in), mode = in_u16(in);
    k->aes128_cfb = alg == ALG_AES && bits == 128 && mode == ALG_CFB;
}

static void scheme_read(struct in *in, struct tpm_key *k)
{
    k->scheme = in_u16(in);
    if (k->scheme != ALG_NULL && k->scheme != ALG_RSAES)
        k->scheme_hash = in_u16(in);
    if (k->scheme == ALG_ECDAA)
        in_u16(in);
}

static void rsa_read(struct in *in, struct tpm_key *k)
{
    symmetric_read(in, k);
    scheme_read(in, k);
    k->bits = in_u16(in);
    k->exponent = in_u32(in);
    k->exponent = k->exponent ? k->exponent : 65537;
    k->modulus = in_2b(in);
}

static unsigned ecc_read(struct in *in, struct tpm_key *k)
{
    symmetric_read(in, k);
    scheme_read(in, k);
    unsigned curve = in_u16(in);
    if (in_u16(in) != ALG_NULL) /* kdf */
        in_u16(in);
    k->x = in_2b(in);
    k->y = in_2b(in);
    return curve;
}

enum err tpm_public_read(struct span bytes, struct tpm_key *k, struct fault *f)
{
    struct in in = { .s = bytes };
    *k = (struct tpm_key){ 0 };
    struct span area = in_2b(&in);
    if (in.bad || in.s.n)
        return truncated("the public area of a TPM's key", f);
    in.s = area;
    unsigned type = in_u16(&in), name_alg = in_u16(&in), curve = CURVE_P256;
    k->attributes = in_u32(&in);
    in_2b(&in); /* authPolicy */
    if (!in.bad && ((type != ALG_RSA && type != ALG_ECC) || name_alg != ALG_SHA256))
        return fault_set(f, CE_KEY_ALG, "a TPM's key must be RSA or on P-256, named by SHA-256");
    k->rsa = type == ALG_RSA;
    if (k->rsa)
        rsa_read(&in, k);
    else
        curve = ecc_read(&in, k);
    if (in.bad || in.s.n)
        return truncated("the public area of a TPM's key", f);
    if (k->rsa ? k->bits < 2048 || k->bits > 4096 || k->modulus.n * 8 != k->bits || !(k->modulus.p[0] & 0x80) || k->exponent < 65537 || !(k->exponent & 1)
               : curve != CURVE_P256 || k->x.n != 32 || k->y.n != 32)
        return fault_set(f, CE_KEY_ALG, "a TPM's key must be RSA of 2048 to 4096 bits or on P-256");
    k->name[1] = ALG_SHA256;
    sha256(area, k->name + 2);
    return CE_OK;
}

void tpm_spki(const struct tpm_key *k, struct buf *out)
{
    static const uint8_t rsa_head[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
    static const uint8_t p256_head[] = { 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
    CLEANUP(buf_free) struct buf key = BUF_INIT(TPM_SPKI_MAX);
    size_t at = der_begin(out, DER_SEQUENCE);
    if (k->rsa) {
        const uint8_t e[] = { (uint8_t)(k->exponent >> 24), (uint8_t)(k->exponent >> 16), (uint8_t)(k->exponent >> 8), (uint8_t)k->exponent };
        buf_put(out, rsa_head, sizeof rsa_head);
        size_t seq = der_begin(&key, DER_SEQUENCE);
        der_put_uint(&key, k->modulus);
        der_put_uint(&key, span_of(e, sizeof e));
        der_end(&key, seq);
    } else {
        buf_put(out, p256_head, sizeof p256_head);
        buf_put_u8(&key, 4);
        buf_put_span(&key, k->x);
        buf_put_span(&key, k->y);
    }
    der_put_bits(out, buf_span(&key));
    der_end(out, at);
}

enum err tpm_judge(enum tpm_part part, const struct tpm_key *k, struct fault *f)
{
    static const struct { const char *name; uint32_t must, must_not; } parts[] = {
        [TPM_EK] = { "the endorsement key", TPM_RESTRICTED | TPM_DECRYPT, TPM_SIGN },
        [TPM_AK] = { "the attestation key", TPM_RESTRICTED | TPM_SIGN, TPM_DECRYPT },
        [TPM_DEVICE_KEY] = { "the device's key", TPM_SIGN, TPM_DECRYPT | TPM_RESTRICTED },
    };
    static const struct { uint32_t bit; const char *name; } bits[] = {
        { TPM_FIXED_TPM, "fixedTPM" }, { TPM_FIXED_PARENT, "fixedParent" }, { TPM_ORIGIN, "sensitiveDataOrigin" },
        { TPM_RESTRICTED, "restricted" }, { TPM_DECRYPT, "decrypt" }, { TPM_SIGN, "sign" },
    };
    uint32_t must = parts[part].must | TPM_FIXED_TPM | TPM_FIXED_PARENT | TPM_ORIGIN;
    for (size_t i = 0; i < ARRAY_LEN(bits); i++)
        if ((bits[i].bit & must && !(k->attributes & bits[i].bit)) || (bits[i].bit & parts[part].must_not && k->attributes & bits[i].bit))
            return fault_set(f, CE_KEY_HOME, "%s %s the attribute %s (TPM 2.0 part 2, 8.3)", parts[part].name, bits[i].bit & must ? "lacks" : "may not have", bits[i].name);
    if (part == TPM_EK && !k->aes128_cfb)
        return fault_set(f, CE_KEY_ALG, "the endorsement key must protect by AES-128 in CFB mode (templates L-1 and L-2 of the TCG's EK credential profile)");
    if (part == TPM_AK && (k->scheme != (k->rsa ? ALG_RSASSA : ALG_ECDSA) || k->scheme_hash != ALG_SHA256))
        return fault_set(f, CE_KEY_ALG, "the attestation key must sign by ECDSA or RSASSA with SHA-256");
    return CE_OK;
}

/* -- what the TPM says ------------------------------------------------------------------------------------------------------------------ */
/* The signature (11.3.4) as X.509 has it. */
static enum err signature_read(struct span bytes, const struct tpm_key *ak, struct buf *out, struct fault *f)
{
    struct in in = { .s = bytes };
    unsigned alg = in_u16(&in), hash = in_u16(&in);
    if (!in.bad && (alg != (ak->rsa ? ALG_RSASSA : ALG_ECDSA) || hash != ALG_SHA256))
        return fault_set(f, CE_BAD_SIGNATURE, "the attestation key's signature is of another kind than the key");
    struct span r = in_2b(&in), s = ak->rsa ? (struct span){ 0 } : in_2b(&in);
    if (in.bad || in.s.n || !r.n || r.n > TPM_PUBLIC_MAX || (!ak->rsa && (!s.n || r.n > 32 || s.n > 32)))
        return truncated("the attestation key's signature", f);
    if (ak->rsa) {
        buf_put_span(out, r);
        return buf_err(out);
    }
    size_t at = der_begin(out, DER_SEQUENCE);
    der_put_uint(out, r);
    der_put_uint(out, s);
    der_end(out, at);
    return buf_err(out);
}

/* The name that TPMS_ATTEST certifies. */
static enum err attest_read(struct span bytes, struct span *name, struct fault *f)
{
    struct in in = { .s = bytes };
    uint32_t magic = in_u32(&in);
    unsigned type = in_u16(&in);
    struct span skip;
    in_2b(&in); /* qualifiedSigner */
    in_2b(&in); /* extraData */
    in.bad |= in.bad || !span_get(&in.s, 17 + 8, &skip); /* clockInfo, firmwareVersion */
    *name = in_2b(&in);
    in_2b(&in); /* qualifiedName */
    if (!in.bad && magic != GENERATED)
        return fault_set(f, CE_BAD_INPUT, "the attestation does not begin with TPM_GENERATED: no TPM has made it");
    if (!in.bad && type != ST_ATTEST_CERTIFY)
        return fault_set(f, CE_BAD_INPUT, "the attestation is not one of TPM2_Certify");
    return in.bad || in.s.n ? truncated("the attestation", f) : CE_OK;
}

enum err tpm_certified(struct span attest, struct span signature, const struct tpm_key *ak, const struct tpm_key *key, struct fault *f)
{
    CLEANUP(buf_free) struct buf spki = BUF_INIT(TPM_SPKI_MAX), sig = BUF_INIT(TPM_PUBLIC_MAX);
    struct span name;
    enum err e = attest_read(attest, &name, f);
    e = e ? e : signature_read(signature, ak, &sig, f);
    if (e)
        return e;
    tpm_spki(ak, &spki);
    if (buf_err(&spki) || spki_verify(buf_span(&spki), ak->rsa ? SIG_RSA_SHA256 : SIG_ECDSA_SHA256, attest, buf_span(&sig)))
        return fault_set(f, CE_BAD_SIGNATURE, "the attestation is not signed by the attestation key");
    if (!span_eq(name, span_of(key->name, sizeof key->name)))
        return fault_set(f, CE_KEY_HOME, "the TPM certifies another key than the device's");
    return CE_OK;
}
