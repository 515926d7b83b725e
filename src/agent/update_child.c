/* update_child.c: see update_child.h. */
#include "agent/update_child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define STOP_LIMIT_MS 10000

static void child_start(struct agent *a, int64_t now_ms)
{
    pid_t parent = getpid();
    a->update_pid = fork();
    if (a->update_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(1);
        execl("/proc/self/exe", "cradle-agent", "-c", a->config_path, "update", "run", (char *)NULL);
        _exit(127);
    }
    if (a->update_pid < 0) {
        log_warn(0, "cannot start the update client: %s", strerror(errno));
        a->next_update_ms = now_ms + agent_backoff_ms(a, a->update_attempts++);
    }
}

void update_child_keep(struct agent *a, int64_t now_ms)
{
    int status;
    if (a->update_pid > 0 && waitpid(a->update_pid, &status, WNOHANG) == a->update_pid) {
        a->update_pid = 0;
        a->next_update_ms = now_ms + 1000 + agent_backoff_ms(a, a->update_attempts++);
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            log_warn(0, "the update client ended (%s %d)", WIFEXITED(status) ? "code" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
    bool identity = a->phase == CRADLE_CURRENT || a->phase == CRADLE_CANDIDATE;
    if (a->cfg.update_poll_s && identity && a->update_pid <= 0 && now_ms >= a->next_update_ms)
        child_start(a, now_ms);
}

void update_child_stop(struct agent *a)
{
    int64_t end_ms = clock_mono_ms() + STOP_LIMIT_MS;
    if (a->update_pid <= 0)
        return;
    kill(a->update_pid, SIGTERM);
    while (waitpid(a->update_pid, NULL, WNOHANG) == 0 && clock_mono_ms() < end_ms)
        usleep(20000);
    a->update_pid = 0;
}
