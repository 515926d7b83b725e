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

/* -- writing: a job is collected first, then done by whoever runs it (a thread of its own: job_thread.h) ------------------ */
struct tile_job; /* owned; files to be made or replaced, then partial tiles to be removed; knows no order among the files */
struct tile_job *tile_job_new(const char *dir);
void tile_job_free(struct tile_job *j); /* NULL is fine */
void tile_job_free_p(struct tile_job **j);
void tile_job_put(struct tile_job *j, unsigned level, uint64_t n, unsigned width, struct span bytes); /* copies */
void tile_job_put_checkpoint(struct tile_job *j, struct span note);                                    /* copies */
/* When the files are durable: the partial files of a tile whose full file is there go away. */
void tile_job_drop_partials(struct tile_job *j, unsigned level, uint64_t n);
size_t tile_job_files(const struct tile_job *j);
void tile_job_reset(struct tile_job *j);
/* Does it all and empties the job. CE_OK: every file survives power loss. Else (CE_DISK_FULL, CE_IO, …) any of them may be there
 * or not, each one whole, and no temporary file is left. */
MUST_USE enum err tile_job_run(struct tile_job *j);

#endif
