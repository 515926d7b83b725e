/* pkcs11.h: the root key in a PKCS#11 token (HSM, smart card, SoftHSM), through the module itself: dlopen, C_GenerateKeyPair,
 * C_Sign. It is for ceremonies of `cradle init`; no process of cradled loads a module.
 *
 * URI (RFC 7512): pkcs11:token=LABEL;object=LABEL?module-path=FILE&pin-source=FILE. The PIN is the first line of pin-source;
 * pin-value is refused, because command lines and files with URIs are read by others.
 */
#ifndef CRADLE_TOKEN_PKCS11_H
#define CRADLE_TOKEN_PKCS11_H

#include "base/file.h"
#include "crypt/key.h"

struct pkcs11_uri {
    char token[33];    /* label of the token, <= 32 bytes */
    char object[65];   /* label of the key pair; default "cradle-root" */
    char module[PATH_MAX_LEN];
    char pin_source[PATH_MAX_LEN];
};
/* Pure. CE_USAGE says which attribute is wrong or missing. */
MUST_USE enum err pkcs11_uri_parse(const char *uri, struct pkcs11_uri *out, struct fault *f);
/* Uses the P-256 key pair with that label, or makes one (not extractable) when the token has none.
 * *out signs in the token; key_free closes the session. */
MUST_USE enum err pkcs11_key_make(const char *uri, struct key **out, struct fault *f);

#endif
