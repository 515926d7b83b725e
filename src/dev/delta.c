/* delta.c: see cradle/delta.h. */
#include "cradle/delta.h"

#include <stdbool.h>
#include <string.h>

#define MAGIC "cradle delta 1\n"

enum { STEP_HEAD, STEP_RECORD, STEP_BODY, STEP_END };

static uint64_t get_be(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static uint32_t block_size(const struct cradle_delta *d) { return d->update->target.block_size; }

static uint64_t block_count(const struct cradle_delta *d)
{
    uint32_t size = block_size(d);
    return d->update->target.length / size + (d->update->target.length % size != 0);
}

static size_t block_len(const struct cradle_delta *d)
{
    uint64_t left = d->update->target.length - (uint64_t)d->block * block_size(d);
    return left < block_size(d) ? (size_t)left : block_size(d);
}

void cradle_delta_begin(struct cradle_delta *d, const struct cradle_delta_port *port, struct cradle_update *update, const uint8_t *list,
                        const uint8_t from_sha256[32], const struct cradle_delta_mem *mem)
{
    memset(d, 0, sizeof *d);
    d->port = port;
    d->update = update;
    d->list = list;
    d->mem = *mem;
    memcpy(d->from_sha256, from_sha256, sizeof d->from_sha256);
    if (!update->target.block_size)
        d->err = CRADLE_DELTA_OTHER; /* nothing to judge single blocks by */
    else if (mem->out_n < update->target.block_size || mem->in_n < update->target.block_size)
        d->err = CRADLE_DELTA_SPACE;
}

static int header_judge(struct cradle_delta *d)
{
    const uint8_t *h = d->head;
    const struct cradle_update_target *t = &d->update->target;
    if (memcmp(h, MAGIC, sizeof MAGIC) != 0)
        return CRADLE_DELTA_FORMAT;
    if (memcmp(h + 16, d->from_sha256, 32) != 0 || memcmp(h + 48, t->sha256, 32) != 0 || get_be(h + 88, 8) != t->length || get_be(h + 96, 4) != t->block_size)
        return CRADLE_DELTA_OTHER;
    if (get_be(h + 100, 4) > d->mem.ref_n)
        return CRADLE_DELTA_SPACE;
    d->from_length = get_be(h + 80, 8);
    return d->from_length > INT64_MAX ? CRADLE_DELTA_FORMAT : CRADLE_DELTA_OK;
}

/* -- records ----------------------------------------------------------------------------------------------------------------------- */
/* How many bytes the record has before its content, as far as the gathered ones tell. 0: no record begins like this. */
static size_t record_head(const struct cradle_delta *d)
{
    switch (d->head[0]) {
    case 'c': return 9;
    case 'p': return d->head_n < 2 ? 2 : 2 + 6 * (size_t)d->head[1] + 4;
    case 'z': return 5;
    case 'r': return 1;
    default: return 0;
    }
}

static int record_begin(struct cradle_delta *d)
{
    char kind = (char)d->head[0];
    size_t len = block_len(d);
    d->body_n = 0;
    d->body_want = kind == 'c' ? 0 : kind == 'r' ? len : (size_t)get_be(d->head + d->head_n - 4, 4);
    if ((kind == 'p' || kind == 'z') && (!d->body_want || d->body_want >= len))
        return CRADLE_DELTA_FORMAT;
    if ((kind == 'p' || kind == 'z') && !d->port->inflate)
        return CRADLE_DELTA_SPACE;
    return kind == 'p' && !d->head[1] ? CRADLE_DELTA_FORMAT : CRADLE_DELTA_OK;
}

static int parts_read(struct cradle_delta *d, size_t *ref_n)
{
    *ref_n = 0;
    for (size_t i = 0; i < d->head[1]; i++) {
        const uint8_t *part = d->head + 2 + 6 * i;
        uint64_t at = get_be(part, 4) * CRADLE_DELTA_PAGE, n = get_be(part + 4, 2) * CRADLE_DELTA_PAGE;
        if (at >= d->from_length || !n)
            return CRADLE_DELTA_FORMAT;
        n = n > d->from_length - at ? d->from_length - at : n;
        if (n > d->mem.ref_n - *ref_n)
            return CRADLE_DELTA_SPACE;
        if (d->port->old_read(d->port->ctx, at, d->mem.ref + *ref_n, (size_t)n))
            return CRADLE_DELTA_OLD;
        *ref_n += (size_t)n;
    }
    return CRADLE_DELTA_OK;
}

static int copy_read(struct cradle_delta *d, size_t len)
{
    uint64_t at = get_be(d->head + 1, 8);
    if (at > d->from_length || len > d->from_length - at)
        return CRADLE_DELTA_FORMAT;
    return d->port->old_read(d->port->ctx, at, d->mem.out, len) ? CRADLE_DELTA_OLD : CRADLE_DELTA_OK;
}

static int record_next(struct cradle_delta *d)
{
    d->offset += d->head_n + d->body_want;
    d->block++;
    d->head_n = 0;
    d->step = d->block == block_count(d) ? STEP_END : STEP_RECORD;
    return CRADLE_DELTA_OK;
}

/* The record is whole: makes its block, verifies it, writes it. */
static int record_end(struct cradle_delta *d)
{
    if (d->block < d->skip)
        return record_next(d);
    size_t len = block_len(d), ref_n = 0;
    char kind = (char)d->head[0];
    int err = kind == 'c' ? copy_read(d, len) : kind == 'p' ? parts_read(d, &ref_n) : CRADLE_DELTA_OK;
    if (!err && (kind == 'p' || kind == 'z') &&
        d->port->inflate(d->port->ctx, d->mem.in, d->body_want, ref_n ? d->mem.ref : NULL, ref_n, d->mem.out, len))
        err = CRADLE_DELTA_INFLATE;
    if (!err && cradle_update_block(d->update, d->list, d->block, d->mem.out, len))
        err = CRADLE_DELTA_BLOCK;
    if (!err && d->port->write(d->port->ctx, d->block, d->mem.out, len))
        err = CRADLE_DELTA_WRITE;
    return err ? err : record_next(d);
}

/* -- the stream ----------------------------------------------------------------------------------------------------------------------- */
static size_t gather(uint8_t *to, size_t *have, size_t want, const uint8_t *data, size_t n)
{
    n = n < want - *have ? n : want - *have;
    memcpy(to + *have, data, n);
    *have += n;
    return n;
}

static int header_step(struct cradle_delta *d, const uint8_t *data, size_t n, size_t *used)
{
    *used = gather(d->head, &d->head_n, CRADLE_DELTA_HEAD, data, n);
    if (d->head_n < CRADLE_DELTA_HEAD)
        return CRADLE_DELTA_OK;
    d->head_n = 0;
    d->offset = CRADLE_DELTA_HEAD;
    d->step = block_count(d) ? STEP_RECORD : STEP_END;
    return header_judge(d);
}

static int record_step(struct cradle_delta *d, const uint8_t *data, size_t n, size_t *used)
{
    *used = d->head_n ? 0 : gather(d->head, &d->head_n, 1, data, n);
    size_t want = record_head(d);
    if (!want)
        return CRADLE_DELTA_FORMAT;
    *used += gather(d->head, &d->head_n, want, data + *used, n - *used);
    if (d->head_n < want || record_head(d) > d->head_n)
        return CRADLE_DELTA_OK;
    d->step = STEP_BODY;
    int err = record_begin(d);
    return err || d->body_want ? err : record_end(d);
}

static int body_step(struct cradle_delta *d, const uint8_t *data, size_t n, size_t *used)
{
    *used = gather(d->head[0] == 'r' ? d->mem.out : d->mem.in, &d->body_n, d->body_want, data, n);
    return d->body_n < d->body_want ? CRADLE_DELTA_OK : record_end(d);
}

int cradle_delta_add(struct cradle_delta *d, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (!d->err && n) {
        size_t used = 0;
        switch (d->step) {
        case STEP_HEAD: d->err = header_step(d, p, n, &used); break;
        case STEP_RECORD: d->err = record_step(d, p, n, &used); break;
        case STEP_BODY: d->err = body_step(d, p, n, &used); break;
        default: d->err = CRADLE_DELTA_FORMAT; /* bytes after the last block */
        }
        p += used;
        n -= used;
    }
    return d->err;
}

int cradle_delta_resume(struct cradle_delta *d, uint32_t block, uint64_t offset)
{
    if (d->err || d->step != STEP_RECORD || d->head_n || block > block_count(d) || offset < CRADLE_DELTA_HEAD)
        return d->err ? d->err : CRADLE_DELTA_FORMAT;
    d->block = block;
    d->offset = offset;
    d->step = block == block_count(d) ? STEP_END : STEP_RECORD;
    return CRADLE_DELTA_OK;
}

void cradle_delta_skip(struct cradle_delta *d, uint32_t block) { d->skip = block; }

int cradle_delta_end(struct cradle_delta *d)
{
    return d->err ? d->err : d->step == STEP_END ? CRADLE_DELTA_OK : CRADLE_DELTA_SHORT;
}

const char *cradle_delta_reason(int err)
{
    switch (err) {
    case CRADLE_DELTA_OK: return "ok";
    case CRADLE_DELTA_FORMAT: return "delta-format";
    case CRADLE_DELTA_OTHER: return "delta-other";
    case CRADLE_DELTA_SPACE: return "delta-space";
    case CRADLE_DELTA_OLD: return "delta-old-unreadable";
    case CRADLE_DELTA_INFLATE: return "delta-inflate";
    case CRADLE_DELTA_BLOCK: return "delta-wrong-block";
    case CRADLE_DELTA_WRITE: return "delta-write";
    case CRADLE_DELTA_SHORT: return "delta-short";
    default: return "unknown";
    }
}
