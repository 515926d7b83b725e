/* exec.c: see exec.h. */
#include "agent/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define WORDS_MAX 32
#define GRACE_MS 2000 /* between SIGTERM and SIGKILL */

struct words {
    char text[256]; /* a configuration value */
    char *argv[WORDS_MAX + 1];
};

static const char *word_value(const struct exec_job *job, const char *word)
{
    const struct { const char *name, *value; } rows[] = {
        { "{file}", job->file }, { "{slot}", job->slot }, { "{release}", job->release }, { "{version}", job->version },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(word, rows[i].name) == 0)
            return rows[i].value ? rows[i].value : "";
    return word;
}

static enum err words_cut(const struct exec_job *job, struct words *w, struct fault *f)
{
    size_t n = 0;
    char *save = NULL;
    if (strlen(job->command) >= sizeof w->text)
        return fault_set(f, CE_BAD_CONFIG, "the command is too long: %.60s…", job->command);
    memcpy(w->text, job->command, strlen(job->command) + 1);
    for (char *word = strtok_r(w->text, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
        if (n == WORDS_MAX)
            return fault_set(f, CE_BAD_CONFIG, "a command has at most %d words: %.60s…", WORDS_MAX, job->command);
        w->argv[n++] = (char *)(uintptr_t)word_value(job, word);
    }
    w->argv[n] = NULL;
    return n ? CE_OK : fault_set(f, CE_BAD_CONFIG, "the command is empty");
}

/* In the child, between fork and exec. */
static _Noreturn void child_become(const struct exec_job *job, char **argv, char **env, int out)
{
    struct sigaction fresh = { .sa_handler = SIG_DFL };
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    for (int s = 1; s < 32; s++)
        sigaction(s, &fresh, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int in = open(job->input ? job->input : "/dev/null", O_RDONLY);
    if (in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(126);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    execve(argv[0], argv, env);
    dprintf(2, "%s: %s", argv[0], strerror(errno));
    _exit(127);
}

static pid_t child_start(const struct exec_job *job, char **argv, int out)
{
    char seq[64], attempt[32], release[128], version[128], slot[32];
    char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    snprintf(seq, sizeof seq, "CRADLE_SEQUENCE=%llu", (unsigned long long)job->sequence);
    snprintf(attempt, sizeof attempt, "CRADLE_ATTEMPT=%d", job->attempt);
    snprintf(release, sizeof release, "CRADLE_RELEASE=%s", job->release ? job->release : "");
    snprintf(version, sizeof version, "CRADLE_VERSION=%s", job->version ? job->version : "");
    snprintf(slot, sizeof slot, "CRADLE_SLOT=%s", job->slot ? job->slot : "");
    char *env[] = { path, seq, attempt, release, version, slot, NULL };
    pid_t pid = fork();
    if (pid == 0)
        child_become(job, argv, env, out);
    return pid;
}

static void tail_add(struct buf *tail, const uint8_t *p, size_t n)
{
    if (tail->len + n > 2048)
        buf_drop(tail, tail->len > 512 ? tail->len - 512 : 0);
    buf_put(tail, p, n);
}

/* What may stand in a report and in a record: printable, no '#'. */
static void tail_show(struct buf *tail, char *out, size_t cap)
{
    struct span s = span_trim(buf_span(tail));
    if (s.n > cap - 1)
        s = span_of(s.p + s.n - (cap - 1), cap - 1);
    for (size_t i = 0; i < s.n; i++)
        out[i] = s.p[i] < 0x20 || s.p[i] > 0x7e || s.p[i] == '#' ? (s.p[i] == '\n' ? ' ' : '?') : (char)s.p[i];
    out[s.n] = 0;
    for (size_t n = s.n; n && out[n - 1] == ' '; n--)
        out[n - 1] = 0;
    size_t skip = strspn(out, " ");
    memmove(out, out + skip, strlen(out) - skip + 1);
}

/* Reads what comes until the group has ended; SIGTERM at the limit, SIGKILL a little later. */
static int child_wait(pid_t pid, int in, int64_t limit_s, struct buf *tail)
{
    int64_t end_ms = clock_mono_ms() + limit_s * 1000, kill_ms = 0;
    uint8_t chunk[1024];
    int status = 0;
    for (;;) {
        struct pollfd p = { .fd = in, .events = POLLIN };
        poll(&p, 1, 20);
        ssize_t n = in >= 0 ? read(in, chunk, sizeof chunk) : 0;
        if (n > 0)
            tail_add(tail, chunk, (size_t)n);
        pid_t got = n > 0 ? 0 : waitpid(pid, &status, WNOHANG);
        if (got == pid || (got < 0 && errno == ECHILD)) {
            while ((n = read(in, chunk, sizeof chunk)) > 0)
                tail_add(tail, chunk, (size_t)n);
            return kill_ms ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int64_t now_ms = clock_mono_ms();
        if (!kill_ms && now_ms >= end_ms) {
            kill(-pid, SIGTERM);
            kill_ms = now_ms + GRACE_MS;
        } else if (kill_ms && now_ms >= kill_ms) {
            kill(-pid, SIGKILL);
        }
    }
}

enum err exec_run(const struct exec_job *job, struct exec_result *result, struct fault *f)
{
    struct words w;
    int ends[2];
    CLEANUP(buf_free) struct buf tail = BUF_INIT(4096);
    *result = (struct exec_result){ .code = -1 };
    enum err e = words_cut(job, &w, f);
    if (e)
        return e;
    if (w.argv[0][0] != '/')
        return fault_set(f, CE_BAD_CONFIG, "a command begins with the full path of its program: %.60s", w.argv[0]);
    if (pipe2(ends, O_CLOEXEC))
        return fault_set(f, err_from_errno(errno), "pipe: %s", strerror(errno));
    CLEANUP(fd_close_p) int in = ends[0];
    int out = ends[1];
    fcntl(in, F_SETFL, O_NONBLOCK);
    pid_t pid = child_start(job, w.argv, out);
    fd_close_p(&out);
    if (pid < 0)
        return fault_set(f, err_from_errno(errno), "cannot start %s: %s", w.argv[0], strerror(errno));
    result->code = child_wait(pid, in, job->limit_s, &tail);
    tail_show(&tail, result->out, sizeof result->out);
    if (result->code == 0)
        return CE_OK;
    if (result->code < 0)
        return fault_set(f, CE_TIMEOUT, "%s did not end within %lld s: %s", w.argv[0], (long long)job->limit_s, result->out);
    return fault_set(f, CE_IO, "%s ended with %d: %s", w.argv[0], result->code, result->out);
}
