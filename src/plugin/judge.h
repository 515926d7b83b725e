/* judge.h: who a connection is, and whether it may be in. Pure: a certificate's DER, names and facts in, a verdict out.
 * The TLS library has checked the chain on a full handshake only (never on a resumed one), so everything that can change is judged
 * here at every login: issuer, dates, usage, name, revocation.
 */
#ifndef CRADLE_PLUGIN_JUDGE_H
#define CRADLE_PLUGIN_JUDGE_H

#include <cradle/snapshot.h>

#include "base/name.h"
#include "wire/policy.h"
#include "base/span.h"

#define JUDGE_KID 20
#define JUDGE_SERIAL 20
#define JUDGE_CAS 4       /* issuing CAs of one kind */

enum peer_kind { PEER_FOREIGN, PEER_DEVICE, PEER_BACKEND };

struct judge_trust { /* who may issue what */
    uint8_t device_ca[JUDGE_CAS][JUDGE_KID], backend_ca[JUDGE_CAS][JUDGE_KID]; /* subject key ids */
    int n_device_ca, n_backend_ca;
};

struct peer { /* what a certificate says, copied */
    enum peer_kind kind;
    char cn[UID_MAX + 1];
    char line[LABEL_MAX + 1];           /* from the SAN URI urn:cradle:LINE:UID; "" when there is none */
    uint8_t serial[JUDGE_SERIAL];
    uint8_t serial_n;
    uint8_t aki[JUDGE_KID], aki_n;      /* of its issuer */
    int64_t not_before, not_after;      /* s since 1970 */
    bool client_auth;                   /* EKU clientAuth */
    uint8_t cert_key[SNAPSHOT_KEY], ident_key[SNAPSHOT_KEY], line_key[SNAPSHOT_KEY], ca_key[SNAPSHOT_KEY];
};

struct judge_facts {
    int64_t now_s;
    int64_t age_ms, refuse_ms;          /* snapshot's age, and from which age new logins are refused */
    bool ca_ended;                      /* its CA is retired or compromised */
    bool cert_revoked, ident_blocked, line_suspended, quarantined;
    bool line_known, backend_listed;    /* its line is in the policy; its name is there as a backend's */
    bool live;                          /* already in: neither staleness nor a line that has left the policy puts it out */
    bool repair;                        /* live, and let in as a quarantined one */
};

/* Loads one CA certificate (PEM) and appends its subject key id to the list. CE_BAD_CONFIG, or as cert_load. */
MUST_USE enum err judge_trust_ca(const char *path, uint8_t (*list)[JUDGE_KID], int *n, struct fault *f);
/* CE_BAD_CERT, CE_BAD_UID when the CN is none of ours. A foreign issuer is no error here, but kind PEER_FOREIGN. */
MUST_USE enum err peer_read(struct span der, const struct judge_trust *trust, struct peer *out, struct fault *f);
/* A peer of a CA that no file names is of the kind that the policy document says. */
void peer_place(struct peer *p, const struct judge_trust *trust, const struct policy *policy);
/* May this peer be in under client_id? CE_OK or the reason; f is one sentence that names the rule. A quarantined device may log in (to its
 * repair topics), but a session that began before must end, and so must one that began in quarantine when that is over. */
MUST_USE enum err judge_peer(const struct peer *p, const char *client_id, const struct judge_facts *facts, struct fault *f);

#endif
