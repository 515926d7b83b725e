/* delta.c: see delta.h. */
#include "wire/delta.h"

#include <zstd.h>

#include "base/mem.h"
#include "cradle/delta.h"
#include "wire/delta_find.h"

CLEANUP_PTR(ZSTD_CCtx, ZSTD_freeCCtx)

struct work {
    const struct delta_in *in;
    enum err (*put)(void *arg, struct span piece);
    void *arg;
    struct delta_out *out;
    struct fault *f;
    ZSTD_CCtx *zstd;         /* borrowed */
    struct find find;
    struct buf ref, packed, record;
};

static void work_end(struct work *w)
{
    find_close(&w->find);
    buf_free(&w->ref);
    buf_free(&w->packed);
    buf_free(&w->record);
}

static enum err emit(struct work *w, struct span piece)
{
    w->out->length += piece.n;
    if (w->in->give_up && w->out->length > w->in->give_up)
        return fault_set(w->f, CE_TOO_LARGE, "the delta is larger than %llu bytes", (unsigned long long)w->in->give_up);
    return w->put(w->arg, piece);
}

/* The smallest window that holds the references and a block. */
static int window_log(const struct delta_in *in)
{
    int log = 10;
    while ((1u << log) < (in->ref_max ? in->ref_max : DELTA_REF_MAX) + in->block_size)
        log++;
    return log;
}

static enum err header(struct work *w)
{
    struct buf *b = &w->record;
    buf_put(b, "cradle delta 1\n", 16);
    buf_put(b, w->in->from_sha256, 32);
    buf_put(b, w->in->to_sha256, 32);
    buf_put_u64(b, w->in->from.n);
    buf_put_u64(b, w->in->to.n);
    buf_put_u32(b, w->in->block_size);
    buf_put_u32(b, w->in->ref_max ? w->in->ref_max : DELTA_REF_MAX);
    return emit(w, buf_span(b));
}

/* The bytes of all parts to ref, their list to record. */
static void parts_put(struct work *w, const struct find_part *parts, size_t n)
{
    buf_put_u8(&w->record, 'p');
    buf_put_u8(&w->record, (uint8_t)n);
    for (size_t i = 0; i < n; i++) {
        buf_put_u32(&w->record, (uint32_t)(parts[i].at / CRADLE_DELTA_PAGE));
        buf_put_u16(&w->record, (uint16_t)((parts[i].n + CRADLE_DELTA_PAGE - 1) / CRADLE_DELTA_PAGE));
        buf_put(&w->ref, w->in->from.p + parts[i].at, parts[i].n);
    }
}

/* One frame for block with ref as its prefix to packed. false: no shorter than the block. */
static enum err pack(struct work *w, struct span block, bool *shorter)
{
    size_t n = 0;
    bool bad = ZSTD_isError(ZSTD_CCtx_reset(w->zstd, ZSTD_reset_session_only));
    bad = bad || (w->ref.len && ZSTD_isError(ZSTD_CCtx_refPrefix(w->zstd, w->ref.data, w->ref.len)));
    buf_reset(&w->packed);
    uint8_t *to = buf_grow(&w->packed, ZSTD_compressBound(block.n));
    if (bad || !to || ZSTD_isError(n = ZSTD_compress2(w->zstd, to, ZSTD_compressBound(block.n), block.p, block.n)))
        return fault_set(w->f, CE_INTERNAL, "zstd cannot pack a block of %zu bytes", block.n);
    w->packed.len = n;
    *shorter = n < block.n;
    return CE_OK;
}

static enum err block_put(struct work *w, uint64_t at)
{
    const struct delta_in *in = w->in;
    struct span block = span_of(in->to.p + at, in->to.n - at < in->block_size ? (size_t)(in->to.n - at) : in->block_size);
    struct find_part parts[FIND_PARTS];
    bool shorter = false;
    buf_reset(&w->record);
    buf_reset(&w->ref);
    if (at <= in->from.n && block.n <= in->from.n - at && memcmp(in->from.p + at, block.p, block.n) == 0) {
        buf_put_u8(&w->record, 'c');
        buf_put_u64(&w->record, at);
        w->out->copied++;
        return emit(w, buf_span(&w->record));
    }
    size_t n = find_parts(&w->find, in->from, block, in->ref_max ? in->ref_max : DELTA_REF_MAX, parts);
    if (n)
        parts_put(w, parts, n);
    else
        buf_put_u8(&w->record, 'z');
    enum err e = pack(w, block, &shorter);
    if (!e && shorter && w->record.len + 4 + w->packed.len < block.n) {
        *(n ? &w->out->patched : &w->out->packed) += 1;
        buf_put_u32(&w->record, (uint32_t)w->packed.len);
        e = emit(w, buf_span(&w->record));
        return e ? e : emit(w, buf_span(&w->packed));
    }
    w->out->raw++;
    e = e ? e : emit(w, SPAN_LIT("r"));
    return e ? e : emit(w, block);
}

enum err delta_make(const struct delta_in *in, enum err (*put)(void *arg, struct span piece), void *arg, struct delta_out *out, struct fault *f)
{
    *out = (struct delta_out){ 0 };
    if (!in->block_size || in->block_size > DELTA_REF_MAX || in->ref_max > DELTA_REF_MAX)
        return fault_set(f, CE_BAD_FIELD, "a delta needs blocks and references of 1 to %u bytes", DELTA_REF_MAX);
    if (in->from.n / CRADLE_DELTA_PAGE > UINT32_MAX)
        return fault_set(f, CE_TOO_LARGE, "the installed file is too large for a delta");
    CLEANUP(ZSTD_freeCCtx_p) ZSTD_CCtx *zstd = ZSTD_createCCtx();
    if (!zstd || ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, in->level ? in->level : DELTA_LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, window_log(in))))
        return fault_set(f, CE_INTERNAL, "zstd cannot be set up");
    CLEANUP(work_end) struct work w = { .in = in, .put = put, .arg = arg, .out = out, .f = f, .zstd = zstd };
    find_open(&w.find, in->from);
    enum err e = header(&w);
    for (uint64_t at = 0; !e && at < in->to.n; at += in->block_size)
        e = block_put(&w, at);
    return e;
}
