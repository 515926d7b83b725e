/* delta.h: makes delta streams (format: cradle/delta.h): what a device with one file needs to have another. Reads both out of memory (mapped
 * files), opens nothing. A block of the new file becomes a copy, or a zstd frame over those parts of the old file that have most in common
 * with it; the parts are chosen here, so the device needs no search and little memory.
 */
#ifndef CRADLE_WIRE_DELTA_H
#define CRADLE_WIRE_DELTA_H

#include "base/span.h"

#define DELTA_REF_MAX (4u << 20)  /* reference bytes of a block: what a device must spare */
#define DELTA_LEVEL 12            /* of zstd: higher ones cost four times the time for half a percent */

struct delta_in {
    struct span from, to;
    const uint8_t *from_sha256, *to_sha256; /* 32 bytes each */
    uint32_t block_size;          /* that of the signed block list */
    uint32_t ref_max;             /* 0: DELTA_REF_MAX */
    int level;                    /* 0: DELTA_LEVEL */
    uint64_t give_up;             /* CE_TOO_LARGE as soon as the stream is longer; 0: never */
};
struct delta_out { uint64_t length; uint32_t copied, patched, packed, raw; }; /* bytes of the stream, blocks by kind */

/* put gets the stream piece by piece; its error ends the work. */
MUST_USE enum err delta_make(const struct delta_in *in, enum err (*put)(void *arg, struct span piece), void *arg, struct delta_out *out, struct fault *f);

#endif
