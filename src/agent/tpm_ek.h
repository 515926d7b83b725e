/* tpm_ek.h: the endorsement key of a TPM by the TCG's templates (EK credential profile 2.x, L-1 and L-2): the one of which the TPM holds a certificate, P-256 first;
 * P-256 when there is none. */
#ifndef CRADLE_AGENT_TPM_EK_H
#define CRADLE_AGENT_TPM_EK_H

#include "agent/tpm.h"

struct tpm_ek {
    ESYS_TR object;      /* flush it */
    TPM2B_PUBLIC pub;
    struct buf cert;     /* owned; DER, empty when the TPM holds none */
};
/* out->object is TPM_NONE and out->cert empty after an error. */
MUST_USE enum err tpm_ek_open(const struct tpm *t, struct tpm_ek *out, struct fault *f);
/* The secret in a credential, by the TPM: blob TPM2B_ID_OBJECT, enc TPM2B_ENCRYPTED_SECRET, as the site sent them. CE_BAD_INPUT, CE_CRYPTO (it is not for this TPM and ak). */
MUST_USE enum err tpm_ek_activate(const struct tpm *t, const struct tpm_ek *ek, ESYS_TR ak, struct span blob, struct span enc, uint8_t secret[32], struct fault *f);

#endif
