/* trust.h: which roots the EST server, the update server and the broker are verified against, and how new ones get in (docs/device.md, "Trust").
 *
 * Until the site has another root these are the certificates of ca_file. After that they are STATE/trust/roots.pem, which holds roots alone. That file is written by
 * trust_renew only, counts only while ca_file is the one that it was learnt from, and is replaced by one rename. What a new set of roots is, is
 * judged by crypt/trust.h; that it works, by a TLS handshake with every server that this device talks to, before it counts.
 */
#ifndef CRADLE_AGENT_TRUST_H
#define CRADLE_AGENT_TRUST_H

#include "agent/creds.h"
#include "base/json.h"

/* The file to verify servers against now; out has PATH_MAX_LEN bytes. */
void trust_path(const struct agent_config *cfg, char *out);
/* Removes what an interruption left. */
void trust_clear(const struct agent_config *cfg);

struct trust_news {
    bool asked;    /* the EST server has answered */
    bool changed;
    unsigned added, dropped, ended;
    bool kept_old; /* an old root had to stay, because a server is not reached without it */
};
/* Asks EST's /cacerts, over a connection that the roots in hand verify, and takes what proves itself. Nothing is changed by a failure.
 * CE_CHAIN and what else crypt/trust.h says: the bundle is refused. CE_BAD_SIGNATURE: a server is not vouched for, by the roots in hand or by the new ones.
 * CE_IO, CE_TIMEOUT: not reached. CE_NOT_FOUND: ca_file holds no root. CE_BAD_CONFIG: no est_url. */
MUST_USE enum err trust_renew(const struct creds *c, struct trust_news *news, struct fault *f);
/* Says in the log what became of it. */
void trust_tell(enum err e, const struct trust_news *news, const struct fault *f);
/* How long until the next look, in ms: a random time between half of trust_check_s and all of it after the last one, and within a minute when that is over. */
int64_t trust_wait_ms(const struct agent_config *cfg);
/* Members of an object that is open: trust_file, trust_checked, roots (an array of name, sha256, not_before, not_after). */
void trust_json(const struct agent_config *cfg, struct json_out *j);

#endif
