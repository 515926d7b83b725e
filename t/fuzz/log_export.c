/* log_export.c (fuzz): lines of an evidence export; what parses as a leaf is written again and must read back the same. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "wire/export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct export_line *l)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(4u << 20);
    struct arena a = {0};
    struct export_line again;
    switch (l->kind) {
    case EXPORT_HEADER:
        export_header_put(&b, l->origin, l->size);
        break;
    case EXPORT_LEAF:
        export_leaf_put(&b, l);
        break;
    case EXPORT_CHECKPOINT:
        export_checkpoint_put(&b, l->note);
        break;
    }
    INVARIANT(!buf_err(&b) && b.len > 0);
    if (b.len - 1 <= EXPORT_LINE_MAX) {
        enum err e = export_line_parse(span_of(b.data, b.len - 1), &a, &again, NULL);
        INVARIANT(e == CE_OK && again.kind == l->kind && again.index == l->index && span_eq(again.payload, l->payload) &&
                  span_eq(again.note, l->note) && memcmp(again.entry, l->entry, sizeof l->entry) == 0);
    }
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size), line;
    while (span_cut(&text, '\n', &line)) {
        struct arena a = {0};
        struct export_line l;
        struct fault f = {0};
        if (export_line_parse(line, &a, &l, &f) == CE_OK)
            round_trip(&l);
        else
            INVARIANT(f.code == CE_BAD_EXPORT && f.text[0]);
        arena_free(&a);
    }
    return 0;
}

#include "t/fuzz/replay.h"
