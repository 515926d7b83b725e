/* evlog.c (benchmark): entries a second through the integrator, files and database on a real disk, durable after each integration,
 * at several batch sizes; and the time of an inclusion proof out of the tiles. Usage: evlog [DIR [EVENTS]] */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "core/evlog.h"
#include "core/tiles.h"
#include "crypt/hash.h"
#include "store/schema.h"

static struct fault f;

static void must(enum err e, const char *what)
{
    if (e) {
        fprintf(stderr, "%s: %s %s\n", what, err_text(e), f.text);
        exit(1);
    }
}

static void add_events(struct db *db, int64_t n)
{
    char payload[300];
    uint8_t salt[32];
    must(db_begin(db, &f), "begin");
    must(db_run(db, "INSERT INTO node (slot, nseq, epoch, beat, version, schema) VALUES (1, $1, 1, 0, '', 1)", DB_ARGS(DB_I(n)), NULL, &f),
         "node");
    for (int64_t i = 1; i <= n; i++) {
        snprintf(
            payload, sizeof payload,
            "{\"at\":\"2026-11-20T22:57:00.123Z\",\"kind\":\"device-added\",\"device\":\"PUMP-%08lld\",\"rev\":1,\"serial\":\"SN%lld\","
            "\"model\":\"p100\",\"line\":\"pump\",\"batch\":\"2026-47\",\"country\":\"DE\",\"by\":\"station-1\"}",
            (long long)i, (long long)i);
        sha256(span_str(payload), salt);
        must(db_run(db,
                    "INSERT INTO event (slot, nseq, at, kind, device, rev, salt, payload) VALUES (1, $1, 0, 'device-added', '', 0, $2, $3)",
                    DB_ARGS(DB_I(i), DB_B(span_of(salt, 32)), DB_S(payload)), NULL, &f),
             "event");
    }
    must(db_commit(db, &f), "commit");
}

static void run(struct db *db, const char *dir, size_t batch, int64_t limit)
{
    struct evlog *l;
    struct evlog_config c = {db, dir, NULL, -1};
    size_t n;
    must(evlog_open(&c, &l, &f), "open");
    must(evlog_threads(l, &f), "threads");
    int64_t start = clock_mono_us(), from = evlog_size(l), rounds = 0, core_us = 0, core_max_us = 0;
    for (n = 1; n && evlog_size(l) - from < limit; rounds++) {
        int64_t from_us = clock_mono_us();
        must(evlog_prepare(l, batch, &n, &f), "prepare");
        if (!n)
            break;
        int64_t mine = clock_mono_us() - from_us;
        core_us += mine;
        core_max_us = mine > core_max_us ? mine : core_max_us;
        if (!evlog_wait(l, 60000))
            must(CE_IO, "the writer hangs");
        must(evlog_poll(l, &f), "tiles");
        must(db_begin(db, &f), "begin");
        must(evlog_write(l, &f), "write");
        must(db_commit(db, &f), "commit");
        evlog_done(l, true);
    }
    int64_t us = clock_mono_us() - start, did = evlog_size(l) - from;
    printf("batch %5zu: %8.0f entries/s, %6.2f ms an integration, of which the deciding thread hashes %.2f ms (most %.2f), the writer and "
           "the commit take the rest (%lld entries)\n",
           batch, (double)did * 1e6 / (double)us, (double)us / 1e3 / (double)rounds, (double)core_us / 1e3 / (double)rounds,
           (double)core_max_us / 1e3, (long long)did);
    evlog_close(l);
}

static void proofs(const char *dir, uint64_t size)
{
    struct tiles *t = tiles_new(dir, size);
    struct merkle_source s = {t, tiles_node};
    struct merkle_proof p;
    int64_t start = clock_mono_us();
    for (uint64_t i = 0; i < 1000; i++)
        must(merkle_inclusion(&s, i * 7919 % size, size, &p), "proof");
    printf("inclusion proof at %llu leaves: %.0f us\n", (unsigned long long)size, (double)(clock_mono_us() - start) / 1000);
    free(t);
}

int main(int argc, char **argv)
{
    char dir[PATH_MAX_LEN] = "/tmp/cradle-bench-evlog-XXXXXX", path[PATH_MAX_LEN], cmd[PATH_MAX_LEN];
    static const struct {
        size_t batch;
        int64_t limit;
    } plan[] = {{1, 300}, {32, 9600}, {256, 50000}, {2048, 1 << 30}};
    struct db *db;
    bool own = argc < 2;
    if (own ? !mkdtemp(dir) : (path_join(dir, "%s", argv[1]), file_mkdirs(dir, 0755) != CE_OK))
        return 1;
    path_join(path, "%.400s/bench.db", dir);
    must(db_open(path, DB_CREATE, &db, &f), "db_open");
    must(schema_create(db, &f), "schema");
    add_events(db, argc > 2 ? atoll(argv[2]) : 300000);
    path_join(path, "%.400s/log", dir);
    for (size_t i = 0; i < ARRAY_LEN(plan); i++)
        run(db, path, plan[i].batch, plan[i].limit);
    int64_t size = 0;
    must(db_get_i64(db, "SELECT size FROM tree", DB_NOARGS, 0, &size, &f), "size");
    proofs(path, (uint64_t)size);
    db_close(db);
    path_join(cmd, "rm -rf '%.400s'", dir);
    return own ? system(cmd) : 0;
}
