/* key.h: the device's P-256 key, wherever it lives, behind the port of libcradle-dev and behind an EVP_PKEY for TLS. Where it lives is decided when it is
 * made (agent.conf: key) and read from its generation's folder afterwards, so a changed setting takes effect with the next new key:
 *
 *   DIR/key.pem   the private key itself, mode 0600                                        key_file.c
 *   DIR/key.tpm   a key that only one TPM can load (TSS2 PRIVATE KEY), or its handle in it  key_tpm.c
 *   DIR/key.uri   which key of a PKCS#11 token it is (RFC 7512)                           key_pkcs11.c
 *   DIR/key.psa   its ID in an implementation of PSA Crypto                               key_psa.c
 *
 * It is no key store: it makes, opens and destroys the one key of a folder. */
#ifndef CRADLE_AGENT_KEY_H
#define CRADLE_AGENT_KEY_H

#include <openssl/evp.h>

#include "agent/agent.h"
#include "cradle/dev.h"

struct agent_key {
    EVP_PKEY *pkey;          /* owned; references that OpenSSL keeps outlive this struct */
    struct cradle_port port; /* callbacks over pkey; ctx points at this struct, so do not move it */
};

/* Makes the key that the configuration asks for in the folder dir, durably. CE_EXISTS when there is one (it is never replaced). Whatever a power loss
 * leaves of it is found through dir by key_destroy. */
MUST_USE enum err key_make(const struct agent_config *cfg, const char *dir, struct agent_key *k, struct fault *f);
/* Opens the key of dir. CE_NOT_FOUND: it has none. A file that others can read is refused. CE_IO: the TPM does not answer; CE_TOKEN_LOST: the token. */
MUST_USE enum err key_open(const struct agent_config *cfg, const char *dir, struct agent_key *k, struct fault *f);
void key_close(struct agent_key *k); /* legal on a zeroed struct */
bool key_present(const char *dir);
/* "file", "tpm", "pkcs11" or "psa"; "" when dir has no key. */
const char *key_home(const char *dir);
/* Gives the folder `to` the same key as `from` (a second name of one file). */
MUST_USE enum err key_share(const char *from, const char *to, struct fault *f);
/* Destroys the key of dir, unless another folder shares it: a file is overwritten as far as the medium obeys, a key that a TPM, token or PSA Crypto keeps is deleted there. CE_OK
 * also when there is none. */
MUST_USE enum err key_destroy(const struct agent_config *cfg, const char *dir, struct fault *f);
/* CE_BAD_CONFIG when the setting `key` names no home of keys. */
MUST_USE enum err key_check_config(const struct agent_config *cfg, struct fault *f);

/* -- for the homes of keys ----------------------------------------------------------------------------------------------------------- */
struct key_backend {
    const char *name, *file; /* file: in the generation's folder; it says all that is needed to find the key again */
    bool (*wanted)(const char *setting);
    enum err (*make)(const struct agent_config *cfg, const char *path, EVP_PKEY **out, struct fault *f);
    enum err (*open)(const struct agent_config *cfg, const char *path, EVP_PKEY **out, struct fault *f);
    enum err (*destroy)(const struct agent_config *cfg, const char *path, struct fault *f); /* the key, not the file */
    enum err (*check)(const struct agent_config *cfg, struct fault *f); /* of the setting; NULL: wanted says it all */
};
extern const struct key_backend key_backend_file, key_backend_tpm, key_backend_pkcs11, key_backend_psa;

#endif
