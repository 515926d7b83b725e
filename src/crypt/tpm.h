/* tpm.h: what a server needs of TPM 2.0 (TCG, "Trusted Platform Module Library", parts 1 and 2; section numbers of version 1.59): reading the structures by which a TPM
 * tells of its keys, judging them, and TPM2_MakeCredential in software. Pure, but for random numbers. It speaks to no TPM.
 *
 * Attestation by credential activation: an endorsement key (EK) names the TPM, an attestation key (AK) signs only what that TPM says itself, and by it the
 * TPM certifies the device's key. Whoever opens a credential made for (EK, name of the AK) has that AK in the TPM of that EK.
 */
#ifndef CRADLE_CRYPT_TPM_H
#define CRADLE_CRYPT_TPM_H

#include "base/span.h"
#include "crypt/hash.h"

#define TPM_PUBLIC_MAX 1024   /* bytes of a TPM2B_PUBLIC, of a TPMS_ATTEST, of a TPMT_SIGNATURE */
#define TPM_NAME_LEN (2 + SHA256_LEN)
#define TPM_SECRET_LEN 32     /* what a credential carries */
#define TPM_SPKI_MAX 600

enum tpm_attribute { /* 8.3 TPMA_OBJECT */
    TPM_FIXED_TPM = 1 << 1, TPM_FIXED_PARENT = 1 << 4, TPM_ORIGIN = 1 << 5, TPM_RESTRICTED = 1 << 16, TPM_DECRYPT = 1 << 17, TPM_SIGN = 1 << 18,
};
struct tpm_key { /* of a TPMT_PUBLIC (12.2.4); spans point into it */
    bool rsa;                      /* else ECC on P-256 */
    unsigned bits, exponent;       /* RSA */
    struct span modulus, x, y;     /* big-endian; x and y 32 bytes */
    uint32_t attributes;
    unsigned scheme, scheme_hash;  /* TPM_ALG_ID; scheme 0x10: none */
    bool aes128_cfb;               /* its symmetric algorithm */
    uint8_t name[TPM_NAME_LEN];    /* part 1, 16: 000b || SHA-256 of the public area */
};
/* in: TPM2B_PUBLIC. CE_TRUNCATED, CE_BAD_INPUT, or CE_KEY_ALG (another curve, name algorithm or kind of key). */
MUST_USE enum err tpm_public_read(struct span in, struct tpm_key *out, struct fault *f);
/* SubjectPublicKeyInfo DER. */
void tpm_spki(const struct tpm_key *k, struct buf *out);

/* CE_KEY_HOME with what is missing: an EK decrypts and is restricted; an AK signs and is restricted, so that it never signs a lie; the device's key signs. All are made in
 * the TPM and fixed to it. */
enum tpm_part { TPM_EK, TPM_AK, TPM_DEVICE_KEY };
MUST_USE enum err tpm_judge(enum tpm_part part, const struct tpm_key *k, struct fault *f);

/* attest: TPMS_ATTEST (10.12.12) that tells of TPM2_Certify; signature: TPMT_SIGNATURE over it by ak. CE_OK: the TPM of ak says that it holds key.
 * CE_BAD_SIGNATURE, CE_KEY_HOME (it certifies another key), CE_TRUNCATED, CE_BAD_INPUT. */
MUST_USE enum err tpm_certified(struct span attest, struct span signature, const struct tpm_key *ak, const struct tpm_key *key, struct fault *f);

/* TPM2_MakeCredential (part 1, 24): only the TPM that holds ek and a key with this name gives secret back. blob: TPM2B_ID_OBJECT, enc: TPM2B_ENCRYPTED_SECRET. */
MUST_USE enum err tpm_credential(const struct tpm_key *ek, const uint8_t name[TPM_NAME_LEN], const uint8_t secret[TPM_SECRET_LEN], struct buf *blob, struct buf *enc,
                                 struct fault *f);

#endif
