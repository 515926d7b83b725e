/* snap_lookup.c: what a consumer pays for a snapshot of N entries: bytes, time to open (verify, hash, map), time of a look-up, of a poll.
 * usage: snap_lookup [N]   prints one line of JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypt/ed25519.h"
#include "crypt/hash.h"
#include "snap/snapfile.h"
#include "wire/snapshot.h"

#define POLICY "cradle-policy 1\n"
#define LOOKUPS 2000000

static void die(const char *what)
{
    fprintf(stderr, "snap_lookup: %s\n", what);
    exit(1);
}

static int cmp(const void *a, const void *b) { return memcmp(a, b, SNAPSHOT_KEY); }

static void ident(uint32_t i, uint8_t key[SNAPSHOT_KEY])
{
    char uid[32];
    snprintf(uid, sizeof uid, "device-%u", i);
    snapshot_key_ident(span_str(uid), key);
}

static void policy_path(char *path, const char *dir)
{
    uint8_t key[SNAPSHOT_KEY];
    snapshot_key_policy(SPAN_LIT(POLICY), key);
    policyfile_path(path, dir, key);
}

static void snapshot_write(const char *dir, uint32_t n, struct key *key)
{
    CLEANUP(buf_free) struct buf file = BUF_INIT(0);
    size_t size = ((size_t)n + 1) * SNAPSHOT_KEY; /* and the key of a policy */
    uint8_t *body = mem_calloc(size, 1), sha[SHA256_LEN];
    char path[PATH_MAX_LEN];
    for (uint32_t i = 0; i < n; i++)
        ident(i, body + (size_t)i * SNAPSHOT_KEY);
    qsort(body, n, SNAPSHOT_KEY, cmp);
    snapshot_key_policy(SPAN_LIT(POLICY), body + (size_t)n * SNAPSHOT_KEY);
    sha256(span_of(body, size), sha);
    struct snapshot_header h = { .at_ms = clock_now_ms(), .n = { [SNAPSHOT_SET_IDENT - 1] = n, [SNAPSHOT_SET_POLICY - 1] = 1 }, .body_sha256 = span_of(sha, sizeof sha),
                                 .vector = SPAN_LIT("1:1000") };
    if (snapshot_header_encode(&h, key, &file))
        die("cannot encode");
    buf_put(&file, body, size);
    free(body);
    policy_path(path, dir);
    if (file_write_atomic(path, SPAN_LIT(POLICY), 0644))
        die("cannot write");
    path_join(path, "%s/" SNAP_FILE, dir);
    if (buf_err(&file) || file_write_atomic(path, buf_span(&file), 0644))
        die("cannot write");
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/cradle-snap-XXXXXX", path[PATH_MAX_LEN];
    uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000, hits = 0;
    uint8_t pub[SNAP_PUB], (*keys)[SNAPSHOT_KEY] = mem_alloc(4096 * sizeof *keys);
    struct key *key;
    struct snap *s;
    struct snap_news news;
    struct fault f;
    if (!mkdtemp(dir) || key_generate("ed25519", &key, &f) || ed25519_public(key, pub))
        die("cannot begin");
    snapshot_write(dir, n, key);
    int64_t t0 = clock_mono_us();
    if (snap_open(dir, pub, &s, &f))
        die(f.text);
    int64_t t1 = clock_mono_us();
    for (uint32_t i = 0; i < 4096; i++) /* half of them are in it */
        ident(i % 2 ? i * (n / 4096) : n + i, keys[i]);
    int64_t t2 = clock_mono_us();
    for (uint32_t i = 0; i < LOOKUPS; i++)
        hits += snap_has(s, SNAPSHOT_SET_IDENT, keys[i % 4096]);
    int64_t t3 = clock_mono_us();
    for (int i = 0; i < 1000; i++)
        if (snap_poll(s, NULL, NULL, &news, &f))
            die(f.text);
    int64_t t4 = clock_mono_us();
    printf("{\"bench\": \"snapshot\", \"entries\": %u, \"file_mb\": %.1f, \"open_ms\": %.1f, \"lookup_ns\": %.0f, \"poll_us\": %.1f, \"hits\": %u}\n", n,
           (double)n * SNAPSHOT_KEY / 1e6, (double)(t1 - t0) / 1000, (double)(t3 - t2) * 1000 / LOOKUPS, (double)(t4 - t3) / 1000, hits);
    snap_close(s);
    key_free(key);
    free(keys);
    path_join(path, "%s/" SNAP_FILE, dir);
    unlink(path);
    policy_path(path, dir);
    unlink(path);
    rmdir(dir);
    return hits == 0;
}
