/* tiles_thread.h: the one thread that writes the evidence log's files, so that nobody who decides waits for a disk. It takes one job
 * (tiles.h) at a time, runs it and says so on an eventfd. It knows no database and no keys, and touches nothing but its job.
 *
 * Until tile_thread_start a job runs inside tile_thread_give: at start there is nothing to be kept waiting, and tests and benchmarks
 * without a loop need no thread. All calls from one thread, that of the engine.
 */
#ifndef CRADLE_CORE_TILES_THREAD_H
#define CRADLE_CORE_TILES_THREAD_H

#include "core/tiles.h"

struct tile_thread; /* owned */
struct tile_thread *tile_thread_new(int wake_fd); /* an eventfd, written when a job is done; duplicated; -1: none */
/* Start it when the process has given up files and before it gives up system calls (role/jail.h): it is then confined like the
 * rest. All signals are blocked in it. When this returns it waits for work, past everything that a thread does at its start.
 * CE_IO: there can be no thread. */
MUST_USE enum err tile_thread_start(struct tile_thread *t, struct fault *f);
/* Hands the job over; it is the thread's until tile_thread_take. At most one at a time. */
void tile_thread_give(struct tile_thread *t, struct tile_job *job);
bool tile_thread_take(struct tile_thread *t, enum err *result); /* true once for each job, when it is done */
bool tile_thread_wait(struct tile_thread *t, int64_t timeout_ms); /* true: nothing is being written now */
/* Waits for the job in hand, then ends the thread and frees t. False when the disk did not answer in time: then t and its job
 * are left to the thread, and the process can only exit. */
bool tile_thread_stop(struct tile_thread *t, int64_t timeout_ms);

#endif
