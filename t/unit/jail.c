/* jail.c: a role in its jail dies of a forbidden call and works on with the allowed ones. */
#include "role/jail.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "role/landlock.h"
#include "role/link.h"
#include "t/tap.h"

static char site[] = "/tmp/cradle-jail-XXXXXX";
static int pipe_fd[2];

/* Each returns 0 when the call worked, 1 when it failed with an error. */
static int call_open(void) { return open("/etc/hostname", O_RDONLY) < 0; }
static int call_socket(void) { return socket(AF_INET, SOCK_STREAM, 0) < 0; }
static int call_fork(void) { return fork() < 0; }
static int call_exec(void)
{
    char name[] = "true", *argv[] = { name, NULL };
    return execv("/bin/true", argv);
}
static int call_executable(void) { return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED; }
static int call_connect(void)
{
    struct sockaddr a = { .sa_family = AF_UNIX };
    return connect(pipe_fd[0], &a, sizeof a);
}
static int call_open_db(void)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/db/file", site);
    return open(path, O_RDONLY) < 0;
}
static int call_write_db(void)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/db/new", site);
    return open(path, O_RDWR | O_CREAT, 0600) < 0;
}
static int call_open_keys(void)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/keys/secret", site);
    return open(path, O_RDONLY) < 0;
}
static int call_work(void)
{
    char c = 'x', *m = mem_alloc(5 << 20);
    uint8_t r[16];
    memset(m, 1, 5 << 20);
    int bad = write(pipe_fd[1], &c, 1) != 1 || read(pipe_fd[0], &c, 1) != 1 || random_bytes(r, sizeof r) || clock_now_ms() == 0;
    free(m);
    return bad;
}

static int key_order(const void *a, const void *b) { return memcmp(a, b, 20); }
static int call_sort(void) /* what a hundred revocations at once make core do */
{
    uint8_t keys[100][20];
    memset(keys, 7, sizeof keys);
    keys[99][0] = 1;
    qsort(keys, 100, 20, key_order);
    return keys[0][0] != 1;
}

/* The signal that ended the child, or minus its exit code. */
static int in_jail(enum jail j, int (*call)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct fault f = { 0 };
        alarm(20);
        role_warm();
        if (jail_enter(j, site, &f)) {
            fprintf(stderr, "%s\n", f.text);
            _exit(99);
        }
        _exit(call());
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

/* A vendor's module: what it must not do fails where it may go on without, and kills where it would begin another process. */
static int in_hsm_jail(const char *connect, const char *paths, int (*call)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct fault f = { 0 };
        alarm(20);
        role_warm();
        if (jail_hsm_files(site, paths, strcmp(connect, "tcp") == 0, &f) || jail_hsm_calls(connect, &f)) {
            fprintf(stderr, "%s\n", f.text);
            _exit(99);
        }
        _exit(call());
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void test_hsm(void)
{
    char db[PATH_MAX_LEN];
    path_join(db, "%s/db", site);
    ok(in_hsm_jail("no", "", call_work) == 0, "hsm: allowed work goes on");
    ok(in_hsm_jail("no", "", call_socket) == -1, "hsm: no socket");
    ok(in_hsm_jail("unix", "", call_socket) == -1, "hsm: hsm_connect = unix gives none to the network");
    ok(in_hsm_jail("tcp", "", call_socket) == 0, "hsm: hsm_connect = tcp does");
    ok(in_hsm_jail("tcp", "", call_fork) == SIGSYS, "hsm: fork kills it");
    ok(in_hsm_jail("tcp", "", call_exec) == SIGSYS, "hsm: exec kills it");
    ok(in_hsm_jail("no", "", call_executable) == -1, "hsm: no executable memory");
    ok(in_hsm_jail("no", db, call_write_db) == 0, "hsm: it writes in hsm_paths");
    int other = in_hsm_jail("no", "", call_write_db);
    ok(landlock_abi() ? other == -1 : other == 0, "hsm: and nowhere else where the kernel has Landlock (%d)", other);
}

/* A thread that was made between the two halves of the jail, and is past its start; it waits for a byte before its call. */
static int (*thread_call)(void);
static int up_pipe[2], go_pipe[2];
static void *thread_main(void *arg)
{
    char c;
    (void)arg;
    if (write(up_pipe[1], "x", 1) != 1 || read(go_pipe[0], &c, 1) != 1)
        _exit(98);
    _exit(thread_call());
}

static int thread_in_jail(int (*call)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct fault f = { 0 };
        pthread_t t;
        char c;
        alarm(20);
        role_warm();
        thread_call = call;
        if (pipe(up_pipe) || pipe(go_pipe) || jail_files(JAIL_CORE, site, &f) || pthread_create(&t, NULL, thread_main, NULL) || read(up_pipe[0], &c, 1) != 1)
            _exit(97);
        if (jail_calls(JAIL_CORE, &f) || write(go_pipe[1], "x", 1) != 1)
            _exit(96);
        for (;;)
            poll(NULL, 0, 1000);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static bool given_up(void)
{
    struct rlimit r = { 1, 1 };
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && getrlimit(RLIMIT_CORE, &r) == 0 &&
           r.rlim_max == 0;
}

static int prepared(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct fault f = { 0 };
        _exit(jail_prepare(&f) || !given_up());
    }
    waitpid(pid, &status, 0);
    return status;
}

static void make_site(void)
{
    char path[PATH_MAX_LEN];
    static const char *const folders[] = { "db", "log", "pub", "trust", "keys" };
    ok(mkdtemp(site) != NULL, "a site folder");
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        path_join(path, "%s/%s", site, folders[i]);
        mkdir(path, 0700);
    }
    path_join(path, "%s/db/file", site);
    ok(file_write_atomic(path, SPAN_LIT("x"), 0600) == CE_OK, "a file in db");
    path_join(path, "%s/keys/secret", site);
    ok(file_write_atomic(path, SPAN_LIT("x"), 0600) == CE_OK, "a file in keys");
}

int main(void)
{
    static const struct {
        enum jail j;
        const char *what;
        int (*call)(void);
        int want; /* signal, or -exit code */
    } cases[] = {
        { JAIL_SIGNER, "signer: allowed work goes on", call_work, 0 },
        { JAIL_SIGNER, "signer: open kills it", call_open, SIGSYS },
        { JAIL_SIGNER, "signer: socket kills it", call_socket, SIGSYS },
        { JAIL_SIGNER, "signer: connect kills it", call_connect, SIGSYS },
        { JAIL_SIGNER, "signer: fork kills it", call_fork, SIGSYS },
        { JAIL_SIGNER, "signer: exec kills it", call_exec, SIGSYS },
        { JAIL_SIGNER, "signer: executable memory kills it", call_executable, SIGSYS },
        { JAIL_FRONT, "front: allowed work goes on", call_work, 0 },
        { JAIL_FRONT, "front: open kills it", call_open, SIGSYS },
        { JAIL_FRONT, "front: connect kills it", call_connect, SIGSYS },
        { JAIL_FRONT, "front: exec kills it", call_exec, SIGSYS },
        { JAIL_QUERY, "query: allowed work goes on", call_work, 0 },
        { JAIL_QUERY, "query: may read the database", call_open_db, 0 },
        { JAIL_QUERY, "query: making a file kills it or fails", call_write_db, -1 },
        { JAIL_QUERY, "query: socket kills it", call_socket, SIGSYS },
        { JAIL_QUERY, "query: fork kills it", call_fork, SIGSYS },
        { JAIL_DEPOT, "depot: allowed work goes on", call_work, 0 },
        { JAIL_DEPOT, "depot: socket kills it", call_socket, SIGSYS },
        { JAIL_DEPOT, "depot: fork kills it", call_fork, SIGSYS },
        { JAIL_DEPOT, "depot: exec kills it", call_exec, SIGSYS },
        { JAIL_DEPOT, "depot: executable memory kills it", call_executable, SIGSYS },
        { JAIL_CORE, "core: allowed work goes on", call_work, 0 },
        { JAIL_CORE, "core: and so does sorting a large array", call_sort, 0 },
        { JAIL_CORE, "core: may write the database", call_write_db, 0 },
        { JAIL_CORE, "core: socket kills it", call_socket, SIGSYS },
        { JAIL_CORE, "core: exec kills it", call_exec, SIGSYS },
        { JAIL_CORE, "core: fork kills it", call_fork, SIGSYS },
    };
    char cmd[128];
    make_site();
    ok(pipe(pipe_fd) == 0, "a pipe");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int got = in_jail(cases[i].j, cases[i].call);
        ok(got == cases[i].want, "%s (%d)", cases[i].what, got);
    }
    int keys = in_jail(JAIL_CORE, call_open_keys);
    ok(landlock_abi() ? keys == -1 : keys == 0, "core: keys/ is out of reach where the kernel has Landlock (ABI %d: %d)", landlock_abi(), keys);
    ok(thread_in_jail(call_write_db) == 0, "a thread of core may write the database");
    ok(thread_in_jail(call_socket) == SIGSYS, "socket kills the process from its other thread too");
    keys = thread_in_jail(call_open_keys);
    ok(landlock_abi() ? keys == -1 : keys == 0, "and keys/ is out of reach of it as well (%d)", keys);
    test_hsm();
    ok(prepared() == 0, "the signer is not dumpable, has no core dumps and gains no privileges");
    snprintf(cmd, sizeof cmd, "rm -rf %s", site);
    ok(system(cmd) == 0, "cleaned up");
    return done();
}
