/* cert_part.c: the certificate path as a part of the core: profiles and CAs at start, repair, what failed and is tried again, and
 * what a new front has to know. See cert_path.h.
 */
#include <stdlib.h>

#include "base/log.h"
#include "core/anchor.h"
#include "core/ca.h"
#include "core/cert_path.h"

static enum err issuer_load(struct core *core, const char *profile, struct cert_issuer *out, struct fault *f)
{
    enum err e = profile_load(core_config(core)->site, profile, &out->profile, f);
    if (e)
        return e;
    out->use = ca_use_find(span_str(out->profile.ca));
    for (size_t i = 0; i < core_cas(core); i++)
        if (ca_use_serves(core_ca_at(core, i)->use, out->use))
            return CE_OK;
    return fault_set(f, CE_BAD_CONFIG, "profile %s needs a CA for use '%s', which this site does not have", profile, out->profile.ca);
}

static enum err path_open(struct core *core, void **state, struct fault *f)
{
    struct cert_path *p = mem_calloc(1, sizeof *p);
    p->core = core;
    enum err e = issuer_load(core, "device", &p->device, f);
    e = e ? e : issuer_load(core, "operator", &p->infra, f);
    if (!e && profile_there(core_config(core)->site, PROFILE_IDEVID))
        e = issuer_load(core, PROFILE_IDEVID, &p->idevid, f);
    if (e)
        free(p);
    else
        *state = p;
    return e;
}

static void path_close(void *state)
{
    struct cert_path *p = state;
    for (size_t i = 0; i < CERT_BUCKETS; i++)
        while (p->bucket[i]) {
            struct enrollment *e = p->bucket[i];
            p->bucket[i] = e->next;
            e->path = NULL;
            if (e->state != ENROLLMENT_AT_SIGNER) /* else ask_drop frees it */
                enrollment_free(e);
        }
    free(p);
}

static enum err path_start(struct batch *b, void *state, struct fault *f)
{
    (void)state;
    return cert_repair(b, f);
}

/* Only what went wrong needs time: enrollments whose commit failed, or that the signer did not sign. */
static bool path_tick(struct batch *b, void *state, int64_t *next_ms)
{
    const struct cert_path *p = state;
    *next_ms = b->mono_ms + (p->n_open ? CERT_RETRY_MS : 60000);
    for (size_t i = 0; p->n_open && i < CERT_BUCKETS; i++)
        for (const struct enrollment *e = p->bucket[i]; e; e = e->next)
            if ((e->state == ENROLLMENT_SIGNED || e->state == ENROLLMENT_FAILED) && e->retry_ms <= b->mono_ms)
                return true;
    return false;
}

static enum err path_work(struct batch *b, void *state, struct fault *f)
{
    struct cert_path *p = state;
    enum err err = CE_OK;
    for (size_t i = 0; !err && i < CERT_BUCKETS; i++)
        for (struct enrollment *e = p->bucket[i], *next; !err && e; e = next) {
            next = e->next;
            if ((e->state == ENROLLMENT_SIGNED || e->state == ENROLLMENT_FAILED) && e->retry_ms <= b->mono_ms)
                err = cert_finish(b, e, f);
        }
    return err;
}

/* A front starts knowing nothing: infrastructure certificates that are not to be served. */
static void blocked_push(struct batch *b, int peer, const struct cert_row *c)
{
    struct msg_push_cert m = { .kid = c->kid, .serial = c->serial, .uid = c->holder, .reason = SPAN_LIT("certificate-revoked") };
    batch_push_msg(b, peer, &msg_desc_push_cert, &m);
}

static void path_peer(struct batch *b, void *state, int peer)
{
    struct cert_row *rows;
    size_t n;
    struct fault f;
    (void)state;
    for (size_t i = 0; i < core_cas(b->core); i++)
        ca_push(b, peer, core_ca_at(b->core, i));
    if (anchors_push(b, peer, &f))
        log_error(0, "anchors cannot be read for a front: %s; no IDevID of another maker enrolls there", f.text);
    if (store_cert_list_blocked(b->db, b->arena, b->now_ms / 1000, &rows, &n, &f)) {
        log_error(0, "revoked infrastructure certificates cannot be read for a front: %s; core refuses them by itself", f.text);
        return;
    }
    for (size_t i = 0; i < n; i++)
        blocked_push(b, peer, &rows[i]);
}

const struct core_part cert_part = {
    .name = "cert", .open = path_open, .close = path_close, .start = path_start, .tick = path_tick, .work = path_work, .peer = path_peer,
};
