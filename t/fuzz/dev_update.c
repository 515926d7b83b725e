/* The device's half of updates, with signatures that always hold, so that everything behind them is reached: the input is cut at NUL bytes into
 * envelopes, each given to the step that its first byte names. And the JSON reader against jansson: what jansson takes, it must take. */
#include <jansson.h>

#include "base/mem.h"
#include "cradle/update.h"
#include "src/dev/djson.h"

static int yes_begin(void *ctx) { (void)ctx; return 0; }
static int yes_add(void *ctx, const void *data, size_t n) { (void)ctx; (void)data; (void)n; return 0; }
static int yes_end(void *ctx, uint8_t out[32]) { (void)ctx; memset(out, 0, 32); return 0; }
static int yes_verify(void *ctx, const uint8_t point[65], const uint8_t digest[32], const uint8_t *sig, size_t n)
{
    (void)ctx;
    return point[0] == 4 && digest[0] == 0 && n && sig[0] != 0xff ? 0 : -1;
}

typedef int step_fn(struct cradle_update *u, char *envelope, size_t n);

static void steps(const uint8_t *data, size_t size)
{
    static step_fn *const fns[] = { cradle_update_root, cradle_update_timestamp, cradle_update_snapshot, cradle_update_targets, cradle_update_directive, cradle_update_line };
    static const struct cradle_update_port port = { NULL, yes_begin, yes_add, yes_end, yes_verify };
    static const struct cradle_update_self self = { .uid = "dev-1", .line = "vib", .model = "vib-1", .hw_rev = "B", .version = "1.6.0" };
    static const struct cradle_update_state fresh;
    struct cradle_update u;
    cradle_update_begin(&u, &port, &self, &fresh, 1);
    while (size > 1) {
        const uint8_t *end = memchr(data + 1, 0, size - 1);
        size_t n = end ? (size_t)(end - data) - 1 : size - 1;
        char *copy = mem_alloc(n ? n : 1);
        memcpy(copy, data + 1, n);
        (void)fns[data[0] % ARRAY_LEN(fns)](&u, copy, n);
        free(copy);
        data += n + 1;
        size -= n + 1;
    }
}

static void walk(struct djson v, int depth)
{
    struct djson key, one;
    size_t at = 0;
    if (depth > DJSON_DEPTH)
        __builtin_trap();
    while (djson_each(v, &at, &key, &one))
        walk(one, depth + 1);
}

static void compare(const char *text, size_t n)
{
    struct djson v;
    json_t *o = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    bool mine = djson_check(text, n, &v);
    if (mine)
        walk(v, 0);
    int depth = 0, deepest = 0;
    for (size_t i = 0; i < n; i++) {
        depth += text[i] == '{' || text[i] == '[' ? 1 : text[i] == '}' || text[i] == ']' ? -1 : 0;
        deepest = depth > deepest ? depth : deepest;
    }
    if (o && !mine && deepest <= DJSON_DEPTH && !memchr(text, 0, n)) /* jansson takes a NUL for the end */
        __builtin_trap();
    json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_object_seed(1);
    char *copy = mem_alloc(size ? size : 1);
    memcpy(copy, data, size);
    compare(copy, size);
    free(copy);
    steps(data, size);
    return 0;
}

#include "t/fuzz/replay.h"
