/* host.c: stands in for a board on a PC, with files instead of flash and network, to try update_loop.c.
 * usage: host FOLDER UID SPKI-SHA256 VERSION ROOT-PAYLOAD-SHA256
 * in FOLDER: root, metadata, directive, image; it writes slot, state and, when switched, active
 */
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "update_loop.h"

static void path_of(char out[512], void *ctx, const char *name) { snprintf(out, 512, "%s/%s", (const char *)ctx, name); }

static int get(void *ctx, const char *name, char *out, size_t cap, size_t *n)
{
    char path[512];
    path_of(path, ctx, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return UPDATE_NONE;
    *n = fread(out, 1, cap, f);
    int full = *n == cap; /* it may be longer */
    fclose(f);
    return full ? CRADLE_UP_SPACE : 0;
}

static int image(void *ctx, uint64_t at, uint8_t *out, size_t cap, size_t *n)
{
    char path[512];
    path_of(path, ctx, "image");
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, (long)at, SEEK_SET))
        return -1;
    *n = fread(out, 1, cap, f);
    fclose(f);
    return 0;
}

static int put(void *ctx, const char *name, const char *mode, long at, const void *data, size_t n)
{
    char path[512];
    path_of(path, ctx, name);
    FILE *f = fopen(path, mode);
    int bad = !f || fseek(f, at, SEEK_SET) || fwrite(data, 1, n, f) != n;
    if (f)
        bad |= fclose(f) != 0;
    return bad ? -1 : 0;
}

static int slot_write(void *ctx, uint64_t at, const uint8_t *data, size_t n) { return put(ctx, "slot", at ? "rb+" : "wb", (long)at, data, n); }
static int slot_switch(void *ctx, const struct cradle_update_target *t) { return put(ctx, "active", "wb", 0, t->version, strlen(t->version)); }

static int state_store(void *ctx, const struct cradle_update_state *state, const char *root, size_t root_n)
{
    if (root_n && put(ctx, "root", "wb", 0, root, root_n)) /* a real board stores both so that a power cut leaves a pair */
        return -1;
    return put(ctx, "state", "wb", 0, state, sizeof *state);
}

static int hex(const char *text, uint8_t out[32])
{
    for (int i = 0; i < 32; i++) {
        unsigned v;
        if (sscanf(text + 2 * i, "%2x", &v) != 1)
            return -1;
        out[i] = (uint8_t)v;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct cradle_update u;
    struct cradle_update_state state = { 0 };
    struct cradle_update_self self = { .line = "vib", .model = "vib-1", .hw_rev = "" };
    if (argc != 6 || hex(argv[3], self.spki_sha256) || hex(argv[5], state.root_sha256) || psa_crypto_init() != PSA_SUCCESS)
        return 2;
    self.uid = argv[2];
    self.version = argv[4];
    size_t n;
    char stored[sizeof state + 1];
    if (get(argv[1], "state", stored, sizeof stored, &n) == 0 && n == sizeof state)
        memcpy(&state, stored, sizeof state);
    const struct update_board b = { argv[1], get, image, slot_write, slot_switch, state_store };
    int err = update_run(&b, &self, &state, (int64_t)time(NULL), &u);
    printf("%s\n", err == UPDATE_NONE ? "nothing to do" : err == CRADLE_UP_OK ? u.target.version : cradle_update_reason(err));
    return err == CRADLE_UP_OK ? 0 : 1;
}
