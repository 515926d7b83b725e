/* Server-sent events: however the bytes are cut, the same events come out; data holds no carriage return, names no end of line. */
#include <string.h>

#include "base/mem.h"
#include "wire/sse.h"

static void event_put(const struct sse_event *ev, struct buf *out)
{
    if (ev->name.n == 0 || memchr(ev->name.p, '\n', ev->name.n) || (ev->data.len && memchr(ev->data.data, '\r', ev->data.len)))
        __builtin_trap();
    buf_put_span(out, ev->name);
    buf_put_u8(out, 0);
    buf_put_span(out, buf_span(&ev->data));
    buf_put_u8(out, 0);
}

/* As a reader does it: what comes is added, whole events are taken, the rest is kept. */
static void stream_read(struct span bytes, size_t cut, struct buf *out)
{
    CLEANUP(buf_free) struct buf kept = BUF_INIT(0);
    struct sse_event ev = { .data = BUF_INIT(0) };
    while (bytes.n) {
        size_t n = bytes.n < cut ? bytes.n : cut;
        buf_put(&kept, bytes.p, n);
        bytes = span_of(bytes.p + n, bytes.n - n);
        struct span rest = buf_span(&kept);
        while (sse_next(&rest, &ev) == CE_OK)
            event_put(&ev, out);
        if (rest.n > kept.len)
            __builtin_trap();
        buf_drop(&kept, kept.len - rest.n);
    }
    buf_free(&ev.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_free) struct buf whole = BUF_INIT(0), parts = BUF_INIT(0);
    size_t cut = size ? 1 + data[0] % 7u : 1;
    struct span bytes = size ? span_of(data + 1, size - 1) : span_of(NULL, 0);
    stream_read(bytes, bytes.n ? bytes.n : 1, &whole);
    stream_read(bytes, cut, &parts);
    if (!span_eq(buf_span(&whole), buf_span(&parts)))
        __builtin_trap();
    return 0;
}

#include "t/fuzz/replay.h"
