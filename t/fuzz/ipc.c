/* ipc.c: every message of msg.def through the frame and the unpacker; what unpacks, packs to the same bytes again. */
#include <stdlib.h>

#include "base/log.h"
#include "wire/ipc.h"
#include "wire/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct ipc_frame f;
    while (ipc_frame_get(&in, &f) == CE_OK) {
        const struct msg_desc *d = msg_desc_find(f.type);
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
    return 0;
}
#include "t/fuzz/replay.h"
