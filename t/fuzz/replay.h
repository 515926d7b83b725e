/* replay.h: makes a fuzz target a plain program that runs each corpus file given as an argument (a folder: all files in it),
 * plus a few thousand deterministic mutations of it, and prints TAP. Include last in every t/fuzz/NAME.c. */
#ifdef FUZZ_REPLAY
#include <dirent.h>
#include <stdint.h>
#include <string.h>

#include "t/tap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t replay_rand(uint32_t *s) { return *s = *s * 1664525u + 1013904223u; }

static void replay_mutations(const uint8_t *data, size_t size)
{
    uint32_t seed = 1;
    for (int i = 0; i < 400 && size; i++) {
        size_t n = i % 4 == 0 ? replay_rand(&seed) % size : size;
        uint8_t *copy = malloc(n ? n : 1);
        if (!copy)
            abort();
        memcpy(copy, data, n);
        for (int k = 0; n && k < 1 + i % 3; k++)
            copy[replay_rand(&seed) % n] ^= (uint8_t)(1u << (replay_rand(&seed) >> 29));
        LLVMFuzzerTestOneInput(copy, n);
        free(copy);
    }
}

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(1 << 20);
    size_t n = f && data ? fread(data, 1, 1 << 20, f) : 0;
    ok(f != NULL, "replayed %s and mutations", path);
    if (f)
        fclose(f);
    if (data) {
        LLVMFuzzerTestOneInput(data, n);
        replay_mutations(data, n);
    }
    free(data);
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        struct dirent *e;
        while (d && (e = readdir(d))) {
            char path[1024];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            replay_file(path);
            files++;
        }
        if (d)
            closedir(d);
    }
    ok(files > 0, "the corpus is not empty");
    return done();
}
#endif
