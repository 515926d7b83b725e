/* admit.h: who a certificate is, and whether its holder may be let in now: the rules that answers to proxies and libcradle-edge share.
 * What a certificate says, and that its issuer signed it, never changes: that is read once and may be kept (admit_cache.h). What may
 * change (dates passing, revocation, the snapshot's age) is judged at every request.
 */
#ifndef CRADLE_SNAP_ADMIT_H
#define CRADLE_SNAP_ADMIT_H

#include "base/name.h"
#include "crypt/cert.h"
#include "snap/snapfile.h"

#define ADMIT_CAS 8
#define ADMIT_SERIAL 20 /* bytes, RFC 5280 4.1.2.2 */

struct admit_trust { /* the CAs whose holders may be let in; zero is an empty one */
    struct admit_ca { struct buf der; struct cert cert; } ca[ADMIT_CAS];
    int n;
};
/* Loads one CA certificate (PEM). CE_BAD_CONFIG, or as cert_load. */
MUST_USE enum err admit_trust_add(struct admit_trust *t, const char *path, struct fault *f);
void admit_trust_free(struct admit_trust *t);

struct admit_peer { /* what a certificate says, copied */
    char uid[UID_MAX + 1];              /* common name */
    char line[LABEL_MAX + 1];           /* from the SAN URI urn:cradle:LINE:UID; "" when there is none */
    uint8_t serial[ADMIT_SERIAL], serial_n;
    int64_t not_before, not_after;      /* s since 1970 */
    uint8_t cert_key[SNAPSHOT_KEY], ident_key[SNAPSHOT_KEY], line_key[SNAPSHOT_KEY], ca_key[SNAPSHOT_KEY];
};

/* The LINE of a SAN URI "urn:cradle:LINE:UID" whose UID is uid; "" for every other. */
void admit_line(struct span uri, const char *uid, char line[LABEL_MAX + 1]);

/* Reads a certificate and makes sure that one of the CAs signed it and that it is for clients. On an error *out holds what could be read
 * until then (for reports). CE_BAD_CERT, CE_TRAILING, CE_TOO_LARGE, CE_BAD_UID, CE_CERT_FOREIGN, CE_BAD_SIGNATURE. */
MUST_USE enum err admit_read(struct span der, const struct admit_trust *t, struct admit_peer *out, struct fault *f);
/* The same with the policy document in force (NULL: none): also a CA that it names for the same use as one of t is one of the CAs. */
MUST_USE enum err admit_read_policy(struct span der, const struct admit_trust *t, const struct policy *policy, struct admit_peer *out,
                                    struct fault *f);
/* Fills *out for somebody whom another program has judged already: names only, no dates. CE_BAD_UID, CE_BAD_NAME, CE_BAD_FIELD. */
MUST_USE enum err admit_name(struct span issuer_kid, struct span serial, struct span uid, struct span line, struct admit_peer *out,
                             struct fault *f);

/* May the peer be let in at now_s? snap NULL: there is no snapshot. CE_OK; CE_CERT_NOT_YET, CE_CERT_EXPIRED, CE_DEVICE_REVOKED,
 * CE_CERT_REVOKED, CE_LINE_SUSPENDED, CE_DEVICE_QUARANTINED; CE_STALE when the snapshot is older than refuse_ms (a refusal for cause goes first). */
MUST_USE enum err admit_judge(const struct admit_peer *p, struct snap *snap, int64_t now_s, int64_t refuse_ms, struct fault *f);
/* The state of the holder that the verdict shows: "active", "quarantined", "" when the snapshot does not tell it. */
const char *admit_state(enum err verdict);

#endif
