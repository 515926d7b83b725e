/* devkey.h: the device's P-256 key in a file, behind the port of libcradle-dev. The key is made here and never leaves this process
 * and its 0600 file. Other homes of a key (TPM, PKCS#11) come as other makers of a struct devkey. */
#ifndef CRADLE_AGENT_DEVKEY_H
#define CRADLE_AGENT_DEVKEY_H

#include <openssl/evp.h>

#include "base/span.h"
#include "cradle/dev.h"

struct devkey {
    EVP_PKEY *pkey;          /* owned */
    struct cradle_port port; /* callbacks over pkey; ctx points at this struct, so do not move it */
};

/* Makes a key and stores it at path, mode 0600, durably; CE_EXISTS when the file is there (it is never replaced). */
MUST_USE enum err devkey_make(const char *path, struct devkey *k, struct fault *f);
/* Loads path; refuses a file that others can read. */
MUST_USE enum err devkey_load(const char *path, struct devkey *k, struct fault *f);
void devkey_free(struct devkey *k); /* legal on a zeroed struct */

#endif
