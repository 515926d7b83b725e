/* enroll.h: enrollment and renewal of the device's identity over EST (RFC 7030), from CSR to stored certificate. */
#ifndef CRADLE_AGENT_ENROLL_H
#define CRADLE_AGENT_ENROLL_H

#include "agent/agent.h"
#include "agent/creds.h"
#include "net/net.h"

/* The CSR of k for the configured identity, as DER (span into der, CRADLE_CSR_MAX bytes). */
MUST_USE enum err enroll_csr(const struct agent_config *cfg, const struct agent_key *k, uint8_t *der, size_t *len, struct fault *f);
/* The client to the configured EST server with the device's IDevID, or the station's certificate. */
struct net_config enroll_net(const struct agent_config *cfg);
/* The client to url (empty: est_url) with this slot's own identity; max_body 0: as net.h says. */
MUST_USE enum err enroll_open(const struct creds *c, enum creds_slot slot, const char *url, size_t max_body, struct net **out, struct fault *f);
/* The same with another file of trusted roots than the one in force. */
MUST_USE enum err enroll_open_by(const struct creds *c, enum creds_slot slot, const char *url, const char *roots, size_t max_body, struct net **out, struct fault *f);
/* First enrollment of the current slot's key with the configured IDevID or station certificate, or CE_NO_CERT with what to do without one.
 * *retry_s: what the server asks to wait. */
MUST_USE enum err enroll_first(const struct agent_config *cfg, struct creds *c, int64_t *retry_s, struct fault *f);
/* Renewal over the current certificate, with the same key when it has ended (a line's grace); on CE_OK the candidate is stored in the next slot. */
MUST_USE enum err enroll_renew(const struct agent_config *cfg, struct creds *c, int64_t *retry_s, struct fault *f);
/* Checks that a certificate in PEM or base64 PKCS#7 (what a station brings) is for the current key and name, and stores it. */
MUST_USE enum err enroll_import(const struct agent_config *cfg, struct creds *c, struct span text, struct fault *f);
/* Reads the certificate of a slot into der (owned buf); *cert points into it. */
MUST_USE enum err enroll_cert_load(const struct creds *c, enum creds_slot slot, struct buf *der, struct cradle_cert *cert, struct fault *f);

#endif
