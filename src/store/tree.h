/* tree.h: the tables behind the evidence log: `tree` (one row, id 1: size, root, epoch, what was signed last) and `run` (which
 * events are which leaves: idx .. idx+n-1 are events (slot, nseq) .. (slot, nseq+n-1)). SQL only: what a tree is, is core/evlog.
 */
#ifndef CRADLE_STORE_TREE_H
#define CRADLE_STORE_TREE_H

#include "store/db.h"

struct tree_row {
    int64_t size, epoch, signed_size;
    uint8_t root[32], signed_root[32];
};

struct tree_run {
    int64_t idx, slot, nseq, n;
};

struct tree_event {
    int64_t nseq;
    struct span salt, payload; /* borrowed until the next row */
    struct span leaf;          /* the entry, only when the payload was erased; else empty */
};

/* Makes the row when there is none, then takes it over: epoch + 1. */
MUST_USE enum err tree_take(struct db *db, struct tree_row *out, struct fault *f);
/* size and root move on, by compare-and-set on (size, epoch) of old: CE_EPOCH when the row is another's by now. */
MUST_USE enum err tree_grow(struct db *db, const struct tree_row *old, int64_t size, const uint8_t root[32], struct fault *f);
/* A head of this size and root was signed; never goes back. CE_EPOCH as above. */
MUST_USE enum err tree_signed(struct db *db, const struct tree_row *old, int64_t size, const uint8_t root[32], int64_t at_ms,
                              struct fault *f);

/* Appends a run, or lengthens the last one when r follows it. */
MUST_USE enum err tree_run_add(struct db *db, const struct tree_run *r, struct fault *f);
/* Rows to walk with db_next: */
void tree_streams(struct db *db, struct db_rows *out);                /* slot, nseq (committed), integrated nseq; by slot */
void tree_runs(struct db *db, int64_t from_idx, struct db_rows *out); /* from the run that holds from_idx; tree_run_get */
void tree_run_get(const struct db_rows *r, struct tree_run *out);
void tree_events(struct db *db, int64_t slot, int64_t after, int64_t limit, struct db_rows *out); /* nseq > after; tree_event_get */
void tree_event_get(const struct db_rows *r, struct tree_event *out);

#endif
