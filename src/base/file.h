/* file.h: whole files, atomically and durably. Not a stream library. */
#ifndef CRADLE_BASE_FILE_H
#define CRADLE_BASE_FILE_H

#include <sys/types.h>

#include "base/span.h"

/* Appends the whole file to out (at most out->max). CE_NOT_FOUND, CE_TOO_LARGE or CE_IO, and errno says why. */
MUST_USE enum err file_read(const char *path, struct buf *out);
/* The same for a secret: the file that is read, not only its name, must be closed to group and others (a pipe is not looked at). CE_BAD_CONFIG when
 * it is not; the fault says what to do. */
MUST_USE enum err file_read_private(const char *path, struct buf *out, struct fault *f);
/* Writes path.tmp-PID with mode, fsyncs it, renames over path, fsyncs the folder: after CE_OK the new content
 * survives power loss; before, the old one does. CE_DISK_FULL, CE_STORE_READONLY or CE_IO. */
MUST_USE enum err file_write_atomic(const char *path, struct span bytes, mode_t mode);
/* Like file_write_atomic, but CE_EXISTS when path is there already (link(2), never replaces). */
MUST_USE enum err file_write_new(const char *path, struct span bytes, mode_t mode);
/* Removes what interrupted writes of these two left in dir, of files whose names begin with prefix. No such write may run meanwhile. */
void file_temps_remove(const char *dir, const char *prefix);
MUST_USE enum err file_write_all(int fd, struct span bytes);     /* write(2) until all is written; errno is kept */
MUST_USE enum err file_sync_dir(const char *dir);                /* fsync of a folder: names in it survive power loss; errno is kept */
MUST_USE enum err file_mkdirs(const char *path, mode_t mode);    /* mkdir -p */
bool file_exists(const char *path);
MUST_USE enum err random_bytes(void *out, size_t n);             /* getrandom(2); CE_IO */

#define PATH_MAX_LEN 512
/* snprintf into a PATH_MAX_LEN array; aborts when it does not fit (paths are ours, checked at configuration). */
void path_join(char *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
