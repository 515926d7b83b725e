/* inflate.h: zstd behind the port of cradle/delta.h: one frame into one buffer, with a prefix. The memory of zstd is made once (160 kB);
 * frames go straight from buffer to buffer, so no window of theirs is allocated, whatever they claim. */
#ifndef CRADLE_AGENT_INFLATE_H
#define CRADLE_AGENT_INFLATE_H

#include <stddef.h>

struct inflate; /* owned by who made it */
struct inflate *inflate_make(void);
void inflate_free(struct inflate *x); /* NULL is fine */
/* 0 when exactly out_n bytes came out. ref_n 0: no prefix. */
int inflate_frame(struct inflate *x, const void *in, size_t n, const void *ref, size_t ref_n, void *out, size_t out_n);

#endif
