/* hold.c: see hold.h. */
#include "edge/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define NEW_FILE SNAP_FILE ".new"
#define NEW_TAIL SNAP_TAIL ".new"

static enum err io_fault(struct fault *f, const struct hold *h, const char *name)
{
    return fault_set(f, err_from_errno(errno), "%s/%s: %s", h->dir, name, strerror(errno));
}

static void seen_at(struct hold *h, int64_t at_ms)
{
    if (at_ms > h->at_ms) {
        h->at_ms = at_ms;
        h->seen_mono_ms = clock_mono_ms();
    }
}

static void vector_set(struct hold *h, struct span v)
{
    memcpy(h->vector, v.p, v.n);
    h->vector[v.n] = 0;
}

/* A new tail for the snapshot whose header hashes to sha. It is signed and refetchable: no fsync. */
static enum err tail_new(struct hold *h, const uint8_t sha[SHA256_LEN], struct fault *f)
{
    char tmp[PATH_MAX_LEN], path[PATH_MAX_LEN];
    path_join(tmp, "%s/" NEW_TAIL, h->dir);
    path_join(path, "%s/" SNAP_TAIL, h->dir);
    fd_close_p(&h->tail_fd);
    h->tail_fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (h->tail_fd < 0 || file_write_all(h->tail_fd, span_of(sha, SHA256_LEN)) || rename(tmp, path))
        return io_fault(f, h, SNAP_TAIL);
    h->tail_len = SHA256_LEN;
    return CE_OK;
}

static enum err tail_resume(struct hold *h, const struct snap_info *info, struct fault *f)
{
    char path[PATH_MAX_LEN];
    if (!info->tail_matches)
        return tail_new(h, info->header_sha256, f);
    path_join(path, "%s/" SNAP_TAIL, h->dir);
    h->tail_fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (h->tail_fd < 0 || ftruncate(h->tail_fd, (off_t)info->tail_good))
        return io_fault(f, h, SNAP_TAIL);
    h->tail_len = info->tail_good;
    return CE_OK;
}

enum err hold_open(struct hold *h, const char *dir, const uint8_t pub[SNAP_PUB], struct fault *f)
{
    struct snap *s = NULL;
    struct snap_info info;
    *h = (struct hold){ .tail_fd = -1, .new_fd = -1, .seen_mono_ms = clock_mono_ms() };
    path_join(h->dir, "%s", dir);
    memcpy(h->pub, pub, SNAP_PUB);
    enum err e = snap_open(dir, pub, &s, f);
    if (e == CE_NOT_FOUND)
        f->text[0] = 0;
    if (e)
        return CE_OK; /* nothing usable: start from nothing, f says why */
    snap_info(s, &info);
    snap_vector(s, h->vector);
    memcpy(h->n, info.n, sizeof h->n);
    h->made_ms = info.made_ms;
    h->at_ms = info.at_ms;
    h->seen_mono_ms = clock_mono_ms();
    snap_close(s);
    return tail_resume(h, &info, f);
}

void hold_close(struct hold *h)
{
    hold_abandon(h);
    fd_close_p(&h->tail_fd);
}

void hold_abandon(struct hold *h)
{
    char path[PATH_MAX_LEN];
    if (h->new_fd < 0)
        return;
    fd_close_p(&h->new_fd);
    path_join(path, "%s/" NEW_FILE, h->dir);
    unlink(path);
}

enum err hold_policy(struct hold *h, struct span document, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf name = BUF_INIT(0);
    uint8_t key[SNAPSHOT_KEY];
    snapshot_key_policy(document, key);
    buf_put_hex(&name, span_of(key, sizeof key));
    path_join(path, "%s/" SNAP_POLICY "%s", h->dir, buf_cstr(&name));
    if (file_exists(path))
        return CE_OK;
    enum err e = file_write_atomic(path, document, 0644);
    return e ? fault_set(f, e, "%s: %s", path, err_text(e)) : CE_OK;
}

enum err hold_snapshot(struct hold *h, const struct snapshot_header *head, struct fault *f)
{
    char path[PATH_MAX_LEN];
    hold_abandon(h);
    enum err e = snapshot_header_verify(head, h->pub);
    if (e)
        return fault_set(f, e, "the snapshot from cradled: %s; the last good one stays in force", err_text(e));
    e = snapshot_vector_check(span_str(h->vector), head->vector);
    if (e)
        return fault_set(f, e, "the snapshot from cradled is at " SPAN_FMT ", behind %s; the last good one stays in force",
                         SPAN_ARG(head->vector), h->vector);
    path_join(path, "%s/" NEW_FILE, h->dir);
    h->new_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (h->new_fd < 0)
        return io_fault(f, h, NEW_FILE);
    e = file_write_all(h->new_fd, head->bytes);
    if (e) {
        (void)io_fault(f, h, NEW_FILE);
        hold_abandon(h);
    }
    return e;
}

/* Verifies the whole new file as a consumer will, then puts it in force. */
static enum err new_take(struct hold *h, void *map, size_t size, struct fault *f)
{
    char tmp[PATH_MAX_LEN], path[PATH_MAX_LEN];
    struct snapshot snap;
    uint8_t sha[SHA256_LEN];
    enum err e = snapshot_open(span_of(map, size), h->pub, &snap);
    if (e)
        return fault_set(f, e, "the snapshot from cradled: %s; the last good one stays in force", err_text(e));
    path_join(tmp, "%s/" NEW_FILE, h->dir);
    path_join(path, "%s/" SNAP_FILE, h->dir);
    if (fsync(h->new_fd) || rename(tmp, path))
        return io_fault(f, h, SNAP_FILE);
    sha256(snap.header.bytes, sha);
    vector_set(h, snap.header.vector);
    seen_at(h, snap.header.at_ms);
    h->made_ms = snap.header.at_ms;
    memcpy(h->n, snap.header.n, sizeof h->n);
    fd_close_p(&h->new_fd);
    return tail_new(h, sha, f);
}

enum err hold_body(struct hold *h, struct span bytes, bool last, struct fault *f)
{
    if (h->new_fd < 0)
        return fault_set(f, CE_BAD_FRAME, "a snapshot's body without its header");
    enum err e = file_write_all(h->new_fd, bytes);
    struct stat st;
    if (e || (last && fstat(h->new_fd, &st)))
        e = io_fault(f, h, NEW_FILE);
    if (!e && last) {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, h->new_fd, 0);
        e = map == MAP_FAILED ? io_fault(f, h, NEW_FILE) : new_take(h, map, (size_t)st.st_size, f);
        if (map != MAP_FAILED)
            munmap(map, (size_t)st.st_size);
    }
    if (e)
        hold_abandon(h);
    return e;
}

enum err hold_frame(struct hold *h, const struct snapshot_frame *fr, struct fault *f)
{
    enum err e = snapshot_frame_verify(fr, h->pub);
    if (e)
        return fault_set(f, e, "a frame from cradled: %s; the last good state stays in force", err_text(e));
    if (!h->vector[0] || !span_eq_str(fr->prev, h->vector))
        return fault_set(f, CE_BAD_FRAME, "a frame that follows " SPAN_FMT " came, but %s is held", SPAN_ARG(fr->prev),
                         h->vector[0] ? h->vector : "nothing");
    e = snapshot_vector_check(fr->prev, fr->vector);
    if (e)
        return fault_set(f, e, "a frame from " SPAN_FMT " back to " SPAN_FMT, SPAN_ARG(fr->prev), SPAN_ARG(fr->vector));
    e = file_write_all(h->tail_fd, fr->bytes);
    if (e) {
        (void)io_fault(f, h, SNAP_TAIL);
        if (ftruncate(h->tail_fd, (off_t)h->tail_len)) /* a half-written frame: the next start cuts it as well */
            fault_set(f, e, "%s/" SNAP_TAIL ": %s, and it cannot be cut", h->dir, strerror(errno));
        return e;
    }
    h->tail_len += (int64_t)fr->bytes.n;
    vector_set(h, fr->vector);
    seen_at(h, fr->at_ms);
    return CE_OK;
}
