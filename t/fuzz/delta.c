/* Delta streams. The first byte chooses: even: the rest is a stream for a device whose digests always match, so that everything behind them is
 * reached; in one piece and in pieces of a few bytes it must have the same end. Odd: the rest is cut into an old and a new file; what is made
 * of them must give the new one. */
#include "t/unit/delta_device.h"
#include "wire/delta.h"

#define LENGTH 20000
#define BLOCK 4096
#define REF (64u << 10)

static int stream(struct span s, size_t piece, uint32_t *written)
{
    static uint8_t image[30000];
    struct delta_device x;
    for (size_t i = 0; i < sizeof image; i++)
        image[i] = (uint8_t)(i * i >> 7);
    dd_open(&x, span_of(image, sizeof image), span_of(image, LENGTH), BLOCK, 5 * BLOCK, true);
    int err = dd_feed(&x, s, piece);
    *written = x.written;
    dd_close(&x);
    return err;
}

static void round_trip(struct span from, struct span to)
{
    static const uint32_t sizes[] = { 64, 1000, BLOCK };
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    struct delta_device x;
    struct delta_out out;
    dd_open(&x, from, to, sizes[to.n % 3], REF, false);
    const struct delta_in in = { .from = from, .to = to, .from_sha256 = x.from_sha256, .to_sha256 = x.up.target.sha256, .block_size = sizes[to.n % 3], .ref_max = REF, .level = 3 };
    if (delta_make(&in, dd_collect, &b, &out, NULL) || dd_feed(&x, buf_span(&b), 1 + from.n) || memcmp(x.image, to.p, to.n) != 0)
        __builtin_trap();
    dd_close(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t a, b;
    if (size < 3)
        return 0;
    if (data[0] % 2) {
        size_t cut = 3 + (size_t)data[1] * 256 + data[2];
        cut = cut > size ? size : cut;
        round_trip(span_of(data + 3, cut - 3), span_of(data + cut, size - cut));
        return 0;
    }
    int whole = stream(span_of(data + 1, size - 1), size, &a), pieces = stream(span_of(data + 1, size - 1), 1 + data[0] % 7, &b);
    if (whole != pieces || a != b)
        __builtin_trap();
    return 0;
}

#include "t/fuzz/replay.h"
