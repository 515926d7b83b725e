/* tree.h: the tables behind the evidence log: `tree` (one row: size, root, epoch, last signed note), `run` (which events
 * are which leaves) and `erased` (entries whose payload is gone). SQL only: what a tree is, is core/evlog.
 */
#ifndef CRADLE_STORE_TREE_H
#define CRADLE_STORE_TREE_H

#include "store/db.h"

/* DDL, part of the schema:
 *   tree(id PK = 1, size, root, epoch, holder, signed_size, note)
 *   run(idx PK, slot, nseq, n)         leaves idx .. idx+n-1 are events (slot, nseq) .. (slot, nseq+n-1)
 *   erased(slot, nseq, entry, PK(slot, nseq))   SHA-256(salt || payload) kept when the event's payload was emptied
 */
struct tree_row {
    int64_t size, epoch, holder, signed_size;
    uint8_t root[32];
};

struct tree_event {
    int64_t nseq;
    uint8_t entry[32]; /* SHA-256(salt || payload) */
};

struct run_row {
    int64_t idx, slot, nseq, n;
};

#endif
