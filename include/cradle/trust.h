/* cradle/trust.h: a device that trusts one root of the site learns the next one by itself (RFC 7030 4.1.3): from what EST's /cacerts answers, over a connection
 * that the root in hand verified. The new root must be proved by a link, its key signed by the root in hand of the same name (RFC 4210 4.4, RFC 9810
 * 4.4), at once or over links between. Roots with P-256 keys and ECDSA with SHA-256 only.
 *
 * What it is not: it fetches and stores nothing, and drops no root. Keep the old root until a connection with the new one alone has worked.
 */
#ifndef CRADLE_TRUST_H
#define CRADLE_TRUST_H

#include "cradle/dev.h"
#include "cradle/update.h" /* struct cradle_update_port: SHA-256 and verification */

#ifdef __cplusplus
extern "C" {
#endif

#define CRADLE_TRUST_LINKS 4 /* links that may be between the root in hand and the new one */

/* root: the certificate in hand, DER. body: the answer, base64 of a certs-only PKCS#7; it is overwritten. now_s: seconds since 1970, 0: not known, then dates are
 * compared with each other only. The newest root that is proved and newer than `root`: *next points into body. *next NULL: there is none, all is well.
 * CRADLE_E_INPUT: malformed. CRADLE_E_SIGN: a callback failed. CRADLE_E_MISMATCH: there is a newer root of this name, and nothing proves it: take nothing, and tell. */
int cradle_trust_next(const struct cradle_update_port *port, const uint8_t *root, size_t root_len, char *body, size_t n, int64_t now_s, const uint8_t **next,
                      size_t *next_len);

#ifdef __cplusplus
}
#endif

#endif
