/* delta_device.h: a device in memory that applies delta streams, for tests. Its SHA-256 is real unless blind is set: then every digest is zero. */
#ifndef CRADLE_T_DELTA_DEVICE_H
#define CRADLE_T_DELTA_DEVICE_H

#include <stdlib.h>

#include "agent/inflate.h"
#include "base/mem.h"
#include "cradle/delta.h"
#include "crypt/hash.h"
#include "src/dev/update_impl.h"

struct delta_device {
    struct span old;             /* the installed image */
    uint8_t *image, *list;       /* owned: what was written; the block list */
    uint32_t written;            /* blocks */
    uint8_t from_sha256[32];
    struct sha256 hash;
    bool blind, write_fails;
    struct inflate *zstd;
    struct cradle_update_port hashing;
    struct cradle_delta_port port;
    struct cradle_update up;
    struct cradle_delta_mem mem;
    struct cradle_delta d;
};

static int dd_begin(void *ctx) { sha256_begin(&((struct delta_device *)ctx)->hash); return 0; }
static int dd_add(void *ctx, const void *data, size_t n) { sha256_add(&((struct delta_device *)ctx)->hash, span_of(data, n)); return 0; }
static int dd_end(void *ctx, uint8_t out[32])
{
    struct delta_device *x = ctx;
    sha256_end(&x->hash, out);
    if (x->blind)
        memset(out, 0, 32);
    return 0;
}

static int dd_old_read(void *ctx, uint64_t at, void *out, size_t n)
{
    struct delta_device *x = ctx;
    if (at > x->old.n || n > x->old.n - at)
        return -1;
    memcpy(out, x->old.p + at, n);
    return 0;
}

static int dd_inflate(void *ctx, const void *in, size_t n, const void *ref, size_t ref_n, void *out, size_t out_n)
{
    return inflate_frame(((struct delta_device *)ctx)->zstd, in, n, ref, ref_n, out, out_n);
}

static int dd_write(void *ctx, uint32_t block, const void *data, size_t n)
{
    struct delta_device *x = ctx;
    uint64_t at = (uint64_t)block * x->up.target.block_size;
    if (block != x->written || n > x->up.target.length - at) /* in order, and never beyond the file */
        abort();
    if (x->write_fails)
        return -1;
    memcpy(x->image + at, data, n);
    x->written++;
    return 0;
}

/* A device with the image old that is to have a file of length bytes (its content: for the digests; NULL with blind). */
static inline void dd_open(struct delta_device *x, struct span old, struct span to, uint32_t block_size, size_t ref_n, bool blind)
{
    uint32_t n = (uint32_t)((to.n + block_size - 1) / block_size);
    *x = (struct delta_device){ .old = old, .blind = blind, .zstd = inflate_make() };
    x->image = mem_calloc(to.n ? to.n : 1, 1);
    x->list = mem_calloc(n + 1, 32);
    x->hashing = (struct cradle_update_port){ x, dd_begin, dd_add, dd_end, NULL };
    x->port = (struct cradle_delta_port){ x, dd_old_read, dd_inflate, dd_write };
    x->up = (struct cradle_update){ .port = &x->hashing, .step = UP_STEP_READY, .target = { .length = to.n, .block_size = block_size } };
    for (uint32_t i = 0; i < n && !blind; i++) {
        size_t at = (size_t)i * block_size;
        sha256(span_of(to.p + at, to.n - at < block_size ? to.n - at : block_size), x->list + (size_t)i * 32);
    }
    if (!blind) {
        sha256(to, x->up.target.sha256);
        sha256(old, x->from_sha256);
    }
    x->mem = (struct cradle_delta_mem){ mem_alloc(block_size), mem_alloc(block_size), mem_alloc(ref_n ? ref_n : 1), block_size, block_size, ref_n };
    cradle_delta_begin(&x->d, &x->port, &x->up, x->list, x->from_sha256, &x->mem);
}

static inline void dd_close(struct delta_device *x)
{
    inflate_free(x->zstd);
    free(x->image);
    free(x->list);
    free(x->mem.out);
    free(x->mem.in);
    free(x->mem.ref);
}

/* The stream in pieces of piece bytes; the verdict of its end. */
static inline int dd_feed(struct delta_device *x, struct span stream, size_t piece)
{
    int err = 0;
    for (size_t at = 0; !err && at < stream.n; at += piece) {
        size_t n = stream.n - at < piece ? stream.n - at : piece;
        uint8_t *copy = mem_alloc(n); /* so that reading beyond the piece is seen */
        memcpy(copy, stream.p + at, n);
        err = cradle_delta_add(&x->d, copy, n);
        free(copy);
    }
    return err ? err : cradle_delta_end(&x->d);
}

static inline enum err dd_collect(void *arg, struct span piece) { buf_put_span(arg, piece); return buf_err(arg); }

#endif
