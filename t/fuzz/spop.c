/* Frames of HAProxy's SPOP: header, HELLO, NOTIFY, values; and what we write is read back. */
#include "edge/spop.h"

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    struct spop_frame fr, back;
    struct spop_hello hello;
    struct spop_check check;
    if (spop_frame_parse(span_of(data, size), &fr))
        return 0;
    if (spop_hello_parse(fr.payload, &hello) == CE_OK && hello.max_frame && !fr.payload.n)
        __builtin_trap();
    if (spop_notify_parse(fr.payload, &check) == CE_OK && check.cert.n > fr.payload.n)
        __builtin_trap();
    size_t at = spop_ack_begin(&out, fr.stream_id, fr.frame_id);
    spop_ack_bool(&out, "allow", false);
    spop_ack_end(&out, at);
    if (spop_frame_parse(span_of(out.data + 4, out.len - 4), &back) || back.stream_id != fr.stream_id || back.frame_id != fr.frame_id || !back.fin)
        __builtin_trap();
    return 0;
}

#include "t/fuzz/replay.h"
