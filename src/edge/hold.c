/* hold.c: see hold.h. */
#include "edge/hold.h"

#include <dirent.h>
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

/* -- policy documents -------------------------------------------------------------------------------------------------------- */
static bool policy_wanted(const struct hold *h, const char *name)
{
    char path[PATH_MAX_LEN];
    const uint8_t *keys[2 + HOLD_POLICIES] = { h->policy, h->policy_before };
    for (int i = 0; i < HOLD_POLICIES; i++)
        keys[2 + i] = h->policy_new[i];
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        policyfile_path(path, "", keys[i]);
        if (!strcmp(path + 1, name))
            return true;
    }
    return false;
}

/* Old documents go; consumers that are one step behind still find theirs. */
static void policy_sweep(struct hold *h)
{
    DIR *d = opendir(h->dir);
    struct dirent *de;
    while (d && (de = readdir(d))) {
        char path[PATH_MAX_LEN];
        if (strncmp(de->d_name, POLICYFILE, strlen(POLICYFILE)) != 0 || policy_wanted(h, de->d_name))
            continue;
        path_join(path, "%s/%.100s", h->dir, de->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
}

static enum err policy_held(const struct hold *h, const uint8_t key[SNAPSHOT_KEY], struct fault *f)
{
    char path[PATH_MAX_LEN];
    policyfile_path(path, h->dir, key);
    return file_exists(path) ? CE_OK : fault_set(f, CE_NOT_FOUND, "cradled names a policy document that it did not send: %s", path);
}

/* The state names this document from now on. */
static void policy_named(struct hold *h, const uint8_t key[SNAPSHOT_KEY])
{
    char path[PATH_MAX_LEN];
    struct stat st;
    if (!memcmp(h->policy, key, SNAPSHOT_KEY))
        return;
    memcpy(h->policy_before, h->policy, SNAPSHOT_KEY);
    memcpy(h->policy, key, SNAPSHOT_KEY);
    policyfile_path(path, h->dir, key);
    h->policy_stored_ms = stat(path, &st) ? 0 : (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    policy_sweep(h);
}

enum err hold_policy(struct hold *h, struct span document, struct fault *f)
{
    CLEANUP(buf_free) struct buf held = BUF_INIT(POLICY_MAX);
    char path[PATH_MAX_LEN];
    uint8_t key[SNAPSHOT_KEY];
    snapshot_key_policy(document, key);
    bool listed = false;
    for (int i = 0; i < HOLD_POLICIES; i++)
        listed |= !memcmp(h->policy_new[i], key, SNAPSHOT_KEY);
    if (!listed)
        memcpy(h->policy_new[h->n_policy_new++ % HOLD_POLICIES], key, SNAPSHOT_KEY);
    policyfile_path(path, h->dir, key);
    enum err e = file_read(path, &held);
    if (!e && span_eq(buf_span(&held), document))
        return CE_OK;
    e = file_write_atomic(path, document, 0644);
    if (!e)
        policy_sweep(h);
    return e ? fault_set(f, e, "%s: %s", path, strerror(errno)) : CE_OK;
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
    if (!e)
        snap_info(s, &info);
    if (!e && (info.policy_err == CE_NOT_FOUND || info.policy_err == CE_BAD_SIGNATURE)) {
        e = fault_set(f, info.policy_err, "%s: the policy document that the snapshot names is missing or damaged", h->dir);
        snap_close(s);
    }
    if (e)
        return CE_OK; /* nothing usable: start from nothing, f says why */
    snap_vector(s, h->vector);
    memcpy(h->n, info.n, sizeof h->n);
    policy_named(h, info.policy_key);
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

/* -- snapshots and frames ------------------------------------------------------------------------------------------------------- */

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
    e = policy_held(h, snap.keys[SNAPSHOT_SET_POLICY - 1], f);
    if (e)
        return e;
    path_join(tmp, "%s/" NEW_FILE, h->dir);
    path_join(path, "%s/" SNAP_FILE, h->dir);
    if (fsync(h->new_fd) || rename(tmp, path))
        return io_fault(f, h, SNAP_FILE);
    sha256(snap.header.bytes, sha);
    vector_set(h, snap.header.vector);
    policy_named(h, snap.keys[SNAPSHOT_SET_POLICY - 1]);
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

/* The key of the document that is in force after the frame; NULL: it changes none. */
static const uint8_t *frame_policy(const struct snapshot_frame *fr)
{
    const uint8_t *key = NULL;
    struct snapshot_entry en;
    for (unsigned i = 0; i < fr->n_entries; i++) {
        snapshot_frame_entry(fr, i, &en);
        if (en.set == SNAPSHOT_SET_POLICY && en.op == SNAPSHOT_OP_ADD)
            key = en.key;
    }
    return key;
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
    const uint8_t *policy = frame_policy(fr);
    if (policy && (e = policy_held(h, policy, f)))
        return e;
    e = file_write_all(h->tail_fd, fr->bytes);
    if (e) {
        (void)io_fault(f, h, SNAP_TAIL);
        if (ftruncate(h->tail_fd, (off_t)h->tail_len)) /* a half-written frame: the next start cuts it as well */
            fault_set(f, e, "%s/" SNAP_TAIL ": %s, and it cannot be cut", h->dir, strerror(errno));
        return e;
    }
    h->tail_len += (int64_t)fr->bytes.n;
    vector_set(h, fr->vector);
    if (policy)
        policy_named(h, policy);
    seen_at(h, fr->at_ms);
    return CE_OK;
}
