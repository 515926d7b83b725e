/* store/ca.h: tables ca (what a CA is, written once) and ca_state (what it is used for, and whether it is). SQL only; what the words mean is core/ca.h. Times are ms since 1970.
 */
#ifndef CRADLE_STORE_CA_H
#define CRADLE_STORE_CA_H

#include "base/mem.h"
#include "store/db.h"

struct ca_row { struct span name, kid, der; int64_t added_at; };
struct ca_state_row {
    struct span name, use, state; /* use, state: words of crypt/ca_set.h */
    int64_t reenroll;             /* compromised: so many of a hundred devices may renew with its certificates */
    int64_t changed_at;
};
MUST_USE enum err store_ca_add(struct db *db, const struct ca_row *c, struct fault *f); /* CE_EXISTS: the name */
MUST_USE enum err store_ca_list(struct db *db, struct arena *a, struct ca_row **out, size_t *n, struct fault *f);
MUST_USE enum err store_ca_state_put(struct db *db, const struct ca_state_row *s, struct fault *f);
MUST_USE enum err store_ca_state_list(struct db *db, struct arena *a, struct ca_state_row **out, size_t *n, struct fault *f);

/* Certificates of the key kid that are neither revoked nor over at now_s, by an index of their ends, and counted up to most. */
MUST_USE enum err store_ca_live(struct db *db, struct span kid, int64_t now_s, int64_t most, int64_t *n, struct fault *f);
/* CRL shards of kid, and those of them that have been published at least once. */
MUST_USE enum err store_ca_crls(struct db *db, struct span kid, int64_t *all, int64_t *published, struct fault *f);

#endif
