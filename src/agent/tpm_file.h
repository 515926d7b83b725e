/* tpm_file.h: the file key.tpm. Either "TSS2 PRIVATE KEY" in PEM, the format that tpm2-openssl and others read: a key wrapped for one TPM by its owner's storage
 * key; or one line "handle 0x81…": a key that the TPM keeps itself. Pure. */
#ifndef CRADLE_AGENT_TPM_FILE_H
#define CRADLE_AGENT_TPM_FILE_H

#include "base/span.h"

struct tpm_file {
    uint32_t handle;         /* of a persistent key; 0: it is wrapped */
    uint32_t parent;         /* of a wrapped key: TPM_SRK_PARENT */
    struct buf pub, priv;    /* owned: TPM2B_PUBLIC and TPM2B_PRIVATE as the TPM writes them */
};
void tpm_file_free(struct tpm_file *k); /* legal on a zeroed struct */

void tpm_file_write(const struct tpm_file *k, struct buf *out);
/* CE_BAD_DER, CE_KEY_INVALID, CE_UNSUPPORTED (a password, a policy, another parent). */
MUST_USE enum err tpm_file_read(struct span text, struct tpm_file *out, struct fault *f);
/* "0x81……", a persistent handle of the owner's range (0x81000000 to 0x817fffff). */
bool tpm_handle_parse(struct span text, uint32_t *out);

#endif
