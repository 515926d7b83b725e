/* settings.h: cradled.conf as a struct, made from cradled.def. Rules that tie several keys together are in settings_check.
 * Reading is the parent's; every role gets the effective text over its link, so that all work from the same configuration.
 */
#ifndef CRADLE_ROLE_SETTINGS_H
#define CRADLE_ROLE_SETTINGS_H

#include "base/config.h"
#include "base/file.h"
#include "base/log.h"

struct settings {
#define CFG CONFIG_FIELD
#include "role/cradled.def"
#undef CFG
};

extern const struct config_key settings_keys[];
extern const size_t settings_nkeys;

/* Defaults, then text, then the rules between keys; name is used in messages. Pure. */
MUST_USE enum err settings_parse(const char *name, struct span text, struct settings *out, struct fault *f);
MUST_USE enum err settings_load(const char *path, struct settings *out, struct fault *f);
enum log_level settings_log_level(const struct settings *s);
bool settings_own_tls(const struct settings *s);               /* tls = nginx */
/* "http://HOST:PORT" without a slash at the end, as certificates carry it; out has SETTINGS_URL_MAX bytes. */
#define SETTINGS_URL_MAX 512
void settings_http_url(const struct settings *s, char *out);
void settings_https_url(const struct settings *s, char *out);

/* Puts back the keys that a running service cannot change (n_front, n_query, user, signer_user, tls, nginx). True: one of them
 * differed; it changes at the next start of cradled. */
bool settings_keep_fixed(struct settings *fresh, const struct settings *old);

#endif
