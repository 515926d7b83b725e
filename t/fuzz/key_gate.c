/* key_gate.c: fuzz target of the gate for public keys. The first byte chooses the policy and whether the rest is a whole SPKI or an RSA
 * modulus to be put into one. What is taken must be what OpenSSL reads too, and have none of the weaknesses that are cheap to ask for again. */
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/key_gate.h"
#include "crypt/oid.h"

static void rsa_wrap(struct span modulus, struct buf *out)
{
    size_t all = der_begin(out, DER_SEQUENCE), alg = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, SPAN_LIT(OID_RSA));
    buf_put_span(out, SPAN_LIT("\x05\x00"));
    der_end(out, alg);
    size_t bits = der_begin(out, DER_BIT_STRING);
    buf_put_u8(out, 0);
    size_t seq = der_begin(out, DER_SEQUENCE);
    der_put_uint(out, modulus);
    der_put_uint(out, SPAN_LIT("\x01\x00\x01"));
    der_end(out, seq);
    der_end(out, bits);
    der_end(out, all);
}

static void again(struct span spki, const struct spki_info *k, bool by_policy)
{
    const uint8_t *p = spki.p;
    EVP_PKEY *pkey = k->alg < KEY_MLDSA44 ? d2i_PUBKEY(NULL, &p, (long)spki.n) : NULL;
    INVARIANT(k->alg >= KEY_MLDSA44 || (pkey && p == spki.p + spki.n && (k->alg == KEY_ED25519 || EVP_PKEY_get_bits(pkey) == (int)k->bits)));
    BIGNUM *n = NULL, *e = NULL;
    if (k->alg == KEY_RSA) {
        INVARIANT(EVP_PKEY_get_bn_param(pkey, "n", &n) && EVP_PKEY_get_bn_param(pkey, "e", &e) && k->bits >= (by_policy ? 3072 : 2048));
        INVARIANT(BN_is_odd(n) && BN_is_odd(e) && BN_get_word(e) >= 65537 && BN_num_bits(e) <= 256);
        for (BN_ULONG q = 3; q < 2000; q += 2)
            INVARIANT(BN_mod_word(n, q) != 0);
    }
    BN_free(n);
    BN_free(e);
    EVP_PKEY_free(pkey);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault f = { .code = CE_OK };
    struct spki_info k;
    CLEANUP(buf_free) struct buf made = BUF_INIT(0);
    if (size < 1)
        return 0;
    struct span spki = span_of(data + 1, size - 1);
    const struct key_policy policy = { .algs = "ec:P-256 ec:P-384 ed25519 rsa:3072", .exponent_any = (data[0] & 2) != 0 };
    if (data[0] & 4) {
        rsa_wrap(spki, &made);
        spki = buf_span(&made);
    }
    enum err e = key_gate(spki, data[0] & 1 ? &policy : NULL, &k, &f);
    if (e)
        INVARIANT(f.code == e && f.text[0]);
    else
        again(spki, &k, data[0] & 1);
    ERR_clear_error();
    return 0;
}

#include "t/fuzz/replay.h"
