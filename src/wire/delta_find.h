/* delta_find.h: which parts of an old file have most in common with a block of a new one? Private to delta*.c.
 *
 * The old file is sampled by content: a rolling hash runs over it, and where its upper bits are zero, the hash and the 16 KiB cell it lies in
 * are kept. A block is sampled in the same way; cells are then taken in the order of how many samples they add (greedy cover), until
 * nothing worth its bytes is left. So shifted, moved and torn content is found wherever it went.
 */
#ifndef CRADLE_WIRE_DELTA_FIND_H
#define CRADLE_WIRE_DELTA_FIND_H

#include "base/span.h"

#define FIND_CELL (16u << 10)
#define FIND_PARTS 255

struct find_slot { uint32_t key, cell; };
struct find {
    struct find_slot *slots;  /* owned; key 0: free */
    size_t mask;
    unsigned shift;           /* one sample in 2^shift bytes */
    uint32_t *votes;          /* owned: one a cell */
    uint32_t cells;
};
struct find_part { uint64_t at; size_t n; }; /* multiples of FIND_CELL, but for the end of the file */

void find_open(struct find *x, struct span from);
void find_close(struct find *x);
/* Writes the parts for block in the order of the file; at most max bytes. Returns how many. */
size_t find_parts(struct find *x, struct span from, struct span block, size_t max, struct find_part out[FIND_PARTS]);

#endif
