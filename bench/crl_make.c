/* crl_make.c: signed CRLs of ENTRIES revoked certificates in SHARDS shards, one after the other: rows read from the database on disk,
 * packed, built, signed. The work is done in a child, so that its memory is its own. Usage: crl_make [ENTRIES [SHARDS]].
 * Prints one line of JSON; extra_kib: what the child's memory grew by at most.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include "crypt/crl.h"
#include "crypt/hash.h"
#include "store/cert.h"
#include "store/schema.h"
#include "t/unit/crypt_site.h"

enum { PAGE = 4096 }; /* rows */

static char dir[64], db_path[PATH_MAX_LEN];
static unsigned n_shards;
static struct fault f;

static void fill(struct span kid, int entries)
{
    struct db *db;
    site_must(db_open(db_path, DB_CREATE, &db, &f), &f, "database");
    site_must(schema_create(db, &f), &f, "schema");
    site_must(db_begin(db, &f), &f, "begin");
    for (int i = 0; i < entries; i++) {
        uint8_t serial[16];
        struct cert_state st = {
            .status = CERT_REVOKED, .revoked_at = clock_now_s() - i % 86400, .reason = 1 + i % 5, .not_after = clock_now_s() + 864000};
        site_must(random_bytes(serial, sizeof serial), NULL, "random");
        serial[0] = (uint8_t)(1 + serial[0] % 127);
        st.shard = crl_shard_of(span_of(serial, sizeof serial), n_shards);
        site_must(store_cert_state_put(db, kid, span_of(serial, sizeof serial), &st, &f), &f, "row");
    }
    site_must(db_commit(db, &f), &f, "commit");
    db_close(db);
}

/* A shard being read, page by page, as core does beside its other work. */
struct shard {
    struct buf packed;
    uint8_t last[20];
    size_t last_n, entries;
};

static bool entry_put(void *ctx, struct span kid, struct span serial, const struct cert_state *st)
{
    struct shard *s = ctx;
    (void)kid;
    crl_entry_put(&s->packed, serial, st->revoked_at, (unsigned)st->reason);
    memcpy(s->last, serial.p, serial.n);
    s->last_n = serial.n;
    return true;
}

static void shard_read(struct db *db, struct span kid, unsigned shard, int64_t now, struct shard *s)
{
    for (size_t n = PAGE; n == PAGE; s->entries += n)
        site_must(store_cert_shard_each(db, kid, shard, now, span_of(s->last, s->last_n), PAGE, entry_put, s, &n, &f), &f, "rows");
    site_must(s->packed.err, NULL, "entries");
}

static long memory_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static void work(struct ca *ca, int entries)
{
    struct db *db;
    size_t listed = 0, bytes = 0;
    site_must(db_open(db_path, 0, &db, &f), &f, "database");
    long before = memory_kib();
    int64_t from = clock_mono_us(), read_us = 0, now = clock_now_s();
    for (unsigned shard = 0; shard < n_shards; shard++) {
        struct shard s = {.packed = BUF_INIT(33554432)};
        CLEANUP(buf_free) struct buf der = BUF_INIT(0);
        int64_t t0 = clock_mono_us();
        shard_read(db, ca->cert.ski, shard, now, &s);
        read_us += clock_mono_us() - t0;
        struct crl_request r = {
            .shard = shard, .number = 1, .this_update = now, .next_update = now + 86400, .entries = buf_span(&s.packed)};
        site_must(crl_build(ca, &r, &der, &f), &f, "crl");
        buf_free(&s.packed);
        listed += s.entries;
        bytes += der.len;
    }
    double ms = (double)(clock_mono_us() - from) / 1e3;
    if (listed != (size_t)entries)
        site_must(CE_INTERNAL, NULL, "entries are missing");
    printf("{\"bench\":\"crl_make\",\"entries\":%d,\"shards\":%u,\"ms\":%.1f,\"read_ms\":%.1f,\"bytes\":%zu,\"extra_kib\":%ld}\n", entries,
           n_shards, ms, (double)read_us / 1e3, bytes, memory_kib() - before);
    db_close(db);
}

int main(int argc, char **argv)
{
    int entries = argc > 1 ? atoi(argv[1]) : 1000000, status;
    struct ca root, ca;
    n_shards = argc > 2 ? (unsigned)atoi(argv[2]) : 16;
    site_make(dir, &root, n_shards);
    path_join(db_path, "%s/bench.db", dir);
    site_must(ca_load(&ca, dir, "device", SITE_URL, n_shards, &key_source_files, &f), &f, "ca");
    pid_t pid = fork();
    if (pid == 0) {
        fill(ca.cert.ski, entries);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    pid = status ? -1 : fork();
    if (pid == 0) {
        work(&ca, entries);
        fflush(stdout);
        _exit(0);
    }
    if (pid > 0)
        waitpid(pid, &status, 0);
    ca_close(&ca);
    ca_close(&root);
    site_remove(dir);
    return status != 0;
}
