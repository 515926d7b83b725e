/* jail.c: see jail.h. The lists are tables; each says why a call is there. */
#include "role/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/landlock.h"

#define NR(x) SCMP_SYS(x)
#define END_OF_LIST (-0x7fffffff)

/* memory, time, exit, random numbers, waiting: every role */
static const int calls_all[] = {
    NR(read), NR(write), NR(readv), NR(writev), NR(close), NR(poll), NR(ppoll), NR(exit), NR(exit_group), NR(futex), NR(brk),
    NR(munmap), NR(mremap), NR(madvise), NR(clock_gettime), NR(clock_nanosleep), NR(nanosleep), NR(gettimeofday), NR(time),
    NR(getrandom), NR(rt_sigreturn), NR(rt_sigprocmask), NR(rt_sigaction), NR(restart_syscall), NR(sched_yield), NR(getpid),
    NR(gettid), END_OF_LIST,
};

/* the event loop, channels and the parent's link */
static const int calls_loop[] = {
    NR(epoll_wait), NR(epoll_pwait), NR(epoll_pwait2), NR(epoll_ctl), NR(recvmsg), NR(recvfrom), NR(sendto), NR(sendmsg),
    NR(getsockopt), NR(fcntl), END_OF_LIST,
};

/* connections from nginx on the listening socket opened before */
static const int calls_accept[] = {
    NR(accept4), NR(accept), NR(setsockopt), NR(getsockname), NR(getpeername), NR(shutdown), END_OF_LIST,
};

/* SQLite and the log's tiles, reading; locks are fcntl; the write to the database's shared-memory index is a mapping */
static const int calls_files_read[] = {
    NR(fstat), NR(newfstatat), NR(statx), NR(stat), NR(lstat), NR(access), NR(faccessat), NR(faccessat2), NR(lseek), NR(pread64),
    NR(getcwd), NR(readlink), NR(readlinkat), NR(geteuid), NR(getuid), NR(fadvise64), END_OF_LIST,
};

/* SQLite's journal, tiles, checkpoint and CRLs, writing; where: Landlock and the file permissions */
static const int calls_files_write[] = {
    NR(openat), NR(open), NR(pwrite64), NR(pwritev), NR(fsync), NR(fdatasync), NR(sync_file_range),
    NR(ftruncate), NR(fallocate), NR(unlink), NR(unlinkat),
    NR(rename), NR(renameat), NR(renameat2), NR(link), NR(linkat), NR(mkdir), NR(mkdirat), NR(fchmod), NR(fchown), NR(getdents64),
    NR(fstatfs), NR(statfs), NR(umask), NR(rmdir), END_OF_LIST,
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
/* The sanitizers' own run-time library calls these; this list does not exist in a release build. No open, no socket. */
static const int calls_sanitizer[] = { NR(sigaltstack), NR(prctl), NR(mprotect), NR(getppid), NR(kill), NR(readlink), NR(sched_getaffinity),
                                       NR(set_robust_list), NR(rseq), END_OF_LIST };
#endif

/* what vendors' modules do besides files: locks, threads of their own, questions about the machine */
static const int calls_module[] = {
    NR(flock), NR(sysinfo), NR(uname), NR(getppid), NR(getegid), NR(getgid), NR(getrusage), NR(prlimit64), NR(getrlimit), NR(sched_getaffinity),
    NR(sched_getparam), NR(sched_getscheduler), NR(set_robust_list), NR(rseq), NR(sigaltstack), NR(clock_getres), NR(times), NR(pipe2), NR(pipe),
    NR(eventfd2), NR(dup), NR(select), NR(pselect6), NR(utimensat), NR(set_tid_address), NR(getdents), NR(epoll_create1), END_OF_LIST,
};
/* hsm_connect: a daemon on this host, or an HSM in the network */
static const int calls_connect[] = {
    NR(connect), NR(getsockname), NR(getpeername), NR(setsockopt), NR(shutdown), NR(sendmmsg), NR(recvmmsg), END_OF_LIST,
};

static const int *const lists[JAIL_COUNT][6] = {
    [JAIL_FRONT] = { calls_all, calls_loop, calls_accept },
    [JAIL_CORE] = { calls_all, calls_loop, calls_files_read, calls_files_write },
    [JAIL_QUERY] = { calls_all, calls_loop, calls_files_read },
    [JAIL_DEPOT] = { calls_all, calls_loop, calls_files_read, calls_files_write },
    [JAIL_SIGNER] = { calls_all },
    [JAIL_HSM] = { calls_all, calls_loop, calls_files_read, calls_files_write, calls_module },
};

static const char *const jail_names[JAIL_COUNT] = { "front", "core", "query", "depot", "signer", "hsm" };

static int allow_list(scmp_filter_ctx ctx, const int *list)
{
    int rc = 0;
    for (; rc == 0 && *list != END_OF_LIST; list++)
        if (*list >= 0) /* negative: this architecture does not have the call */
            rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, *list, 0);
    return rc;
}

/* Calls that are allowed with some arguments only. */
static int allow_with_arguments(scmp_filter_ctx ctx, enum jail j)
{
    int rc = 0;
    /* abort() of a broken invariant; other roles run as the same user and are not to be killed from here */
    const struct scmp_arg_cmp own = { .arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid() }; /* SCMP_A0 does not pass clang's -Wextra */
    rc |= seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, NR(tgkill), 1, &own);
    /* no memory that is ever executable */
    rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, NR(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
#ifndef SANITIZED
    rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, NR(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
#endif
    if (j == JAIL_HSM) { /* dlopen of something more fails, and the module may go on without */
        rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), NR(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
        rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), NR(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
    }
    if (j != JAIL_SIGNER) /* libevent asks how much can be read */
        rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, NR(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD, 0));
    if (j == JAIL_QUERY) {
        /* read-only opens; a writing one fails without killing: SQLite tries that first, then falls back */
        rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, NR(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
        rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), NR(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, O_RDWR));
    }
    return rc;
}

/* Threads, never processes; sockets as far as the configuration says. What is not allowed here fails, instead of ending the process: it is not our code. */
static int allow_module(scmp_filter_ctx ctx, const char *connect)
{
    const struct scmp_arg_cmp thread = { .arg = 0, .op = SCMP_CMP_MASKED_EQ, .datum_a = CLONE_THREAD, .datum_b = CLONE_THREAD };
    const struct scmp_arg_cmp family[] = { { .arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_UNIX }, { .arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_INET },
                                           { .arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_INET6 } };
    size_t n = strcmp(connect, "tcp") == 0 ? 3 : strcmp(connect, "unix") == 0;
    int rc = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, NR(clone), 1, &thread);
    rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), NR(clone3), 0); /* its flags cannot be seen: glibc takes clone then */
    for (size_t i = 0; i < n; i++)
        rc |= seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, NR(socket), 1, &family[i]);
    for (size_t i = n; i < ARRAY_LEN(family); i++)
        rc |= seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EACCES), NR(socket), 1, &family[i]);
    return rc ? rc : n ? allow_list(ctx, calls_connect) : 0;
}

static enum err calls_enter(enum jail j, const char *connect, struct fault *f)
{
    INVARIANT((unsigned)j < JAIL_COUNT);
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc = ctx ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(lists[j]) && lists[j][i]; i++)
        rc = allow_list(ctx, lists[j][i]);
#ifdef SANITIZED
    if (rc == 0)
        rc = allow_list(ctx, calls_sanitizer);
#endif
    if (rc == 0)
        rc = allow_with_arguments(ctx, j);
    if (rc == 0 && j == JAIL_HSM)
        rc = allow_module(ctx, connect);
    if (rc == 0)
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1); /* every thread, or none */
    if (rc == 0)
        rc = seccomp_load(ctx);
    seccomp_release(ctx);
    if (rc)
        return fault_set(f, CE_UNSUPPORTED, "the %s role cannot enter its seccomp jail: %s; a kernel with seccomp filters is needed",
                         jail_names[j], strerror(-rc));
    return CE_OK;
}

enum err jail_calls(enum jail j, struct fault *f) { return calls_enter(j, "no", f); }
enum err jail_hsm_calls(const char *connect, struct fault *f) { return calls_enter(JAIL_HSM, connect, f); }

enum err jail_prepare(struct fault *f)
{
    struct rlimit none = { 0, 0 };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return fault_set(f, CE_UNSUPPORTED, "cannot give up privileges: %s", strerror(errno));
    return CE_OK;
}

enum err jail_files(enum jail j, const char *site, struct fault *f)
{
    static const struct landlock_rule rules[JAIL_COUNT][6] = {
        [JAIL_CORE] = { { "db", LANDLOCK_WRITE }, { "log", LANDLOCK_WRITE }, { "pub", LANDLOCK_WRITE }, { "trust", LANDLOCK_READ } },
        [JAIL_QUERY] = { { "db", LANDLOCK_WRITE }, { "log", LANDLOCK_READ } },
        [JAIL_DEPOT] = { { "artifact", LANDLOCK_WRITE }, { "delta", LANDLOCK_WRITE }, { "depot", LANDLOCK_WRITE }, { "run/nginx/client_body", LANDLOCK_READ } },
    };
    INVARIANT((unsigned)j < JAIL_COUNT);
    INVARIANT(site || !rules[j][0].path);
    enum err e = jail_prepare(f);
    return e ? e : landlock_enter(site, rules[j], LANDLOCK_NO_TCP, f);
}

enum err jail_enter(enum jail j, const char *site, struct fault *f)
{
    enum err e = jail_files(j, site, f);
    return e ? e : jail_calls(j, f);
}

enum err jail_hsm_files(const char *site, const char *paths, bool tcp, struct fault *f)
{
    struct landlock_rule rules[JAIL_HSM_PATHS + 10] = { { "ca", LANDLOCK_READ }, { "profiles", LANDLOCK_READ }, { "trust", LANDLOCK_READ }, { "keys", LANDLOCK_READ },
                                                        { "/usr", LANDLOCK_READ }, { "/lib", LANDLOCK_READ }, { "/etc", LANDLOCK_READ } };
    char text[JAIL_HSM_PATHS_LEN];
    size_t n = 7;
    if (span_to_cstr(span_str(paths), text, sizeof text))
        return fault_set(f, CE_BAD_CONFIG, "hsm_paths is too long");
    for (char *at = text, *word; (word = strsep(&at, " "));) {
        if (!*word)
            continue;
        if (n == ARRAY_LEN(rules) - 1)
            return fault_set(f, CE_BAD_CONFIG, "hsm_paths has more than %d folders", JAIL_HSM_PATHS);
        rules[n++] = (struct landlock_rule){ word, LANDLOCK_WRITE };
    }
    enum err e = jail_prepare(f);
    return e ? e : landlock_enter(site, rules, tcp ? LANDLOCK_CONNECT : LANDLOCK_NO_TCP, f);
}
