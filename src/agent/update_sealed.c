/* update_sealed.c: see update_sealed.h. */
#include "agent/update_sealed.h"

#include <openssl/x509.h>
#include <stdlib.h>

#include "agent/creds.h"
#include "agent/unseal_port.h"
#include "agent/update_store.h"
#include "base/mem.h"

#define SPKI_MAX 256

struct run {
    const struct sealed_job *j;
    struct agent_key device;            /* owned */
    uint8_t *mem;                     /* owned: one segment */
    struct cradle_unseal unseal;
    struct cradle_unseal_port port;
    uint8_t key[32], sha256[32], head[CRADLE_UNSEAL_HEAD];
    size_t head_n;
    uint32_t segment;                 /* where it goes on */
    bool stopped;                     /* by on_begin or on_bytes */
    int err;                          /* of the library */
};

static void run_end(struct run *r)
{
    mem_zero(r->key, sizeof r->key);
    mem_zero(&r->unseal, sizeof r->unseal);
    key_close(&r->device);
    free(r->mem);
}

/* -- the library's port ------------------------------------------------------------------------------------------------------------- */
static int port_ecdh(void *ctx, const uint8_t point[65], uint8_t x[32]) { return unseal_ecdh(((struct run *)ctx)->device.pkey, point, x); }

static int port_write(void *ctx, uint64_t offset, const void *data, size_t n)
{
    struct run *r = ctx;
    uint64_t at = (uint64_t)r->j->at, skip = offset < at ? at - offset : 0; /* in place already */
    if (skip >= n)
        return 0;
    r->stopped = !r->j->on_bytes(r->j->arg, span_of((const uint8_t *)data + skip, n - (size_t)skip));
    return r->stopped ? -1 : 0;
}

/* -- the key ------------------------------------------------------------------------------------------------------------------------ */
static enum err key_unwrap(struct run *r, struct span wrapped, struct fault *f)
{
    char path[PATH_MAX_LEN];
    uint8_t spki[SPKI_MAX], *end = spki, id[32];
    struct creds c = { 0 };
    path_join(c.dir, "%s", r->j->u->cfg->state_dir);
    creds_slot_dir(&c, CREDS_CURRENT, path);
    if (strcmp(key_home(path), "file") != 0)
        return fault_set(f, CE_UNSUPPORTED, "the release is encrypted, and the device's key (%s) only signs: encrypted releases need key = file", key_home(path));
    enum err e = key_open(r->j->u->cfg, path, &r->device, f);
    if (e)
        return e;
    int n = i2d_PUBKEY(r->device.pkey, NULL);
    if (n <= 0 || n > SPKI_MAX || i2d_PUBKEY(r->device.pkey, &end) != n || EVP_Digest(spki, (size_t)n, id, NULL, EVP_sha256(), NULL) != 1)
        return fault_set(f, CE_CRYPTO, "the device's public key cannot be written down");
    int bad = cradle_unseal_key(&r->port, wrapped.p, wrapped.n, r->sha256, r->device.port.point, id, r->j->u->cfg->uid, r->key);
    return bad ? fault_set(f, CE_BAD_PROOF, "the content key that the server gave does not open: %s", cradle_unseal_reason(bad)) : CE_OK;
}

static enum err key_get(struct run *r, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    struct updater *u = r->j->u;
    char path[PATH_MAX_LEN];
    path_join(path, "/update/v1/key/%.64s", u->order.sha256);
    enum err e = net_get(u->net, path, &reply, f);
    u->retry_s = reply.retry_s;
    return e ? e : key_unwrap(r, buf_span(&reply.body), f);
}

/* -- the bytes ---------------------------------------------------------------------------------------------------------------------- */
static bool on_head(void *arg, struct span s)
{
    struct run *r = arg;
    size_t n = s.n < sizeof r->head - r->head_n ? s.n : sizeof r->head - r->head_n;
    memcpy(r->head + r->head_n, s.p, n);
    r->head_n += n;
    return r->head_n < sizeof r->head;
}

static bool on_begin(void *arg, int64_t from)
{
    struct run *r = arg;
    cradle_unseal_begin(&r->unseal, &r->port, r->key, r->sha256, (uint64_t)r->j->u->order.length, r->mem);
    r->err = from ? cradle_unseal_add(&r->unseal, r->head, sizeof r->head) : CRADLE_UNSEAL_OK;
    if (from && !r->err)
        r->err = cradle_unseal_resume(&r->unseal, r->segment);
    if (r->err)
        return false;
    r->stopped = !r->j->on_begin(r->j->arg, r->j->at);
    return !r->stopped;
}

static bool on_bytes(void *arg, struct span s)
{
    struct run *r = arg;
    r->err = cradle_unseal_add(&r->unseal, s.p, s.n);
    return r->err == CRADLE_UNSEAL_OK;
}

static int64_t sealed_length(int64_t plain)
{
    uint32_t last = plain ? (uint32_t)((plain - 1) / CRADLE_UNSEAL_SEGMENT) : 0;
    return (int64_t)cradle_unseal_offset(last) + plain - (int64_t)last * CRADLE_UNSEAL_SEGMENT + CRADLE_UNSEAL_TAG;
}

/* The header first, when most of the file is here: it says how the segments were numbered. */
static enum err stream(struct run *r, struct fault *f)
{
    struct updater *u = r->j->u;
    char path[PATH_MAX_LEN];
    struct net_download d = { .limit = sealed_length(u->order.length), .min_rate = u->cfg->download_min_rate, .stall_s = u->cfg->download_stall_s,
                              .on_bytes = on_head, .arg = r };
    path_join(path, "/update/v1/artifact/%.64s", u->order.sha256);
    enum err e = r->segment ? net_download(u->net, path, &d, f) : CE_OK;
    if (!e && r->segment && r->head_n < sizeof r->head)
        e = fault_set(f, CE_IO, "the download ended within the header");
    if (!e) {
        d.from = r->segment ? (int64_t)cradle_unseal_offset(r->segment) : 0;
        d.on_begin = on_begin;
        d.on_bytes = on_bytes;
        e = net_download(u->net, path, &d, f);
    }
    u->retry_s = d.retry_s;
    return e;
}

enum err update_sealed(const struct sealed_job *j, struct fault *f)
{
    CLEANUP(run_end) struct run r = { .j = j, .segment = (uint32_t)(j->at / CRADLE_UNSEAL_SEGMENT) };
    r.port = (struct cradle_unseal_port){ &r, &update_port, port_ecdh, unseal_gcm_open, port_write };
    if (!order_digest(j->u->order.sha256, r.sha256) || j->u->order.length / CRADLE_UNSEAL_SEGMENT >= UINT32_MAX)
        return fault_set(f, CE_BAD_PROOF, "an encrypted file of %lld bytes is not taken", (long long)j->u->order.length);
    enum err e = key_get(&r, f);
    if (e)
        return e;
    r.mem = mem_alloc(CRADLE_UNSEAL_SEGMENT + CRADLE_UNSEAL_TAG);
    e = stream(&r, f);
    if (e || r.stopped)
        return e;
    int end = r.err ? r.err : cradle_unseal_end(&r.unseal);
    if (!end)
        return CE_OK;
    return fault_set(f, end == CRADLE_UNSEAL_SHORT ? CE_IO : CE_BAD_PROOF, "the encrypted file was not taken: %s at segment %u", cradle_unseal_reason(end),
                     (unsigned)r.unseal.segment);
}
