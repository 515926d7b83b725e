/* cert.h: the one path of every certificate: authorise -> intent -> sign -> verify -> finalise -> log, and first use.
 * What it is not: X.509 (crypt/, in the signer), the registry (registry.h), revocation (revoke.h).
 *
 * Everything here runs inside a batch. An enrollment is answered later, when the signer's certificate is stored: the operation
 * keeps the caller's (peer, rid) and replies BODY_CERT (DER) after the commit that holds the certificate and its evidence.
 */
#ifndef CRADLE_CORE_CERT_H
#define CRADLE_CORE_CERT_H

#include <stdint.h>

#include "base/span.h"

struct batch;
struct core;

/* In-memory half of the path: enrollments between intent and finalise. Owned by the core. */
struct cert_path;

/* Reads nothing; limits: at most CERT_PENDING_MAX enrollments wait for the signer, beyond that CE_BUSY. */
#define CERT_PENDING_MAX 4096
struct cert_path *cert_path_new(struct core *core);
void cert_path_free(struct cert_path *p); /* NULL is legal; waiting callers are the engine's to answer */

/* At start, in the first batch: every intent without a certificate is closed: its serial is entered as revoked (it may have been
 * signed and lost) with events cert-orphan and repaired. Errors: class STORE. */
MUST_USE enum err cert_path_repair(struct batch *b);

/* Somebody presented the certificate (kid, serial) of uid: on EST or REST, or to a broker as an edge reports. The first sighting of
 * a newer certificate writes cert-first-use, supersedes the older ones (not revoked) and makes a provisioned device active.
 * Cheap when it was seen before. Unknown certificates are ignored. kid may be empty (edges report the serial only): the device CA.
 * Errors: class STORE. */
MUST_USE enum err cert_seen(struct batch *b, struct span uid, struct span kid, struct span serial);

#endif
