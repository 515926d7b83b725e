/* chain.h: does a certificate of another maker lead to a trust anchor that the site has pinned? RFC 5280 6.1 for the paths that initial
 * device identities (IEEE 802.1AR) have: at most CHAIN_MAX certificates, no policies, no name constraints. Pure: bytes and a time in, a verdict
 * that names the rule out. What it is not: a judgement of revocation (no CRL of a maker is fetched), and not one of names: who the
 * device is, the caller says by the rule that is pinned with the anchor.
 * Names chain when their DER is equal, byte by byte; that is stricter than RFC 5280 7.1.
 */
#ifndef CRADLE_CRYPT_CHAIN_H
#define CRADLE_CRYPT_CHAIN_H

#include "crypt/cert.h"

#define CHAIN_MAX 4       /* certificates of a path, with leaf and anchor */
#define CHAIN_CAS_MAX 8   /* intermediate CAs that may be given with an anchor */
#define CHAIN_DER_MAX 11264 /* bytes of an anchor and its intermediates together: in base64 they fit a request */

struct chain_anchor { /* every span points into the bytes that chain_anchor_read was given */
    struct cert root;
    struct cert inter[CHAIN_CAS_MAX];
    size_t n_inter;
};
/* root: one certificate, self-signed or not: it is trusted because it is pinned. inters: certificates in DER, one after the other. Judges each
 * of them as a CA whose key is sound. CE_CHAIN with the rule, CE_BAD_CERT, CE_KEY_…, CE_TOO_LARGE. */
MUST_USE enum err chain_anchor_read(struct span root, struct span inters, struct chain_anchor *out, struct fault *f);

/* CAs that a stranger sent along with a leaf: they help to find a path to an anchor and are trusted for nothing. */
struct chain_more {
    struct cert ca[CHAIN_CAS_MAX];
    size_t n;
    int tries; /* signatures that are still verified with them: a bound to what a stranger may make us compute */
};
/* What is no sound CA, or one too many, is left out. Spans point into ders. */
void chain_more_read(const struct span *ders, size_t n, struct chain_more *out);

/* Is there a valid path from leaf to the anchor at now_s? The leaf must be no CA, for signatures and (if it has an EKU) for TLS clients, and its key sound.
 * CE_CERT_FOREIGN: it names no issuer that is known here. CE_CERT_EXPIRED, CE_CERT_NOT_YET: the leaf's own dates. CE_CHAIN: a rule of
 * RFC 5280 is broken. more: NULL when the anchor and what was given with it are all. CE_KEY_…: its key. */
MUST_USE enum err chain_verify(const struct cert *leaf, const struct chain_anchor *a, struct chain_more *more, int64_t now_s, struct fault *f);

#endif
