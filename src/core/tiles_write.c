/* tiles_write.c: see tiles.h: writing many tile files. Full tiles are written under temporary names, flushed together (the first
 * flush carries most of the others), renamed, and then their folders are flushed: after tile_writer_commit they survive power
 * loss. Partial tiles live for a second or two and are renamed into place unflushed: flushing them would cost more than all
 * else, and what a power loss takes of them comes back at start out of at most 255 rows. */
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

#define WRITER_FILES 64 /* open at a time; more are committed in between */
#define WRITER_FOLDERS 64
#define TMP_SUFFIX ".tmp"

struct tile_file {
    int fd;
    char path[PATH_MAX_LEN];
};

struct tile_writer {
    char dir[PATH_MAX_LEN];
    size_t nfiles, nfolders;
    struct tile_file file[WRITER_FILES];
    char folder[WRITER_FOLDERS][PATH_MAX_LEN];
};

struct tile_writer *tile_writer_new(const char *dir)
{
    struct tile_writer *w = mem_calloc(1, sizeof *w);
    path_join(w->dir, "%s", dir);
    return w;
}

static void temp_name(const struct tile_file *t, char *out)
{
    path_join(out, "%.500s" TMP_SUFFIX, t->path);
}

static void drop_files(struct tile_writer *w)
{
    char tmp[PATH_MAX_LEN];
    for (size_t i = 0; i < w->nfiles; i++) {
        close(w->file[i].fd);
        temp_name(&w->file[i], tmp);
        unlink(tmp);
    }
    w->nfiles = 0;
}

void tile_writer_free(struct tile_writer *w)
{
    if (!w)
        return;
    drop_files(w);
    free(w);
}

void tile_writer_free_p(struct tile_writer **w)
{
    tile_writer_free(*w);
}

static enum err folder_flush(const char *path)
{
    CLEANUP(fd_close_p) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    return fsync(fd) ? err_from_errno(errno) : CE_OK;
}

static enum err flush_folders(struct tile_writer *w)
{
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < w->nfolders; i++)
        e = folder_flush(w->folder[i]);
    w->nfolders = 0;
    return e;
}

static enum err folder_note(struct tile_writer *w, const char *path)
{
    for (size_t i = 0; i < w->nfolders; i++)
        if (strcmp(w->folder[i], path) == 0)
            return CE_OK;
    if (w->nfolders == WRITER_FOLDERS)
        return folder_flush(path);
    path_join(w->folder[w->nfolders++], "%s", path);
    return CE_OK;
}

/* Makes the folders above path that are missing; when flushed, whoever holds a new name is flushed at the commit. */
static enum err folders_make(struct tile_writer *w, const char *path, bool flushed)
{
    char part[PATH_MAX_LEN], above[PATH_MAX_LEN];
    struct stat st;
    path_join(part, "%s", path);
    *strrchr(part, '/') = 0;
    if (stat(part, &st) == 0)
        return CE_OK;
    for (char *p = part + strlen(w->dir); p && *p; p = strchr(p + 1, '/')) {
        char *end = strchr(p + 1, '/'), was = end ? *end : 0;
        enum err e = CE_OK;
        if (end)
            *end = 0;
        path_join(above, "%.*s", (int)(p - part), part);
        if (mkdir(part, 0755) == 0)
            e = flushed ? folder_note(w, above) : CE_OK;
        else if (errno != EEXIST)
            e = err_from_errno(errno);
        if (end)
            *end = was;
        if (e)
            return e;
    }
    return CE_OK;
}

static enum err put_partial(struct tile_file *t, const char *tmp, struct span bytes)
{
    enum err e = file_write_all(t->fd, bytes);
    if (close(t->fd) && !e)
        e = err_from_errno(errno);
    if (!e && rename(tmp, t->path))
        e = err_from_errno(errno);
    if (e)
        unlink(tmp);
    return e;
}

enum err tile_writer_put(struct tile_writer *w, unsigned level, uint64_t n, unsigned width, struct span bytes)
{
    char name[PATH_MAX_LEN], tmp[PATH_MAX_LEN];
    bool full = width == TILE_WIDTH;
    INVARIANT(bytes.n == tile_bytes(level, width));
    enum err e = w->nfiles == WRITER_FILES ? tile_writer_commit(w) : CE_OK;
    if (e)
        return e;
    struct tile_file *t = &w->file[w->nfiles];
    tile_path(level, n, width, name);
    path_join(t->path, "%.400s/%.100s", w->dir, name);
    if ((e = folders_make(w, t->path, full)))
        return e;
    temp_name(t, tmp);
    t->fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (t->fd < 0)
        return err_from_errno(errno);
    if (!full)
        return put_partial(t, tmp, bytes);
    w->nfiles++;
    return file_write_all(t->fd, bytes);
}

enum err tile_writer_commit(struct tile_writer *w)
{
    enum err e = CE_OK;
    char tmp[PATH_MAX_LEN];
    for (size_t i = 0; !e && i < w->nfiles; i++)
        if (fdatasync(w->file[i].fd))
            e = err_from_errno(errno);
    for (size_t i = 0; !e && i < w->nfiles; i++) {
        char folder[PATH_MAX_LEN];
        path_join(folder, "%.*s", (int)(strrchr(w->file[i].path, '/') - w->file[i].path), w->file[i].path);
        temp_name(&w->file[i], tmp);
        e = rename(tmp, w->file[i].path) ? err_from_errno(errno) : folder_note(w, folder);
    }
    if (!e)
        e = flush_folders(w);
    drop_files(w);
    return e;
}

void tile_drop_partials(const char *dir, unsigned level, uint64_t n)
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
