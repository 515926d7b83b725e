/* core/crl.h: CRL shards of the issuing CAs: made again within a second of a revocation and before they grow old, numbered by
 * compare-and-set, verified before they replace DIR/pub/crl/CA/SHARD.crl. What it is not: DER (crypt/crl.h), the root's CRL (made
 * offline by `cradle init`).
 */
#ifndef CRADLE_CORE_CRL_H
#define CRADLE_CORE_CRL_H

#include "core/batch.h"
#include "store/cert.h"

#define CRL_SETTLE_MS 100  /* changes of so long go into one CRL */
#define CRL_BUSY_MAX 4     /* shards in the making at once */
#define CRL_WINDOW 2       /* pieces on their way to the signer */
#define CRL_CLOSE_MS 5000  /* the end of the process waits so long for a file in the making */
#define CRL_RETRY_MS 5000  /* after a failure */

extern const struct core_part crl_part;

/* A certificate's status changed to st in this batch: it is listed or no longer, and its shard is dirty (rows of this transaction). */
MUST_USE enum err crl_change(struct batch *b, struct span kid, struct span serial, const struct cert_state *st, struct fault *f);
/* The shard that lists this serial. */
int64_t crl_shard(const struct core *core, struct span serial);

#endif
