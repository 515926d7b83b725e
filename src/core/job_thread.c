/* job_thread.c: see job_thread.h. */
#include "core/job_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum job_state { JOB_NONE, JOB_GIVEN, JOB_DONE };

struct job_thread {
    int wake_fd;
    bool started;
    pthread_t thread;
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t changed;
    bool up, quit;
    enum job_state state;
    job_fn *fn;
    void *job;
    enum err result;
};

struct job_thread *job_thread_new(int wake_fd)
{
    struct job_thread *t = mem_calloc(1, sizeof *t);
    t->wake_fd = wake_fd < 0 ? -1 : fcntl(wake_fd, F_DUPFD_CLOEXEC, 0);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    return t;
}

static void wake(const struct job_thread *t)
{
    const uint64_t one = 1;
    if (t->wake_fd >= 0 && write(t->wake_fd, &one, sizeof one) != sizeof one)
        log_debug(0, "a writer's event is pending already");
}

static void *thread_main(void *arg)
{
    struct job_thread *t = arg;
    free(mem_alloc(64)); /* the C library asks the kernel for processors at a thread's first allocation: before the jail */
    pthread_mutex_lock(&t->lock);
    t->up = true;
    pthread_cond_broadcast(&t->changed);
    for (;;) {
        while (t->state != JOB_GIVEN && !t->quit)
            pthread_cond_wait(&t->changed, &t->lock);
        if (t->state != JOB_GIVEN)
            break;
        pthread_mutex_unlock(&t->lock);
        enum err e = t->fn(t->job);
        pthread_mutex_lock(&t->lock);
        t->result = e;
        t->state = JOB_DONE;
        pthread_cond_broadcast(&t->changed);
        wake(t);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

enum err job_thread_start(struct job_thread *t, struct fault *f)
{
    sigset_t all, was;
    INVARIANT(!t->started && t->state == JOB_NONE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    int rc = pthread_create(&t->thread, NULL, thread_main, t);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    if (rc)
        return fault_set(f, CE_IO, "a thread that writes files cannot start: %s", strerror(rc));
    t->started = true;
    pthread_mutex_lock(&t->lock);
    while (!t->up)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    return CE_OK;
}

void job_thread_give(struct job_thread *t, job_fn *fn, void *job)
{
    if (!t->started) {
        INVARIANT(t->state == JOB_NONE);
        t->result = fn(job);
        t->state = JOB_DONE;
        return;
    }
    pthread_mutex_lock(&t->lock);
    INVARIANT(t->state == JOB_NONE);
    t->fn = fn;
    t->job = job;
    t->state = JOB_GIVEN;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

bool job_thread_take(struct job_thread *t, enum err *result)
{
    pthread_mutex_lock(&t->lock);
    bool done = t->state == JOB_DONE;
    if (done) {
        *result = t->result;
        t->state = JOB_NONE;
    }
    pthread_mutex_unlock(&t->lock);
    return done;
}

bool job_thread_wait(struct job_thread *t, int64_t timeout_ms)
{
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&t->lock);
    while (t->state == JOB_GIVEN && rc != ETIMEDOUT)
        rc = pthread_cond_clockwait(&t->changed, &t->lock, CLOCK_MONOTONIC, &until);
    bool quiet = t->state != JOB_GIVEN;
    pthread_mutex_unlock(&t->lock);
    return quiet;
}

bool job_thread_stop(struct job_thread *t, int64_t timeout_ms)
{
    if (!job_thread_wait(t, timeout_ms))
        return false;
    if (t->started) {
        pthread_mutex_lock(&t->lock);
        t->quit = true;
        pthread_cond_broadcast(&t->changed);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
    }
    fd_close_p(&t->wake_fd);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
    return true;
}
