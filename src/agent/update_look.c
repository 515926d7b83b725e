/* update_look.c: fetches metadata by versions and lets libcradle-dev judge it, in its order. See update_client.h. What the server says is where to look;
 * each file must be the one that the file before it names. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/enroll.h"
#include "agent/update_client.h"
#include "agent/update_store.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define ROOTS_MAX 64 /* newer roots that are followed in one look */

struct look {
    struct updater *u;
    struct update_store store;
    struct cradle_update up;
    struct buf root; /* the newest one, when it is a newer one */
    int refusal;
};

typedef int step_fn(struct cradle_update *u, char *envelope, size_t n);

static void look_free(struct look *l)
{
    update_store_close(&l->store);
    buf_free(&l->root);
}

static enum err refused(struct look *l, const char *what, int code, struct fault *f)
{
    l->refusal = code;
    return fault_set(f, CE_BAD_SIGNATURE, "%s: %s", what, cradle_update_reason(code));
}

/* One metadata file to one step of the library. */
static enum err step(struct look *l, step_fn *fn, const char *file, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    char path[PATH_MAX_LEN];
    path_join(path, "/update/v1/metadata/%.100s", file);
    enum err e = net_get(l->u->net, path, &reply, f);
    if (e)
        return e;
    if (!reply.body.len)
        return fault_set(f, CE_IO, "%s is empty", file);
    int code = fn(&l->up, (char *)reply.body.data, reply.body.len);
    return code ? refused(l, file, code, f) : CE_OK;
}

/* The stored root, then each newer one until there is none (TUF 5.3). */
static enum err roots(struct look *l, struct fault *f)
{
    CLEANUP(buf_free) struct buf stored = BUF_INIT(1 << 20);
    enum err e = update_store_root(&l->store, &stored, f);
    if (e)
        return e;
    int code = cradle_update_root(&l->up, (char *)stored.data, stored.len);
    if (code)
        return refused(l, "the stored root", code, f);
    for (int i = 0; i < ROOTS_MAX; i++) {
        CLEANUP(net_reply_free) struct net_reply reply = { 0 };
        CLEANUP(buf_free) struct buf copy = BUF_INIT(0);
        char path[PATH_MAX_LEN];
        path_join(path, "/update/v1/metadata/%u.root.json", l->up.state.root_version + 1);
        e = net_get(l->u->net, path, &reply, f);
        if (reply.status == 404)
            break;
        if (e)
            return e;
        buf_put_span(&copy, buf_span(&reply.body));
        if (!copy.len || (code = cradle_update_root(&l->up, (char *)copy.data, copy.len)))
            return refused(l, path, code, f);
        buf_reset(&l->root);
        buf_put_span(&l->root, buf_span(&reply.body));
    }
    /* whatever comes after it: who hides it the next time does not get the keys back that it took away */
    return l->root.len ? update_store_save(&l->store, &l->up.state, buf_span(&l->root), f) : CE_OK;
}

static enum err directive_step(struct look *l, struct span directive, struct fault *f)
{
    CLEANUP(buf_free) struct buf copy = BUF_INIT(0);
    buf_put_span(&copy, directive);
    int code = cradle_update_directive(&l->up, (char *)copy.data, copy.len);
    return code ? refused(l, "the directive", code, f) : CE_OK;
}

static enum err steps(struct look *l, struct span directive, struct fault *f)
{
    char file[128];
    enum err e = roots(l, f);
    e = e ? e : step(l, cradle_update_timestamp, "timestamp.json", f);
    snprintf(file, sizeof file, "%u.snapshot.json", l->up.snapshot.version);
    e = e ? e : step(l, cradle_update_snapshot, file, f);
    snprintf(file, sizeof file, "%u.targets.json", l->up.targets.version);
    e = e ? e : step(l, cradle_update_targets, file, f);
    e = e ? e : directive_step(l, directive, f);
    snprintf(file, sizeof file, "%u.%.64s.json", l->up.line_meta.version, l->u->cfg->line);
    return e || l->up.target.action != CRADLE_UP_INSTALL ? e : step(l, cradle_update_line, file, f);
}

/* SHA-256 of the SubjectPublicKeyInfo of the certificate in use (RFC 5480: P-256, uncompressed point). */
static enum err spki_digest(const struct updater *u, uint8_t out[32], struct fault *f)
{
    static const uint8_t head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };
    uint8_t spki[sizeof head + 65];
    struct creds c = { 0 };
    CLEANUP(buf_free) struct buf der = BUF_INIT(16384);
    struct cradle_cert cert;
    path_join(c.dir, "%s", u->cfg->state_dir);
    enum err e = enroll_cert_load(&c, CREDS_CURRENT, &der, &cert, f);
    if (e)
        return e;
    if (!cert.point)
        return fault_set(f, CE_KEY_ALG, "the device's certificate has no P-256 key");
    memcpy(spki, head, sizeof head);
    memcpy(spki + sizeof head, cert.point, 65);
    return EVP_Digest(spki, sizeof spki, out, NULL, EVP_sha256(), NULL) == 1 ? CE_OK : fault_set(f, CE_CRYPTO, "SHA-256 failed");
}

enum err update_look(struct updater *u, struct span directive, struct cradle_update_target *target, int *refusal, struct fault *f)
{
    CLEANUP(look_free) struct look l = { .u = u, .store.lock_fd = -1, .root = BUF_INIT(0) };
    struct cradle_update_self self = { .uid = u->cfg->uid, .line = u->cfg->line, .model = u->cfg->model, .hw_rev = u->cfg->hw_rev, .version = u->version };
    *refusal = CRADLE_UP_OK;
    enum err e = spki_digest(u, self.spki_sha256, f);
    e = e ? e : update_store_open(&l.store, u->dir, u->cfg->update_root, f);
    if (e)
        return e;
    cradle_update_begin(&l.up, &update_port, &self, &l.store.state, clock_now_s());
    e = steps(&l, directive, f);
    *refusal = l.refusal;
    if (e)
        return e;
    *target = l.up.target;
    return update_store_save(&l.store, &l.up.state, span_of(NULL, 0), f);
}
