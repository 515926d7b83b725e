/* depot.c: the rules of uploads, and kill -9 at random moments of them: what was acknowledged is there, and no file is ever in place that
 * has not the digest of its name.
 */
#include "role/depot.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "agent/unseal_port.h"
#include "crypt/hash.h"
#include "t/tap.h"

#define LENGTH (3 * 1048576 + 77777)
#define PIECE 200000
#define KEEP_S 1000
#define ROUNDS 60

static char site[] = "/tmp/cradle-depot-XXXXXX";
static uint8_t bytes[LENGTH], digest[SHA256_LEN];
static struct depot *d;
static struct fault f;
static bool sealed; /* uploads are to be kept encrypted */

static const struct span sha256_of_it = { digest, sizeof digest };

static void fill(unsigned seed)
{
    srand(seed);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)rand();
    sha256(span_of(bytes, sizeof bytes), digest);
}

static void path_of(const char *middle, const char *suffix, char *out)
{
    struct buf hex = BUF_INIT(0);
    buf_put_hex(&hex, sha256_of_it);
    path_join(out, "%s/artifact/%s%s%s", site, middle, buf_cstr(&hex), suffix);
    buf_free(&hex);
}

static enum err begin(struct depot_item *i)
{
    const struct msg_upload_open m = { .sha256 = sha256_of_it, .length = LENGTH, .name = SPAN_LIT("vib/r7/fw 1.bin"), .encrypted = sealed };
    return depot_upload_open(d, &m, i, &f);
}

static enum err put_at(int64_t offset, size_t n, struct depot_item *i)
{
    const struct msg_upload_put m = { .sha256 = sha256_of_it, .offset = offset, .bytes = span_of(bytes + offset, n) };
    return depot_upload_put(d, &m, i, &f);
}

static enum err finish(struct depot_item *i)
{
    bool more = true;
    enum err e = CE_OK;
    while (!e && more)
        e = depot_upload_finish(d, sha256_of_it, i, &more, &f);
    return e;
}

static enum err put_rest(struct depot_item *i)
{
    enum err e = CE_OK;
    while (!e && i->offset < LENGTH)
        e = put_at(i->offset, LENGTH - i->offset < PIECE ? (size_t)(LENGTH - i->offset) : PIECE, i);
    return e;
}

static void reopen(void)
{
    depot_close(d);
    if (depot_open(site, KEEP_S, &d, &f)) {
        printf("Bail out! %s\n", f.text);
        exit(1);
    }
}

static int plain_put(void *ctx, uint64_t at, const void *data, size_t n)
{
    (void)at;
    buf_put(ctx, data, n);
    return 0;
}

/* The sealed file, opened with its key; there must be no plain one. */
static bool sealed_read(struct buf *out)
{
    char path[PATH_MAX_LEN];
    struct buf b = BUF_INIT(LENGTH + LENGTH / 100), key = BUF_INIT(33), hex = BUF_INIT(0);
    const struct cradle_unseal_port port = { .ctx = out, .gcm_open = unseal_gcm_open, .write = plain_put };
    static uint8_t segment[CRADLE_UNSEAL_SEGMENT + CRADLE_UNSEAL_TAG];
    struct cradle_unseal u;
    path_of("", "", path);
    bool good = !file_exists(path);
    path_of("part/", "", path);
    good = good && !file_exists(path);
    path_of("", ".enc", path);
    good = good && file_read(path, &b) == CE_OK;
    buf_put_hex(&hex, sha256_of_it);
    path_join(path, "%s/depot/%s.key", site, buf_cstr(&hex));
    good = good && file_read_private(path, &key, &f) == CE_OK && key.len == 32;
    if (good) {
        cradle_unseal_begin(&u, &port, key.data, digest, LENGTH, segment);
        cradle_unseal_add(&u, b.data, b.len);
        good = cradle_unseal_end(&u) == CRADLE_UNSEAL_OK;
    }
    buf_free(&b);
    buf_free(&key);
    buf_free(&hex);
    return good;
}

static bool in_place(void)
{
    char path[PATH_MAX_LEN];
    uint8_t got[SHA256_LEN];
    struct buf b = BUF_INIT(LENGTH + 1);
    path_of("", "", path);
    bool good = sealed ? sealed_read(&b) : file_read(path, &b) == CE_OK;
    sha256(buf_span(&b), got);
    buf_free(&b);
    return good && memcmp(got, digest, sizeof got) == 0;
}

static bool blocks_good(void)
{
    char path[PATH_MAX_LEN];
    uint8_t want[SHA256_LEN];
    struct buf b = BUF_INIT(0);
    path_of("", ".blocks", path);
    bool good = file_read(path, &b) == CE_OK && b.len == (LENGTH + DEPOT_BLOCK - 1) / DEPOT_BLOCK * SHA256_LEN;
    for (size_t i = 0; good && i * SHA256_LEN < b.len; i++) {
        size_t left = LENGTH - i * DEPOT_BLOCK;
        sha256(span_of(bytes + i * DEPOT_BLOCK, left < DEPOT_BLOCK ? left : DEPOT_BLOCK), want);
        good = memcmp(want, b.data + i * SHA256_LEN, SHA256_LEN) == 0;
    }
    buf_free(&b);
    return good;
}

static void test_rules(void)
{
    struct depot_item i;
    struct msg_upload_open bad = { .sha256 = sha256_of_it, .length = 0, .name = SPAN_LIT("x") };
    ok(depot_upload_open(d, &bad, &i, &f) == CE_BAD_FIELD, "no length: %s", f.text);
    bad = (struct msg_upload_open){ .sha256 = span_of(digest, 31), .length = 1, .name = SPAN_LIT("x") };
    ok(depot_upload_open(d, &bad, &i, &f) == CE_BAD_FIELD, "a short digest: %s", f.text);
    bad = (struct msg_upload_open){ .sha256 = sha256_of_it, .length = DEPOT_LENGTH_MAX, .name = SPAN_LIT("x") };
    ok(depot_upload_open(d, &bad, &i, &f) == CE_DISK_FULL, "what does not fit is refused before it comes: %s", f.text);
    ok(put_at(0, 10, &i) == CE_NOT_FOUND, "a piece of nothing: %s", f.text);
    ok(!begin(&i) && i.offset == 0 && !i.stored && i.length == LENGTH, "an upload begins");
    bad = (struct msg_upload_open){ .sha256 = sha256_of_it, .length = LENGTH - 1, .name = SPAN_LIT("x") };
    ok(depot_upload_open(d, &bad, &i, &f) == CE_EXISTS, "with another length: %s", f.text);
    ok(put_at(5, 10, &i) == CE_OFFSET, "a piece from the middle: %s", f.text);
    ok(!put_at(0, PIECE, &i) && i.offset == PIECE, "a piece");
    ok(put_at(0, PIECE, &i) == CE_OFFSET, "the same again: %s", f.text);
    ok(put_at(PIECE, 0, &i) == CE_BAD_INPUT, "an empty one: %s", f.text);
    ok(finish(&i) == CE_OFFSET, "not all is here: %s", f.text);
    ok(!begin(&i) && i.offset == PIECE, "begun again it goes on");
    ok(!put_rest(&i) && i.offset == LENGTH, "the rest");
    ok(put_at(LENGTH - 10, 10, &i) == CE_OFFSET, "nothing goes on at the end");
    const struct msg_upload_put over = { .sha256 = sha256_of_it, .offset = LENGTH, .bytes = SPAN_LIT("x") };
    ok(depot_upload_put(d, &over, &i, &f) == CE_TOO_LARGE, "nor behind it: %s", f.text);
    ok(!finish(&i) && i.stored && !i.encrypted && strcmp(i.name, "vib/r7/fw 1.bin") == 0 && in_place() && blocks_good(), "it is in place, with its blocks");
    ok(!finish(&i) && i.stored && !i.encrypted && strcmp(i.name, "vib/r7/fw 1.bin") == 0, "the end again says the same");
    ok(put_at(0, PIECE, &i) == CE_OFFSET, "a piece of what is here: %s", f.text);
    ok(!begin(&i) && i.stored && i.offset == LENGTH, "another upload of it is over at once");
    ok(!depot_drop(d, sha256_of_it, &f) && !in_place() && !depot_drop(d, sha256_of_it, &f), "removed, twice");
}

static void test_names(void)
{
    static const char *const names[] = { "../../../keys/x", "..", "1/2", "1 ", "a", "123456789012345678901", "4711" };
    struct depot_item i;
    ok(!begin(&i), "an upload begins");
    for (size_t k = 0; k < ARRAY_LEN(names); k++) {
        const struct msg_upload_put m = { .sha256 = sha256_of_it, .spool = span_str(names[k]) };
        ok(depot_upload_put(d, &m, &i, &f) == (k == 6 ? CE_IO : CE_BAD_INPUT), "a body in '%s': %s", names[k], f.text);
    }
    char path[PATH_MAX_LEN];
    path_join(path, "%s/run/nginx/client_body", site);
    const struct msg_upload_put link = { .sha256 = sha256_of_it, .spool = SPAN_LIT("12") }, good = { .sha256 = sha256_of_it, .spool = SPAN_LIT("0000000013") };
    ok(!file_mkdirs(path, 0700), "the folder of bodies");
    path_join(path, "%s/run/nginx/client_body/12", site);
    ok(!symlink("/etc/hostname", path) && depot_upload_put(d, &link, &i, &f) == CE_IO, "a link is not followed: %s", f.text);
    path_join(path, "%s/run/nginx/client_body/0000000013", site);
    ok(!file_write_atomic(path, span_of(bytes, PIECE), 0600) && !depot_upload_put(d, &good, &i, &f) && i.offset == PIECE, "a spooled body is taken: %s", f.text);
}

static void test_wrong(void)
{
    struct depot_item i;
    ok(!begin(&i), "an upload goes on");
    bytes[i.offset + 4] ^= 1;
    enum err e = put_rest(&i);
    bytes[PIECE + 4] ^= 1;
    ok(!e && finish(&i) == CE_DIGEST && strstr(f.text, "SHA-256") && !in_place(), "other bytes: %s", f.text);
    ok(depot_upload_get(d, sha256_of_it, &i, &f) == CE_NOT_FOUND, "the upload is thrown away");
    ok(!begin(&i) && !put_rest(&i) && i.offset == LENGTH, "sent anew");
    reopen();
    ok(!finish(&i) && in_place() && blocks_good(), "a process that did not see the bytes verifies them all");
    ok(!depot_drop(d, sha256_of_it, &f), "removed");
}

/* A disk that kept bytes behind what was promised, as after a power cut. */
static void test_torn(void)
{
    struct depot_item i;
    char path[PATH_MAX_LEN];
    ok(!begin(&i) && !put_at(0, PIECE, &i), "a piece");
    path_of("part/", "", path);
    int fd = open(path, O_WRONLY | O_APPEND);
    ok(fd >= 0 && write(fd, "torn bytes", 10) == 10, "bytes of a piece that was not acknowledged");
    close(fd);
    reopen();
    ok(!begin(&i) && i.offset == PIECE && !put_rest(&i) && !finish(&i) && in_place() && blocks_good(), "are cut off");
    ok(!depot_drop(d, sha256_of_it, &f), "removed");
}

static void test_full(void)
{
    struct depot_item i;
    struct rlimit old, small = { 2 * PIECE + 100, RLIM_INFINITY };
    signal(SIGXFSZ, SIG_IGN);
    ok(!begin(&i) && !put_at(0, PIECE, &i), "a piece");
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    ok(!put_at(PIECE, PIECE, &i) && put_at(2 * PIECE, PIECE, &i) && !depot_upload_get(d, sha256_of_it, &i, &f) && i.offset == 2 * PIECE,
       "a piece that the disk does not take leaves the upload where it was");
    setrlimit(RLIMIT_FSIZE, &old);
    ok(!put_rest(&i) && !finish(&i) && in_place() && blocks_good(), "and it goes on when there is room");
    ok(!depot_drop(d, sha256_of_it, &f), "removed");
}

static void test_sealed(void)
{
    struct depot_item i;
    struct buf wrapped = BUF_INIT(0);
    const struct msg_key_get m = { .sha256 = sha256_of_it, .uid = SPAN_LIT("vib-1"), .spki = span_of(bytes, 91) };
    char path[PATH_MAX_LEN];
    sealed = false;
    ok(!begin(&i) && !put_at(0, PIECE, &i), "an upload in plain is under way");
    sealed = true;
    ok(begin(&i) == CE_EXISTS, "it does not become an encrypted one: %s", f.text);
    sealed = false;
    ok(!begin(&i) && !put_rest(&i) && !finish(&i) && in_place(), "it ends in plain");
    ok(depot_key_wrap(d, &m, &wrapped, &f) == CE_NOT_FOUND, "and has no key: %s", f.text);
    sealed = true;
    ok(begin(&i) == CE_EXISTS && strstr(f.text, "remove"), "nor afterwards: %s", f.text);
    ok(!depot_drop(d, sha256_of_it, &f) && !begin(&i) && !put_rest(&i) && i.offset == LENGTH, "removed, and sent anew to be kept encrypted");
    ok(!finish(&i) && i.stored && i.encrypted && i.length == LENGTH && in_place() && blocks_good(), "only the sealed bytes are in place, and they open with the key: %s", f.text);
    reopen();
    ok(!finish(&i) && i.stored && i.encrypted && i.length == LENGTH && strcmp(i.name, "vib/r7/fw 1.bin") == 0, "the end again says the same");
    ok(depot_key_wrap(d, &m, &wrapped, &f) && !wrapped.len, "a key is wrapped for keys only: %s", f.text);
    path_of("", ".enc", path);
    ok(!truncate(path, 1000000) && depot_upload_get(d, sha256_of_it, &i, &f) == CE_NOT_FOUND, "one that was cut short on the disk is not there any more");
    ok(!begin(&i) && !put_rest(&i) && !finish(&i) && in_place(), "and can be sent again");
    ok(!depot_drop(d, sha256_of_it, &f) && !file_exists(path) && depot_key_wrap(d, &m, &wrapped, &f) == CE_NOT_FOUND, "removed, with its key");
    buf_free(&wrapped);
}

static void test_token(void)
{
    struct captoken t = { .expires_s = 1000, .uid = "vib-1" }, got;
    struct buf text = BUF_INIT(0);
    memcpy(t.sha256, digest, sizeof digest);
    depot_token_make(d, &t);
    captoken_encode(&t, &text);
    ok(!captoken_decode(buf_span(&text), &got, &f) && strcmp(got.uid, "vib-1") == 0 && got.expires_s == 1000 && !depot_token_check(d, &got, 1000, &f), "a token is made, written, read and good");
    ok(depot_token_check(d, &got, 1001, &f) == CE_BAD_TOKEN, "until its end: %s", f.text);
    reopen();
    ok(!depot_token_check(d, &got, 1000, &f), "also at the next process");
    got.uid[4] = '2';
    ok(depot_token_check(d, &got, 1000, &f) == CE_BAD_TOKEN, "for another device it is none: %s", f.text);
    got = t;
    got.expires_s++;
    ok(depot_token_check(d, &got, 1000, &f) == CE_BAD_TOKEN, "nor for longer");
    char path[PATH_MAX_LEN];
    path_join(path, "%s/depot/token.key", site);
    ok(!unlink(path), "another key");
    reopen();
    ok(depot_token_check(d, &t, 1000, &f) == CE_BAD_TOKEN, "voids it");
    buf_free(&text);
}

static void test_old(void)
{
    struct depot_item i;
    ok(!begin(&i), "an upload begins");
    depot_tidy(d, clock_now_s() + KEEP_S - 100);
    ok(!depot_upload_get(d, sha256_of_it, &i, &f), "a young one stays");
    depot_tidy(d, clock_now_s() + KEEP_S + 100);
    ok(depot_upload_get(d, sha256_of_it, &i, &f) == CE_NOT_FOUND, "an old one goes");
}

/* -- kill -9 ------------------------------------------------------------------------------------------------------------------------ */
static void child(int acks)
{
    struct depot_item i;
    struct fault why;
    if (depot_open(site, KEEP_S, &d, &why) || begin(&i))
        _exit(2);
    while (!i.stored && i.offset < LENGTH) {
        size_t n = (size_t)(rand() % PIECE + 1);
        if (put_at(i.offset, LENGTH - i.offset < (int64_t)n ? (size_t)(LENGTH - i.offset) : n, &i) || write(acks, &i.offset, sizeof i.offset) != sizeof i.offset)
            _exit(3);
    }
    _exit(finish(&i) ? 4 : 0);
}

/* Runs it for a while, kills it; the last offset that it acknowledged. *status as of waitpid. The while follows the machine: shorter after a run that
 * ended by itself, longer after one that was killed. */
static int64_t round_run(unsigned n, int *status)
{
    static unsigned window_us = 60000;
    int fds[2];
    int64_t last = 0, one;
    if (pipe(fds))
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        srand(n);
        child(fds[1]);
    }
    close(fds[1]);
    usleep((unsigned)rand() % window_us);
    kill(pid, SIGKILL);
    waitpid(pid, status, 0);
    window_us = WIFSIGNALED(*status) ? window_us * 5 / 4 : window_us * 3 / 4 + 500;
    while (read(fds[0], &one, sizeof one) == sizeof one)
        last = one;
    close(fds[0]);
    return last;
}

static void test_kill(void)
{
    int bad = 0, killed = 0, finished = 0, status;
    char path[PATH_MAX_LEN];
    path_of("", sealed ? ".enc" : "", path);
    depot_close(d);
    d = NULL;
    srand(3);
    for (unsigned n = 0; n < ROUNDS; n++) {
        struct depot_item i = { 0 };
        int64_t last = round_run(n, &status);
        killed += WIFSIGNALED(status);
        bad += WIFEXITED(status) && WEXITSTATUS(status) != 0;
        reopen();
        bad += file_exists(path) && (!in_place() || !blocks_good());
        enum err e = depot_upload_get(d, sha256_of_it, &i, &f);
        bad += (e && last) || i.offset < last;
        if (i.stored) {
            finished++;
            bad += depot_drop(d, sha256_of_it, &f) != CE_OK;
        }
    }
    ok(!bad && killed > ROUNDS / 4, "%d rounds, killed in %d, a whole file in %d: nothing that was acknowledged is lost, nothing wrong is in place", ROUNDS, killed, finished);
    struct depot_item i;
    ok(!begin(&i) && !put_rest(&i) && !finish(&i) && in_place() && blocks_good(), "and the upload ends well");
    ok(!depot_drop(d, sha256_of_it, &f), "removed");
}

int main(void)
{
    char command[80];
    log_setup("test", LOG_LEVEL_ERROR);
    if (!mkdtemp(site))
        return 1;
    fill(1);
    reopen();
    test_rules();
    test_names();
    test_wrong();
    test_torn();
    test_full();
    test_sealed();
    sealed = false;
    test_token();
    test_old();
    sealed = true;
    test_full();
    test_kill();
    sealed = false;
    test_kill();
    depot_close(d);
    snprintf(command, sizeof command, "rm -rf %s", site);
    ok(system(command) == 0, "the folder is removed");
    return done();
}
