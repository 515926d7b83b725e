/* job_thread.h: a thread that writes files, so that nobody who decides waits for a disk: one for the evidence log (tiles.h), one for CRLs
 * (crl_make.h). It takes one job at a time, runs it and says so on an eventfd. It knows no keys, and touches nothing but its job.
 *
 * Until job_thread_start a job runs inside job_thread_give: at start there is nothing to be kept waiting, and tests and benchmarks
 * without a loop need no thread. All calls from one thread, that of the engine.
 */
#ifndef CRADLE_CORE_JOB_THREAD_H
#define CRADLE_CORE_JOB_THREAD_H

#include <stdint.h>

#include "base/err.h"

typedef enum err job_fn(void *job);
struct job_thread; /* owned */
struct job_thread *job_thread_new(int wake_fd); /* an eventfd, written when a job is done; duplicated; -1: none */
/* Start it when the process has given up files and before it gives up system calls (role/jail.h): it is then confined like the
 * rest. All signals are blocked in it. When this returns it waits for work, past everything that a thread does at its start.
 * CE_IO: there can be no thread. */
MUST_USE enum err job_thread_start(struct job_thread *t, struct fault *f);
/* Hands the job over; it is the thread's until job_thread_take. At most one at a time. */
void job_thread_give(struct job_thread *t, job_fn *fn, void *job);
bool job_thread_take(struct job_thread *t, enum err *result); /* true once for each job, when it is done */
bool job_thread_wait(struct job_thread *t, int64_t timeout_ms); /* true: nothing is being written now */
/* Waits for the job in hand, then ends the thread and frees t. False when the disk did not answer in time: then t and its job
 * are left to the thread, and the process can only exit. */
bool job_thread_stop(struct job_thread *t, int64_t timeout_ms);

#endif
