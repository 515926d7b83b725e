/* ipc.c: see ipc.h. */
#include "wire/ipc.h"

#include "base/log.h"

void ipc_frame_put(struct buf *out, uint16_t type, uint64_t rid, struct span body)
{
    INVARIANT(body.n <= IPC_MAX - IPC_HEADER);
    buf_put_u32(out, (uint32_t)(body.n + IPC_HEADER - 4));
    buf_put_u16(out, IPC_VERSION);
    buf_put_u16(out, type);
    buf_put_u64(out, rid);
    buf_put_span(out, body);
}

enum err ipc_frame_get(struct span *in, struct ipc_frame *f)
{
    struct span s = *in, rest;
    uint32_t len;
    uint16_t version;
    if (!span_get_u32(&s, &len))
        return CE_TRUNCATED;
    if (len < IPC_HEADER - 4)
        return CE_BAD_FRAME;
    if (len > IPC_MAX)
        return CE_TOO_LARGE;
    if (!span_get(&s, len, &rest))
        return CE_TRUNCATED;
    if (!span_get_u16(&rest, &version) || version != IPC_VERSION || !span_get_u16(&rest, &f->type) || !span_get_u64(&rest, &f->rid))
        return CE_BAD_FRAME;
    f->body = rest;
    *in = s;
    return CE_OK;
}
