/* core/crl.h: CRL shards of the issuing CAs: made again within a second of a revocation and before they grow old, numbered by
 * compare-and-set, verified before they replace DIR/pub/crl/CA/SHARD.crl. What it is not: DER (crypt/crl.h), the root's CRL (made
 * offline by `cradle init`).
 */
#ifndef CRADLE_CORE_CRL_H
#define CRADLE_CORE_CRL_H

#include "core/batch.h"

#define CRL_SETTLE_MS 100  /* changes of so long go into one CRL */
#define CRL_BUSY_MAX 4     /* shards in the making at once */
#define CRL_PAGE 4096      /* entries read in one go */
#define CRL_ENTRIES_MAX 33554432 /* bytes of a shard's packed entries, msg.def */
#define CRL_RETRY_MS 5000  /* after a failure */

extern const struct core_part crl_part;

/* A certificate's status changed in this batch: its shard is dirty (the row is written in this transaction). */
MUST_USE enum err crl_mark(struct batch *b, struct span kid, int64_t shard, struct fault *f);
/* The shard that lists this serial. */
int64_t crl_shard(const struct core *core, struct span serial);

#endif
