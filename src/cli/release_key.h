/* release_key.h: keys of people at a release ceremony: made into files or a token, opened from either. A passphrase never comes from the command line.
 */
#ifndef CRADLE_CLI_RELEASE_KEY_H
#define CRADLE_CLI_RELEASE_KEY_H

#include "cli/verb.h"
#include "crypt/key.h"

struct release_key_opts { const char *file, *uri, *passphrase; }; /* names of the options */
extern const struct release_key_opts release_key_own;    /* --key, --pkcs11, --passphrase-file */
extern const struct release_key_opts release_key_issuer; /* --issuer-key, --issuer-pkcs11, --issuer-passphrase-file */

/* The key that the options name. CE_USAGE when neither or both do. */
MUST_USE enum err release_key_open(struct cli *c, const struct release_key_opts *o, struct key **out, struct fault *f);
/* Makes NAME.key, encrypted with --passphrase-file or what is asked on the terminal, and NAME.pub; with --pkcs11 the key is in the token and only
 * NAME.pub is written. Overwrites nothing: CE_EXISTS. */
MUST_USE enum err release_key_new(struct cli *c, const char *name, const char *alg, struct key **out, struct fault *f);

#endif
