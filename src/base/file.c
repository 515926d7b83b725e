/* file.c: see file.h. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

void path_join(char *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out, PATH_MAX_LEN, fmt, ap);
    va_end(ap);
    INVARIANT(n >= 0 && n < PATH_MAX_LEN);
}

static enum err read_all(int fd, struct buf *out)
{
    while (!buf_err(out)) {
        uint8_t chunk[16384];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return CE_IO;
        if (n == 0)
            break;
        buf_put(out, chunk, (size_t)n);
        mem_zero(chunk, (size_t)n);
    }
    if (buf_err(out))
        errno = EFBIG;
    return buf_err(out);
}

enum err file_read(const char *path, struct buf *out)
{
    CLEANUP(fd_close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? CE_NOT_FOUND : CE_IO;
    return read_all(fd, out);
}

enum err file_read_private(const char *path, struct buf *out, struct fault *f)
{
    struct stat st;
    CLEANUP(fd_close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    enum err e = fd < 0 && errno == ENOENT ? CE_NOT_FOUND : fd < 0 || fstat(fd, &st) ? CE_IO : CE_OK;
    if (!e && S_ISREG(st.st_mode) && (st.st_mode & 077))
        return fault_set(f, CE_BAD_CONFIG, "others may read %s (mode %03o); run: chmod 600 %s", path, (unsigned)st.st_mode & 0777, path);
    if (!e)
        e = read_all(fd, out);
    return e ? fault_set(f, e, "cannot read %s: %s", path, strerror(errno)) : CE_OK;
}

enum err file_write_all(int fd, struct span bytes)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        bytes.p += n;
        bytes.n -= (size_t)n;
    }
    return CE_OK;
}

void file_temps_remove(const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        char path[PATH_MAX_LEN];
        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 || !strstr(e->d_name, ".tmp"))
            continue;
        path_join(path, "%s/%.200s", dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
}

enum err file_sync_dir(const char *dir)
{
    CLEANUP(fd_close_p) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) ? err_from_errno(errno) : CE_OK;
}

static enum err sync_folder_of(const char *path)
{
    char dir[PATH_MAX_LEN];
    const char *slash = strrchr(path, '/');
    if (slash)
        path_join(dir, "%.*s", (int)(slash == path ? 1 : slash - path), path);
    else
        path_join(dir, ".");
    return file_sync_dir(dir);
}

static enum err write_temp(const char *tmp, struct span bytes, mode_t mode)
{
    unlink(tmp);
    CLEANUP(fd_close_p) int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return err_from_errno(errno);
    enum err e = file_write_all(fd, bytes);
    if (!e && (fchmod(fd, mode) || fsync(fd)))
        e = err_from_errno(errno);
    return e;
}

static enum err file_place(const char *path, struct span bytes, mode_t mode, bool replace)
{
    char tmp[PATH_MAX_LEN];
    path_join(tmp, "%s.tmp-%ld", path, (long)getpid());
    enum err e = write_temp(tmp, bytes, mode);
    if (!e && replace && rename(tmp, path))
        e = err_from_errno(errno);
    if (!e && !replace && link(tmp, path))
        e = errno == EEXIST ? CE_EXISTS : err_from_errno(errno);
    int eno = errno;
    if (e || !replace)
        unlink(tmp);
    errno = eno;
    return e ? e : sync_folder_of(path);
}

enum err file_write_atomic(const char *path, struct span bytes, mode_t mode) { return file_place(path, bytes, mode, true); }
enum err file_write_new(const char *path, struct span bytes, mode_t mode) { return file_place(path, bytes, mode, false); }

enum err file_mkdirs(const char *path, mode_t mode)
{
    char part[PATH_MAX_LEN];
    path_join(part, "%s", path);
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p)
            continue;
        char was = *p;
        *p = 0;
        if (mkdir(part, mode) && errno != EEXIST)
            return err_from_errno(errno);
        *p = was;
        if (!was)
            return CE_OK;
    }
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

enum err random_bytes(void *out, size_t n)
{
    uint8_t *p = out;
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return CE_IO;
        p += got;
        n -= (size_t)got;
    }
    return CE_OK;
}
