/* crypto.h: what the files of `cradle crypto` share: the policy (until when an algorithm is good) and the site's own keys. */
#ifndef CRADLE_CLI_CRYPTO_H
#define CRADLE_CLI_CRYPTO_H

#include <jansson.h>

#include "base/config.h"
#include "cli/cli.h"

#define CRYPTO_NEVER INT64_MAX

struct crypto_policy_text {
#define CFG CONFIG_FIELD
#include "cli/crypto.def"
#undef CFG
};
struct crypto_policy { int64_t weak, rsa, ecdsa, ed25519, ml_dsa, other; }; /* end of the last good day, s; CRYPTO_NEVER */

/* path NULL: the defaults. CE_BAD_CONFIG names file and line. */
MUST_USE enum err crypto_policy_load(const char *path, struct crypto_policy *out, struct fault *f);
/* key: "ec:P-256", "rsa:3072", "ed25519", "ml-dsa-65"; a signature: "ecdsa-sha256", "rsa-sha256" … (RSA signatures count as rsa). */
int64_t crypto_until(const struct crypto_policy *p, const char *alg);
/* YYYY-MM-DD, the end of that day; "never". False: neither. */
bool crypto_date(const char *text, int64_t *end_s);
const char *crypto_date_text(int64_t end_s, char out[32]); /* "2035-12-31" or "never"; returns out */

/* What the site's own folder and its published metadata say of its keys, as [{what, key_alg, sig_alg, not_after}]; the CAs come from the service. New
 * reference. */
json_t *crypto_site_keys(struct cli *c);

#endif
