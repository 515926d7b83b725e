/* depot_delta.c: see depot_delta.h. */
#include "role/depot_delta.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "role/depot_priv.h"
#include "wire/delta.h"

#define JOBS 16
#define WORTH_PERCENT 80
#define NICE 19
#define STACK (1 << 20)

struct job { uint8_t from[32], to[32]; };

struct depot_delta {
    char site[PATH_MAX_LEN];
    int64_t cache;
    pthread_t thread;
    pthread_mutex_t lock;       /* guards jobs and n */
    pthread_cond_t more, begun;
    bool running;
    struct job jobs[JOBS];      /* the first one is being made */
    size_t n;
    atomic_bool stop;
};

static void delta_path(const struct depot_delta *x, const struct job *j, const char *suffix, char out[PATH_MAX_LEN])
{
    CLEANUP(buf_free) struct buf from = BUF_INIT(0), to = BUF_INIT(0);
    buf_put_hex(&from, span_of(j->from, 32));
    buf_put_hex(&to, span_of(j->to, 32));
    path_join(out, "%s/delta/" SPAN_FMT "-" SPAN_FMT "%s", x->site, SPAN_ARG(buf_span(&from)), SPAN_ARG(buf_span(&to)), suffix);
}

static void artifact_path(const struct depot_delta *x, const uint8_t sha256[32], const char *suffix, char out[PATH_MAX_LEN])
{
    CLEANUP(buf_free) struct buf hex = BUF_INIT(0);
    buf_put_hex(&hex, span_of(sha256, 32));
    path_join(out, "%s/artifact/" SPAN_FMT "%s", x->site, SPAN_ARG(buf_span(&hex)), suffix);
}

/* -- making one: the thread -------------------------------------------------------------------------------------------------------- */
static enum err file_map(const struct depot_delta *x, const uint8_t sha256[32], struct span *out)
{
    char path[PATH_MAX_LEN];
    struct stat st;
    artifact_path(x, sha256, "", path);
    CLEANUP(fd_close_p) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        return CE_NOT_FOUND;
    void *p = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (p == MAP_FAILED)
        return CE_IO;
    *out = span_of(p, (size_t)st.st_size);
    return CE_OK;
}

static void file_unmap(struct span *s)
{
    if (s->n)
        munmap((void *)(uintptr_t)s->p, s->n);
}

struct sink { struct depot_delta *x; int fd; };

static enum err sink_put(void *arg, struct span piece)
{
    struct sink *s = arg;
    return atomic_load(&s->x->stop) ? CE_DRAINING : file_write_all(s->fd, piece);
}

static enum err job_write(struct depot_delta *x, const struct job *j, const char *tmp, struct delta_out *made, struct fault *f)
{
    CLEANUP(file_unmap) struct span from = { 0 }, to = { 0 };
    struct sink s = { x, open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600) };
    CLEANUP(fd_close_p) int fd = s.fd;
    if (fd < 0)
        return fault_set(f, err_from_errno(errno), "%s: %s", tmp, strerror(errno));
    if (file_map(x, j->from, &from) || file_map(x, j->to, &to))
        return fault_set(f, CE_NOT_FOUND, "the files of a delta are not here any more");
    const struct delta_in in = { .from = from, .to = to, .from_sha256 = j->from, .to_sha256 = j->to, .block_size = DEPOT_BLOCK,
                                 .give_up = to.n / 100 * WORTH_PERCENT + 1 };
    enum err e = delta_make(&in, sink_put, &s, made, f);
    if (e && e != CE_TOO_LARGE && e != CE_DRAINING)
        return fault_set(f, e, "a delta cannot be written: %s", strerror(errno));
    return !e && fsync(fd) ? fault_set(f, err_from_errno(errno), "a delta cannot be written: %s", strerror(errno)) : e;
}

/* Removes the oldest until the rest fits. */
static void evict(struct depot_delta *x)
{
    for (;;) {
        char dir[PATH_MAX_LEN], path[PATH_MAX_LEN], oldest[PATH_MAX_LEN] = "";
        struct timespec least = { 0 };
        int64_t total = 0;
        path_join(dir, "%s/delta", x->site);
        DIR *d = opendir(dir);
        for (struct dirent *e; d && (e = readdir(d));) {
            struct stat st;
            path_join(path, "%s/%.140s", dir, e->d_name);
            if (e->d_name[0] == '.' || lstat(path, &st) || !S_ISREG(st.st_mode))
                continue;
            total += st.st_size;
            if (st.st_size && (!*oldest || st.st_mtim.tv_sec < least.tv_sec || (st.st_mtim.tv_sec == least.tv_sec && st.st_mtim.tv_nsec < least.tv_nsec))) {
                least = st.st_mtim;
                snprintf(oldest, sizeof oldest, "%s", path);
            }
        }
        if (d)
            closedir(d);
        if (total <= x->cache || !*oldest || unlink(oldest))
            return;
    }
}

static void job_make(struct depot_delta *x, const struct job *j)
{
    char tmp[PATH_MAX_LEN], path[PATH_MAX_LEN];
    struct delta_out made;
    struct fault f = { 0 };
    int64_t began_ms = clock_mono_ms();
    delta_path(x, j, ".tmp", tmp);
    delta_path(x, j, "", path);
    enum err e = job_write(x, j, tmp, &made, &f);
    if (!e && rename(tmp, path))
        e = fault_set(&f, err_from_errno(errno), "%s: %s", path, strerror(errno));
    if (e)
        unlink(tmp);
    if (!e)
        log_info(0, "made a delta of %llu bytes in %lld ms: %s", (unsigned long long)made.length, (long long)(clock_mono_ms() - began_ms), path);
    else if (e != CE_DRAINING)
        log_info(0, "no delta: %s", f.text);
    delta_path(x, j, ".none", path);
    if (e == CE_TOO_LARGE && file_write_atomic(path, (struct span){ 0 }, 0600))
        log_warn(0, "%s: %s", path, strerror(errno));
    evict(x);
}

static void *work(void *arg)
{
    struct depot_delta *x = arg;
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), NICE)) /* of this thread */
        log_warn(0, "deltas are made with the priority of everything else: %s", strerror(errno));
    pthread_mutex_lock(&x->lock);
    x->running = true;
    pthread_cond_signal(&x->begun);
    while (!atomic_load(&x->stop)) {
        if (!x->n) {
            pthread_cond_wait(&x->more, &x->lock);
            continue;
        }
        struct job j = x->jobs[0];
        pthread_mutex_unlock(&x->lock);
        job_make(x, &j);
        pthread_mutex_lock(&x->lock);
        x->n--;
        memmove(x->jobs, x->jobs + 1, x->n * sizeof *x->jobs);
    }
    pthread_mutex_unlock(&x->lock);
    return NULL;
}

/* -- asking: the role's own thread -------------------------------------------------------------------------------------------------- */
/* Is a file here, and may its content be told by differences? */
static bool plain(const struct depot_delta *x, const uint8_t sha256[32])
{
    char path[PATH_MAX_LEN];
    struct depot_item i;
    artifact_path(x, sha256, "", path);
    if (!file_exists(path))
        return false;
    artifact_path(x, sha256, ".meta", path);
    CLEANUP(fd_close_p) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && depot_meta_read(fd, &i) == CE_OK && !i.encrypted;
}

enum err depot_delta_want(struct depot_delta *x, const uint8_t from[32], const uint8_t to[32], struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct job j;
    bool known = false, full;
    memcpy(j.from, from, 32);
    memcpy(j.to, to, 32);
    if (!x->cache || !plain(x, from) || !plain(x, to))
        return fault_set(f, CE_NOT_FOUND, "there is no delta between these files: fetch the whole one");
    delta_path(x, &j, "", path);
    if (file_exists(path))
        return CE_OK;
    delta_path(x, &j, ".none", path);
    if (file_exists(path))
        return fault_set(f, CE_NOT_FOUND, "these files have too little in common for a delta: fetch the whole one");
    pthread_mutex_lock(&x->lock);
    for (size_t i = 0; i < x->n; i++)
        known |= memcmp(&x->jobs[i], &j, sizeof j) == 0;
    full = !known && x->n == JOBS;
    if (!known && !full) {
        x->jobs[x->n++] = j;
        pthread_cond_signal(&x->more);
    }
    pthread_mutex_unlock(&x->lock);
    return full ? fault_set(f, CE_NOT_FOUND, "too many deltas are being made: fetch the whole file") : fault_set(f, CE_BUSY, "the delta is being made");
}

enum err depot_delta_open(const char *site, int64_t cache, struct depot_delta **out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    pthread_attr_t attr;
    struct depot_delta *x = mem_calloc(1, sizeof *x);
    path_join(x->site, "%s", site);
    x->cache = cache;
    path_join(path, "%s/delta", site);
    enum err e = file_mkdirs(path, 0700);
    if (e) {
        fault_set(f, e, "%s cannot be made: %s", path, strerror(errno));
        free(x);
        return e;
    }
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->more, NULL);
    pthread_cond_init(&x->begun, NULL);
    INVARIANT(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, STACK) == 0 && pthread_create(&x->thread, &attr, work, x) == 0);
    pthread_attr_destroy(&attr);
    pthread_mutex_lock(&x->lock);
    while (!x->running) /* its start needs system calls that the jail bars */
        pthread_cond_wait(&x->begun, &x->lock);
    pthread_mutex_unlock(&x->lock);
    *out = x;
    return CE_OK;
}

void depot_delta_close(struct depot_delta *x)
{
    if (!x)
        return;
    pthread_mutex_lock(&x->lock);
    atomic_store(&x->stop, true);
    pthread_cond_signal(&x->more);
    pthread_mutex_unlock(&x->lock);
    pthread_join(x->thread, NULL);
    pthread_mutex_destroy(&x->lock);
    pthread_cond_destroy(&x->more);
    pthread_cond_destroy(&x->begun);
    free(x);
}
