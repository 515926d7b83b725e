/* store/key_block.h: table key_block: keys that are known to be compromised. SQL only. Spans read are in the arena. Errors of class STORE, as db.h says.
 */
#ifndef CRADLE_STORE_KEY_BLOCK_H
#define CRADLE_STORE_KEY_BLOCK_H

#include "base/mem.h"
#include "store/db.h"

struct key_block_row {
    struct span id;        /* as in crypt/key_gate.h: 32 or 10 bytes */
    struct span file;      /* SHA-256 of the list that it came with; empty: it was named alone */
    struct span note, by;
    int64_t at;            /* ms */
};
MUST_USE enum err store_key_block_put(struct db *db, const struct key_block_row *r, struct fault *f);                       /* CE_EXISTS */
MUST_USE enum err store_key_block_get(struct db *db, struct arena *a, struct span id, struct key_block_row *out, struct fault *f); /* CE_NOT_FOUND */
MUST_USE enum err store_key_block_drop(struct db *db, struct span id, struct fault *f);                                     /* CE_NOT_FOUND */
/* In order, those after id (empty: from the first), at most limit. */
MUST_USE enum err store_key_block_list(struct db *db, struct arena *a, struct span after, int64_t limit, struct key_block_row **out, size_t *n, struct fault *f);

#endif
