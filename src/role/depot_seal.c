/* depot_seal.c: files that are kept encrypted: sealed when their upload has ended and was verified, with a content key of their own
 * (DIR/depot/HEX.key), which leaves this process only wrapped for a device. Who may have it is core's to say.
 *
 * The key is durable before the sealed file gets its name; a crash before that leaves the upload as it was, to be sealed anew with another key.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "role/depot_priv.h"

#define STEP_BYTES (32 << 20) /* sealed by one call: other callers wait so long */

static void key_path(const struct depot *d, struct span sha256, char out[PATH_MAX_LEN])
{
    CLEANUP(buf_free) struct buf hex = BUF_INIT(DEPOT_HEX + 1);
    buf_put_hex(&hex, sha256);
    path_join(out, "%s/depot/" SPAN_FMT ".key", d->site, SPAN_ARG(buf_span(&hex)));
}

void depot_seal_stop(struct depot *d)
{
    struct depot_sealing *s = &d->sealing;
    if (s->on)
        fd_close_p(&s->fd);
    buf_free(&s->blocks);
    seal_end(&s->seal);
    mem_zero(s, sizeof *s);
}

bool depot_seal_goes_on(const struct depot *d, struct span sha256)
{
    return d->sealing.on && span_eq(span_of(d->sealing.sha256, SHA256_LEN), sha256);
}

enum err depot_seal_begin(struct depot *d, struct span sha256, const struct depot_item *i, struct buf *blocks, struct fault *f)
{
    struct depot_sealing *s = &d->sealing;
    char path[PATH_MAX_LEN];
    depot_seal_stop(d);
    s->on = true;
    s->blocks = *blocks;
    *blocks = BUF_INIT(0);
    memcpy(s->sha256, sha256.p, SHA256_LEN);
    memcpy(s->sha1, i->sha1, SHA1_LEN);
    depot_path(d, true, sha256, ".enc", path);
    s->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum err e = s->fd < 0 ? err_from_errno(errno) : seal_begin(&s->seal, sha256.p, (uint64_t)i->length);
    e = e ? e : depot_write_at(s->fd, span_of(s->seal.head, SEAL_HEAD), 0);
    if (!e)
        return CE_OK;
    depot_fault(f, e, "the file cannot be encrypted");
    depot_seal_stop(d);
    return e;
}

static enum err segment(struct depot *d, const struct depot_part *p, struct fault *f)
{
    struct seal *s = &d->sealing.seal;
    uint64_t at = s->segment * SEAL_SEGMENT, left = s->length - at;
    size_t n = left < SEAL_SEGMENT ? (size_t)left : SEAL_SEGMENT, got = 0;
    while (got < n) {
        ssize_t r = pread(p->fd, d->chunk + got, n - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return fault_set(f, CE_IO, "the upload cannot be read again: %s", r ? strerror(errno) : "it became shorter");
        got += (size_t)r;
    }
    int64_t to = (int64_t)(SEAL_HEAD + s->segment * (SEAL_SEGMENT + SEAL_TAG));
    enum err e = seal_segment(s, span_of(d->chunk, n), d->chunk);
    e = e ? e : depot_write_at(d->sealing.fd, span_of(d->chunk, n + SEAL_TAG), to);
    return e ? depot_fault(f, e, "the file cannot be encrypted") : CE_OK;
}

enum err depot_seal_step(struct depot *d, const struct depot_part *p, bool *more, struct fault *f)
{
    struct depot_sealing *s = &d->sealing;
    char path[PATH_MAX_LEN];
    for (int did = 0; did < STEP_BYTES && !seal_done(&s->seal); did += SEAL_SEGMENT) {
        enum err e = segment(d, p, f);
        if (e)
            return e;
    }
    *more = !seal_done(&s->seal);
    if (*more)
        return CE_OK;
    key_path(d, span_of(s->sha256, SHA256_LEN), path);
    enum err e = file_write_atomic(path, span_of(s->seal.key, SEAL_KEY), 0600);
    return e ? depot_fault(f, e, "the content key cannot be stored") : CE_OK;
}

void depot_seal_forget(const struct depot *d, struct span sha256)
{
    char path[PATH_MAX_LEN];
    key_path(d, sha256, path);
    unlink(path);
}

enum err depot_key_wrap(struct depot *d, const struct msg_key_get *m, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf key = BUF_INIT(SEAL_KEY + 1);
    struct depot_item i;
    struct fault why = { 0 };
    char path[PATH_MAX_LEN];
    if (m->sha256.n != SHA256_LEN)
        return fault_set(f, CE_BAD_FIELD, "a SHA-256 has 64 hexadecimal digits");
    key_path(d, m->sha256, path);
    if (depot_upload_get(d, m->sha256, &i, &why) || !i.stored || !i.encrypted || !file_exists(path))
        return fault_set(f, CE_NOT_FOUND, "there is no encrypted file with this digest");
    enum err e = file_read_private(path, &key, f);
    if (!e && key.len != SEAL_KEY)
        e = fault_set(f, CE_IO, "the content key of this file is damaged: remove the file and upload it anew");
    e = e ? e : seal_wrap(key.data, m->sha256.p, m->spki, m->uid, out, f);
    mem_zero(key.data, key.len);
    return e;
}
