/* secret.h: a passphrase from a file that only its owner reads, or from the terminal without echo. Never from the command line. */
#ifndef CRADLE_CLI_SECRET_H
#define CRADLE_CLI_SECRET_H

#include "base/span.h"
#include "token/token.h"

#define SECRET_MAX 1024
#define SECRET_MIN 12 /* characters of a new one */

/* path: first line of that file; NULL: asked on /dev/tty, twice when it is a new one, which must have SECRET_MIN characters.
 * out has SECRET_MAX bytes; the caller zeroes it. CE_USAGE, CE_NOT_FOUND, CE_IO. */
MUST_USE enum err secret_read(const char *path, bool is_new, char *out, struct fault *f);
/* The key that a PKCS#11 URI names (label "cradle-root" when it names none); the PIN is in its pin-source, or asked on the terminal. alg: made when the
 * token has none; NULL: CE_NOT_FOUND then. where may be NULL. */
MUST_USE enum err secret_token_key(const char *uri, const char *alg, struct key **out, struct token_info *where, struct fault *f);

#endif
