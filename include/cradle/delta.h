/* cradle/delta.h: the device's half of delta updates: makes the new image of the installed one and a stream of differences.
 *
 * What it is not: it decides nothing about what may be installed. Each block is given to cradle_update_block(), so only bytes whose digests
 * two people signed reach the port's write. Whoever changes the stream, or the installed image, can make the update fail and nothing
 * else; the caller then fetches the whole file, from the block on that is due.
 * It opens no file, allocates nothing, and knows no zstd: all of that is behind the port. A port without inflate takes streams of copied
 * and raw blocks only.
 *
 * The stream, integers big-endian: a header of CRADLE_DELTA_HEAD bytes
 *     16 "cradle delta 1\n\0" | 32 SHA-256 of the installed file | 32 of the new file | u64 length of the installed | u64 of the new |
 *     u32 bytes of a block | u32 most reference bytes of a block
 * then a record for each block of the new file, in order:
 *     'c' u64 offset                                        the block stands in the installed file, from offset on
 *     'p' u8 n, n x (u32 page, u16 pages), u32 m, m bytes   a zstd frame; its prefix is these parts of the installed file, joined
 *     'z' u32 m, m bytes                                    a zstd frame
 *     'r' the block's bytes
 * A page has 4096 bytes; a part ends with the installed file at the latest. m is less than the length of the block.
 */
#ifndef CRADLE_DELTA_H
#define CRADLE_DELTA_H

#include "cradle/update.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CRADLE_DELTA_HEAD 104
#define CRADLE_DELTA_PAGE 4096
#define CRADLE_DELTA_PARTS 255
#define CRADLE_DELTA_RECORD (2 + 6 * CRADLE_DELTA_PARTS + 4) /* bytes of a record before its content, at most */

enum cradle_delta_err {
    CRADLE_DELTA_OK = 0,
    CRADLE_DELTA_FORMAT = -60,  /* not a delta stream, or it breaks the format */
    CRADLE_DELTA_OTHER = -61,   /* for another installed file or another new one */
    CRADLE_DELTA_SPACE = -62,   /* needs more memory than the caller gave, or a zstd that the port lacks */
    CRADLE_DELTA_OLD = -63,     /* the installed image cannot be read there: it is shorter, or its medium fails */
    CRADLE_DELTA_INFLATE = -64, /* a frame does not unpack into its block */
    CRADLE_DELTA_BLOCK = -65,   /* the block is not the signed one: stream or installed image were changed */
    CRADLE_DELTA_WRITE = -66,   /* the port's write failed */
    CRADLE_DELTA_SHORT = -67,   /* the stream ended before the last block */
};
const char *cradle_delta_reason(int err); /* "delta-format" …: stable words; never NULL */

/* All return 0 on success. */
struct cradle_delta_port {
    void *ctx;
    int (*old_read)(void *ctx, uint64_t offset, void *out, size_t n); /* exactly n bytes of the installed image */
    /* Exactly out_n bytes out of one zstd frame whose prefix is ref (ref_n 0: none). May be NULL. */
    int (*inflate)(void *ctx, const void *in, size_t n, const void *ref, size_t ref_n, void *out, size_t out_n);
    int (*write)(void *ctx, uint32_t block, const void *data, size_t n); /* a block that has been verified */
};

struct cradle_delta_mem { /* the caller's; out and in hold a block each, ref as much as the port can spare (a server uses up to 4 MiB) */
    uint8_t *out, *in, *ref;
    size_t out_n, in_n, ref_n;
};

struct cradle_delta { /* private but for block and offset */
    const struct cradle_delta_port *port;
    struct cradle_update *update;
    const uint8_t *list;
    struct cradle_delta_mem mem;
    uint32_t block;   /* the block that is due: all before it have been written */
    uint64_t offset;  /* of its record in the stream: where to go on after an interruption */
    uint64_t from_length;
    uint8_t from_sha256[32];
    uint8_t head[CRADLE_DELTA_RECORD];
    size_t head_n, body_n, body_want; /* gathered of the header or record; of its content */
    uint32_t skip;
    int step, err;
};

/* update: after its line step, with the block list that cradle_update_blocks() found good. from_sha256: the installed file. All borrowed. */
void cradle_delta_begin(struct cradle_delta *d, const struct cradle_delta_port *port, struct cradle_update *update, const uint8_t *list,
                        const uint8_t from_sha256[32], const struct cradle_delta_mem *mem);
/* The stream, in pieces of any size and in order. After an error nothing more is taken. */
int cradle_delta_add(struct cradle_delta *d, const void *data, size_t n);
/* After the header: the blocks before this one are written already, and what comes next is the stream from offset on. Both as an earlier
 * run over the same stream left them. */
int cradle_delta_resume(struct cradle_delta *d, uint32_t block, uint64_t offset);
/* Or, before the stream, when the offset is not known: the blocks before this one are written already; their records are read and passed over. */
void cradle_delta_skip(struct cradle_delta *d, uint32_t block);
int cradle_delta_end(struct cradle_delta *d); /* CRADLE_DELTA_OK: every block has been written */

#ifdef __cplusplus
}
#endif

#endif
