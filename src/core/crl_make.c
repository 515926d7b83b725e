/* crl_make.c: see crl_make.h. */
#include "core/crl_make.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypt/crl_stream.h"
#include "store/crl.h"
#include "store/crl_block.h"

#define FRAME_MAX 65536 /* bytes of a list's head, and of its end */

static enum err io_failed(struct fault *f, const char *path, const char *what)
{
    return fault_set(f, err_from_errno(errno), "%s: %s: %s", path, what, strerror(errno));
}

/* -- gather ------------------------------------------------------------------------------------------------------------------- */
struct gather {
    struct crl_job *job;
    uint8_t *out;                /* owned; CRL_PIECE bytes */
    size_t n;
    enum err err;
};

static enum err gather_flush(struct gather *g)
{
    struct crl_job *j = g->job;
    if (file_write_all(j->fd, span_of(g->out, g->n)))
        g->err = io_failed(&j->why, j->temp, "entries cannot be written");
    j->bytes += g->n;
    g->n = 0;
    if (!g->err && j->bytes > CRL_BYTES_MAX)
        g->err = fault_set(&j->why, CE_TOO_LARGE, "it is too large: more shards are needed");
    return g->err;
}

static bool gather_one(void *ctx, const struct crl_listed *c)
{
    struct gather *g = ctx;
    if (c->not_after < g->job->ended_after_s)
        return true;
    if (CRL_PIECE - g->n < CRL_ENTRY_MAX && gather_flush(g))
        return false;
    size_t n = crl_encode(&(struct crl_entry){ .serial = c->serial, .revoked_at = c->revoked_at, .reason = c->reason }, g->out + g->n);
    if (!n) {
        g->err = fault_set(&g->job->why, CE_BAD_FIELD, "a certificate of it cannot be listed: its serial of %zu bytes, reason %d or date breaks RFC 5280 5.1.2.6, 5.3.1",
                           c->serial.n, c->reason);
        return false;
    }
    g->n += n;
    g->job->entries++;
    return true;
}

/* It has no name from its first moment on: nothing is left behind. */
static int entries_open(const struct crl_job *j, char path[PATH_MAX_LEN])
{
    path_join(path, "%s.entries", j->temp);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static enum err gather_rows(struct crl_job *j, struct gather *g)
{
    struct crl_shard_row row;
    enum err e = db_begin_read(j->db, &j->why);
    e = e ? e : store_crl_get(j->db, j->kid, j->shard, &row, &j->why);
    if (!e) {
        j->dirty = row.dirty;
        e = store_crl_list_each(j->db, j->kid, j->shard, gather_one, g, &j->why);
    }
    if (db_in_tx(j->db))
        db_rollback(j->db);
    return e ? e : g->err;
}

enum err crl_gather(void *job)
{
    struct crl_job *j = job;
    char path[PATH_MAX_LEN];
    j->entries = j->bytes = 0;
    j->why = (struct fault){ .code = CE_OK };
    j->fd = entries_open(j, path);
    if (j->fd < 0)
        return io_failed(&j->why, path, "it cannot be made");
    struct gather g = { .job = j, .out = mem_alloc(CRL_PIECE) };
    enum err e = gather_rows(j, &g);
    e = e ? e : gather_flush(&g);
    free(g.out);
    return e;
}

/* -- pieces ------------------------------------------------------------------------------------------------------------------- */
enum err crl_piece(const struct crl_job *j, uint64_t *at, struct buf *out)
{
    size_t want = j->bytes - *at < CRL_PIECE ? (size_t)(j->bytes - *at) : CRL_PIECE, got = 0;
    buf_reset(out);
    uint8_t *p = buf_grow(out, want);
    while (p && got < want) {
        ssize_t n = pread(j->fd, p + got, want - got, (off_t)(*at + got));
        if (n <= 0 && !(n < 0 && errno == EINTR))
            return CE_IO;
        got += n > 0 ? (size_t)n : 0;
    }
    out->len = crl_whole(buf_span(out));
    *at += out->len;
    return !p ? buf_err(out) : out->len || !want ? CE_OK : CE_IO;
}

void crl_job_end(struct crl_job *j)
{
    fd_close_p(&j->fd);
    buf_free(&j->list);
}

/* -- finish ------------------------------------------------------------------------------------------------------------------- */
struct finish {
    struct crl_job *job;
    struct crl list;             /* what the signer gave */
    struct cert issuer;
    int fd;                      /* owned */
    bool hashes;
    struct sig_hash tbs;
    struct sha256 file;
    size_t tbs_at, tbs_n;
};

static enum err put(struct finish *x, struct span bytes)
{
    sha256_add(&x->file, bytes);
    return file_write_all(x->fd, bytes) ? io_failed(&x->job->why, x->job->temp, "it cannot be written") : CE_OK;
}

static enum err list_judge(struct finish *x)
{
    struct crl_job *j = x->job;
    enum err e = cert_parse(j->ca_der, &x->issuer, &j->why);
    e = e ? e : crl_parse(buf_span(&j->list), &x->list, &j->why);
    if (e)
        return e;
    if (x->list.number != (uint64_t)j->number || x->list.n_entries || x->list.next_update != j->next_update || x->list.this_update != j->this_update)
        return fault_set(&j->why, CE_SIGNER, "the signer's CRL is not the one that was asked for");
    return crl_check_issuer(&x->list, &x->issuer) ? fault_set(&j->why, CE_CERT_FOREIGN, "the signer's CRL is another issuer's") : CE_OK;
}

/* Every entry is read again on its way. */
static enum err put_entries(struct finish *x)
{
    CLEANUP(buf_free) struct buf piece = BUF_INIT(CRL_PIECE);
    struct crl_job *j = x->job;
    struct crl_entry one;
    uint64_t n = 0;
    enum err e = CE_OK;
    for (uint64_t at = 0; !e && at < j->bytes;) {
        if (crl_piece(j, &at, &piece))
            return fault_set(&j->why, CE_IO, "the entries of the CRL cannot be read again");
        for (struct span in = buf_span(&piece); in.n; n++)
            if (!crl_decode(&in, &one))
                return fault_set(&j->why, CE_IO, "the entries of the CRL are not read as they were written");
        if (x->hashes)
            sig_hash_add(&x->tbs, buf_span(&piece));
        e = put(x, buf_span(&piece));
    }
    return e ? e : n == j->entries ? CE_OK : fault_set(&j->why, CE_IO, "entries of the CRL are missing");
}

static enum err put_all(struct finish *x)
{
    CLEANUP(buf_free) struct buf before = BUF_INIT(FRAME_MAX), after = BUF_INIT(FRAME_MAX);
    size_t tbs_end;
    enum err e = crl_frame(&x->list, x->job->bytes, &before, &x->tbs_at, &after, &tbs_end);
    if (e)
        return fault_set(&x->job->why, e, "the signer's CRL: %s", err_text(e));
    x->tbs_n = before.len - x->tbs_at + x->job->bytes + tbs_end;
    x->hashes = sig_hash_begin(&x->tbs, x->list.sig_alg);
    if (x->hashes)
        sig_hash_add(&x->tbs, span_of(before.data + x->tbs_at, before.len - x->tbs_at));
    e = put(x, buf_span(&before));
    e = e ? e : put_entries(x);
    if (x->hashes)
        sig_hash_add(&x->tbs, span_of(after.data, tbs_end));
    return e ? e : put(x, buf_span(&after));
}

/* Schemes that hash by themselves (Ed25519, ML-DSA) see the file as it lies in the kernel's memory. */
static enum err verify_mapped(const struct finish *x)
{
    size_t n = x->tbs_at + x->tbs_n;
    void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, x->fd, 0);
    if (p == MAP_FAILED)
        return CE_IO;
    enum err e = spki_verify(x->issuer.spki, x->list.sig_alg, span_of((const uint8_t *)p + x->tbs_at, x->tbs_n), x->list.sig);
    munmap(p, n);
    return e;
}

static enum err verify(struct finish *x)
{
    CLEANUP(pubkey_free_p) struct pubkey *pub = NULL;
    uint8_t digest[SIG_DIGEST_MAX];
    enum err e = x->hashes ? pubkey_open(x->issuer.spki, &pub) : verify_mapped(x);
    if (!e && x->hashes)
        e = pubkey_verify_digest(pub, x->list.sig_alg, span_of(digest, sig_hash_end(&x->tbs, digest)), x->list.sig);
    return e ? fault_set(&x->job->why, e, "the signer's CRL: %s", err_text(e)) : CE_OK;
}

/* The file and its name survive power loss: whoever finds the name knows that a CRL was in the making. */
static enum err make_durable(struct finish *x)
{
    char dir[PATH_MAX_LEN];
    const char *slash = strrchr(x->job->temp, '/');
    path_join(dir, "%.*s", (int)(slash - x->job->temp), x->job->temp);
    return fdatasync(x->fd) || file_sync_dir(dir) ? io_failed(&x->job->why, x->job->temp, "it cannot be made durable") : CE_OK;
}

enum err crl_finish(void *job)
{
    struct crl_job *j = job;
    struct finish x = { .job = j };
    j->why = (struct fault){ .code = CE_OK };
    sha256_begin(&x.file);
    enum err e = list_judge(&x);
    if (e)
        return e;
    x.fd = open(j->temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (x.fd < 0)
        return io_failed(&j->why, j->temp, "it cannot be made");
    e = put_all(&x);
    e = e ? e : verify(&x);
    e = e ? e : make_durable(&x);
    sha256_end(&x.file, j->sha256);
    fd_close_p(&x.fd);
    if (e)
        unlink(j->temp);
    return e;
}
