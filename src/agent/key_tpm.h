/* key_tpm.h: the key of a folder as an object of the TPM, for attestation. */
#ifndef CRADLE_AGENT_KEY_TPM_H
#define CRADLE_AGENT_KEY_TPM_H

#include "agent/tpm.h"

/* Loads it. persistent: close it with tpm_persistent_close, else tpm_flush. object is TPM_NONE after an error. */
MUST_USE enum err key_tpm_object(const struct tpm *t, const char *dir, ESYS_TR *object, TPM2B_PUBLIC *pub, bool *persistent, struct fault *f);

#endif
