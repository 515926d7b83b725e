/* evlog_core.c: the evidence log inside the engine, written by its thread: revocations do not wait for a disk that hangs or fails, what a
 * checkpoint needs is durable before it is published, and nothing is lost. The disk is this program's own fdatasync and fsync. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "core/evlog.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"

static struct site s;

/* -- the disk ------------------------------------------------------------------------------------------------------------------- */
static pthread_t deciding;
static atomic_bool hangs, hanging; /* flushes of the writer do not return; one is waiting */
static atomic_int fails;           /* errno of the writer's flushes, 0 none */
static atomic_bool only_checkpoint;
static atomic_int wrong_thread; /* flushes of the log's files by the thread that decides */
static atomic_int writer_flushes;
static pthread_mutex_t order_lock = PTHREAD_MUTEX_INITIALIZER;
static char order[65536]; /* what the writer flushed, oldest first: " PATH PATH" */
static size_t order_len;

static int flush(int fd, long call)
{
    char link[64], path[PATH_MAX_LEN] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    const char *file = n > 0 ? strstr(path, "/log") : NULL;
    if (pthread_equal(pthread_self(), deciding)) {
        wrong_thread += file != NULL;
        return (int)syscall(call, fd);
    }
    writer_flushes++;
    while (hangs) {
        hanging = true;
        usleep(1000);
    }
    hanging = false;
    if (fails && (!only_checkpoint || strstr(path, "checkpoint"))) {
        errno = fails;
        return -1;
    }
    int rc = (int)syscall(call, fd);
    pthread_mutex_lock(&order_lock);
    int put = file ? snprintf(order + order_len, sizeof order - order_len, " %s ", file) : 0;
    order_len += put > 0 && order_len + (size_t)put < sizeof order ? (size_t)put : 0;
    pthread_mutex_unlock(&order_lock);
    return rc;
}
int fdatasync(int fd) { return flush(fd, SYS_fdatasync); }
int fsync(int fd) { return flush(fd, SYS_fsync); }

/* -- the engine ----------------------------------------------------------------------------------------------------------------- */
static int64_t tree(const char *column)
{
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT %s FROM tree", column);
    return site_count(&s, sql);
}

static int64_t published(void)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf b = BUF_INIT(4096);
    path_join(path, "%s/log/checkpoint", s.dir);
    const char *nl = file_read(path, &b) ? NULL : strchr(buf_cstr(&b), '\n');
    return nl ? atoll(nl + 1) : 0;
}

static bool caught_up(void) { return tree("size") == site_count(&s, "SELECT nseq FROM node") && published() == tree("size"); }
static bool is_hanging(void) { return hanging; }
static bool never(void) { return false; }

/* Works on like the process around core, until cond or for ms. */
static bool pump(int64_t ms, bool (*cond)(void))
{
    struct fault f = { 0 };
    for (int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end; usleep(2000)) {
        site_must(core_step(s.core, &f), &f, "core_step");
        site_must(core_tick(s.core, clock_mono_ms(), &f), &f, "core_tick");
        site_run(&s);
        if (cond())
            return true;
    }
    return cond();
}

/* Revokes n devices; the longest time from the request to its answer, us; -1: one was refused. */
static int64_t revoke_all(const char *prefix, int n)
{
    int64_t most = 0;
    for (int i = 0; i < n; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "%s-%d", prefix, i);
        int64_t from = clock_mono_us();
        if (!reply_is(site_state(&s, uid, "revoked", "keyCompromise"), CE_OK))
            return -1;
        int64_t took = clock_mono_us() - from;
        most = took > most ? took : most;
    }
    return most;
}

static void devices(const char *prefix, int n)
{
    for (int i = 0; i < n; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "%s-%d", prefix, i);
        site_device(&s, uid, "pump");
    }
}

/* -- tests ------------------------------------------------------------------------------------------------------------------------ */
static void test_order(void)
{
    char tile[64], bundle[64];
    ok(pump(10000, caught_up) && published() > 0, "everything so far is published (%lld leaves)", (long long)published());
    snprintf(tile, sizeof tile, " /log/tile/0/000.p/%lld.tmp ", (long long)published());
    snprintf(bundle, sizeof bundle, " /log/tile/entries/000.p/%lld.tmp ", (long long)published());
    pthread_mutex_lock(&order_lock);
    const char *head = order, *next, *at_tile = strstr(order, tile), *at_bundle = strstr(order, bundle);
    while ((next = strstr(head + 1, " /log/checkpoint.tmp ")))
        head = next;
    const char *folder = at_tile ? strstr(at_tile, " /log/tile/0/000.p ") : NULL;
    ok(at_tile && at_bundle && head > at_tile && head > at_bundle && folder && folder < head,
       "its partial tiles and their folders were flushed before the checkpoint");
    pthread_mutex_unlock(&order_lock);
}

static void test_hanging(void)
{
    devices("hang", 20);
    pump(10000, caught_up);
    int64_t size = tree("size"), head = published(), pushes = (int64_t)s.n_frames;
    hangs = true;
    site_device(&s, "one-more", "pump");
    ok(pump(5000, is_hanging), "the disk hangs while the writer flushes");
    int64_t most = revoke_all("hang", 20);
    ok(most >= 0 && is_hanging(), "20 revocations are committed and answered meanwhile (the longest took %lld us)", (long long)most);
    ok(site_count(&s, "SELECT count(*) FROM device_state WHERE state = 'revoked' AND uid LIKE 'hang-%'") == 20, "they are durable");
    pump(300, never);
    ok((int64_t)s.n_frames > pushes, "and pushed");
    ok(tree("size") == size && published() == head, "the log stands still at %lld", (long long)size);
    int before = writer_flushes;
    hangs = false;
    ok(pump(10000, caught_up), "the disk goes on: the log catches up");
    ok(writer_flushes - before < 40, "in a few jobs (%d flushes)", writer_flushes - before);
}

static void test_failing(void)
{
    devices("full", 10);
    pump(10000, caught_up);
    int64_t size = tree("size");
    fails = ENOSPC;
    int64_t most = revoke_all("full", 10);
    pump(1500, never);
    ok(most >= 0 && tree("size") == size, "a full disk: 10 revocations go on (%lld us), the log waits", (long long)most);
    fails = 0;
    ok(pump(10000, caught_up), "space again: the log catches up by itself");
    only_checkpoint = true;
    fails = EIO;
    int64_t head = published();
    site_device(&s, "late", "pump");
    pump(1500, never);
    ok(tree("signed_size") > head && published() == head, "the checkpoint's file cannot be written: the old one stays");
    fails = 0;
    only_checkpoint = false;
    ok(pump(10000, caught_up), "it is written at a later attempt");
}

static void test_again(void)
{
    struct fault f = { 0 };
    site_restart(&s);
    ok(core_threads(s.core, &f) == CE_OK && pump(10000, caught_up), "closed and opened again: sound, and it goes on");
}

static void test_close(void)
{
    hangs = true;
    site_device(&s, "last", "pump");
    ok(pump(5000, is_hanging), "the disk hangs again");
    int64_t from = clock_mono_ms();
    core_close(s.core);
    s.core = NULL;
    int64_t took = clock_mono_ms() - from;
    ok(took < EVLOG_CLOSE_MS + 3000, "closing waits for it, but not for ever (%lld ms)", (long long)took);
}

int main(void)
{
    struct fault f = { 0 };
    deciding = pthread_self();
    log_setup("test", LOG_LEVEL_ERROR);
    site_open(&s);
    s.cfg.log_quiet_ms = 50;
    site_restart(&s);
    ok(core_threads(s.core, &f) == CE_OK, "core's writer starts");
    wrong_thread = 0;
    devices("first", 3);
    test_order();
    test_hanging();
    test_failing();
    ok(wrong_thread == 0, "the thread that decides has flushed no file of the log");
    test_again();
    test_close();
    site_close(&s);
    return done();
}
