/* ipc.c: every message of msg.def through the frame and the unpacker; what unpacks, packs to the same bytes again. A frame's version is
 * replaced by today's, so that the corpus outlives it; version 0 stays and is refused.
 */
#include <stdlib.h>

#include "base/log.h"
#include "wire/ipc.h"
#include "wire/msg.h"

#define VERSION_AT 4

static void version_set(uint8_t *frame, size_t n)
{
    if (n < VERSION_AT + 2 || (!frame[VERSION_AT] && !frame[VERSION_AT + 1]))
        return;
    frame[VERSION_AT] = IPC_VERSION >> 8;
    frame[VERSION_AT + 1] = IPC_VERSION & 0xff;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = mem_alloc(size + 1);
    memcpy(copy, size ? (const void *)data : "", size);
    struct span in = span_of(copy, size);
    struct ipc_frame f;
    version_set(copy, size);
    while (ipc_frame_get(&in, &f) == CE_OK) {
        const struct msg_desc *d = msg_desc_find(f.type);
        version_set(copy + (size - in.n), in.n);
        if (!d)
            continue;
        struct buf again = BUF_INIT(0);
        void *m = mem_calloc(1, d->size + 1);
        if (msg_unpack_all(d, f.body, m) == CE_OK) {
            msg_pack(d, m, &again);
            INVARIANT(span_eq(buf_span(&again), f.body));
        }
        buf_free(&again);
        free(m);
    }
    free(copy);
    return 0;
}
#include "t/fuzz/replay.h"
