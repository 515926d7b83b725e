/* store_db.c: the driver: parameters by name, statement cache, transactions, errors by name, schema and migrations. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/node.h"
#include "store/schema.h"
#include "t/tap.h"
#include "t/unit/schema_v1.h"

static char dir[] = "/tmp/cradle-store-XXXXXX", path[PATH_MAX_LEN];

static void test_params(void)
{
    struct db *db = NULL;
    struct fault f = { 0 };
    int64_t n = 0;
    ok(!db_open("", DB_MEMORY, &db, &f), "memory database opens");
    ok(!db_ddl(db, "CREATE TABLE x (a BIGINT NOT NULL PRIMARY KEY, b TEXT, c BLOB) CLUSTERED", &f), "clustered table");
    ok(!db_run(db, "INSERT INTO x (c, b, a) VALUES ($3, $2, $1)", DB_ARGS(DB_I(7), DB_S("seven"), DB_B(SPAN_LIT("\0\1"))), &n, &f) && n == 1,
       "parameters bind by name, not by position");
    struct db_rows r, r2;
    db_rows(db, "SELECT a, b, c FROM x WHERE a = $1", DB_ARGS(DB_I(7)), &r);
    ok(db_next(&r) && db_i64(&r, 0) == 7 && span_eq_str(db_span(&r, 1), "seven") && db_span(&r, 2).n == 2, "row comes back");
    db_rows(db, "SELECT a, b, c FROM x WHERE a = $1", DB_ARGS(DB_I(7)), &r2);
    ok(db_next(&r2) && db_i64(&r2, 0) == 7, "the same statement can be read twice at the same time");
    ok(!db_rows_end(&r2, &f) && !db_next(&r) && !db_rows_end(&r, &f), "both end");
    ok(db_run(db, "INSERT INTO x (a) VALUES ($1)", DB_ARGS(DB_I(7)), NULL, &f) == CE_EXISTS, "a taken key is CE_EXISTS");
    ok(db_run(db, "INSERT INTO nowhere (a) VALUES (1)", DB_NOARGS, NULL, &f) == CE_STORE && strstr(f.text, "nowhere"), "the database's own words");
    ok(db_run1(db, "UPDATE x SET b = 'y' WHERE a = $1", DB_ARGS(DB_I(8)), &f) == CE_NOT_FOUND, "compare-and-set that misses");
    ok(!db_begin(db, &f) && !db_save(db, &f), "savepoint opens");
    ok(!db_run(db, "DELETE FROM x", DB_NOARGS, NULL, &f) && !db_save_undo(db, &f), "savepoint undone");
    ok(!db_commit(db, &f) && !db_get_i64(db, "SELECT count(*) FROM x", DB_NOARGS, 0, &n, &f) && n == 1, "what was undone is not committed");
    char sql[64];
    enum err e = CE_OK;
    for (int i = 0; i < 900 && !e; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        e = db_get_i64(db, sql, DB_NOARGS, 0, &n, &f);
        if (n != i)
            e = CE_INTERNAL;
    }
    ok(!e, "the cache goes by the text, and empties when it is full");
    db_close(db);
}

static void test_schema(void)
{
    struct db *db = NULL;
    struct fault f = { 0 };
    int64_t from = 0, to = 0;
    ok(db_open(path, 0, &db, &f) == CE_NOT_FOUND, "no database is CE_NOT_FOUND");
    ok(!db_open(path, DB_CREATE | DB_CHECK, &db, &f), "database made");
    ok(schema_check(db, &f) == CE_NOT_FOUND && !schema_create(db, &f) && !schema_check(db, &f), "schema made and recognised");
    struct node n;
    ok(!node_take(db, 1, &n, &f) && n.epoch == 1 && n.nseq == 0, "slot taken");
    ok(!schema_to_v1(db, &f) && schema_check(db, &f) == CE_SCHEMA && strstr(f.text, "cradled -m"),
       "an older schema is refused, the text names the command");
    ok(!schema_migrate(db, false, &from, &to, &f) && from == 1 && to == SCHEMA_VERSION && !schema_check(db, &f), "migrated by command");
    ok(!db_run(db, "UPDATE meta SET value = '99' WHERE name = 'schema'", DB_NOARGS, NULL, &f) && schema_check(db, &f) == CE_SCHEMA &&
           schema_migrate(db, false, NULL, NULL, &f) == CE_SCHEMA,
       "a newer schema is refused");
    db_close(db);
}

/* All objects of the database as text, one a line. */
static void objects(struct db *db, struct buf *out)
{
    struct db_rows r;
    struct fault f = { 0 };
    db_rows(db, "SELECT type, name, COALESCE(sql, '') FROM sqlite_schema ORDER BY type, name", DB_NOARGS, &r);
    while (db_next(&r))
        buf_printf(out, SPAN_FMT " " SPAN_FMT ": " SPAN_FMT "\n", SPAN_ARG(db_span(&r, 0)), SPAN_ARG(db_span(&r, 1)), SPAN_ARG(db_span(&r, 2)));
    if (db_rows_end(&r, &f))
        printf("# %s\n", f.text);
}

/* A database that version 1 made has, once migrated, what a new one has. */
static void test_migrated(void)
{
    struct db *old = NULL, *new = NULL;
    struct fault f = { 0 };
    struct buf a = BUF_INIT(0), b = BUF_INIT(0);
    bool made = !db_open("", DB_MEMORY, &old, &f) && !db_open("", DB_MEMORY, &new, &f) && !schema_create(new, &f);
    for (size_t i = 0; made && i < ARRAY_LEN(schema_v1); i++)
        made = !db_ddl(old, schema_v1[i], &f);
    made = made && !db_ddl(old, "INSERT INTO meta (name, value) VALUES ('schema', '1')", &f);
    ok(made && !schema_migrate(old, false, NULL, NULL, &f) && !schema_migrate(old, true, NULL, NULL, &f), "version 1, made by hand, is migrated %s", f.text);
    objects(old, &a);
    objects(new, &b);
    ok(a.len > 1000 && strcmp(buf_cstr(&a), buf_cstr(&b)) == 0, "and has what a new database has");
    if (strcmp(buf_cstr(&a), buf_cstr(&b)) != 0)
        printf("# migrated:\n%s# new:\n%s", buf_cstr(&a), buf_cstr(&b));
    buf_free(&a);
    buf_free(&b);
    db_close(old);
    db_close(new);
}

static void test_fence(void)
{
    struct db *db = NULL;
    struct fault f = { 0 };
    struct node a, b;
    bool committed = false;
    ok(!db_open("", DB_MEMORY, &db, &f) && !schema_create(db, &f) && !node_take(db, 1, &a, &f), "a node");
    ok(!node_fence(db, &a, &f) && !node_advance(db, &a, 3, &f), "fence and advance");
    ok(node_fence(db, &a, &f) == CE_EPOCH && !node_judge(db, &a, 3, &committed, &f) && committed, "known + n: it had committed");
    a.nseq = 3;
    ok(!node_fence(db, &a, &f) && !node_judge(db, &a, 3, &committed, &f) && !committed, "known: again");
    a.nseq = 5;
    ok(node_fence(db, &a, &f) == CE_EPOCH && node_judge(db, &a, 2, &committed, &f) == CE_ROLLBACK, "lower: the wrong database");
    a.nseq = 3;
    ok(!node_take(db, 1, &b, &f) && b.epoch == a.epoch + 1 && b.nseq == 3, "another process takes the slot");
    ok(node_fence(db, &a, &f) == CE_EPOCH && node_judge(db, &a, 0, &committed, &f) == CE_EPOCH, "the first one must exit");
    struct buf v = BUF_INIT(0);
    ok(!node_take(db, 2, &b, &f) && !node_vector(db, &v, &f) && span_eq_str(buf_span(&v), "1:3,2:0"), "vector text");
    buf_free(&v);
    db_close(db);
}

static void test_faults(void)
{
    struct db *db = NULL;
    struct fault f = { 0 };
    ok(!db_open(path, DB_READONLY, &db, &f) && db_run(db, "DELETE FROM meta", DB_NOARGS, NULL, &f) == CE_STORE_READONLY, "read-only is named");
    db_close(db);
    struct rlimit old, small = { 0 };
    struct stat st;
    ok(!stat(path, &st) && !db_open(path, 0, &db, &f), "database opens again");
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    small = (struct rlimit){ 65536, old.rlim_max };
    setrlimit(RLIMIT_FSIZE, &small);
    uint8_t *big = mem_calloc(1, 400000);
    enum err e = db_begin(db, &f);
    e = e ? e : db_run(db, "INSERT INTO ca (name, kid, der, added_at) VALUES ('big', $1, $1, 0)", DB_ARGS(DB_B(span_of(big, 400000))), NULL, &f);
    e = e ? e : db_commit(db, &f);
    ok(e == CE_DISK_FULL, "a full disk is CE_DISK_FULL (%s: %s)", err_name(e), f.text);
    db_rollback(db);
    setrlimit(RLIMIT_FSIZE, &old);
    int64_t n = -1;
    ok(!db_get_i64(db, "SELECT count(*) FROM ca", DB_NOARGS, -1, &n, &f) && n == 0, "and nothing was changed");
    ok(!db_run(db, "INSERT INTO ca (name, kid, der, added_at) VALUES ('big', $1, $1, 0)", DB_ARGS(DB_B(span_of(big, 400000))), NULL, &f),
       "with space again it goes on (%s)", f.text);
    char copy[PATH_MAX_LEN];
    path_join(copy, "%s/copy.db", dir);
    ok(!db_run(db, "VACUUM INTO $1", DB_ARGS(DB_S(copy)), NULL, &f), "a copy is made");
    free(big);
    db_close(db);
    int fd = open(copy, O_WRONLY);
    char junk[4096];
    memset(junk, 0x5a, sizeof junk);
    ok(pwrite(fd, junk, sizeof junk, 4096) == (ssize_t)sizeof junk, "a page overwritten");
    close(fd);
    ok(db_open(copy, DB_CHECK, &db, &f) == CE_STORE_DAMAGED && strstr(f.text, "backup"), "damage is found at the start: %s", f.text);
    fd = open(copy, O_WRONLY | O_TRUNC);
    ok(write(fd, junk, sizeof junk) == (ssize_t)sizeof junk && !close(fd), "not a database at all");
    ok(db_open(copy, 0, &db, &f) == CE_STORE_DAMAGED, "is damaged too: %s", f.text);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    path_join(path, "%s/cradle.db", dir);
    test_params();
    test_schema();
    test_migrated();
    test_fence();
    test_faults();
    char cmd[PATH_MAX_LEN];
    path_join(cmd, "rm -rf %s", dir);
    if (system(cmd))
        return 1;
    return done();
}
