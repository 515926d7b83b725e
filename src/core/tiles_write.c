/* tiles_write.c: see tiles.h: jobs of the log's writer. All files of a job are written under temporary names and handed to the disk
 * at once, then flushed (the first flush carries most of the others), renamed, and then each folder with a new name is flushed
 * once: after tile_job_run everything survives power loss. It runs in the writer's thread and touches nothing but the job. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/tiles.h"

#define OPEN_FILES 64 /* at a time */
#define TMP_SUFFIX ".tmp"
#define JOB_BYTES (256u << 20)

struct job_file {
    char name[64]; /* below dir */
    size_t at, n;  /* in bytes */
    int fd;
};

struct job_drop {
    unsigned level;
    uint64_t n;
};

struct tile_job {
    char dir[PATH_MAX_LEN];
    struct buf bytes;
    struct job_file *file; /* owned array */
    size_t nfiles, files_cap;
    struct job_drop *drop; /* owned array */
    size_t ndrops, drops_cap;
    char (*folder)[PATH_MAX_LEN]; /* owned array: to be flushed */
    size_t nfolders, folders_cap;
};

/* -- collecting ------------------------------------------------------------------------------------------------------------- */
struct tile_job *tile_job_new(const char *dir)
{
    struct tile_job *j = mem_calloc(1, sizeof *j);
    path_join(j->dir, "%.400s", dir);
    j->bytes = BUF_INIT(JOB_BYTES);
    return j;
}

void tile_job_free(struct tile_job *j)
{
    if (!j)
        return;
    buf_free(&j->bytes);
    free(j->file);
    free(j->drop);
    free(j->folder);
    free(j);
}

void tile_job_free_p(struct tile_job **j)
{
    tile_job_free(*j);
}

void tile_job_reset(struct tile_job *j)
{
    buf_reset(&j->bytes);
    j->nfiles = j->ndrops = 0;
}

size_t tile_job_files(const struct tile_job *j)
{
    return j->nfiles;
}

static void *array_grow(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    *cap = *cap ? *cap * 2 : 16;
    return mem_realloc(items, *cap * size);
}

static void put_file(struct tile_job *j, const char *name, struct span bytes)
{
    j->file = array_grow(j->file, j->nfiles, &j->files_cap, sizeof *j->file);
    struct job_file *t = &j->file[j->nfiles++];
    *t = (struct job_file){.at = j->bytes.len, .n = bytes.n, .fd = -1};
    int n = snprintf(t->name, sizeof t->name, "%s", name);
    INVARIANT(n > 0 && (size_t)n < sizeof t->name);
    buf_put_span(&j->bytes, bytes);
    INVARIANT(!buf_err(&j->bytes));
}

void tile_job_put(struct tile_job *j, unsigned level, uint64_t n, unsigned width, struct span bytes)
{
    char name[PATH_MAX_LEN];
    INVARIANT(bytes.n == tile_bytes(level, width));
    tile_path(level, n, width, name);
    put_file(j, name, bytes);
}

void tile_job_put_checkpoint(struct tile_job *j, struct span note)
{
    put_file(j, "checkpoint", note);
}

void tile_job_drop_partials(struct tile_job *j, unsigned level, uint64_t n)
{
    j->drop = array_grow(j->drop, j->ndrops, &j->drops_cap, sizeof *j->drop);
    j->drop[j->ndrops++] = (struct job_drop){level, n};
}

/* -- folders ------------------------------------------------------------------------------------------------------------------ */
static void folder_note(struct tile_job *j, const char *path, size_t len)
{
    for (size_t i = 0; i < j->nfolders; i++)
        if (strlen(j->folder[i]) == len && memcmp(j->folder[i], path, len) == 0)
            return;
    j->folder = array_grow(j->folder, j->nfolders, &j->folders_cap, sizeof *j->folder);
    path_join(j->folder[j->nfolders++], "%.*s", (int)len, path);
}

static enum err folder_flush(const char *path)
{
    CLEANUP(fd_close_p) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    return fsync(fd) ? err_from_errno(errno) : CE_OK;
}

/* Makes the folders above path that are missing; whoever holds a new name is noted. */
static enum err folders_make(struct tile_job *j, const char *path)
{
    char part[PATH_MAX_LEN];
    struct stat st;
    path_join(part, "%s", path);
    *strrchr(part, '/') = 0;
    if (stat(part, &st) == 0)
        return CE_OK;
    for (char *p = part + strlen(j->dir); p && *p; p = strchr(p + 1, '/')) {
        char *end = strchr(p + 1, '/');
        if (end)
            *end = 0;
        if (mkdir(part, 0755) == 0)
            folder_note(j, part, (size_t)(p - part));
        else if (errno != EEXIST)
            return err_from_errno(errno);
        if (end)
            *end = '/';
    }
    return CE_OK;
}

/* -- files -------------------------------------------------------------------------------------------------------------------- */
static void file_paths(const struct tile_job *j, const struct job_file *t, char *path, char *tmp)
{
    path_join(path, "%.400s/%.63s", j->dir, t->name);
    path_join(tmp, "%.480s" TMP_SUFFIX, path);
}

/* Into a temporary file; the disk begins to work on it at once, so that one flush later finds most of the others done. */
static enum err file_begin(struct tile_job *j, struct job_file *t)
{
    char path[PATH_MAX_LEN], tmp[PATH_MAX_LEN];
    file_paths(j, t, path, tmp);
    enum err e = folders_make(j, path);
    if (e)
        return e;
    t->fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (t->fd < 0)
        return err_from_errno(errno);
    e = file_write_all(t->fd, span_of(j->bytes.data + t->at, t->n));
    if (!e)
        (void)sync_file_range(t->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint: what counts is the flush */
    return e;
}

static enum err file_place(struct tile_job *j, struct job_file *t)
{
    char path[PATH_MAX_LEN], tmp[PATH_MAX_LEN];
    file_paths(j, t, path, tmp);
    enum err e = close(t->fd) ? err_from_errno(errno) : CE_OK;
    t->fd = -1;
    if (!e && rename(tmp, path))
        e = err_from_errno(errno);
    if (e)
        unlink(tmp);
    else
        folder_note(j, path, (size_t)(strrchr(path, '/') - path));
    return e;
}

static void file_forget(const struct tile_job *j, struct job_file *t)
{
    char path[PATH_MAX_LEN], tmp[PATH_MAX_LEN];
    if (t->fd < 0)
        return;
    file_paths(j, t, path, tmp);
    close(t->fd);
    unlink(tmp);
    t->fd = -1;
}

static enum err files_write(struct tile_job *j, struct job_file *t, size_t n)
{
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < n; i++)
        e = file_begin(j, &t[i]);
    for (size_t i = 0; !e && i < n; i++)
        if (fdatasync(t[i].fd))
            e = err_from_errno(errno);
    for (size_t i = 0; !e && i < n; i++)
        e = file_place(j, &t[i]);
    for (size_t i = 0; i < n; i++)
        file_forget(j, &t[i]);
    return e;
}

static void drop_partials(const char *dir, unsigned level, uint64_t n)
{
    char name[PATH_MAX_LEN], full[PATH_MAX_LEN], folder[PATH_MAX_LEN], path[PATH_MAX_LEN];
    struct dirent *entry;
    tile_path(level, n, TILE_WIDTH, name);
    path_join(full, "%.400s/%.100s", dir, name);
    path_join(folder, "%.500s.p", full);
    if (!file_exists(full))
        return;
    DIR *d = opendir(folder);
    if (!d)
        return;
    while ((entry = readdir(d)))
        if (entry->d_name[0] != '.') {
            path_join(path, "%.480s/%.16s", folder, entry->d_name);
            unlink(path);
        }
    closedir(d);
    rmdir(folder);
}

enum err tile_job_run(struct tile_job *j)
{
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < j->nfiles; i += OPEN_FILES)
        e = files_write(j, &j->file[i], j->nfiles - i < OPEN_FILES ? j->nfiles - i : OPEN_FILES);
    for (size_t i = 0; !e && i < j->nfolders; i++)
        e = folder_flush(j->folder[i]);
    for (size_t i = 0; !e && i < j->ndrops; i++)
        drop_partials(j->dir, j->drop[i].level, j->drop[i].n);
    if (!e)
        j->nfolders = 0; /* else the next run flushes what this one made and did not flush */
    tile_job_reset(j);
    return e;
}
