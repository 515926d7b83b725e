/* Envelopes, update metadata and directives: the first byte picks a reader. What is accepted is written, read again, and comes out the same. */
#include "wire/directive.h"
#include "wire/msg.h"
#include "wire/tuf.h"

typedef enum err read_fn(struct span payload, struct arena *a, void *out, struct fault *f);
typedef enum err write_fn(const void *in, struct buf *out);

static enum err line_read(struct span payload, struct arena *a, void *out, struct fault *f)
{
    return tuf_line_read(payload, SPAN_LIT("vib"), a, out, f);
}

static enum err envelope_write(const void *in, struct buf *out)
{
    dsse_encode(in, out);
    return buf_err(out);
}

#define ROLE(name) \
    static enum err name##_read(struct span p, struct arena *a, void *out, struct fault *f) { return tuf_##name##_read(p, a, out, f); } \
    static enum err name##_write(const void *in, struct buf *out) { return tuf_##name##_write(in, out); }
ROLE(root)
ROLE(targets)
ROLE(snapshot)
ROLE(timestamp)
static enum err line_write(const void *in, struct buf *out) { return tuf_line_write(in, out); }
static enum err envelope_read(struct span p, struct arena *a, void *out, struct fault *f) { return dsse_parse(p, a, out, f); }

static enum err directive_in(struct span p, struct arena *a, void *out, struct fault *f) { return directive_read(p, a, out, f); }
static enum err directive_out(const void *in, struct buf *out) { return directive_write(in, out); }

static const struct { read_fn *read; write_fn *write; } codecs[] = {
    { root_read, root_write },           { targets_read, targets_write }, { snapshot_read, snapshot_write },
    { timestamp_read, timestamp_write }, { line_read, line_write },       { envelope_read, envelope_write },
    { directive_in, directive_out },
};
static union { struct tuf_root root; struct tuf_targets targets; struct tuf_snapshot snapshot; struct tuf_timestamp timestamp; struct tuf_line line; struct dsse dsse;
               struct directive directive; } got;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct fault f;
    struct buf one = BUF_INIT(0), two = BUF_INIT(0);
    json_object_seed(1);
    if (size) {
        size_t k = data[0] % ARRAY_LEN(codecs);
        if (!codecs[k].read(span_of(data + 1, size - 1), &a, &got, &f) && !codecs[k].write(&got, &one)) {
            if (codecs[k].read(buf_span(&one), &a, &got, &f) || codecs[k].write(&got, &two) || !span_eq(buf_span(&one), buf_span(&two)))
                __builtin_trap();
        }
    }
    buf_free(&one);
    buf_free(&two);
    arena_free(&a);
    return 0;
}

#include "t/fuzz/replay.h"
