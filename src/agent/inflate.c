/* inflate.c: see inflate.h. */
#include "agent/inflate.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/mem.h"

struct inflate { ZSTD_DCtx *zstd; };

struct inflate *inflate_make(void)
{
    struct inflate *x = mem_calloc(1, sizeof *x);
    x->zstd = ZSTD_createDCtx();
    if (!x->zstd)
        abort(); /* out of memory: as base/mem.h */
    return x;
}

void inflate_free(struct inflate *x)
{
    if (!x)
        return;
    ZSTD_freeDCtx(x->zstd);
    free(x);
}

int inflate_frame(struct inflate *x, const void *in, size_t n, const void *ref, size_t ref_n, void *out, size_t out_n)
{
    if (ZSTD_isError(ZSTD_DCtx_reset(x->zstd, ZSTD_reset_session_only)) || (ref_n && ZSTD_isError(ZSTD_DCtx_refPrefix(x->zstd, ref, ref_n))))
        return -1;
    /* one frame only: zstd would unpack several that follow each other */
    if (ZSTD_findFrameCompressedSize(in, n) != n)
        return -1;
    return ZSTD_decompressDCtx(x->zstd, out, out_n, in, n) == out_n ? 0 : -1;
}
