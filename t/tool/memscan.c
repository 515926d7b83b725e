/* memscan.c: does a process hold these bytes? For tests that look for keys where none may be. Shares no code with src/.
 *
 * usage: memscan PID HEX…    prints "N" (how many of the needles its readable memory holds) or "closed" when it may not be read.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t unhex(const char *hex, unsigned char *out, size_t cap)
{
    size_t n = 0;
    unsigned v;
    for (; hex[0] && hex[1] && n < cap && sscanf(hex, "%2x", &v) == 1; hex += 2)
        out[n++] = (unsigned char)v;
    return n;
}

int main(int argc, char **argv)
{
    char path[64], line[512];
    unsigned char needle[64][128];
    size_t len[64];
    int n = argc - 2 < 64 ? argc - 2 : 64, found[64] = { 0 }, count = 0;
    if (argc < 3)
        return 2;
    for (int i = 0; i < n; i++)
        len[i] = unhex(argv[i + 2], needle[i], sizeof needle[i]);
    snprintf(path, sizeof path, "/proc/%s/maps", argv[1]);
    FILE *maps = fopen(path, "r");
    snprintf(path, sizeof path, "/proc/%s/mem", argv[1]);
    int mem = open(path, O_RDONLY);
    if (!maps || mem < 0) {
        puts("closed");
        return 0;
    }
    while (fgets(line, sizeof line, maps)) {
        unsigned long a, b;
        char perms[5];
        if (sscanf(line, "%lx-%lx %4s", &a, &b, perms) != 3 || perms[0] != 'r' || strstr(line, "[v") || b - a > (1ul << 30))
            continue;
        unsigned char *p = malloc(b - a);
        ssize_t got = p ? pread(mem, p, b - a, (off_t)a) : -1;
        for (int i = 0; i < n && got > 0; i++)
            found[i] |= len[i] && memmem(p, (size_t)got, needle[i], len[i]) != NULL;
        free(p);
    }
    for (int i = 0; i < n; i++)
        count += found[i];
    printf("%d\n", count);
    return 0;
}
