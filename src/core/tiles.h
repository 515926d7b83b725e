/* tiles.h: the files of a C2SP tlog-tiles log (c2sp.org/tlog-tiles): their paths, reading hashes out of them, and writing
 * many of them durably with few flushes. It knows no events and no database: the integrator is evlog, a reader is the query role.
 *
 * A hash tile of level L, number N holds hashes of level 8L, 256 wide; an entry bundle holds 256 entries of u16 length + 32 bytes.
 * The last one of a level may be partial: a file of its own, .p/W. Files never change once written, only partial ones go away
 * when the full one is there.
 */
#ifndef CRADLE_CORE_TILES_H
#define CRADLE_CORE_TILES_H

#include "base/file.h"
#include "crypt/merkle.h"

#define TILE_WIDTH 256
#define TILE_LEVELS 8            /* 256^8 leaves: more than there are */
#define TILE_BUNDLES TILE_LEVELS /* pass as level: entry bundles, the folder tile/entries */
#define TILE_ENTRY 32            /* bytes of one entry of ours */
#define TILE_MAX (TILE_WIDTH * (2 + TILE_ENTRY))

/* "tile/0/x001/x234/067.p/12"; width TILE_WIDTH: a full tile. out has PATH_MAX_LEN bytes. */
void tile_path(unsigned level, uint64_t n, unsigned width, char *out);
size_t tile_bytes(unsigned level, unsigned width); /* size of the file */

/* -- reading ------------------------------------------------------------------------------------------------------------- */
struct tile_cached {
    bool valid;
    uint64_t n;
    unsigned width;
    uint8_t data[TILE_MAX];
};
struct tiles {
    char dir[PATH_MAX_LEN];
    uint64_t size;                                /* the tree being read: decides widths */
    struct tile_cached cache[TILE_LEVELS + 1][2]; /* the two last used of each level; private */
};
struct tiles *tiles_new(const char *dir, uint64_t size); /* free() it; large */
void tiles_reset(struct tiles *t, uint64_t size);        /* another tree; what was read is forgotten */
/* For struct merkle_source: ctx is the struct tiles. CE_NOT_FOUND (no such file), CE_LOG_INCONSISTENT (wrong length), CE_IO. */
enum err tiles_node(void *ctx, unsigned level, uint64_t index, struct merkle_hash *out);
MUST_USE enum err tiles_entry(struct tiles *t, uint64_t index, uint8_t out[TILE_ENTRY]);
/* Files of this tree that are not there in their full length; looks at names and lengths only. */
struct tiles_missing {
    uint64_t full, partial;
};
void tiles_check(const struct tiles *t, struct tiles_missing *out);

/* -- writing: put many, then commit makes the full ones durable at once; partial ones are in place when put returns, unflushed --- */
struct tile_writer; /* owned; a failed commit leaves no temporary files */
struct tile_writer *tile_writer_new(const char *dir);
void tile_writer_free(struct tile_writer *w); /* NULL is fine; drops what is not committed */
void tile_writer_free_p(struct tile_writer **w);
MUST_USE enum err tile_writer_put(struct tile_writer *w, unsigned level, uint64_t n, unsigned width, struct span bytes);
MUST_USE enum err tile_writer_commit(struct tile_writer *w);
/* Removes the partial files of a tile whose full file is there. */
void tile_drop_partials(const char *dir, unsigned level, uint64_t n);

#endif
