/* delta.c: delta streams: what the server makes, a device turns into the new image, and whatever is done to stream or installed image, no byte is
 * written that was not signed. */
#include "t/tap.h"
#include "t/unit/delta_device.h"
#include "wire/delta.h"

#define MIB (1u << 20)
#define PAGE 4096u

static struct buf old_b, new_b, stream_b;
static struct span old, new, stream;
static struct delta_out made;

static uint32_t seed = 7;
static uint32_t rnd(void) { return seed = seed * 1664525u + 1013904223u; }
static void fill(struct buf *b, size_t n, bool text)
{
    uint8_t *p = buf_grow(b, n);
    for (size_t i = 0; i < n; i++)
        p[i] = text ? (uint8_t)("etaoin shrdlu\n"[(rnd() >> 24) % 14]) : (uint8_t)(rnd() >> 24);
}

static enum err make(struct buf *out, uint64_t give_up, struct fault *f)
{
    uint8_t from[32], to[32];
    sha256(old, from);
    sha256(new, to);
    const struct delta_in in = { .from = old, .to = new, .from_sha256 = from, .to_sha256 = to, .block_size = MIB, .give_up = give_up };
    return delta_make(&in, dd_collect, out, &made, f);
}

/* An update: pages moved, a place torn apart by 100 bytes, single bytes changed, new text, something random, the rest as it was. */
static void images(void)
{
    struct fault f;
    fill(&old_b, 6 * MIB + 1000, false);
    old = buf_span(&old_b);
    buf_put(&new_b, old.p, MIB);                                  /* 0: copied */
    buf_put(&new_b, old.p + 3 * MIB + PAGE, MIB / 2);             /* 1: of two places */
    buf_put(&new_b, old.p + 5 * MIB, MIB / 2);
    buf_put(&new_b, old.p + 2 * MIB, 300000);                     /* 2: 100 bytes put in between */
    fill(&new_b, 100, false);
    buf_put(&new_b, old.p + 2 * MIB + 300000, MIB - 300100);
    buf_put(&new_b, old.p + 3 * MIB, MIB);                        /* 3: a changed byte in each 2000 */
    for (size_t i = 0; i < MIB; i += 2000)
        new_b.data[3 * MIB + i] ^= 0x55;
    fill(&new_b, MIB, true);                                      /* 4: packed */
    fill(&new_b, MIB, false);                                     /* 5: raw */
    buf_put(&new_b, old.p + 6 * MIB, 1000);                       /* 6: the short end, shared */
    new = buf_span(&new_b);
    ok(make(&stream_b, 0, &f) == CE_OK, "a stream of %zu bytes for an update of %zu", stream_b.len, new.n);
    stream = buf_span(&stream_b);
    ok(made.copied == 2 && made.patched == 3 && made.packed == 1 && made.raw == 1, "blocks: %u copied, %u patched, %u packed, %u raw", made.copied, made.patched, made.packed, made.raw);
    ok(made.length == stream.n && stream.n < MIB + 600000u, "what is shared costs next to nothing");
}

static int run(struct span image, struct span s, size_t piece, size_t ref_n, bool *whole)
{
    struct delta_device x;
    dd_open(&x, old, new, MIB, ref_n, false);
    x.old = image;
    int err = dd_feed(&x, s, piece);
    size_t upto = (size_t)x.written * MIB < new.n ? (size_t)x.written * MIB : new.n;
    *whole = memcmp(x.image, new.p, upto) == 0; /* what was written is the new image */
    dd_close(&x);
    return err;
}

static void good(void)
{
    static const size_t pieces[] = { 1u << 30, 65536, 1009, 1 };
    bool whole;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        ok(run(old, stream, pieces[i], DELTA_REF_MAX, &whole) == CRADLE_DELTA_OK && whole, "the new image, in pieces of %zu bytes", pieces[i]);
}

static void bad_image(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    bool whole;
    buf_put_span(&b, old);
    b.data[3 * MIB + 70000] ^= 1;
    int err = run(buf_span(&b), stream, 65536, DELTA_REF_MAX, &whole);
    ok((err == CRADLE_DELTA_BLOCK || err == CRADLE_DELTA_INFLATE) && whole, "a changed bit in the installed image: %s", cradle_delta_reason(err));
    err = run(span_of(old.p, 2 * MIB), stream, 65536, DELTA_REF_MAX, &whole);
    ok(err == CRADLE_DELTA_OLD && whole, "a shorter installed image: %s", cradle_delta_reason(err));
    b.data[3 * MIB + 70000] ^= 1;
    fill(&b, 5000, false);
    ok(run(buf_span(&b), stream, 65536, DELTA_REF_MAX, &whole) == CRADLE_DELTA_OK && whole, "an installed image on a larger medium is none the worse");
}

static void bad_stream(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    int bad = 0, refused = 0;
    bool whole;
    ok(run(old, span_of(stream.p, stream.n - 1), 65536, DELTA_REF_MAX, &whole) == CRADLE_DELTA_SHORT && whole, "a stream that ends early");
    buf_put_span(&b, stream);
    buf_put_u8(&b, 0);
    ok(run(old, buf_span(&b), 65536, DELTA_REF_MAX, &whole) == CRADLE_DELTA_FORMAT, "a byte after the end");
    ok(run(old, stream, 65536, MIB / 4, &whole) == CRADLE_DELTA_SPACE, "a device with less memory than the stream needs");
    b.data[20] ^= 1;
    ok(run(old, buf_span(&b), 65536, DELTA_REF_MAX, &whole) == CRADLE_DELTA_OTHER, "a stream for another installed file");
    b.data[20] ^= 1;
    b.data[50] ^= 1;
    ok(run(old, buf_span(&b), 65536, DELTA_REF_MAX, &whole) == CRADLE_DELTA_OTHER, "a stream for another new file");
    b.data[50] ^= 1;
    b.len--;
    for (int i = 0; i < 300; i++) {
        size_t at = i < 150 ? CRADLE_DELTA_HEAD + rnd() % 4000 : rnd() % b.len;
        uint8_t was = b.data[at];
        b.data[at] ^= (uint8_t)(1u << (rnd() >> 29));
        refused += run(old, buf_span(&b), 65536, DELTA_REF_MAX, &whole) != CRADLE_DELTA_OK;
        bad += !whole;
        b.data[at] = was;
    }
    ok(!bad && refused > 280, "300 streams with a changed bit: nothing unsigned written, %d refused (the others give the same image)", refused);
}

static void limits(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    struct delta_device x;
    struct fault f;
    ok(make(&b, 500000, &f) == CE_TOO_LARGE && b.len <= 500000, "a delta that is too large is given up: %s", f.text);
    dd_open(&x, old, new, MIB, DELTA_REF_MAX, false);
    x.port.inflate = NULL;
    ok(dd_feed(&x, stream, 65536) == CRADLE_DELTA_SPACE && x.written == 1, "a device without zstd says so");
    dd_close(&x);
    dd_open(&x, old, new, MIB, DELTA_REF_MAX, false);
    x.write_fails = true;
    ok(dd_feed(&x, stream, 65536) == CRADLE_DELTA_WRITE, "a medium that cannot be written");
    dd_close(&x);
    dd_open(&x, old, new, MIB, DELTA_REF_MAX, false);
    x.up.target.block_size = 0;
    cradle_delta_begin(&x.d, &x.port, &x.up, x.list, x.from_sha256, &x.mem);
    ok(dd_feed(&x, stream, 65536) == CRADLE_DELTA_OTHER, "a release without block digests has no deltas");
    dd_close(&x);
}

/* Power is cut wherever it may be; block and offset were kept. */
static void resumed(void)
{
    int right = 0, runs = 0;
    for (size_t cut = CRADLE_DELTA_HEAD; cut < stream.n; cut += stream.n / 40, runs++) {
        struct delta_device x, y;
        dd_open(&x, old, new, MIB, DELTA_REF_MAX, false);
        (void)dd_feed(&x, span_of(stream.p, cut), 30000);
        dd_open(&y, old, new, MIB, DELTA_REF_MAX, false);
        memcpy(y.image, x.image, new.n);
        y.written = x.written;
        (void)cradle_delta_add(&y.d, stream.p, CRADLE_DELTA_HEAD);
        int err = cradle_delta_resume(&y.d, x.d.block, x.d.offset);
        err = err ? err : dd_feed(&y, span_of(stream.p + x.d.offset, stream.n - x.d.offset), 30000);
        right += !err && memcmp(y.image, new.p, new.n) == 0;
        dd_close(&x);
        dd_close(&y);
    }
    ok(right == runs, "resumed after %d interruptions", runs);
    struct delta_device x;
    dd_open(&x, old, new, MIB, DELTA_REF_MAX, false);
    memcpy(x.image, new.p, 3 * MIB);
    x.written = 3;
    cradle_delta_skip(&x.d, 3);
    ok(dd_feed(&x, stream, 5000) == CRADLE_DELTA_OK && memcmp(x.image, new.p, new.n) == 0, "blocks that are there already are passed over");
    dd_close(&x);
}

static void edges(void)
{
    static const size_t sizes[] = { 0, 1, PAGE, MIB - 1, MIB, MIB + 1 };
    struct span keep_old = old, keep_new = new;
    int right = 0, runs = 0;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (size_t k = 0; k < ARRAY_LEN(sizes); k++, runs++) {
            CLEANUP(buf_free) struct buf b = BUF_INIT(0);
            struct fault f;
            bool whole;
            old = span_of(keep_old.p, sizes[i]);
            new = span_of(keep_new.p + 7, sizes[k]);
            right += make(&b, 0, &f) == CE_OK && run(old, buf_span(&b), 1000, DELTA_REF_MAX, &whole) == CRADLE_DELTA_OK && whole;
        }
    ok(right == runs, "files of no, one and about a block's bytes");
    old = keep_old;
    new = keep_new;
}

int main(void)
{
    images();
    good();
    bad_image();
    bad_stream();
    limits();
    resumed();
    edges();
    buf_free(&old_b);
    buf_free(&new_b);
    buf_free(&stream_b);
    return done();
}
