/* issue.h: builds and signs certificates by an own DER writer. Every signature is verified in software with the issuer's public key
 * before the bytes are released (CE_CRYPTO otherwise, nothing appended). Leaves follow a profile; the CA, OCSP responder and
 * TLS server certificates of a site are made once by `cradle init`.
 */
#ifndef CRADLE_CRYPT_ISSUE_H
#define CRADLE_CRYPT_ISSUE_H

#include "base/span.h"
#include "crypt/ca.h"
#include "crypt/profile.h"

#define ISSUE_SERIAL 16 /* bytes of a serial number */
/* The time in ms, 6 bytes, then 80 random bits: unique and not to be guessed (RFC 5280 4.1.2.2), and new rows of the register lie side by side (a random
 * number dirties a page of its own for each). Positive, the first byte is not 0. */
MUST_USE enum err issue_serial(uint8_t out[ISSUE_SERIAL]);

struct issue_request {
    struct span serial;             /* ISSUE_SERIAL bytes, positive, first byte not 0 */
    struct span spki;
    struct profile_values values;
    int64_t not_before, not_after;  /* s */
};
/* Appends the certificate DER. Refuses what the profile forbids: CE_BAD_FIELD (serial, dates beyond validity_max_s or the CA's
 * end), CE_KEY_ALG/WEAK/INVALID, CE_BAD_NAME. */
MUST_USE enum err issue_leaf(struct ca *ca, const struct profile *p, const struct issue_request *r, struct buf *out, struct fault *f);

/* The certificates of a site itself. serial empty: a random one. */
struct issue_spec {
    const char *cn, *org;           /* org may be NULL or "" */
    struct span spki;               /* the subject's key */
    struct span serial;
    int64_t not_before, not_after;  /* s */
};
/* Self-signed root, pathlen 1: keyCertSign, cRLSign. spec->spki is ignored: key's own. */
MUST_USE enum err issue_root(struct key *key, const struct issue_spec *spec, struct buf *out, struct fault *f);
/* Issuing CA below root, pathlen 0, with the URLs of root. server_auth: may it issue TLS server certificates? (EKU on the CA) */
MUST_USE enum err issue_issuing(struct ca *root, const struct issue_spec *spec, bool server_auth, struct buf *out, struct fault *f);
/* Another certificate of a root's key, signed by another root of the same name (RFC 4210 4.4: new with old, old with new). The names are equal, so
 * it is self-issued and no path length counts it (RFC 5280 4.2.1.9). */
MUST_USE enum err issue_root_link(struct ca *root, const struct issue_spec *spec, struct buf *out, struct fault *f);
/* Delegated OCSP responder (RFC 6960 4.2.2.2: OCSPSigning, ocsp-nocheck). */
MUST_USE enum err issue_ocsp(struct ca *ca, const struct issue_spec *spec, struct buf *out, struct fault *f);
/* Signer of CMP answers: EKU cmcRA (RFC 9810 8.6, RFC 6402 2.10), digitalSignature. */
MUST_USE enum err issue_cmp(struct ca *ca, const struct issue_spec *spec, struct buf *out, struct fault *f);
/* TLS server. hosts: DNS names and IP addresses as text, separated by blanks or commas. No CDP: peers that fetch one during
 * the handshake would need it before the server is up. */
MUST_USE enum err issue_tls(struct ca *ca, const struct issue_spec *spec, const char *hosts, struct buf *out, struct fault *f);
/* Signer of releases, of the one kind that OpenSSL, SWUpdate and RAUC accept: critical digitalSignature, EKU codeSigning and emailProtection, P-256
 * only (CE_KEY_ALG). ca NULL: signed by key itself, whose SPKI spec->spki then is; else key may be NULL. No URLs: it is judged offline. */
MUST_USE enum err issue_release_signer(struct ca *ca, struct key *key, const struct issue_spec *spec, struct buf *out, struct fault *f);

#endif
