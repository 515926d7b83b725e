/* update_fetch.c: the file of an order, into the place where it is installed from. See update_client.h.
 *
 * With a signed block list each block is verified before it is written, and what lies there already is verified before it is kept: so a download goes on
 * at the first block that is not right, whatever cut it. Without one, a durable note of the place (UPDATE_DIR/progress) does that. In the end the
 * whole file is read back from the medium and must have the signed digest. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/update_client.h"
#include "agent/update_delta.h"
#include "agent/update_sealed.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define BLOCK_MAX (16u << 20)
#define NOTE_EVERY (4u << 20) /* bytes between two notes of the place */
#define TELL_EVERY_MS 5000

CLEANUP_PTR(EVP_MD_CTX, EVP_MD_CTX_free)

struct progress {
    char sha256[CONFIG_STR_MAX];
    int64_t at;
};
#define CFG(...) CONFIG_ROW(progress, __VA_ARGS__)
static const struct config_key progress_keys[] = {
    CFG(STR, sha256, "", 0, 64, "", "of the file")
    CFG(INT, at, "0", 0, INT64_MAX, "bytes", "that are durable")
};
#undef CFG

struct fetch {
    struct updater *u;
    int fd;
    bool device;            /* a block device: it keeps its size */
    struct buf list;        /* the block list, verified; empty: there is none */
    struct buf block;       /* bytes of the block that is coming */
    int64_t at, noted;      /* bytes in place, bytes noted */
    int64_t told_ms;
    int told_percent;
    enum err e;             /* why a callback ended it */
    struct fault why;
};

static void fetch_free(struct fetch *x)
{
    fd_close_p(&x->fd);
    buf_free(&x->list);
    buf_free(&x->block);
}

static enum err local_fault(struct fault *f, const char *what)
{
    int eno = errno;
    return fault_set(f, eno == ENOSPC || eno == EDQUOT ? CE_DISK_FULL : CE_STORE, "%s: %s", what, strerror(eno));
}

static void progress_path(const struct updater *u, char *out) { path_join(out, "%s/progress", u->dir); }

/* -- writing ---------------------------------------------------------------------------------------------------------------------- */
static bool digest_is(const uint8_t *p, size_t n, const uint8_t want[32])
{
    uint8_t got[32];
    return EVP_Digest(p, n, got, NULL, EVP_sha256(), NULL) == 1 && memcmp(got, want, sizeof got) == 0;
}

static enum err put(struct fetch *x, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t done = pwrite(x->fd, p, n, x->at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return x->e = local_fault(&x->why, "writing the update");
        p += done;
        n -= (size_t)done;
        x->at += done;
    }
    return CE_OK;
}

static enum err note(struct fetch *x)
{
    char path[PATH_MAX_LEN];
    struct progress p = { .at = x->at };
    if (x->at - x->noted < NOTE_EVERY)
        return CE_OK;
    if (fdatasync(x->fd))
        return x->e = local_fault(&x->why, "writing the update");
    snprintf(p.sha256, sizeof p.sha256, "%s", x->u->order.sha256);
    progress_path(x->u, path);
    x->noted = x->at;
    return x->e = record_save(path, progress_keys, ARRAY_LEN(progress_keys), &p, &x->why);
}

static size_t block_size_at(const struct fetch *x, int64_t at)
{
    int64_t left = x->u->order.length - at;
    return (size_t)(left < x->u->order.block_size ? left : x->u->order.block_size);
}

/* A block is written when it is complete and right, or not at all. */
static enum err put_blocks(struct fetch *x, struct span s)
{
    while (s.n) {
        size_t want = block_size_at(x, x->at), room = want - x->block.len, n = s.n < room ? s.n : room;
        buf_put(&x->block, s.p, n);
        s = span_of(s.p + n, s.n - n);
        if (x->block.len < want)
            break;
        int64_t i = x->at / x->u->order.block_size;
        if (!digest_is(x->block.data, x->block.len, x->list.data + 32 * i))
            return x->e = fault_set(&x->why, CE_BAD_PROOF, "block %lld of the update is not the one that was signed", (long long)i);
        enum err e = put(x, x->block.data, x->block.len);
        buf_reset(&x->block);
        if (e)
            return e;
    }
    return CE_OK;
}

static void tell_percent(struct fetch *x)
{
    int64_t now_ms = clock_mono_ms();
    int percent = (int)(x->at / (x->u->order.length / 100 + 1));
    if (now_ms - x->told_ms < TELL_EVERY_MS || percent < x->told_percent + 5)
        return;
    x->told_ms = now_ms;
    x->told_percent = percent;
    updater_mention(x->u, "downloading", percent);
}

static bool on_begin(void *arg, int64_t from)
{
    struct fetch *x = arg;
    buf_reset(&x->block);
    x->at = from;
    x->noted = from < x->noted ? from : x->noted;
    return true;
}

static bool on_bytes(void *arg, struct span s)
{
    struct fetch *x = arg;
    if (*x->u->stop) {
        x->e = fault_set(&x->why, CE_DRAINING, "stopped");
        return false;
    }
    enum err e = x->list.len ? put_blocks(x, s) : put(x, s.p, s.n);
    e = e || x->list.len ? e : note(x);
    if (!e)
        tell_percent(x);
    return e == CE_OK;
}

/* -- beginning -------------------------------------------------------------------------------------------------------------------- */
static enum err list_get(struct fetch *x, struct fault *f)
{
    const struct update_order *o = &x->u->order;
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    char path[PATH_MAX_LEN];
    uint8_t want[32];
    if (!o->block_size)
        return CE_OK;
    if (o->block_size > BLOCK_MAX || o->length / o->block_size > (1 << 20) || !order_digest(o->blocks_sha256, want))
        return fault_set(f, CE_BAD_PROOF, "blocks of %lld bytes are not taken", (long long)o->block_size);
    path_join(path, "/update/v1/blocks/%.64s", o->sha256);
    enum err e = net_get(x->u->net, path, &reply, f);
    x->u->retry_s = reply.retry_s;
    if (e)
        return e;
    if (reply.body.len != 32 * (size_t)((o->length + o->block_size - 1) / o->block_size) || !digest_is(reply.body.data, reply.body.len, want))
        return fault_set(f, CE_BAD_PROOF, "the block list is not the one that was signed");
    buf_put_span(&x->list, buf_span(&reply.body));
    return CE_OK;
}

static enum err place_open(struct fetch *x, const char *path, struct fault *f)
{
    struct stat st;
    uint64_t room = 0;
    struct statvfs fs;
    x->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (x->fd < 0 || fstat(x->fd, &st))
        return local_fault(f, path);
    x->device = S_ISBLK(st.st_mode);
    if (!x->device && !S_ISREG(st.st_mode))
        return fault_set(f, CE_STORE, "%s is neither a file nor a block device", path);
    if (x->device && ioctl(x->fd, BLKGETSIZE64, &room))
        return local_fault(f, path);
    if (x->device && room < (uint64_t)x->u->order.length)
        return fault_set(f, CE_DISK_FULL, "%s holds %llu bytes, the update has %lld", path, (unsigned long long)room, (long long)x->u->order.length);
    int64_t held = (int64_t)st.st_blocks * 512;
    if (!x->device && fstatvfs(x->fd, &fs) == 0 && x->u->order.length > held && (uint64_t)(x->u->order.length - held) > (uint64_t)fs.f_bavail * fs.f_frsize)
        return fault_set(f, CE_DISK_FULL, "%s has no room for an update of %lld bytes", path, (long long)x->u->order.length);
    return CE_OK;
}

/* Reads n bytes at at; fewer when the file ends there. */
static ssize_t get(int fd, uint8_t *out, size_t n, int64_t at)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = pread(fd, out + got, n - got, at + (int64_t)got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -1 : (ssize_t)got;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

/* How far is what lies there already right? */
static void place_resume(struct fetch *x)
{
    const struct update_order *o = &x->u->order;
    char path[PATH_MAX_LEN];
    struct progress p = { 0 };
    struct fault f;
    progress_path(x->u, path);
    if (!o->block_size) {
        if (record_load(path, progress_keys, ARRAY_LEN(progress_keys), &p, &f) == CE_OK && strcmp(p.sha256, o->sha256) == 0 && p.at <= o->length)
            x->at = x->noted = p.at;
        return;
    }
    CLEANUP(mem_free_p) uint8_t *block = mem_alloc((size_t)o->block_size);
    while (x->at < o->length) {
        size_t n = block_size_at(x, x->at);
        if (get(x->fd, block, n, x->at) != (ssize_t)n || !digest_is(block, n, x->list.data + 32 * (x->at / o->block_size)))
            break;
        x->at += (int64_t)n;
    }
}

/* -- ending ----------------------------------------------------------------------------------------------------------------------- */
static enum err whole_digest(struct fetch *x, struct fault *f)
{
    uint8_t want[32], got[32];
    CLEANUP(mem_free_p) uint8_t *chunk = mem_alloc(1 << 16);
    CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (!c || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1)
        return fault_set(f, CE_CRYPTO, "SHA-256 failed");
    for (int64_t at = 0; at < x->u->order.length;) {
        int64_t left = x->u->order.length - at;
        ssize_t n = get(x->fd, chunk, left < (1 << 16) ? (size_t)left : 1 << 16, at);
        if (n <= 0)
            return n < 0 ? local_fault(f, "reading the update back") : fault_set(f, CE_STORE, "the medium ends within the update");
        EVP_DigestUpdate(c, chunk, (size_t)n);
        at += n;
    }
    if (EVP_DigestFinal_ex(c, got, NULL) != 1 || !order_digest(x->u->order.sha256, want))
        return fault_set(f, CE_CRYPTO, "SHA-256 failed");
    return memcmp(got, want, sizeof got) == 0 ? CE_OK : fault_set(f, CE_BAD_PROOF, "the file is not the one that was signed");
}

static enum err fetch_end(struct fetch *x, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct fault gone;
    if (!x->device && ftruncate(x->fd, x->u->order.length))
        return local_fault(f, "writing the update");
    if (fsync(x->fd))
        return local_fault(f, "writing the update");
    posix_fadvise(x->fd, 0, 0, POSIX_FADV_DONTNEED); /* read back what the medium has, not what memory has */
    enum err e = whole_digest(x, f);
    progress_path(x->u, path);
    if (record_remove(path, &gone)) /* right or wrong, this download does not go on from there */
        log_warn(0, "%s", gone.text);
    return e;
}

/* -- as differences to what is installed -------------------------------------------------------------------------------------------- */
static enum err delta_write(void *arg, int64_t at, struct span block)
{
    struct fetch *x = arg;
    x->at = at;
    enum err e = put(x, block.p, block.n);
    if (!e)
        tell_percent(x);
    return e;
}

static bool delta_stopped(void *arg) { return *((struct fetch *)arg)->u->stop; }

/* What the order's slot before holds is what was confirmed last? Then a delta may do. Whatever becomes of it, the whole file can go on at x->at. */
static enum err delta_try(struct fetch *x, struct fault *f)
{
    const struct agent_config *cfg = x->u->cfg;
    struct update_installed from;
    struct handler h;
    struct fault why = { 0 };
    char path[PATH_MAX_LEN];
    if (!cfg->update_delta || x->u->order.encrypted || !x->list.len || !*x->u->order.from_slot || installed_load(x->u->dir, &from, &why) || !*from.sha256 ||
        strcmp(from.slot, x->u->order.from_slot) != 0 || handler_find(cfg, x->u->dir, x->u->order.handler, &h, &why) || !h.slots)
        return CE_OK;
    slot_path(&h, from.slot[0], path);
    const struct delta_job j = { .net = x->u->net, .order = &x->u->order, .from = &from, .from_path = path, .list = buf_span(&x->list), .at = x->at,
                                 .min_rate = cfg->download_min_rate, .stall_s = cfg->download_stall_s, .wait_s = cfg->update_delta_wait_s,
                                 .write = delta_write, .stopped = delta_stopped, .arg = x };
    enum err e = update_delta(&j, &why);
    if (!e)
        log_info(0, "the update came as a delta");
    else if (e != CE_NOT_FOUND)
        log_info(0, "no delta (%s): the whole file is fetched", why.text);
    if (x->e) /* of put */
        return fault_set(f, x->e, "%s", x->why.text);
    return e == CE_DRAINING ? fault_set(f, e, "stopped") : CE_OK;
}

static enum err file_get(struct fetch *x, struct fault *f)
{
    struct updater *u = x->u;
    char url[PATH_MAX_LEN];
    path_join(url, "/update/v1/artifact/%.64s", u->order.sha256);
    struct net_download d = { .from = x->at, .limit = u->order.length, .min_rate = u->cfg->download_min_rate, .stall_s = u->cfg->download_stall_s,
                              .on_begin = on_begin, .on_bytes = on_bytes, .arg = x };
    const struct sealed_job sealed = { .u = u, .at = x->at, .on_begin = on_begin, .on_bytes = on_bytes, .arg = x };
    if (u->order.encrypted)
        return update_sealed(&sealed, f);
    enum err e = net_download(u->net, url, &d, f);
    u->retry_s = d.retry_s;
    return e;
}

enum err update_fetch(struct updater *u, const char *path, struct fault *f)
{
    CLEANUP(fetch_free) struct fetch x = { .u = u, .fd = -1, .list = BUF_INIT(32u << 20), .block = BUF_INIT(BLOCK_MAX), .told_ms = clock_mono_ms() };
    enum err e = list_get(&x, f);
    e = e ? e : place_open(&x, path, f);
    if (e)
        return e;
    place_resume(&x);
    if (x.at)
        log_info(0, "%lld of %lld bytes of the update are there already", (long long)x.at, (long long)u->order.length);
    e = x.at < u->order.length ? delta_try(&x, f) : CE_OK;
    if (e)
        return e;
    e = x.at < u->order.length ? file_get(&x, f) : CE_OK;
    if (e == CE_OK && x.e)
        e = fault_set(f, x.e, "%s", x.why.text);
    if (e == CE_OK && x.at != u->order.length)
        e = fault_set(f, CE_IO, "the download ended after %lld of %lld bytes", (long long)x.at, (long long)u->order.length);
    return e ? e : fetch_end(&x, f);
}
