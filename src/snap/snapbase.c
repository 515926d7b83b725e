/* snapbase.c: see snapbase.h. */
#include "snap/snapbase.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/mem.h"

void snapbase_close(struct snapbase *b)
{
    if (b->map)
        munmap(b->map, b->size);
    *b = (struct snapbase){ 0 };
}

bool stat_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

enum err snapbase_open(const char *path, const uint8_t pub[ED25519_PUB], struct snapbase *b, struct fault *f)
{
    *b = (struct snapbase){ 0 };
    CLEANUP(fd_close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &b->st))
        return fault_set(f, errno == ENOENT ? CE_NOT_FOUND : CE_IO, "%s: %s; is cradle-edge running on this host? (cradle-edge -s)", path,
                         strerror(errno));
    if (b->st.st_size <= SNAPSHOT_FIXED || b->st.st_size > INT32_MAX)
        return fault_set(f, CE_BAD_FRAME, "%s: %lld bytes is no snapshot", path, (long long)b->st.st_size);
    b->size = (size_t)b->st.st_size;
    b->map = mmap(NULL, b->size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (b->map == MAP_FAILED) {
        b->map = NULL;
        return fault_set(f, CE_IO, "%s: cannot be mapped: %s", path, strerror(errno));
    }
    enum err e = snapshot_open(span_of(b->map, b->size), pub, &b->snap);
    if (e) {
        struct stat st = b->st;
        snapbase_close(b);
        b->st = st;
        return fault_set(f, e, "%s: %s; the last good one stays in force", path, err_text(e));
    }
    sha256(b->snap.header.bytes, b->header_sha256);
    return CE_OK;
}

/* Keys are hashes, so their place is known to within about the square root of their number: search there first. */
#define FIND_WINDOW 2048
static bool body_find(const uint8_t *keys, uint32_t n, const uint8_t *key)
{
    uint32_t head = (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3];
    uint32_t at = (uint32_t)(((uint64_t)head * n) >> 32);
    uint32_t lo = at > FIND_WINDOW ? at - FIND_WINDOW : 0, hi = n - at > FIND_WINDOW ? at + FIND_WINDOW : n;
    if (lo && memcmp(key, keys + (size_t)lo * SNAPSHOT_KEY, SNAPSHOT_KEY) < 0)
        lo = 0;
    if (hi < n && memcmp(key, keys + (size_t)hi * SNAPSHOT_KEY, SNAPSHOT_KEY) >= 0)
        hi = n;
    return snapshot_find(keys + (size_t)lo * SNAPSHOT_KEY, hi - lo, key);
}

bool snapbase_has(const struct snapbase *b, enum snapshot_set set, const uint8_t key[SNAPSHOT_KEY])
{
    return body_find(b->snap.keys[set - 1], b->snap.header.n[set - 1], key);
}
