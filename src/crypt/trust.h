/* trust.h: which roots a device believes, and what a bundle of its EST server (RFC 7030 4.1.3) changes of that. Pure: the roots in hand, certificates and
 * a time in, the roots from then on out.
 *
 * A root is a self-signed CA certificate; nothing else of a bundle is ever trusted. A new root is taken only when a link proves it: its key signed by
 * a root in hand that has the same name (new with old, RFC 4210 4.4, RFC 9810 4.4), at once or over several links. One root without such a proof, and the whole
 * bundle is refused. Trust never goes backwards: an older root than the newest of its name in hand is not taken, whoever vouches for it.
 * A root goes when it has ended, or when the bundle no longer holds it and holds a newer one of the same name. Roots of other names are nobody's business.
 * What it is not: a judgement of the connection that the bundle came over, or of revocation.
 */
#ifndef CRADLE_CRYPT_TRUST_H
#define CRADLE_CRYPT_TRUST_H

#include "crypt/cert.h"

#define TRUST_ROOTS_MAX 16  /* roots that are believed at a time */
#define TRUST_CERTS_MAX 64  /* certificates of a bundle */

struct trust { /* every span points into what trust_read or trust_judge was given */
    struct cert root[TRUST_ROOTS_MAX];
    size_t n;
};

/* The roots among n certificates in DER; others (issuing CAs, links) are passed over, one that cannot be read too. CE_TOO_LARGE: too many. */
MUST_USE enum err trust_read(const struct span *certs, size_t n, struct trust *out, struct fault *f);

struct trust_change {
    struct trust now;        /* what is to be trusted: first what stays, then what is new */
    struct trust kept;       /* the same without letting any root go that has not ended */
    unsigned added, dropped; /* dropped: replaced by newer ones; ended ones are in neither number */
    unsigned ended;
};
/* What n certificates of a bundle change of `have` at now_s. CE_OK also when nothing changes: added, dropped and ended are 0.
 * CE_BAD_CERT, CE_TRAILING: one cannot be read. CE_CHAIN: a root that nothing proves, a link that the root it names did not sign. CE_KEY_…: a new root's key.
 * CE_TOO_LARGE. CE_CERT_EXPIRED: no root would be left. */
MUST_USE enum err trust_judge(const struct trust *have, const struct span *certs, size_t n, int64_t now_s, struct trust_change *out, struct fault *f);

#endif
