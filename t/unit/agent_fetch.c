/* Unit test of the download of an update against a server that misbehaves: cuts, other ranges, endless and wrong bytes; with a block list and without. And
 * of the commands that a device runs, of handlers and slots. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/exec.h"
#include "agent/update_client.h"
#include "base/clock.h"
#include "base/mem.h"
#include "crypt/hash.h"
#include "t/tap.h"

#define FILE_N 9500000
#define BLOCK_N 1048576

enum mode { GOOD, CUT, NO_RANGE, OTHER_RANGE, ENDLESS, WRONG_BYTE, BUSY, SHORT_LIST };
struct shared {
    enum mode mode;
    int cut_after;      /* bytes of a body before the connection is closed */
    int requests;       /* for the file */
    long from;          /* of the last one */
};
static struct shared *shared;
static uint8_t *file, blocks[32 * 10];
static char dir[] = "/tmp/agent_fetch.XXXXXX";
static struct agent_config cfg;
static struct updater u;
static const volatile sig_atomic_t never;

/* -- the server ------------------------------------------------------------------------------------------------------------------- */
static void serve_list(int fd)
{
    size_t n = shared->mode == SHORT_LIST ? sizeof blocks - 32 : sizeof blocks;
    dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", n);
    if (write(fd, blocks, n) < 0)
        return;
}

static void serve_file(int fd, long from)
{
    enum mode mode = shared->mode; /* the test may be on while this one still writes */
    bool part = from && mode != NO_RANGE;
    size_t begin = part ? (size_t)from : 0, n = FILE_N - begin, cut = mode == CUT ? (size_t)shared->cut_after : n;
    shared->requests++;
    shared->from = from;
    if (mode == BUSY) {
        dprintf(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    dprintf(fd, "HTTP/1.1 %s\r\n", part ? "206 Partial Content" : "200 OK");
    if (part)
        dprintf(fd, "Content-Range: bytes %zu-%d/%d\r\n", mode == OTHER_RANGE ? begin + 1 : begin, FILE_N - 1, FILE_N);
    if (mode != ENDLESS)
        dprintf(fd, "Content-Length: %zu\r\n", n);
    dprintf(fd, "Connection: close\r\n\r\n");
    if (mode == WRONG_BYTE)
        file[begin + n / 2] ^= 1;
    for (size_t at = 0; at < (cut < n ? cut : n);) {
        ssize_t put = write(fd, file + begin + at, (cut < n ? cut : n) - at);
        if (put <= 0)
            break;
        at += (size_t)put;
    }
    if (mode == WRONG_BYTE)
        file[begin + n / 2] ^= 1;
    while (mode == ENDLESS && write(fd, file, 65536) > 0)
        ;
}

static _Noreturn void server(int fd)
{
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        char request[4096] = "";
        int c = accept(fd, NULL, NULL);
        ssize_t n = c < 0 ? -1 : read(c, request, sizeof request - 1);
        const char *range = n > 0 ? strstr(request, "Range: bytes=") : NULL;
        if (n > 0 && strncmp(request, "GET /update/v1/blocks/", 22) == 0)
            serve_list(c);
        else if (n > 0 && strncmp(request, "GET ", 4) == 0)
            serve_file(c, range ? atol(range + 13) : 0);
        else if (n > 0)
            dprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
        if (c >= 0) {
            shutdown(c, SHUT_WR);
            close(c);
        }
    }
}

static pid_t server_start(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct fault f;
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 8) || getsockname(fd, (struct sockaddr *)&at, &len))
        abort();
    pid_t pid = fork();
    if (pid == 0)
        server(fd);
    close(fd);
    struct net_config nc = { 0 };
    snprintf(nc.base, sizeof nc.base, "http://127.0.0.1:%d", ntohs(at.sin_port));
    if (net_open(&nc, &u.net, &f))
        abort();
    return pid;
}

/* -- downloads -------------------------------------------------------------------------------------------------------------------- */
static void hex_of(const uint8_t *p, char *out)
{
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static void order_set(bool list)
{
    uint8_t sha[32];
    u.order = (struct update_order){ .length = FILE_N, .block_size = list ? BLOCK_N : 0, .sequence = 1 };
    snprintf(u.order.state, sizeof u.order.state, "fetching");
    sha256(span_of(file, FILE_N), sha);
    hex_of(sha, u.order.sha256);
    sha256(span_of(blocks, sizeof blocks), sha);
    if (list)
        hex_of(sha, u.order.blocks_sha256);
}

static char place[PATH_MAX_LEN];
static struct fault why;

static enum err fetch(enum mode mode)
{
    shared->mode = mode;
    shared->requests = 0;
    why.text[0] = 0;
    return update_fetch(&u, place, &why);
}

static bool same(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(FILE_N + 1);
    return file_read(place, &b) == CE_OK && b.len == FILE_N && memcmp(b.data, file, FILE_N) == 0;
}

static long size_of(void)
{
    struct stat st;
    return stat(place, &st) ? -1 : (long)st.st_size;
}

static void test_fetch(bool list)
{
    const char *how = list ? "with a block list" : "without one";
    long step = list ? BLOCK_N : 4 << 20;
    order_set(list);
    unlink(place);
    ok(fetch(GOOD) == CE_OK && same() && shared->from == 0, "%s: a file is fetched", how);
    unlink(place);
    shared->cut_after = 6000000;
    ok(fetch(CUT) == CE_IO && size_of() < FILE_N, "%s: a cut is told: %s", how, why.text);
    shared->cut_after = 100;
    ok(fetch(CUT) == CE_IO && shared->from > 0 && shared->from <= 6000000 && (!list || shared->from % BLOCK_N == 0),
       "%s: it goes on at %ld", how, shared->from);
    ok(shared->from >= 6000000 - 2 * step, "%s: little is fetched twice", how);
    ok(fetch(OTHER_RANGE) == CE_IO && strstr(why.text, "another range"), "%s: another range is no data: %s", how, why.text);
    ok(fetch(BUSY) == CE_BUSY && u.retry_s == 7, "%s: a busy server is asked again when it says", how);
    ok(fetch(NO_RANGE) == CE_OK && same(), "%s: a server without ranges sends all of it again", how);
    unlink(place);
    ok(fetch(ENDLESS) == CE_TOO_LARGE, "%s: endless data ends: %s", how, why.text);
    unlink(place);
    ok(fetch(WRONG_BYTE) == CE_BAD_PROOF, "%s: one wrong bit is found: %s", how, why.text);
    ok(!list || size_of() <= FILE_N / 2, "%s: and nothing from there on was written", how);
    ok(fetch(GOOD) == CE_OK && same(), "%s: the next try is good", how);
    ok(fetch(GOOD) == CE_OK && same(), "%s: what is complete verifies again", how);
}

static void test_list(void)
{
    order_set(true);
    unlink(place);
    ok(fetch(SHORT_LIST) == CE_BAD_PROOF && size_of() < 0, "a block list that was not signed is refused before anything is written: %s", why.text);
    ok(fetch(GOOD) == CE_OK && shared->requests == 1, "a whole file is one request");
    ok(fetch(GOOD) == CE_OK && shared->requests == 0, "a file that is there already is none");
    int fd = open(place, O_RDWR);
    if (pwrite(fd, "x", 1, 5 * BLOCK_N + 7) != 1)
        abort();
    close(fd);
    ok(fetch(GOOD) == CE_OK && shared->from == 5 * BLOCK_N && same(), "a block that went bad on the medium is fetched again");
    u.order.length = INT64_MAX / 2;
    ok(fetch(GOOD) == CE_BAD_PROOF, "a length that no list covers is refused: %s", why.text);
    order_set(false);
    u.order.length = (int64_t)1 << 50;
    ok(fetch(GOOD) == CE_DISK_FULL, "what has no room is not begun: %s", why.text);
}

/* -- commands --------------------------------------------------------------------------------------------------------------------- */
static void test_exec(void)
{
    struct exec_result r;
    struct fault f;
    struct exec_job job = { .command = "/bin/echo {file} {version} $HOME ;", .file = "a b", .version = "1.0", .limit_s = 5 };
    setenv("CRADLE_SECRET", "x", 1);
    ok(exec_run(&job, &r, &f) == CE_OK && strcmp(r.out, "a b 1.0 $HOME ;") == 0, "words are arguments, and no shell reads them: %s", r.out);
    job.command = "/usr/bin/env";
    job.sequence = 7;
    ok(exec_run(&job, &r, &f) == CE_OK && strstr(r.out, "CRADLE_SEQUENCE=7") && strstr(r.out, "CRADLE_VERSION=1.0") && !strstr(r.out, "SECRET"), "the environment is ours: %s", r.out);
    job.command = "/bin/sleep 30";
    job.limit_s = 1;
    int64_t began_ms = clock_mono_ms();
    ok(exec_run(&job, &r, &f) == CE_TIMEOUT && clock_mono_ms() - began_ms < 5000, "a command has its time: %s", f.text);
    job.command = "/bin/ls /nothing-there";
    ok(exec_run(&job, &r, &f) == CE_IO && r.code == 2 && strstr(f.text, "nothing-there"), "its last words are kept: %s", f.text);
    job.command = "ls";
    ok(exec_run(&job, &r, &f) == CE_BAD_CONFIG, "a program is named by its full path: %s", f.text);
    job.command = "/nothing/there";
    ok(exec_run(&job, &r, &f) == CE_IO && r.code == 127, "a missing program is told: %s", f.text);
    job.command = "/bin/cat";
    job.input = place;
    job.limit_s = 5;
    ok(exec_run(&job, &r, &f) == CE_OK && strlen(r.out) < sizeof r.out && !strchr(r.out, '\n') && !strchr(r.out, '#'), "megabytes of any bytes become a short, printable end");
}

static void test_slots(void)
{
    struct handler h;
    struct fault f;
    char slot = 0;
    snprintf(cfg.update_handlers, sizeof cfg.update_handlers, "raw files mcu");
    ok(handler_find(&cfg, dir, "raw", &h, &f) == CE_BAD_CONFIG, "%s", f.text);
    ok(handler_find(&cfg, dir, "rauc", &h, &f) == CE_ROLE_FORBIDDEN && handler_find(&cfg, dir, "ra", &h, &f) == CE_ROLE_FORBIDDEN &&
           handler_find(&cfg, dir, "", &h, &f) == CE_ROLE_FORBIDDEN, "%s", f.text);
    ok(handler_find(&cfg, dir, "mcu", &h, &f) == CE_BAD_CONFIG, "%s", f.text);
    snprintf(cfg.slot_a, sizeof cfg.slot_a, "%s/a", dir);
    snprintf(cfg.slot_b, sizeof cfg.slot_b, "%s/b", dir);
    ok(handler_find(&cfg, dir, "raw", &h, &f) == CE_OK && slot_active(&h, &slot, &f) == CE_OK && slot == 'a', "slot a is the first");
    ok(slot_switch(&h, 'b', &f) == CE_OK && slot_switch(&h, 'b', &f) == CE_OK && slot_active(&h, &slot, &f) == CE_OK && slot == 'b', "a switch may be repeated");
    snprintf(cfg.slot_active_command, sizeof cfg.slot_active_command, "/bin/echo c");
    ok(slot_active(&h, &slot, &f) == CE_BAD_CONFIG, "a command that says another slot is refused: %s", f.text);
    cfg.slot_active_command[0] = 0;
    snprintf(cfg.files_path, sizeof cfg.files_path, "%s/app", dir);
    if (file_write_atomic(cfg.files_path, SPAN_LIT("old"), 0644) || handler_find(&cfg, dir, "files", &h, &f))
        abort();
    ok(slot_active(&h, &slot, &f) == CE_OK && slot == 'b', "a file from before the first update is slot b");
    CLEANUP(buf_free) struct buf b = BUF_INIT(64);
    ok(file_read(cfg.files_path, &b) == CE_OK && span_eq_str(buf_span(&b), "old") && slot_active(&h, &slot, &f) == CE_OK && slot == 'b', "under its name as before");
    unlink(cfg.files_path);
    if (symlink("/etc/passwd", cfg.files_path))
        abort();
    ok(slot_active(&h, &slot, &f) == CE_BAD_CONFIG, "a foreign link is left alone: %s", f.text);
}

static void test_choice(void)
{
    struct fault f;
    order_set(false);
    u.order.offered_s = clock_now_s();
    ok(update_choice(&u) == CHOICE_GO, "nobody was asked: go");
    cfg.update_ask = true;
    ok(update_choice(&u) == CHOICE_WAIT, "with update_ask: wait");
    u.order.forced = true;
    ok(update_choice(&u) == CHOICE_GO, "but not with what is forced");
    ok(choice_write(dir, 1, "decline", 0, &f) == CE_OK && update_choice(&u) == CHOICE_GO, "which cannot be declined");
    ok(choice_write(dir, 1, "postpone", clock_now_s() + 30 * 86400, &f) == CE_OK && update_choice(&u) == CHOICE_WAIT && u.order.until_s <= u.order.offered_s + 86400, "only be put off by a day");
    u.order.offered_s -= 86401;
    ok(update_choice(&u) == CHOICE_GO, "then it comes");
    u.order.forced = false;
    ok(update_choice(&u) == CHOICE_WAIT && u.order.until_s <= u.order.offered_s + 7 * 86400, "others by a week");
    u.order.offered_s -= 7 * 86400;
    ok(update_choice(&u) == CHOICE_GO, "then they come too");
    u.order.sequence = 2;
    ok(update_choice(&u) == CHOICE_WAIT, "a word of the user is for one order only");
}

int main(void)
{
    char cmd[PATH_MAX_LEN];
    shared = mmap(NULL, sizeof *shared + FILE_N, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !mkdtemp(dir))
        abort();
    file = (uint8_t *)(shared + 1);
    for (size_t i = 0; i < FILE_N; i++)
        file[i] = (uint8_t)(i * 2654435761u >> 24);
    for (size_t i = 0; i < sizeof blocks / 32; i++)
        sha256(span_of(file + i * BLOCK_N, FILE_N - i * BLOCK_N < BLOCK_N ? FILE_N - i * BLOCK_N : BLOCK_N), blocks + 32 * i);
    u = (struct updater){ .cfg = &cfg, .lock_fd = -1, .stop = &never };
    path_join(u.dir, "%s", dir);
    path_join(place, "%s/place", dir);
    cfg.download_stall_s = 5;
    cfg.health_limit_s = cfg.handler_limit_s = 5;
    pid_t pid = server_start();
    test_fetch(true);
    test_fetch(false);
    test_list();
    test_exec();
    test_slots();
    test_choice();
    net_close_p(&u.net);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    path_join(cmd, "rm -rf %s", dir);
    return system(cmd) ? 1 : done();
}
