/* depot.c: uploads, their end, and removal: see depot.h. */
#include "role/depot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/name.h"
#include "role/depot_priv.h"

#define STEP_BYTES (32 << 20) /* hashed by one call of depot_upload_finish: other callers wait so long */
#define SPOOL_DIGITS 20

enum err depot_open(const char *site, int64_t part_keep_s, struct depot **out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct depot *d = mem_calloc(1, sizeof *d);
    path_join(d->site, "%s", site);
    d->part_keep_s = part_keep_s;
    path_join(path, "%s/artifact/part", site);
    enum err e = file_mkdirs(path, 0700);
    if (e)
        fault_set(f, e, "%s cannot be made: %s", path, strerror(errno));
    e = e ? e : depot_key_open(d, f);
    if (e) {
        depot_close(d);
        return e;
    }
    depot_parts_walk(d, 0);
    *out = d;
    return CE_OK;
}

void depot_close(struct depot *d)
{
    for (size_t i = 0; d && i < DEPOT_STATES; i++)
        depot_state_free(&d->states[i]);
    if (d)
        mem_zero(d->token_key, sizeof d->token_key);
    if (d)
        depot_seal_stop(d);
    free(d);
}

bool depot_stored(const struct depot *d, struct span sha256, struct depot_item *out)
{
    char path[PATH_MAX_LEN];
    struct stat st;
    depot_path(d, false, sha256, ".enc", path);
    bool sealed = lstat(path, &st) == 0;
    depot_path(d, false, sha256, "", path);
    if ((!sealed && lstat(path, &st)) || !S_ISREG(st.st_mode))
        return false;
    *out = (struct depot_item){ 0 };
    depot_path(d, false, sha256, ".meta", path);
    CLEANUP(fd_close_p) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || depot_meta_read(fd, out))
        *out = (struct depot_item){ .name = "unnamed" };
    if (sealed && seal_length((uint64_t)out->length) != (uint64_t)st.st_size)
        return false;
    out->encrypted = sealed;
    out->offset = out->length = sealed ? out->length : st.st_size;
    out->stored = true;
    return true;
}

static enum err digest_check(struct span sha256, struct fault *f)
{
    return sha256.n == SHA256_LEN ? CE_OK : fault_set(f, CE_BAD_FIELD, "a SHA-256 has 64 hexadecimal digits");
}

/* What is here, or was begun, has to be what is wanted. Bytes that lie in plain do not become secret any more. */
static enum err same_check(const struct depot_item *i, const struct msg_upload_open *m, struct fault *f)
{
    if (i->length != m->length)
        return fault_set(f, CE_EXISTS, "%s with a length of %" PRId64 " bytes, not %" PRId64, i->stored ? "a file with this digest is here" : "this upload was begun",
                         i->length, m->length);
    if (m->encrypted && !i->encrypted)
        return fault_set(f, CE_EXISTS, "%s without encryption: %s it first", i->stored ? "this file is here" : "this upload was begun",
                         i->stored ? "remove" : "end and remove");
    return CE_OK;
}

static enum err space_check(const struct depot *d, int64_t need, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct statvfs v;
    path_join(path, "%s/artifact/part", d->site);
    if (statvfs(path, &v))
        return CE_OK; /* the write will tell */
    int64_t room = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    return need + DEPOT_SPARE <= room ? CE_OK
                                      : fault_set(f, CE_DISK_FULL, "the upload needs %" PRId64 " bytes more, and %" PRId64 " are free (%lld stay so): no space", need, room,
                                                  (long long)DEPOT_SPARE);
}

static enum err open_check(const struct msg_upload_open *m, struct fault *f)
{
    enum err e = digest_check(m->sha256, f);
    e = e ? e : name_check_text("name", m->name, 160, f);
    if (!e && !m->name.n)
        e = fault_set(f, CE_BAD_FIELD, "field 'name' is empty");
    if (!e && (m->length < 1 || m->length > DEPOT_LENGTH_MAX))
        e = fault_set(f, CE_BAD_FIELD, "field 'length' must be 1 to %lld bytes", DEPOT_LENGTH_MAX);
    return e;
}

enum err depot_upload_open(struct depot *d, const struct msg_upload_open *m, struct depot_item *out, struct fault *f)
{
    CLEANUP(depot_part_close) struct depot_part p = DEPOT_PART;
    struct fault why = { 0 };
    enum err e = open_check(m, f);
    if (e)
        return e;
    if (depot_stored(d, m->sha256, out))
        return same_check(out, m, f);
    e = depot_part_open(d, m->sha256, &p, &why);
    if (!e && (e = same_check(&p.item, m, f)))
        return e;
    if (e) {
        e = depot_parts_walk(d, 0) < DEPOT_UPLOADS_MAX ? CE_OK : fault_set(f, CE_BUSY, "%d uploads are unfinished: finish some first", DEPOT_UPLOADS_MAX);
        e = e ? e : space_check(d, m->encrypted ? 2 * m->length : m->length, f);
        e = e ? e : depot_part_begin(d, m, f);
        depot_part_close(&p);
        e = e ? e : depot_part_open(d, m->sha256, &p, f);
    } else
        e = space_check(d, p.item.length - p.item.offset + (p.item.encrypted ? p.item.length : 0), f);
    *out = p.item;
    return e;
}

enum err depot_upload_get(struct depot *d, struct span sha256, struct depot_item *out, struct fault *f)
{
    CLEANUP(depot_part_close) struct depot_part p = DEPOT_PART;
    enum err e = digest_check(sha256, f);
    if (!e && depot_stored(d, sha256, out))
        return CE_OK;
    e = e ? e : depot_part_open(d, sha256, &p, f);
    *out = p.item;
    return e;
}

/* The file that nginx spooled a body into: its name is digits, so it cannot lead anywhere else. */
static enum err spool_open(const struct depot *d, struct span name, int *fd, int64_t *n, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct stat st;
    bool good = name.n > 0 && name.n <= SPOOL_DIGITS;
    for (size_t i = 0; i < name.n; i++)
        good = good && name.p[i] >= '0' && name.p[i] <= '9';
    if (!good)
        return fault_set(f, CE_BAD_INPUT, "the ingress names no file of a body");
    path_join(path, "%s/run/nginx/client_body/" SPAN_FMT, d->site, SPAN_ARG(name));
    *fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &st) || !S_ISREG(st.st_mode))
        return fault_set(f, CE_IO, "the body that the ingress stored cannot be read: %s", strerror(errno));
    *n = st.st_size;
    return CE_OK;
}

enum err depot_upload_put(struct depot *d, const struct msg_upload_put *m, struct depot_item *out, struct fault *f)
{
    CLEANUP(depot_part_close) struct depot_part p = DEPOT_PART;
    CLEANUP(fd_close_p) int from = -1;
    int64_t n = (int64_t)m->bytes.n;
    enum err e = digest_check(m->sha256, f);
    if (!e && depot_stored(d, m->sha256, out)) /* somebody else has ended the upload */
        return fault_set(f, CE_OFFSET, "the file is here already: %" PRId64 " bytes", out->length);
    if (!e && m->spool.n)
        e = spool_open(d, m->spool, &from, &n, f);
    e = e ? e : depot_part_open(d, m->sha256, &p, f);
    if (e)
        return e;
    if (m->offset != p.item.offset)
        return fault_set(f, CE_OFFSET, "the upload goes on at %" PRId64 ", not at %" PRId64, p.item.offset, m->offset);
    if (n < 1 || n > DEPOT_PIECE_MAX)
        return fault_set(f, CE_BAD_INPUT, "a piece has 1 to %d bytes; this one has %" PRId64, DEPOT_PIECE_MAX, n);
    if (n > p.item.length - p.item.offset)
        return fault_set(f, CE_TOO_LARGE, "the piece would make the file longer than its %" PRId64 " bytes", p.item.length);
    e = depot_part_append(d, &p, m->sha256, from, m->bytes, n, f);
    *out = p.item;
    return e;
}

/* -- the end ---------------------------------------------------------------------------------------------------------------------- */
/* Hashes what has not been hashed, a step of it. */
static enum err hash_step(struct depot *d, const struct depot_part *p, struct depot_state *s, bool *more, struct fault *f)
{
    for (int64_t did = 0; s->hashed < p->item.length && did < STEP_BYTES;) {
        ssize_t n = pread(p->fd, d->chunk, sizeof d->chunk, s->hashed);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fault_set(f, CE_IO, "the upload cannot be read again: %s", n ? strerror(errno) : "it became shorter");
        depot_state_add(s, span_of(d->chunk, (size_t)n));
        did += n;
    }
    *more = s->hashed < p->item.length;
    return CE_OK;
}

/* Blocks and meta first: a file in place has both. fd: of DIR/artifact/part/HEXsuffix. */
static enum err place(struct depot *d, const struct depot_item *i, int fd, struct span sha256, const char *suffix, struct span blocks, struct fault *f)
{
    char from[PATH_MAX_LEN], to[PATH_MAX_LEN], dir[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf meta = BUF_INIT(0);
    path_join(dir, "%s/artifact", d->site);
    depot_meta_put(i, &meta);
    depot_path(d, false, sha256, ".blocks", to);
    enum err e = file_write_atomic(to, blocks, 0600);
    depot_path(d, false, sha256, ".meta", to);
    e = e ? e : file_write_atomic(to, buf_span(&meta), 0600);
    if (!e && fsync(fd))
        e = err_from_errno(errno);
    depot_path(d, true, sha256, suffix, from);
    depot_path(d, false, sha256, suffix, to);
    if (!e && rename(from, to))
        e = err_from_errno(errno);
    e = e ? e : file_sync_dir(dir);
    if (e)
        return depot_fault(f, e, "the file cannot be put in place");
    depot_part_remove(d, sha256);
    return CE_OK;
}

static enum err seal_part(struct depot *d, struct depot_part *p, struct span sha256, bool *more, struct fault *f)
{
    enum err e = depot_seal_step(d, p, more, f);
    if (!e && *more)
        return CE_OK;
    memcpy(p->item.sha1, d->sealing.sha1, SHA1_LEN);
    e = e ? e : place(d, &p->item, d->sealing.fd, sha256, ".enc", buf_span(&d->sealing.blocks), f);
    depot_seal_stop(d);
    return e;
}

static enum err finish_part(struct depot *d, struct depot_part *p, struct span sha256, bool *more, struct fault *f)
{
    CLEANUP(buf_free) struct buf hex = BUF_INIT(DEPOT_HEX + 1);
    uint8_t digest[SHA256_LEN];
    if (depot_seal_goes_on(d, sha256))
        return seal_part(d, p, sha256, more, f);
    struct depot_state *s = depot_state_of(d, sha256, true);
    enum err e = hash_step(d, p, s, more, f);
    if (e)
        depot_state_free(s);
    if (e || *more)
        return e;
    depot_state_end(s, digest, p->item.sha1);
    if (!span_eq(span_of(digest, sizeof digest), sha256)) {
        buf_put_hex(&hex, span_of(digest, sizeof digest));
        depot_part_remove(d, sha256);
        return fault_set(f, CE_DIGEST, "the bytes that came have SHA-256 %s; the upload is thrown away, send the file anew", buf_cstr(&hex));
    }
    CLEANUP(buf_free) struct buf blocks = s->blocks;
    s->blocks = BUF_INIT(0);
    depot_state_free(s);
    if (!p->item.encrypted)
        return place(d, &p->item, p->fd, sha256, "", buf_span(&blocks), f);
    e = depot_seal_begin(d, sha256, &p->item, &blocks, f);
    *more = !e;
    return e;
}

enum err depot_upload_finish(struct depot *d, struct span sha256, struct depot_item *out, bool *more, struct fault *f)
{
    CLEANUP(depot_part_close) struct depot_part p = DEPOT_PART;
    *more = false;
    enum err e = digest_check(sha256, f);
    if (!e && depot_stored(d, sha256, out))
        return CE_OK;
    e = e ? e : depot_part_open(d, sha256, &p, f);
    *out = p.item;
    if (!e && p.item.offset != p.item.length)
        e = fault_set(f, CE_OFFSET, "%" PRId64 " of %" PRId64 " bytes have come", p.item.offset, p.item.length);
    e = e ? e : finish_part(d, &p, sha256, more, f);
    memcpy(out->sha1, p.item.sha1, SHA1_LEN);
    out->stored = !e && !*more;
    return e;
}

enum err depot_drop(struct depot *d, struct span sha256, struct fault *f)
{
    char path[PATH_MAX_LEN];
    enum err e = digest_check(sha256, f);
    if (e)
        return e;
    depot_path(d, false, sha256, "", path);
    if (unlink(path) && errno != ENOENT)
        return depot_fault(f, err_from_errno(errno), "the file cannot be removed");
    depot_path(d, false, sha256, ".enc", path);
    if (unlink(path) && errno != ENOENT)
        return depot_fault(f, err_from_errno(errno), "the file cannot be removed");
    depot_seal_forget(d, sha256);
    depot_path(d, false, sha256, ".blocks", path);
    unlink(path);
    depot_path(d, false, sha256, ".meta", path);
    unlink(path);
    return CE_OK;
}

void depot_tidy(struct depot *d, int64_t now_s) { depot_parts_walk(d, now_s); }
