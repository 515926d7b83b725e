/* export.h: the evidence export, text line by line, so that jq and sha256sum can check it too:
 *   {"format":"cradle-evidence-1","origin":"…","size":N}
 *   {"index":0,"slot":1,"nseq":1,"salt":"<64 hex>","payload":"<exact payload text>"}            one line a leaf, in order
 *   {"index":1,"slot":1,"nseq":2,"salt":null,"payload":null,"leaf":"<64 hex>"}                  an erased leaf: its entry
 *   {"checkpoint":"<the signed note>"}
 * entry = SHA-256(salt bytes || payload bytes), leaf hash = SHA-256(0x00 || entry). Pure codec, one line at a time.
 */
#ifndef CRADLE_WIRE_EXPORT_H
#define CRADLE_WIRE_EXPORT_H

#include "base/mem.h"
#include "base/span.h"

#define EXPORT_FORMAT "cradle-evidence-1"
#define EXPORT_LINE_MAX (256u << 10) /* bytes */

enum export_kind { EXPORT_HEADER, EXPORT_LEAF, EXPORT_CHECKPOINT };

struct export_line {
    enum export_kind kind;
    struct span origin; /* header */
    int64_t size;
    int64_t index, slot, nseq; /* leaf */
    bool erased;
    uint8_t salt[32]; /* leaf, not erased */
    struct span payload;
    uint8_t entry[32]; /* always: computed, or as given when erased */
    struct span note;  /* checkpoint */
};

/* Decodes one line (without its newline). Spans live in the arena. CE_BAD_EXPORT and f says why. */
MUST_USE enum err export_line_parse(struct span line, struct arena *a, struct export_line *out, struct fault *f);
/* Each appends one line with its newline. */
void export_header_put(struct buf *out, struct span origin, int64_t size);
void export_leaf_put(struct buf *out, const struct export_line *l);
void export_checkpoint_put(struct buf *out, struct span note);

#endif
