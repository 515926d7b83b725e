/* alarm_exec.c: runs one program for a channel: no shell, an environment of its own, a time limit on it and its children. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/cli.h"

#define SAID_KEPT 4096

struct run {
    pid_t pid;
    int in, err, pidfd;     /* ends of ours; -1 when closed */
    struct span input;      /* not written yet */
    struct buf said;        /* the last of what it wrote on standard error */
};

/* Only calls that are safe after fork in a process with threads. */
static _Noreturn void child(char *const argv[], char *const env[], int in, int err)
{
    sigset_t none;
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    int null = open("/dev/null", O_WRONLY);
    setpgid(0, 0);
    for (int sig = 1; sig < NSIG; sig++)
        sigaction(sig, &dfl, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    bool ok = dup2(in, 0) == 0 && dup2(null, 1) == 1 && dup2(err, 2) == 2 && chdir("/") == 0;
    close_range(3, ~0u, 0);
    if (ok)
        execve(argv[0], argv, env);
    static const char text[] = "cannot be started\n";
    (void)!write(2, text, sizeof text - 1);
    _exit(127);
}

static bool run_start(struct run *r, char *const argv[], char *const env[])
{
    int in[2], err[2];
    if (pipe2(in, O_CLOEXEC))
        return false;
    if (pipe2(err, O_CLOEXEC)) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    r->pid = fork();
    if (r->pid == 0)
        child(argv, env, in[0], err[1]);
    close(in[0]);
    close(err[1]);
    r->in = in[1];
    r->err = err[0];
    if (r->pid > 0) {
        setpgid(r->pid, r->pid); /* whoever of the two comes first */
        r->pidfd = pidfd_open(r->pid, 0);
    }
    fcntl(r->in, F_SETFL, O_NONBLOCK);
    fcntl(r->err, F_SETFL, O_NONBLOCK);
    return r->pid > 0;
}

static void input_write(struct run *r)
{
    ssize_t n = write(r->in, r->input.p, r->input.n);
    if (n > 0)
        r->input = span_of(r->input.p + n, r->input.n - (size_t)n);
    if (!r->input.n || (n < 0 && errno != EAGAIN && errno != EINTR))
        fd_close_p(&r->in); /* a program need not read it */
}

static void said_read(struct run *r)
{
    uint8_t chunk[1024];
    ssize_t n = read(r->err, chunk, sizeof chunk);
    if (n > 0) {
        buf_put(&r->said, chunk, (size_t)n);
        if (r->said.len > SAID_KEPT)
            buf_drop(&r->said, r->said.len - SAID_KEPT);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        fd_close_p(&r->err);
}

/* Feeds and listens until the program has ended; false: it has not in time. */
static bool run_wait(struct run *r, int64_t until_ms)
{
    for (;;) {
        int64_t left = until_ms - clock_mono_ms();
        struct pollfd p[3] = { { r->pidfd, POLLIN, 0 }, { r->in, POLLOUT, 0 }, { r->err, POLLIN, 0 } };
        if (left <= 0)
            return false;
        if (poll(p, 3, r->pidfd < 0 && left > 20 ? 20 : (int)left) < 0 && errno != EINTR)
            return false;
        if (p[1].revents)
            input_write(r);
        if (p[2].revents)
            said_read(r);
        siginfo_t si = { 0 };
        if (waitid(P_PID, (id_t)r->pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid == r->pid)
            return true;
    }
}

/* The last line, made safe. */
static void said_line(struct run *r, char *said, size_t cap)
{
    CLEANUP(buf_free) struct buf safe = BUF_INIT(0);
    struct span text = span_trim(buf_span(&r->said));
    size_t from = text.n;
    while (from && text.p[from - 1] != '\n')
        from--;
    CLEANUP(mem_free_p) char *line = mem_alloc(text.n - from + 1);
    if (text.n > from)
        memcpy(line, text.p + from, text.n - from);
    line[text.n - from] = 0;
    cli_safe(&safe, line, (int)cap - 1);
    snprintf(said, cap, "%s", safe.len ? buf_cstr(&safe) : "");
}

int alarm_exec(char *const argv[], char *const env[], struct span input, int64_t timeout_ms, char *said, size_t cap)
{
    struct run r = { .in = -1, .err = -1, .pidfd = -1, .input = input, .said = BUF_INIT(2 * SAID_KEPT) };
    int status = 0, code = -1;
    said[0] = 0;
    if (!run_start(&r, argv, env)) {
        snprintf(said, cap, "no process can be made: %s", strerror(errno));
    } else {
        bool ended = run_wait(&r, clock_mono_ms() + timeout_ms);
        if (!ended)
            kill(-r.pid, SIGKILL); /* with its children; one that ended in time may have left some at work */
        while (waitpid(r.pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (r.err >= 0)
            said_read(&r);
        said_line(&r, said, cap);
        if (!ended)
            snprintf(said, cap, "did not end within %lld s", (long long)(timeout_ms / 1000));
        else
            code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    fd_close_p(&r.in);
    fd_close_p(&r.err);
    fd_close_p(&r.pidfd);
    buf_free(&r.said);
    return code;
}
