/* sigalg.c: the signature algorithms of X.509 that we know, as a table. See key.h. */
#include "base/mem.h"
#include "crypt/hash.h"
#include "crypt/key_impl.h"
#include "crypt/oid.h"

/* clang-format off */
static const struct sig_desc sig_table[] = {
    { SIG_ECDSA_SHA256, KEY_EC_P256, 256, SPAN_LIT("\x30\x0a\x06\x08" OID_ECDSA "\x02"), "ecdsa-sha256" },
    { SIG_ECDSA_SHA384, KEY_EC_P256, 384, SPAN_LIT("\x30\x0a\x06\x08" OID_ECDSA "\x03"), "ecdsa-sha384" },
    { SIG_ECDSA_SHA512, KEY_EC_P256, 512, SPAN_LIT("\x30\x0a\x06\x08" OID_ECDSA "\x04"), "ecdsa-sha512" },
    { SIG_ED25519,      KEY_ED25519, 0,   SPAN_LIT("\x30\x05\x06\x03" OID_ED25519), "ed25519" },
    { SIG_RSA_SHA256,   KEY_RSA,     256, SPAN_LIT("\x30\x0d\x06\x09" OID_PKCS1 "\x0b\x05\x00"), "rsa-sha256" },
    { SIG_RSA_SHA384,   KEY_RSA,     384, SPAN_LIT("\x30\x0d\x06\x09" OID_PKCS1 "\x0c\x05\x00"), "rsa-sha384" },
    { SIG_RSA_SHA512,   KEY_RSA,     512, SPAN_LIT("\x30\x0d\x06\x09" OID_PKCS1 "\x0d\x05\x00"), "rsa-sha512" },
    { SIG_MLDSA44,      KEY_MLDSA44, 0,   SPAN_LIT("\x30\x0b\x06\x09" OID_MLDSA "\x11"), "ml-dsa-44" },
    { SIG_MLDSA65,      KEY_MLDSA65, 0,   SPAN_LIT("\x30\x0b\x06\x09" OID_MLDSA "\x12"), "ml-dsa-65" },
    { SIG_MLDSA87,      KEY_MLDSA87, 0,   SPAN_LIT("\x30\x0b\x06\x09" OID_MLDSA "\x13"), "ml-dsa-87" },
};
/* clang-format on */

const struct sig_desc *sig_desc_of(enum sig_alg a)
{
    for (size_t i = 0; i < ARRAY_LEN(sig_table); i++)
        if (sig_table[i].alg == a)
            return &sig_table[i];
    return NULL;
}

const char *sig_alg_name(enum sig_alg a)
{
    const struct sig_desc *d = sig_desc_of(a);
    return d ? d->name : "unknown";
}

struct span sig_alg_der(enum sig_alg a)
{
    const struct sig_desc *d = sig_desc_of(a);
    return d ? d->der : span_of(NULL, 0);
}

enum sig_alg sig_alg_from_der(struct span algorithm)
{
    for (size_t i = 0; i < ARRAY_LEN(sig_table); i++)
        if (span_eq(sig_table[i].der, algorithm))
            return sig_table[i].alg;
    return SIG_NONE;
}

bool sig_alg_fits(enum sig_alg a, enum key_alg k)
{
    const struct sig_desc *d = sig_desc_of(a);
    return d && d->key == (k == KEY_EC_P384 ? KEY_EC_P256 : k);
}

size_t sig_digest(unsigned hash_bits, struct span message, uint8_t out[DIGEST_MAX])
{
    if (hash_bits == 256)
        sha256(message, out);
    else if (hash_bits == 384)
        sha384(message, out);
    else
        sha512(message, out);
    return hash_bits / 8;
}

bool sig_hash_begin(struct sig_hash *h, enum sig_alg a)
{
    const struct sig_desc *d = sig_desc_of(a);
    h->bits = d ? d->hash_bits : 0;
    if (h->bits == 256)
        sha256_begin(&h->u.s256);
    else if (h->bits == 384)
        sha384_begin(&h->u.s384);
    else
        return false;
    return true;
}

void sig_hash_add(struct sig_hash *h, struct span piece)
{
    if (h->bits == 256)
        sha256_add(&h->u.s256, piece);
    else
        sha384_add(&h->u.s384, piece);
}

size_t sig_hash_end(struct sig_hash *h, uint8_t out[SIG_DIGEST_MAX])
{
    if (h->bits == 256)
        sha256_end(&h->u.s256, out);
    else
        sha384_end(&h->u.s384, out);
    return h->bits / 8;
}
