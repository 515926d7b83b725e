/* crl.h: CRL shards of the issuing CAs: rebuilt within a second of a revocation and before nextUpdate, numbered by compare-and-set,
 * verified before they replace DIR/pub/crl/CA/SHARD.crl. What it is not: DER (crypt/crl.h in the signer), the root's CRL (made offline).
 */
#ifndef CRADLE_CORE_CRL_H
#define CRADLE_CORE_CRL_H

#include <stdint.h>

#include "base/span.h"

struct batch;
struct core;
struct crl_board; /* which shards exist, are dirty or at the signer; owned by the core */

#define CRL_SHARDS_DEFAULT 16
#define CRL_VALIDITY_S (7 * 86400)
#define CRL_REFRESH_S 86400

struct crl_board *crl_board_new(struct core *core);
void crl_board_free(struct crl_board *c);
/* Makes the rows of all shards of all issuing CAs (first start) and marks as due what is dirty or too old. */
MUST_USE enum err crl_board_load(struct batch *b, struct crl_board *c);
/* A certificate's status changed in this batch: its shard is dirty (the row is written in this transaction). */
MUST_USE enum err crl_mark(struct batch *b, struct span kid, struct span serial);
/* Starts at most one shard. Returns the monotonic ms of the next wake. */
int64_t crl_tick(struct crl_board *c, int64_t mono_ms);

#endif
