/* store/crl_block.h: table crl_block: what CRLs list (revoked and held certificates), packed in order of their serials, a block a row. cert_state says
 * the same, a row a certificate; a CRL of a million entries is read from here in a tenth of the time, and a change writes one page as an index would.
 * What is no longer listed because it ended long ago is left to the reader. Errors of class STORE, as db.h says.
 */
#ifndef CRADLE_STORE_CRL_BLOCK_H
#define CRADLE_STORE_CRL_BLOCK_H

#include "base/span.h"
#include "store/db.h"

struct crl_listed {
    struct span serial;   /* 1 to 20 bytes */
    int64_t revoked_at;   /* s; 0 to 2^40 - 1, as not_after */
    int64_t not_after;    /* s */
    int reason;           /* CRLReason */
};
/* Lists a certificate, or what it is listed as is replaced. In the transaction that changes its cert_state. */
MUST_USE enum err store_crl_list_put(struct db *db, struct span kid, int64_t shard, const struct crl_listed *c, struct fault *f);
/* Takes it off; one that is not listed changes nothing. */
MUST_USE enum err store_crl_list_drop(struct db *db, struct span kid, int64_t shard, struct span serial, struct fault *f);
/* All of a shard in ascending order; ends when fn returns false. */
typedef bool store_crl_listed_fn(void *ctx, const struct crl_listed *c);
MUST_USE enum err store_crl_list_each(struct db *db, struct span kid, int64_t shard, store_crl_listed_fn *fn, void *ctx, struct fault *f);
/* Makes the blocks from cert_state, once, in a database that comes from a version without them. *made: certificates listed; -1: they were there. */
MUST_USE enum err store_crl_list_make(struct db *db, int64_t *made, struct fault *f);

#endif
