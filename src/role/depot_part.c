/* depot_part.c: unfinished uploads on the disk: see depot.h. What was acknowledged is written down in the meta file after the bytes are
 * durable; whatever lies behind it came from a piece that nobody was promised, and is cut off.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/depot_priv.h"

#define META_MAX 512
#define META_OFFSET 20 /* digits at the front of the meta file, the only ones that change */

void depot_path(const struct depot *d, bool part, struct span sha256, const char *suffix, char out[PATH_MAX_LEN])
{
    CLEANUP(buf_free) struct buf hex = BUF_INIT(DEPOT_HEX);
    buf_put_hex(&hex, sha256);
    path_join(out, "%s/artifact/%s" SPAN_FMT "%s", d->site, part ? "part/" : "", SPAN_ARG(buf_span(&hex)), suffix);
}

void depot_part_close(struct depot_part *p)
{
    fd_close_p(&p->fd);
    fd_close_p(&p->meta);
}

enum err depot_fault(struct fault *f, enum err e, const char *what)
{
    if (e == CE_DISK_FULL)
        return fault_set(f, e, "%s: no space is left on the disk; nothing was taken", what);
    return fault_set(f, e, "%s: %s", what, strerror(errno));
}

void depot_meta_put(const struct depot_item *i, struct buf *out)
{
    buf_printf(out, "%020" PRId64 " %" PRId64 " %d ", i->offset, i->length, i->encrypted);
    buf_put_hex(out, span_of(i->sha1, sizeof i->sha1));
    buf_printf(out, " %s\n", i->name);
}

static enum err meta_parse(struct span text, struct depot_item *out)
{
    CLEANUP(buf_free) struct buf raw = BUF_INIT(SHA1_LEN);
    struct span offset, length, encrypted, sha1_hex;
    int64_t flag;
    if (!span_cut(&text, ' ', &offset) || !span_cut(&text, ' ', &length) || !span_cut(&text, ' ', &encrypted) ||
        !span_cut(&text, ' ', &sha1_hex) || text.n < 2 || hex_decode(sha1_hex, &raw) || raw.len != SHA1_LEN || offset.n != META_OFFSET ||
        !span_to_i64(offset, &out->offset) || !span_to_i64(length, &out->length) || !span_to_i64(encrypted, &flag))
        return CE_IO;
    out->encrypted = flag != 0;
    memcpy(out->sha1, raw.data, SHA1_LEN);
    return span_to_cstr(span_of(text.p, text.n - 1), out->name, sizeof out->name) ? CE_IO : CE_OK;
}

enum err depot_meta_read(int fd, struct depot_item *out)
{
    char text[META_MAX];
    ssize_t n = pread(fd, text, sizeof text, 0);
    return n > 0 ? meta_parse(span_of(text, (size_t)n), out) : CE_IO;
}

enum err depot_part_open(struct depot *d, struct span sha256, struct depot_part *out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct stat st;
    depot_path(d, true, sha256, "", path);
    out->fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    depot_path(d, true, sha256, ".meta", path);
    out->meta = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (out->fd < 0 || out->meta < 0)
        return fault_set(f, CE_NOT_FOUND, "no upload of this file was begun: POST /api/v1/uploads first");
    if (fstat(out->fd, &st) || depot_meta_read(out->meta, &out->item))
        return fault_set(f, CE_IO, "%s cannot be read", path);
    if (st.st_size < out->item.offset) /* a disk that lost what it had promised */
        out->item.offset = st.st_size;
    if (st.st_size > out->item.offset && ftruncate(out->fd, out->item.offset))
        return depot_fault(f, err_from_errno(errno), "the upload cannot be cut to what was promised");
    return CE_OK;
}

enum err depot_part_begin(struct depot *d, const struct msg_upload_open *m, struct fault *f)
{
    char path[PATH_MAX_LEN], dir[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf meta = BUF_INIT(META_MAX);
    struct depot_item item = { .length = m->length, .encrypted = m->encrypted != 0 };
    INVARIANT(span_to_cstr(m->name, item.name, sizeof item.name) == CE_OK);
    depot_meta_put(&item, &meta);
    depot_path(d, true, m->sha256, "", path);
    CLEANUP(fd_close_p) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum err e = fd < 0 ? err_from_errno(errno) : CE_OK;
    depot_path(d, true, m->sha256, ".meta", path);
    e = e ? e : file_write_atomic(path, buf_span(&meta), 0600);
    path_join(dir, "%s/artifact/part", d->site);
    e = e ? e : file_sync_dir(dir);
    if (!e)
        return CE_OK;
    depot_fault(f, e, "the upload cannot be begun");
    depot_part_remove(d, m->sha256);
    return e;
}

void depot_part_remove(struct depot *d, struct span sha256)
{
    char path[PATH_MAX_LEN];
    struct depot_state *s = depot_state_of(d, sha256, false);
    if (s)
        depot_state_free(s);
    depot_path(d, true, sha256, ".meta", path);
    unlink(path);
    depot_path(d, true, sha256, ".enc", path);
    unlink(path);
    depot_path(d, true, sha256, "", path);
    unlink(path);
}

static void part_judge(struct depot *d, int dir, const char *name, int64_t now_s, size_t *n)
{
    CLEANUP(buf_free) struct buf sha256 = BUF_INIT(SHA256_LEN);
    struct stat st;
    struct depot_item item;
    const struct span hex = span_of(name, strlen(name) < DEPOT_HEX ? strlen(name) : DEPOT_HEX);
    if (hex.n != DEPOT_HEX || hex_decode(hex, &sha256) || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
        return;
    if (depot_stored(d, buf_span(&sha256), &item)) { /* a kill between the file's name and this; what is kept encrypted must not lie here in plain */
        log_info(0, "the upload %.16s… was finished: what it left behind is removed", name);
        depot_part_remove(d, buf_span(&sha256));
        return;
    }
    *n += name[DEPOT_HEX] == 0;
    if (!now_s || now_s - st.st_mtime < d->part_keep_s)
        return;
    if (name[DEPOT_HEX] == 0) {
        log_info(0, "the upload %.16s… was not finished within %" PRId64 " s and is removed", name, d->part_keep_s);
        depot_part_remove(d, buf_span(&sha256));
        (*n)--;
    } else if (strcmp(name + DEPOT_HEX, ".meta") != 0) {
        unlinkat(dir, name, 0); /* left from a process that died between making a file and naming it */
    }
}

size_t depot_parts_walk(struct depot *d, int64_t now_s)
{
    char path[PATH_MAX_LEN];
    size_t n = 0;
    path_join(path, "%s/artifact/part", d->site);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        fd_close_p(&fd);
    for (struct dirent *e; dir && (e = readdir(dir));)
        part_judge(d, fd, e->d_name, now_s, &n);
    if (dir)
        closedir(dir);
    return n;
}

/* -- bytes ------------------------------------------------------------------------------------------------------------------------ */
enum err depot_write_at(int fd, struct span bytes, int64_t at)
{
    while (bytes.n) {
        ssize_t n = pwrite(fd, bytes.p, bytes.n, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? err_from_errno(errno) : CE_IO;
        bytes = span_of(bytes.p + n, bytes.n - (size_t)n);
        at += n;
    }
    return CE_OK;
}

/* n bytes from the descriptor, or from the span when it is -1. The state follows when it stands at the upload's offset. */
static enum err bytes_take(struct depot *d, struct depot_part *p, struct depot_state *s, int from, struct span bytes, int64_t n)
{
    int64_t at = p->item.offset, end = at + n;
    bool follow = s && s->hashed == at;
    while (at < end) {
        size_t want = end - at < (int64_t)sizeof d->chunk ? (size_t)(end - at) : sizeof d->chunk;
        ssize_t got = from >= 0 ? read(from, d->chunk, want) : (ssize_t)want;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return CE_IO;
        const struct span piece = from >= 0 ? span_of(d->chunk, (size_t)got) : span_of(bytes.p + (at - p->item.offset), (size_t)got);
        enum err e = depot_write_at(p->fd, piece, at);
        if (e)
            return e;
        if (follow)
            depot_state_add(s, piece);
        at += got;
    }
    return CE_OK;
}

static enum err offset_write(struct depot_part *p, int64_t offset)
{
    char text[META_OFFSET + 1];
    snprintf(text, sizeof text, "%020" PRId64, offset);
    enum err e = depot_write_at(p->meta, span_of(text, META_OFFSET), 0);
    return e ? e : fdatasync(p->meta) ? err_from_errno(errno) : CE_OK;
}

enum err depot_part_append(struct depot *d, struct depot_part *p, struct span sha256, int from, struct span bytes, int64_t n, struct fault *f)
{
    struct depot_state *s = depot_state_of(d, sha256, p->item.offset == 0);
    enum err e = bytes_take(d, p, s, from, bytes, n);
    if (!e && fdatasync(p->fd))
        e = err_from_errno(errno);
    e = e ? e : offset_write(p, p->item.offset + n);
    if (!e) {
        p->item.offset += n;
        return CE_OK;
    }
    depot_fault(f, e, "the piece cannot be stored");
    if (s) /* it may have read what is cut off now */
        depot_state_free(s);
    if (ftruncate(p->fd, p->item.offset))
        log_warn(0, "an upload could not be cut back: %s; the next piece does it", strerror(errno));
    return e;
}
