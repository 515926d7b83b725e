/* drill_look.h: what others are told of the canary during a drill: a proxy that asks cradle-edge, OCSP, the CRL. Each is asked for real, as its
 * users would. Blocking.
 */
#ifndef CRADLE_CLI_DRILL_LOOK_H
#define CRADLE_CLI_DRILL_LOOK_H

#include "cli/cli.h"
#include "crypt/cert.h"

enum look_at { LOOK_AUTHZ, LOOK_OCSP, LOOK_CRL, LOOKS };
struct look {
    struct cli *c;
    struct buf der, pem;          /* owned: the canary's newest good certificate */
    struct cert cert;             /* into der */
    unsigned want;                /* bits of enum look_at */
    const char *authz_url;        /* http://HOST:PORT/authz; the other two are in the certificate */
    char ocsp_url[NET_URL_MAX], crl_url[NET_URL_MAX];
    int64_t from_ms;              /* monotonic: the decision was asked for */
    int64_t limit_ms;             /* give up so long after it */
    int64_t ms[LOOKS];            /* when each was last asked, since from_ms: refused then, or not yet; 0: not asked */
    unsigned refused;             /* bits: it says that the canary is out */
};
/* device: the canary as the API shows it. CE_NOT_FOUND: it holds no good certificate. Free with look_free. */
MUST_USE enum err look_open(struct cli *c, const json_t *device, struct look *out, struct fault *f);
void look_free(struct look *l);
/* Asks each that is wanted until it refuses the canary: cradle-edge by 403 (200 before), OCSP by revoked, the CRL by listing it; or until
 * limit_ms. CE_OK either way; errors: one could not be asked, or its answer does not verify. */
MUST_USE enum err look_run(struct look *l, struct fault *f);

#endif
