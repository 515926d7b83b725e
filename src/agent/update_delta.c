/* update_delta.c: see update_delta.h. */
#include "agent/update_delta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/inflate.h"
#include "agent/update_store.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cradle/delta.h"

#define REF_MAX (4u << 20)
#define CUTS_MAX 5
#define BLOCK_MAX (1u << 20) /* larger ones would need more memory than a delta is to have */

struct run {
    const struct delta_job *j;
    struct cradle_delta d;
    struct cradle_delta_port port;
    struct cradle_update up;
    struct cradle_delta_mem mem; /* owned */
    struct inflate *zstd;        /* owned */
    int old;
    int64_t got;                 /* bytes of the stream */
    uint8_t from[32];
    enum err e;                  /* of write */
};

static void run_end(struct run *r)
{
    fd_close_p(&r->old);
    inflate_free(r->zstd);
    free(r->mem.out);
    free(r->mem.in);
    free(r->mem.ref);
}

/* -- the library's port ------------------------------------------------------------------------------------------------------------- */
static int old_read(void *ctx, uint64_t at, void *out, size_t n)
{
    struct run *r = ctx;
    uint8_t *p = out;
    while (n) {
        ssize_t got = pread(r->old, p, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        p += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

static int frame(void *ctx, const void *in, size_t n, const void *ref, size_t ref_n, void *out, size_t out_n)
{
    return inflate_frame(((struct run *)ctx)->zstd, in, n, ref, ref_n, out, out_n);
}

static int block_write(void *ctx, uint32_t block, const void *data, size_t n)
{
    struct run *r = ctx;
    r->e = r->j->write(r->j->arg, (int64_t)block * r->j->order->block_size, span_of(data, n));
    return r->e ? -1 : 0;
}

static void begin(struct run *r)
{
    r->got = 0;
    cradle_delta_begin(&r->d, &r->port, &r->up, r->j->list.p, r->from, &r->mem);
    cradle_delta_skip(&r->d, (uint32_t)(r->j->at / r->j->order->block_size));
}

static enum err run_open(struct run *r, struct fault *f)
{
    const struct update_order *o = r->j->order;
    struct cradle_update_target t = { .length = (uint64_t)o->length, .block_size = (uint32_t)o->block_size };
    if (!o->block_size || o->block_size > BLOCK_MAX || !order_digest(o->sha256, t.sha256) || !order_digest(r->j->from->sha256, r->from))
        return fault_set(f, CE_NOT_FOUND, "there is no delta for such blocks");
    r->old = open(r->j->from_path, O_RDONLY | O_CLOEXEC);
    if (r->old < 0)
        return fault_set(f, CE_NOT_FOUND, "the installed file cannot be read: %s: %s", r->j->from_path, strerror(errno));
    cradle_update_again(&r->up, &update_port, &t);
    r->port = (struct cradle_delta_port){ r, old_read, frame, block_write };
    r->mem = (struct cradle_delta_mem){ mem_alloc((size_t)o->block_size), mem_alloc((size_t)o->block_size), mem_alloc(REF_MAX), (size_t)o->block_size,
                                        (size_t)o->block_size, REF_MAX };
    r->zstd = inflate_make();
    begin(r);
    return CE_OK;
}

/* -- the stream --------------------------------------------------------------------------------------------------------------------- */
static bool on_begin(void *arg, int64_t from)
{
    struct run *r = arg;
    if (from != r->got) /* the server sends all of it again: what is in place is passed over */
        begin(r);
    return from == r->got;
}

static bool on_bytes(void *arg, struct span s)
{
    struct run *r = arg;
    if (r->j->stopped(r->j->arg)) {
        r->e = CE_DRAINING;
        return false;
    }
    r->got += (int64_t)s.n;
    return cradle_delta_add(&r->d, s.p, s.n) == CRADLE_DELTA_OK;
}

/* A delta that is being made is waited for. */
static bool wait_more(const struct delta_job *j, int64_t retry_s, int64_t until_ms)
{
    int64_t next_ms = clock_mono_ms() + (retry_s > 0 ? retry_s : 1) * 1000;
    if (next_ms > until_ms)
        return false;
    while (clock_mono_ms() < next_ms && !j->stopped(j->arg))
        usleep(100000);
    return !j->stopped(j->arg);
}

static enum err stream(struct run *r, struct fault *f)
{
    char path[PATH_MAX_LEN];
    const struct delta_job *j = r->j;
    int64_t until_ms = clock_mono_ms() + j->wait_s * 1000;
    enum err e;
    path_join(path, "/update/v1/delta/%.64s/%.64s", j->from->sha256, j->order->sha256);
    for (int cuts = 0;;) {
        struct net_download d = { .from = r->got, .limit = j->order->length, .min_rate = j->min_rate, .stall_s = j->stall_s, .on_begin = on_begin,
                                  .on_bytes = on_bytes, .arg = r };
        int64_t had = r->got;
        e = net_download(j->net, path, &d, f);
        if (err_class(e) == ERRC_BUSY && !r->got && wait_more(j, d.retry_s, until_ms))
            continue;
        if (e != CE_IO || r->got == had || ++cuts > CUTS_MAX)
            return e;
        log_info(0, "the delta was cut after %lld bytes; it goes on", (long long)r->got);
    }
}

enum err update_delta(const struct delta_job *j, struct fault *f)
{
    CLEANUP(run_end) struct run r = { .j = j, .old = -1 };
    enum err e = run_open(&r, f);
    e = e ? e : stream(&r, f);
    if (e)
        return e;
    if (r.e)
        return fault_set(f, r.e, "%s", r.e == CE_DRAINING ? "stopped" : "the update cannot be written");
    int end = cradle_delta_end(&r.d);
    return end ? fault_set(f, CE_BAD_PROOF, "%s at block %u", cradle_delta_reason(end), r.d.block) : CE_OK;
}
