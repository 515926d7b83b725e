/* Sealed files and wrapped keys. The first byte chooses. Even: a sealed file for a device whose tags hold while the segment's first byte is not 0xff,
 * so that everything behind them is reached; one piece and many must have the same end. Odd: a wrapped key for a port of no cryptography. */
#include <stdlib.h>

#include "base/mem.h"
#include "cradle/unseal.h"

#define LENGTH 70000

static uint64_t at;
static int any_begin(void *ctx) { (void)ctx; return 0; }
static int any_add(void *ctx, const void *data, size_t n) { (void)ctx; return n && *(const uint8_t *)data == 0xfe ? -1 : 0; }
static int any_end(void *ctx, uint8_t out[32]) { (void)ctx; memset(out, 7, 32); return 0; }
static int any_ecdh(void *ctx, const uint8_t point[65], uint8_t x[32]) { (void)ctx; memcpy(x, point + 1, 32); return point[1] == 0xff ? -1 : 0; }
static int any_open(void *ctx, const uint8_t key[32], const uint8_t nonce[12], const void *aad, size_t aad_n, void *data, size_t n, const uint8_t tag[16])
{
    (void)ctx;
    (void)aad;
    if (nonce[11] > 1 || aad_n > CRADLE_UNSEAL_HEAD || key[0] == 0xfd)
        return -1;
    return (n && *(uint8_t *)data == 0xff) || tag[15] == 0xff;
}
static int any_write(void *ctx, uint64_t offset, const void *data, size_t n)
{
    (void)ctx;
    (void)data;
    if (offset != at || n > LENGTH - at)
        abort();
    at += n;
    return 0;
}
static const struct cradle_update_port hash = { NULL, any_begin, any_add, any_end, NULL };
static const struct cradle_unseal_port port = { NULL, &hash, any_ecdh, any_open, any_write };
static const uint8_t zero[65] = { 4 };

static int file(struct span s, size_t piece, uint64_t *written)
{
    struct cradle_unseal u;
    uint8_t *mem = mem_alloc(CRADLE_UNSEAL_SEGMENT + CRADLE_UNSEAL_TAG);
    at = 0;
    cradle_unseal_begin(&u, &port, zero + 1, zero + 1, LENGTH, mem);
    for (size_t i = 0; i < s.n; i += piece)
        if (cradle_unseal_add(&u, s.p + i, s.n - i < piece ? s.n - i : piece))
            break;
    int err = cradle_unseal_end(&u);
    *written = at;
    free(mem);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t a, b;
    uint8_t key[32];
    if (size < 2)
        return 0;
    if (data[0] % 2) {
        if (cradle_unseal_key(&port, data + 1, size - 1, zero + 1, zero, zero + 1, "dev-1", key) == CRADLE_UNSEAL_OK && size - 1 != CRADLE_UNSEAL_WRAPPED)
            __builtin_trap();
        return 0;
    }
    int whole = file(span_of(data + 1, size - 1), size, &a), pieces = file(span_of(data + 1, size - 1), 1 + (size_t)data[0] * 16, &b);
    if (whole != pieces || a != b)
        __builtin_trap();
    return 0;
}

#include "t/fuzz/replay.h"
