/* tiles.c: see tiles.h: paths and reading. Writing is tiles_write.c. */
#include "core/tiles.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"

void tile_path(unsigned level, uint64_t n, unsigned width, char *out)
{
    char folder[16], groups[48] = "", part[8] = "";
    INVARIANT(level <= TILE_BUNDLES && width > 0 && width <= TILE_WIDTH);
    if (level == TILE_BUNDLES)
        snprintf(folder, sizeof folder, "entries");
    else
        snprintf(folder, sizeof folder, "%u", level);
    unsigned last = (unsigned)(n % 1000);
    for (n /= 1000; n; n /= 1000) {
        char more[48];
        snprintf(more, sizeof more, "x%03u/%.40s", (unsigned)(n % 1000), groups);
        memcpy(groups, more, sizeof groups);
    }
    if (width < TILE_WIDTH)
        snprintf(part, sizeof part, ".p/%u", width);
    path_join(out, "tile/%s/%s%03u%s", folder, groups, last, part);
}

size_t tile_bytes(unsigned level, unsigned width)
{
    return (size_t)width * (level == TILE_BUNDLES ? 2 + TILE_ENTRY : MERKLE_HASH);
}

/* How many hashes (or entries) of this tile level the tree has in all. */
static uint64_t row_length(uint64_t size, unsigned level)
{
    return level == TILE_BUNDLES ? size : size >> (8 * level);
}

static unsigned tile_width(uint64_t size, unsigned level, uint64_t n)
{
    uint64_t all = row_length(size, level), before = n * TILE_WIDTH;
    return before >= all ? 0 : all - before >= TILE_WIDTH ? TILE_WIDTH : (unsigned)(all - before);
}

struct tiles *tiles_new(const char *dir, uint64_t size)
{
    struct tiles *t = mem_calloc(1, sizeof *t);
    path_join(t->dir, "%s", dir);
    t->size = size;
    return t;
}

void tiles_reset(struct tiles *t, uint64_t size)
{
    t->size = size;
    for (unsigned l = 0; l <= TILE_LEVELS; l++)
        t->cache[l][0].valid = t->cache[l][1].valid = false;
}

static enum err tile_read(const struct tiles *t, unsigned level, uint64_t n, unsigned width, uint8_t *out)
{
    char name[PATH_MAX_LEN], path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf b = BUF_INIT(TILE_MAX + 1);
    tile_path(level, n, width, name);
    path_join(path, "%.400s/%.100s", t->dir, name);
    enum err e = file_read(path, &b);
    if (e)
        return e == CE_TOO_LARGE ? CE_LOG_INCONSISTENT : e;
    if (b.len != tile_bytes(level, width))
        return CE_LOG_INCONSISTENT;
    memcpy(out, b.data, b.len);
    return CE_OK;
}

/* The tile, out of the cache or the file; a partial one that is gone is the beginning of the full one. */
static enum err tile_get(struct tiles *t, unsigned level, uint64_t n, const struct tile_cached **out)
{
    struct tile_cached *slot = t->cache[level];
    unsigned width = tile_width(t->size, level, n);
    if (width == 0)
        return CE_NOT_FOUND;
    for (int i = 0; i < 2; i++)
        if (slot[i].valid && slot[i].n == n && slot[i].width >= width) {
            *out = &slot[i];
            return CE_OK;
        }
    if (slot[0].valid)
        slot[1] = slot[0];
    slot[0].valid = false;
    enum err e = tile_read(t, level, n, width, slot[0].data);
    if (e == CE_NOT_FOUND && width < TILE_WIDTH) {
        e = tile_read(t, level, n, TILE_WIDTH, slot[0].data);
        width = e ? width : TILE_WIDTH;
    }
    if (e)
        return e;
    slot[0].n = n;
    slot[0].width = width;
    slot[0].valid = true;
    *out = &slot[0];
    return CE_OK;
}

enum err tiles_node(void *ctx, unsigned level, uint64_t index, struct merkle_hash *out)
{
    struct tiles *t = ctx;
    const struct tile_cached *tile;
    unsigned row = level / 8, rest = level % 8;
    if (row >= TILE_LEVELS)
        return CE_NOT_FOUND;
    uint64_t first = index << rest;
    enum err e = tile_get(t, row, first / TILE_WIDTH, &tile);
    if (e)
        return e;
    size_t at = first % TILE_WIDTH, n = (size_t)1 << rest;
    if (at + n > tile->width)
        return CE_NOT_FOUND;
    struct merkle_hash leaves[TILE_WIDTH / 2];
    memcpy(leaves, tile->data + at * MERKLE_HASH, n * MERKLE_HASH);
    merkle_root(leaves, n, out);
    return CE_OK;
}

enum err tiles_entry(struct tiles *t, uint64_t index, uint8_t out[TILE_ENTRY])
{
    const struct tile_cached *tile;
    enum err e = tile_get(t, TILE_BUNDLES, index / TILE_WIDTH, &tile);
    if (e)
        return e;
    size_t at = index % TILE_WIDTH;
    if (at >= tile->width)
        return CE_NOT_FOUND;
    const uint8_t *p = tile->data + at * (2 + TILE_ENTRY);
    if (p[0] != 0 || p[1] != TILE_ENTRY)
        return CE_LOG_INCONSISTENT;
    memcpy(out, p + 2, TILE_ENTRY);
    return CE_OK;
}

void tiles_check(const struct tiles *t, struct tiles_missing *out)
{
    *out = (struct tiles_missing){0};
    for (unsigned level = 0; level <= TILE_LEVELS; level++) {
        unsigned width;
        for (uint64_t n = 0; (width = tile_width(t->size, level, n)) > 0; n++) {
            char name[PATH_MAX_LEN], path[PATH_MAX_LEN];
            struct stat st;
            tile_path(level, n, width, name);
            path_join(path, "%.400s/%.100s", t->dir, name);
            if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size != tile_bytes(level, width))
                ++*(width == TILE_WIDTH ? &out->full : &out->partial);
        }
    }
}
