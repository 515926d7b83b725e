/* delta_pair.c: makes a delta between two files, or applies one, and says what it cost.
 * usage: delta_pair make OLD NEW OUT [LEVEL [REF_KIB]]   "BYTES SECONDS MAXRSS_KIB copied patched packed raw"
 *        delta_pair apply OLD NEW DELTA                  "SECONDS GROWTH_KIB": NEW gives the digests; growth: peak memory by applying it
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/inflate.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cradle/delta.h"
#include "crypt/hash.h"
#include "src/dev/update_impl.h"
#include "wire/delta.h"

#define BLOCK (1u << 20)

static void die(const char *what) { perror(what); exit(1); }

static struct span map(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        die(path);
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        die(path);
    close(fd);
    return span_of(p, (size_t)st.st_size);
}

static double now_s(void) { return (double)clock_mono_us() / 1e6; }

static enum err to_fd(void *arg, struct span piece) { return file_write_all(*(int *)arg, piece); }

static int make(char **arg, int n)
{
    uint8_t from[32], to[32];
    struct delta_in in = { .from = map(arg[0]), .to = map(arg[1]), .from_sha256 = from, .to_sha256 = to, .block_size = BLOCK };
    struct delta_out out;
    struct fault f;
    struct rusage used;
    in.level = n > 3 ? atoi(arg[3]) : 0;
    in.ref_max = n > 4 ? (uint32_t)atoi(arg[4]) << 10 : 0;
    sha256(in.from, from);
    sha256(in.to, to);
    int fd = open(arg[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    double began = now_s();
    if (fd < 0 || delta_make(&in, to_fd, &fd, &out, &f))
        die(arg[2]);
    getrusage(RUSAGE_SELF, &used);
    printf("%llu %.2f %ld %u %u %u %u\n", (unsigned long long)out.length, now_s() - began, used.ru_maxrss, out.copied, out.patched, out.packed, out.raw);
    return 0;
}

/* -- as a device does ------------------------------------------------------------------------------------------------------------- */
static struct sha256 hash;
static int sha_begin(void *ctx) { (void)ctx; sha256_begin(&hash); return 0; }
static int sha_add(void *ctx, const void *data, size_t n) { (void)ctx; sha256_add(&hash, span_of(data, n)); return 0; }
static int sha_end(void *ctx, uint8_t out[32]) { (void)ctx; sha256_end(&hash, out); return 0; }

struct device { int old, out; struct inflate *zstd; };
static int old_read(void *ctx, uint64_t at, void *out, size_t n)
{
    struct device *d = ctx;
    return pread(d->old, out, n, (off_t)at) == (ssize_t)n ? 0 : -1;
}
static int device_inflate(void *ctx, const void *in, size_t n, const void *ref, size_t ref_n, void *out, size_t out_n)
{
    return inflate_frame(((struct device *)ctx)->zstd, in, n, ref, ref_n, out, out_n);
}
static int device_write(void *ctx, uint32_t block, const void *data, size_t n)
{
    struct device *d = ctx;
    return pwrite(d->out, data, n, (off_t)block * BLOCK) == (ssize_t)n ? 0 : -1;
}

static long status_kib(const char *row)
{
    char line[128];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, row, strlen(row)) == 0)
            kib = strtol(line + strlen(row), NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

static int apply(char **arg)
{
    struct cradle_update_port hashing = { NULL, sha_begin, sha_add, sha_end, NULL };
    struct cradle_update up = { .port = &hashing, .step = UP_STEP_READY, .target = { .block_size = BLOCK } };
    struct span to = map(arg[1]), from = map(arg[0]);
    uint8_t from_sha256[32], *list = mem_alloc((to.n / BLOCK + 1) * 32), piece[65536];
    FILE *out = tmpfile();
    struct device dev = { open(arg[0], O_RDONLY | O_CLOEXEC), out ? fileno(out) : -1, NULL };
    int fd = open(arg[2], O_RDONLY | O_CLOEXEC), err = 0;
    if (dev.old < 0 || dev.out < 0 || fd < 0)
        die(arg[2]);
    up.target.length = to.n;
    sha256(to, up.target.sha256);
    sha256(from, from_sha256);
    for (uint64_t at = 0; at < to.n; at += BLOCK)
        sha256(span_of(to.p + at, to.n - at < BLOCK ? (size_t)(to.n - at) : BLOCK), list + at / BLOCK * 32);
    munmap((void *)(uintptr_t)to.p, to.n);
    munmap((void *)(uintptr_t)from.p, from.n);
    struct cradle_delta_port port = { &dev, old_read, device_inflate, device_write };
    int reset = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC); /* 5: the peak begins anew */
    if (reset >= 0 && write(reset, "5", 1) != 1)
        die("clear_refs");
    long before_kib = status_kib("VmRSS:");
    double began = now_s();
    dev.zstd = inflate_make();
    struct cradle_delta_mem mem = { mem_alloc(BLOCK), mem_alloc(BLOCK), mem_alloc(DELTA_REF_MAX), BLOCK, BLOCK, DELTA_REF_MAX };
    struct cradle_delta d;
    cradle_delta_begin(&d, &port, &up, list, from_sha256, &mem);
    for (ssize_t n; !err && (n = read(fd, piece, sizeof piece)) > 0;)
        err = cradle_delta_add(&d, piece, (size_t)n);
    err = err ? err : cradle_delta_end(&d);
    if (err) {
        fprintf(stderr, "delta_pair: %s at block %u\n", cradle_delta_reason(err), d.block);
        return 1;
    }
    printf("%.2f %ld\n", now_s() - began, status_kib("VmHWM:") - before_kib);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 5 && strcmp(argv[1], "make") == 0)
        return make(argv + 2, argc - 2);
    if (argc == 5 && strcmp(argv[1], "apply") == 0)
        return apply(argv + 2);
    fprintf(stderr, "usage: delta_pair make OLD NEW OUT [LEVEL [REF_KIB]] | apply OLD NEW DELTA\n");
    return 2;
}
