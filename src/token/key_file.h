/* key_file.h: where the private half of a key of a site is: DIR/keys/NAME.key (PEM) or DIR/keys/NAME.uri (one line, a PKCS#11 URI with pin-source,
 * see uri.h). Exactly one of them. For ceremonies; the hsm role of cradled opens what is in tokens by itself.
 */
#ifndef CRADLE_TOKEN_KEY_FILE_H
#define CRADLE_TOKEN_KEY_FILE_H

#include "token/token.h"

#define PKCS11_URI_MAX 2048

/* Makes a key for the site (or finds it in the token, when the URI names one that is there) and writes its file, 0600; never over another: CE_EXISTS.
 * uri NULL: a file. object_default: label in the token when the URI has none; it becomes part of what is written. where (may be NULL): the token. */
MUST_USE enum err key_make_at(const char *dir, const char *name, const char *alg, const char *uri, const char *object_default, struct key **out,
                              struct token_info *where, struct fault *f);
/* Opens the key wherever it is. CE_NOT_FOUND, CE_BAD_CONFIG: both files are there. */
MUST_USE enum err key_open_at(const char *dir, const char *name, struct key **out, struct fault *f);
/* key_open_at as a source for ca_load. */
extern const struct key_source key_source_any;

/* The URI in DIR/keys/NAME.uri, parsed. CE_NOT_FOUND: there is none. */
MUST_USE enum err key_uri_read(const char *dir, const char *name, struct pkcs11_uri *out, struct fault *f);
bool key_is_in_token(const char *dir, const char *name);

#endif
