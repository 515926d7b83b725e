/* tpm_attest.h: what a device with its key in a TPM does so that the site knows it: endorsement key, attestation key, TPM2_Certify, and the credential that only this TPM
 * opens (server side: crypt/tpm.h, core/attest.h). */
#ifndef CRADLE_AGENT_TPM_ATTEST_H
#define CRADLE_AGENT_TPM_ATTEST_H

#include "agent/agent.h"
#include "net/net.h"

/* Proves over net that the key in the folder dir lives in this TPM. CE_UNSUPPORTED: it does not. A refusal of the site is its reason. */
MUST_USE enum err tpm_attest(const struct agent_config *cfg, const char *dir, struct net *net, struct fault *f);
/* The endorsement key by which this TPM is known: SHA-256 of its SubjectPublicKeyInfo; and whether the TPM holds a certificate of it. */
MUST_USE enum err tpm_ek(const struct agent_config *cfg, uint8_t sha256_out[32], bool *has_cert, struct fault *f);

#endif
