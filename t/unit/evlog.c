/* evlog.c (test): the integrator against its database and its files: growth, proofs out of tiles, heads, repair, and the refusals at
 * start (rollback, another history, changed rows, a second process). */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/evlog.h"
#include "core/tiles.h"
#include "crypt/hash.h"
#include "store/schema.h"
#include "t/tap.h"
#include "wire/checkpoint.h"

static char site[64];
static bool threaded;
static struct fault f;

static struct db *new_db(void)
{
    struct db *db = NULL;
    f = (struct fault){0};
    if (db_open("", DB_MEMORY | DB_CREATE, &db, &f) || schema_create(db, &f))
        printf("# %s\n", f.text);
    return db;
}

static void add_events(struct db *db, int64_t slot, int64_t from, int64_t n)
{
    char payload[64];
    uint8_t salt[32];
    enum err e = db_begin(db, &f);
    e = e ? e
          : db_run(db,
                   "INSERT INTO node (slot, nseq, epoch, beat, version, schema) VALUES ($1, 0, 1, 0, '', 1) ON CONFLICT (slot) DO NOTHING",
                   DB_ARGS(DB_I(slot)), NULL, &f);
    for (int64_t i = from; !e && i < from + n; i++) {
        snprintf(payload, sizeof payload, "{\"kind\":\"test\",\"slot\":%lld,\"n\":%lld}", (long long)slot, (long long)i);
        sha256(span_str(payload), salt);
        e = db_run(db, "INSERT INTO event (slot, nseq, at, kind, device, rev, salt, payload) VALUES ($1, $2, 0, 'test', '', 0, $3, $4)",
                   DB_ARGS(DB_I(slot), DB_I(i), DB_B(span_of(salt, 32)), DB_S(payload)), NULL, &f);
    }
    e = e ? e : db_run1(db, "UPDATE node SET nseq = $2 WHERE slot = $1", DB_ARGS(DB_I(slot), DB_I(from + n - 1)), &f);
    e = e ? e : db_commit(db, &f);
    if (e)
        printf("# add_events: %s\n", f.text);
}

/* The entry of a test event, made without the code under test. */
static void leaf_of(int64_t slot, int64_t i, struct merkle_hash *out)
{
    char payload[64];
    uint8_t both[32 + 64], entry[32];
    int n = snprintf(payload, sizeof payload, "{\"kind\":\"test\",\"slot\":%lld,\"n\":%lld}", (long long)slot, (long long)i);
    sha256(span_str(payload), both);
    memcpy(both + 32, payload, (size_t)n);
    sha256(span_of(both, 32 + (size_t)n), entry);
    merkle_leaf(span_of(entry, 32), out);
}

static enum err open_log(struct db *db, const char *dir, struct evlog **l)
{
    struct evlog_config c = {db, dir, NULL, -1};
    f = (struct fault){0};
    *l = NULL;
    enum err e = evlog_open(&c, l, &f);
    return e || !threaded ? e : evlog_threads(*l, &f);
}

/* What the writer has in hand is done. */
static enum err settle(struct evlog *l)
{
    return evlog_wait(l, 20000) ? evlog_poll(l, &f) : CE_IO;
}

static enum err integrate(struct evlog *l, struct db *db, size_t max, size_t *n)
{
    enum err e = evlog_prepare(l, max, n, &f);
    if (e || !*n)
        return e;
    e = settle(l);
    if (e)
        return e;
    e = db_begin(db, &f);
    e = e ? e : evlog_write(l, &f);
    if (e)
        db_rollback(db);
    else
        e = db_commit(db, &f);
    evlog_done(l, e == CE_OK);
    return e;
}

static void make_note(int64_t size, const struct merkle_hash *root, struct buf *out)
{
    struct checkpoint c = {.origin = "test.example/log", .size = (uint64_t)size, .root = *root};
    checkpoint_put(&c, out);
    buf_put_str(out, "\n\xe2\x80\x94 test.example/log AAAAAAAA\n");
}

static enum err publish(struct evlog *l, struct db *db)
{
    CLEANUP(buf_free) struct buf note = BUF_INIT(0);
    struct merkle_hash root;
    int64_t size;
    if (!evlog_head_due(l, &size, &root))
        return CE_OK;
    make_note(size, &root, &note);
    enum err e = db_begin(db, &f);
    e = e ? e : evlog_head_write(l, buf_span(&note), 1, &f);
    if (e)
        db_rollback(db);
    else
        e = db_commit(db, &f);
    evlog_head_done(l, e == CE_OK);
    if (e)
        return e;
    evlog_publish(l);
    return settle(l);
}

static bool file_is(const char *dir, const char *name, int64_t size)
{
    char path[PATH_MAX_LEN];
    struct stat st;
    path_join(path, "%s/%s", dir, name);
    return stat(path, &st) == 0 ? st.st_size == size : size < 0;
}

static void test_paths(void)
{
    char p[PATH_MAX_LEN];
    tile_path(0, 0, 256, p);
    ok(strcmp(p, "tile/0/000") == 0, "path of the first tile: %s", p);
    tile_path(3, 1234067, 256, p);
    ok(strcmp(p, "tile/3/x001/x234/067") == 0, "three-digit groups: %s", p);
    tile_path(TILE_BUNDLES, 1000, 7, p);
    ok(strcmp(p, "tile/entries/x001/000.p/7") == 0, "partial bundle: %s", p);
}

/* Every size from 1 to n one by one, with the root made from scratch each time. */
static void test_growth(void)
{
    char dir[PATH_MAX_LEN];
    struct evlog *l;
    struct merkle_hash leaves[600], root, want;
    size_t n;
    int64_t size;
    bool roots = true, files = true;
    path_join(dir, "%s/growth", site);
    CLEANUP(db_close_p) struct db *db = new_db();
    ok(open_log(db, dir, &l) == CE_OK, "an empty log opens");
    ok(!evlog_head_due(l, &size, &root), "an empty log has no head to sign");
    ok(evlog_prepare(l, 10, &n, &f) == CE_OK && n == 0, "nothing to integrate");
    for (int64_t i = 1; i <= 600; i++) {
        add_events(db, 1, i, 1);
        leaf_of(1, i, &leaves[i - 1]);
        roots &= integrate(l, db, 10, &n) == CE_OK && n == 1 && evlog_head_due(l, &size, &root) && size == i;
        merkle_root(leaves, (uint64_t)i, &want);
        roots &= merkle_eq(&root, &want);
        if (i == 255)
            files &= file_is(dir, "tile/0/000.p/255", 255 * 32) && file_is(dir, "tile/entries/000.p/255", 255 * 34) &&
                     file_is(dir, "tile/0/000", -1);
        files &= publish(l, db) == CE_OK && evlog_published(l) == i;
    }
    ok(roots, "the root is right at each of 600 sizes");
    files &= file_is(dir, "tile/0/000", 8192) && file_is(dir, "tile/0/001", 8192) && file_is(dir, "tile/0/002.p/88", 88 * 32) &&
             file_is(dir, "tile/entries/001", 256 * 34) && file_is(dir, "tile/1/000.p/2", 64) && file_is(dir, "tile/0/000.p", -1) &&
             file_is(dir, "tile/entries/000.p", -1);
    ok(files, "full tiles, partial tiles and bundles are there, partial ones of full tiles are gone");
    evlog_close(l);
}

static void test_proofs(void)
{
    char dir[PATH_MAX_LEN];
    struct evlog *l;
    enum { N = 70000 };
    static struct merkle_hash leaves[N];
    struct merkle_hash root, leaf, old;
    struct merkle_proof p;
    size_t n, total = 0;
    int64_t size = 0;
    path_join(dir, "%s/proofs", site);
    CLEANUP(db_close_p) struct db *db = new_db();
    if (open_log(db, dir, &l))
        printf("# %s\n", f.text);
    add_events(db, 1, 1, 40000);
    add_events(db, 2, 1, 30000);
    while (integrate(l, db, EVLOG_BATCH, &n) == CE_OK && n)
        total += n;
    ok(total == N && evlog_head_due(l, &size, &root) && size == N, "two streams of %d events integrated", N);
    for (int64_t i = 0; i < N; i++)
        leaf_of(i < 40000 ? 1 : 2, i < 40000 ? i + 1 : i - 39999, &leaves[i]);
    merkle_root(leaves, N, &old);
    ok(merkle_eq(&root, &old), "root of %d leaves is that of the leaves, stream 1 first", N);
    struct tiles *t = tiles_new(dir, N);
    struct merkle_source s = {t, tiles_node};
    bool inclusion = true, consistency = true;
    for (uint64_t i = 0; i < N; i += 397)
        inclusion &= !merkle_inclusion(&s, i, N, &p) && !tiles_node(t, 0, i, &leaf) && merkle_eq(&leaf, &leaves[i]) &&
                     !merkle_inclusion_verify(&leaf, i, N, &p, &root);
    for (uint64_t o = 1; o < N; o += 1511) {
        merkle_root(leaves, o, &old);
        consistency &= !merkle_consistency(&s, o, N, &p) && !merkle_consistency_verify(o, N, &old, &root, &p);
    }
    ok(inclusion, "inclusion proofs out of the tiles verify");
    ok(consistency, "consistency proofs out of the tiles verify");
    free(t);
    int64_t runs = 0;
    ok(!db_get_i64(db, "SELECT count(*) FROM run", DB_NOARGS, 0, &runs, &f) && runs == 2, "a run a stream, lengthened in place (%lld)",
       (long long)runs);
    evlog_close(l);
}

static void test_holes(void)
{
    char dir[PATH_MAX_LEN];
    struct evlog *l;
    size_t n;
    path_join(dir, "%s/holes", site);
    CLEANUP(db_close_p) struct db *db = new_db();
    ok(open_log(db, dir, &l) == CE_OK, "a log opens");
    add_events(db, 1, 1, 5);
    ok(!db_run1(db, "DELETE FROM event WHERE nseq = 3", DB_NOARGS, &f), "event 3 is not there yet");
    ok(integrate(l, db, 100, &n) == CE_OK && n == 2 && evlog_size(l) == 2, "integration stops at a hole");
    ok(integrate(l, db, 100, &n) == CE_OK && n == 0, "and waits there");
    evlog_close(l);
}

static void fill(struct db *db, const char *dir, struct evlog **l, int64_t n)
{
    size_t k;
    enum err e = open_log(db, dir, l);
    add_events(db, 1, 1, n);
    e = e ? e : integrate(*l, db, EVLOG_BATCH, &k);
    e = e ? e : publish(*l, db);
    if (e)
        printf("# fill: %s\n", f.text);
}

static void test_repair(void)
{
    char dir[PATH_MAX_LEN], path[PATH_MAX_LEN];
    struct evlog *l;
    CLEANUP(buf_free) struct buf before = BUF_INIT(0), after = BUF_INIT(0);
    path_join(dir, "%s/repair", site);
    CLEANUP(db_close_p) struct db *db = new_db();
    fill(db, dir, &l, 700);
    evlog_close(l);
    ok(open_log(db, dir, &l) == CE_OK && evlog_repaired(l) == 0 && evlog_published(l) == 700, "a sound log opens again without repair");
    evlog_close(l);
    path_join(path, "%s/tile/0/001", dir);
    ok(!file_read(path, &before) && !unlink(path), "a full tile is lost");
    ok(open_log(db, dir, &l) == CE_OK && evlog_repaired(l) == 1, "it is made again from the rows");
    ok(!file_read(path, &after) && span_eq(buf_span(&before), buf_span(&after)), "byte by byte the same");
    evlog_close(l);
    path_join(path, "%s/tile/entries/002.p/188", dir);
    ok(!truncate(path, 100) && open_log(db, dir, &l) == CE_OK && evlog_repaired(l) == 1, "a cut partial bundle is made again");
    evlog_close(l);
    path_join(path, "%s/tile/0/002.p/188", dir);
    buf_reset(&after);
    ok(!file_read(path, &after), "the last hash tile");
    after.data[5] ^= 1;
    ok(!file_write_atomic(path, buf_span(&after), 0644) && open_log(db, dir, &l) == CE_OK && evlog_repaired(l) == 1,
       "a damaged partial tile is made again");
    evlog_close(l);
    /* a power loss: every partial tile is gone, in both levels */
    path_join(path, "rm -r %s/tile/0/002.p %s/tile/entries/002.p %s/tile/1/000.p", dir, dir, dir);
    ok(system(path) == 0 && open_log(db, dir, &l) == CE_OK && evlog_repaired(l) == 3,
       "all partial tiles come back out of the full ones and the newest rows");
    evlog_close(l);
    path_join(path, "%s/tile/0/002.p/188", dir);
    ok(open_log(db, dir, &l) == CE_OK && evlog_repaired(l) == 0 && file_is(dir, "tile/1/000.p/2", 64), "for good");
    evlog_close(l);
    ok(!db_run1(db, "UPDATE event SET payload = payload || ' ' WHERE nseq = 600", DB_NOARGS, &f) && !unlink(path),
       "a row is changed, its tile lost");
    ok(open_log(db, dir, &l) == CE_LOG_INCONSISTENT, "the log refuses to start: %s", f.text);
}

static void test_rollback(void)
{
    char dir[PATH_MAX_LEN], path[PATH_MAX_LEN];
    struct evlog *l;
    CLEANUP(buf_free) struct buf note = BUF_INIT(0);
    struct merkle_hash h = {{7}};
    path_join(dir, "%s/rollback", site);
    path_join(path, "%s/checkpoint", dir);
    CLEANUP(db_close_p) struct db *db = new_db();
    fill(db, dir, &l, 50);
    evlog_close(l);
    make_note(51, &h, &note);
    ok(!file_write_atomic(path, buf_span(&note), 0644) && open_log(db, dir, &l) == CE_ROLLBACK,
       "a larger published checkpoint stops the start: %s", f.text);
    buf_reset(&note);
    make_note(50, &h, &note);
    ok(!file_write_atomic(path, buf_span(&note), 0644) && open_log(db, dir, &l) == CE_ROLLBACK, "another root at the same size too: %s",
       f.text);
    buf_reset(&note);
    make_note(20, &h, &note);
    ok(!file_write_atomic(path, buf_span(&note), 0644) && open_log(db, dir, &l) == CE_ROLLBACK, "another root at a smaller size too");
    ok(!file_write_atomic(path, SPAN_LIT("garbage"), 0644) && open_log(db, dir, &l) == CE_BAD_CHECKPOINT, "garbage is refused: %s", f.text);
    ok(!unlink(path) && open_log(db, dir, &l) == CE_OK && evlog_published(l) == 0, "without the file the log opens");
    int64_t size;
    ok(evlog_head_due(l, &size, &h) && size == 50 && publish(l, db) == CE_OK && evlog_published(l) == 50,
       "and publishes the same head again");
    evlog_close(l);
    ok(!db_run1(db, "UPDATE tree SET signed_root = root, signed_size = 49", DB_NOARGS, &f) && open_log(db, dir, &l) == CE_LOG_INCONSISTENT,
       "a head that was signed and does not fit stops the start: %s", f.text);
}

static void test_takeover(void)
{
    char dir[PATH_MAX_LEN];
    struct evlog *l, *second;
    struct merkle_hash root;
    CLEANUP(buf_free) struct buf note = BUF_INIT(0);
    size_t n;
    int64_t size;
    path_join(dir, "%s/takeover", site);
    CLEANUP(db_close_p) struct db *db = new_db();
    fill(db, dir, &l, 10);
    add_events(db, 1, 11, 5);
    ok(open_log(db, dir, &second) == CE_OK, "a second process opens the log");
    ok(integrate(l, db, 100, &n) == CE_EPOCH && evlog_size(l) == 10, "the first cannot integrate any more: %s", f.text);
    ok(integrate(second, db, 100, &n) == CE_OK && evlog_size(second) == 15, "the second can");
    ok(evlog_head_due(second, &size, &root) && size == 15, "a head is due");
    make_note(15, &(struct merkle_hash){{1}}, &note);
    ok(!db_begin(db, &f) && evlog_head_write(second, buf_span(&note), 1, &f) == CE_LOG_INCONSISTENT, "a note over another root is refused");
    db_rollback(db);
    evlog_close(l);
    ok(open_log(db, dir, &l) == CE_OK, "the first comes back");
    buf_reset(&note);
    make_note(15, &root, &note);
    ok(!db_begin(db, &f) && evlog_head_write(second, buf_span(&note), 1, &f) == CE_EPOCH, "now the second's head is refused");
    db_rollback(db);
    evlog_close(l);
    evlog_close(second);
}

static void test_undone(void)
{
    char dir[PATH_MAX_LEN], path[PATH_MAX_LEN], aside[PATH_MAX_LEN];
    struct evlog *l;
    size_t n;
    path_join(dir, "%s/undone", site);
    path_join(path, "%s/tile", dir);
    path_join(aside, "%s/aside", dir);
    CLEANUP(db_close_p) struct db *db = new_db();
    fill(db, dir, &l, 300);
    add_events(db, 1, 301, 300);
    ok(evlog_prepare(l, 1000, &n, &f) == CE_OK && n == 300 && settle(l) == CE_OK && evlog_stage(l) == EVLOG_ROWS, "300 events prepared");
    evlog_done(l, false);
    ok(evlog_size(l) == 300, "the batch did not commit: nothing has changed");
    ok(!rename(path, aside) && !file_write_atomic(path, SPAN_LIT("x"), 0600), "a file stands where the tiles go");
    ok(integrate(l, db, 1000, &n) != CE_OK && evlog_stage(l) == EVLOG_IDLE && evlog_size(l) == 300, "writing fails: %s", f.text);
    ok(!unlink(path) && !rename(aside, path), "put right");
    ok(integrate(l, db, 1000, &n) == CE_OK && n == 300 && evlog_size(l) == 600, "the next attempt succeeds");
    evlog_close(l);
}

static void test_erased(void)
{
    char dir[PATH_MAX_LEN], path[PATH_MAX_LEN];
    struct evlog *l;
    uint8_t entry[32], both[96];
    char payload[64];
    path_join(dir, "%s/erased", site);
    path_join(path, "%s/tile/0/000.p/20", dir);
    CLEANUP(db_close_p) struct db *db = new_db();
    fill(db, dir, &l, 20);
    evlog_close(l);
    int n = snprintf(payload, sizeof payload, "{\"kind\":\"test\",\"slot\":1,\"n\":7}");
    sha256(span_str(payload), both);
    memcpy(both + 32, payload, (size_t)n);
    sha256(span_of(both, 32 + (size_t)n), entry);
    ok(!db_run1(db, "UPDATE event SET leaf = $1, payload = '', salt = $2 WHERE nseq = 7",
                DB_ARGS(DB_B(span_of(entry, 32)), DB_B(span_of("", 0))), &f),
       "an event is erased, its entry kept");
    ok(!unlink(path) && open_log(db, dir, &l) == CE_OK && evlog_repaired(l) == 1, "the log still comes out of the rows");
    evlog_close(l);
}

int main(void)
{
    char cmd[128];
    /* thousands of flushes: in memory where there is such a place */
    snprintf(site, sizeof site, "%s/cradle-evlog-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(site))
        return 1;
    test_paths();
    for (int i = 0; i < 2; i++) { /* files written inside the calls, then by the thread */
        threaded = i == 1;
        test_growth();
        test_proofs();
        test_holes();
        test_repair();
        test_rollback();
        test_takeover();
        test_undone();
        test_erased();
        snprintf(cmd, sizeof cmd, "rm -rf %s/*", site);
        if (system(cmd))
            return 1;
    }
    if (rmdir(site))
        return 1;
    return done();
}
