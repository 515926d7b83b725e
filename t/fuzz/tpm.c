/* tpm.c: fuzz target of the readers of a TPM's structures. Input: public area of the AK, of the key, attestation, signature, each after two bytes of length; what is left
 * out is empty. What is taken must be a key that OpenSSL reads, and have a credential made for it or be refused with a reason. */
#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypt/tpm.h"

static void key_check(const struct tpm_key *k)
{
    CLEANUP(buf_free) struct buf spki = BUF_INIT(TPM_SPKI_MAX);
    tpm_spki(k, &spki);
    INVARIANT(!buf_err(&spki));
    const uint8_t *p = spki.data;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)spki.len);
    INVARIANT(!pkey || p == spki.data + spki.len);
    INVARIANT(pkey || !k->rsa); /* a point need not lie on the curve */
    EVP_PKEY_free(pkey);
    struct fault f = { 0 };
    for (int part = TPM_EK; part <= TPM_DEVICE_KEY; part++)
        INVARIANT(tpm_judge((enum tpm_part)part, k, &f) == CE_OK || f.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size), part[4] = { 0 };
    struct tpm_key ak, key;
    struct fault f = { 0 };
    uint16_t n;
    for (size_t i = 0; i < ARRAY_LEN(part); i++)
        if (!span_get_u16(&in, &n) || !span_get(&in, n, &part[i]))
            break;
    enum err e = tpm_public_read(part[0], &ak, &f), e2 = tpm_public_read(part[1], &key, &f);
    if (!e)
        key_check(&ak);
    if (!e2)
        key_check(&key);
    if (!e && !e2) {
        CLEANUP(buf_free) struct buf blob = BUF_INIT(1024), enc = BUF_INIT(1024);
        static const uint8_t secret[TPM_SECRET_LEN];
        e = tpm_certified(part[2], part[3], &ak, &key, &f);
        INVARIANT(!e || f.text[0]);
        INVARIANT(tpm_credential(&ak, key.name, secret, &blob, &enc, &f) == CE_OK || f.text[0]);
    }
    ERR_clear_error();
    return 0;
}

#include "t/fuzz/replay.h"
