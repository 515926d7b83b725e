/* store/crl.h: table crl_shard: number and dates of each shard's newest CRL, and whether it must be made again.
 * Errors of class STORE, as db.h says. */
#ifndef CRADLE_STORE_CRL_H
#define CRADLE_STORE_CRL_H

#include "base/mem.h"
#include "store/db.h"

struct crl_shard_row {
    struct span kid;
    int64_t shard, number;            /* number 0: none made yet */
    int64_t this_update, next_update; /* s */
    int64_t dirty;                    /* raised by each change of the shard; 0: the newest CRL says everything */
};
/* Makes the rows 0..n_shards-1 that are missing, each due at once. */
MUST_USE enum err store_crl_ensure(struct db *db, struct span kid, int64_t n_shards, struct fault *f);
MUST_USE enum err store_crl_mark(struct db *db, struct span kid, int64_t shard, struct fault *f);
MUST_USE enum err store_crl_list(struct db *db, struct arena *a, struct crl_shard_row **out, size_t *n, struct fault *f);
MUST_USE enum err store_crl_get(struct db *db, struct span kid, int64_t shard, struct crl_shard_row *out, struct fault *f); /* CE_NOT_FOUND */
/* Claims the next number: compare-and-set from number to next; CE_NOT_FOUND when another was first. */
MUST_USE enum err store_crl_claim(struct db *db, struct span kid, int64_t shard, int64_t number, int64_t next, struct fault *f);
/* The CRL of this number is published; dirty_seen is the mark that it contains: a later mark stays. CE_NOT_FOUND: number is not the newest. */
MUST_USE enum err store_crl_done(struct db *db, const struct crl_shard_row *r, int64_t dirty_seen, struct fault *f);

#endif
