/* tpm.h: a TPM 2.0 through tpm2-tss (ESYS), which is loaded when a TPM is used and not before: a device without one needs no tpm2-tss. Keys are children of
 * the owner's storage key (ECC P-256 template of the TCG, made anew from its seed each time) and have no password: who may reach the TPM may use
 * them, so the device file's group decides. The owner hierarchy must have no password.
 * It is not thread-safe, and knows nothing of files. */
#ifndef CRADLE_AGENT_TPM_H
#define CRADLE_AGENT_TPM_H

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "base/span.h"

struct tss { /* functions of the libraries */
#define T(lib, name) __typeof__(&name) name;
#include "agent/tss.def"
#undef T
};

struct tpm {
    const struct tss *tss;
    TSS2_TCTI_CONTEXT *tcti; /* owned */
    ESYS_CONTEXT *esys;      /* owned */
};
#define TPM_NONE ESYS_TR_NONE
#define TPM_SRK_PARENT 0x40000001u /* in files of keys: child of the storage key that the owner's seed gives */

/* CE_UNSUPPORTED: tpm2-tss is not installed. CE_IO: no TPM answers there. */
MUST_USE enum err tpm_open(const char *tcti, struct tpm *out, struct fault *f);
void tpm_close(struct tpm *t); /* legal on a zeroed struct */
/* Sets f from the TPM's answer, in words, and gives its error: CE_IO, CE_BUSY (lockout, retry) or CE_CRYPTO. */
MUST_USE enum err tpm_fail(const struct tpm *t, const char *what, TSS2_RC rc, struct fault *f);
void tpm_flush(const struct tpm *t, ESYS_TR object); /* TPM_NONE is legal */

/* The owner's storage key; flush it. */
MUST_USE enum err tpm_storage_key(const struct tpm *t, ESYS_TR *out, struct fault *f);
/* Makes a P-256 key that signs: fixed to this TPM and made in it. restricted: an attestation key, which signs only what the TPM itself says. */
MUST_USE enum err tpm_key_make(const struct tpm *t, ESYS_TR parent, bool restricted, TPM2B_PUBLIC *pub, TPM2B_PRIVATE *priv, struct fault *f);
MUST_USE enum err tpm_key_load(const struct tpm *t, ESYS_TR parent, const TPM2B_PUBLIC *pub, const TPM2B_PRIVATE *priv, ESYS_TR *out, struct fault *f);
/* A persistent object, and what it is; CE_NOT_FOUND when the handle is free. Close it with tpm_persistent_close. */
MUST_USE enum err tpm_persistent_open(const struct tpm *t, uint32_t handle, TPM2B_PUBLIC *pub, ESYS_TR *out, struct fault *f);
void tpm_persistent_close(const struct tpm *t, ESYS_TR object);
MUST_USE enum err tpm_persist(const struct tpm *t, ESYS_TR key, uint32_t handle, struct fault *f);
MUST_USE enum err tpm_persistent_remove(const struct tpm *t, uint32_t handle, struct fault *f); /* CE_OK also when it is free */
/* r || s by ECDSA with SHA-256. */
MUST_USE enum err tpm_sign(const struct tpm *t, ESYS_TR key, const uint8_t digest[32], uint8_t sig[64], struct fault *f);
/* 04 || X || Y of a P-256 key; CE_KEY_ALG. */
MUST_USE enum err tpm_point(const TPM2B_PUBLIC *pub, uint8_t point[65], struct fault *f);

#endif
