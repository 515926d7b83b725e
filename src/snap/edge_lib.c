/* edge_lib.c: libcradle-edge, include/cradle/edge.h over admit and snapfile. */
#include <cradle/edge.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypt/hash.h"
#include "snap/admit_cache.h"

#define LOOK_MS 10
#define ABSENT_LOOK_MS 200
#define REFUSE_AFTER_S 900
#define CACHE_ENTRIES 16384

struct cradle_edge {
    char dir[PATH_MAX_LEN];
    uint8_t pub[SNAP_PUB];
    int64_t refuse_ms;
    struct admit_trust trust;
    struct admit_cache *cache;
    _Atomic(struct snap *) snap;    /* NULL until there is one; set once */
    atomic_llong next_look_ms;      /* monotonic */
    pthread_mutex_t looking;
    char absent[CRADLE_EDGE_TEXT];  /* why there is no snapshot yet; under looking */
};

/* Whoever comes first after the time looks; the others go on with what is known. */
static void snapshot_look(struct cradle_edge *e)
{
    int64_t now = clock_mono_ms();
    struct fault f;
    if (now < atomic_load(&e->next_look_ms) || pthread_mutex_trylock(&e->looking))
        return;
    struct snap *s = atomic_load(&e->snap);
    if (s)
        (void)!snap_poll(s, NULL, NULL, NULL, &f); /* bad news leave the last good state in force, and that grows old */
    else if (!snap_open(e->dir, e->pub, &s, &f))
        atomic_store(&e->snap, s);
    else
        snprintf(e->absent, sizeof e->absent, "%s", f.text);
    atomic_store(&e->next_look_ms, clock_mono_ms() + (atomic_load(&e->snap) ? LOOK_MS : ABSENT_LOOK_MS));
    pthread_mutex_unlock(&e->looking);
}

static enum err edge_set_up(struct cradle_edge *e, const struct cradle_edge_options *o, struct fault *f)
{
    if (!o->dir || !o->stream_pub || !o->n_cas || o->refuse_after_s < 0)
        return fault_set(f, CE_BAD_CONFIG, "dir, stream_pub and at least one CA are needed, and refuse_after_s is not below 0");
    enum err err = span_to_cstr(span_str(o->dir), e->dir, sizeof e->dir - 32);
    if (err)
        return fault_set(f, err, "dir: the path is too long");
    e->refuse_ms = (o->refuse_after_s ? o->refuse_after_s : REFUSE_AFTER_S) * 1000;
    err = snap_read_pub(o->stream_pub, e->pub, f);
    for (size_t i = 0; !err && i < o->n_cas; i++)
        err = admit_trust_add(&e->trust, o->cas[i], f);
    return err;
}

int cradle_edge_open(const struct cradle_edge_options *options, struct cradle_edge **out, char *why)
{
    struct cradle_edge *e = mem_calloc(1, sizeof *e);
    struct fault f = { 0 };
    pthread_mutex_init(&e->looking, NULL);
    enum err err = edge_set_up(e, options, &f);
    if (err) {
        if (why)
            snprintf(why, CRADLE_EDGE_TEXT, "%s", f.text[0] ? f.text : err_text(err));
        cradle_edge_close(e);
        return -1;
    }
    e->cache = admit_cache_new(CACHE_ENTRIES);
    *out = e;
    return 0;
}

void cradle_edge_close(struct cradle_edge *e)
{
    if (!e)
        return;
    snap_close(atomic_load(&e->snap));
    admit_cache_free(e->cache);
    admit_trust_free(&e->trust);
    pthread_mutex_destroy(&e->looking);
    free(e);
}

static void peer_learn(struct cradle_edge *e, struct span der, struct admit_known *k)
{
    uint8_t key[SHA256_LEN];
    sha256(der, key);
    if (admit_cache_get(e->cache, key, k))
        return;
    k->fault = (struct fault){ 0 };
    struct snap *snap = atomic_load(&e->snap);
    struct policyfile *policy = snap ? snap_policy_take(snap, &(struct fault){ 0 }) : NULL;
    enum err err = admit_read_policy(der, &e->trust, policy ? policy->policy : NULL, &k->peer, &k->fault);
    policyfile_drop(policy);
    if (err && !k->fault.code)
        fault_set(&k->fault, err, "%s", err_text(err));
    if (err != CE_CERT_FOREIGN) /* tomorrow its CA may be one of ours */
        admit_cache_put(e->cache, key, k);
}

/* "There is no snapshot" helps nobody; why there is none does. */
static void absent_tell(struct cradle_edge *e, struct fault *f)
{
    pthread_mutex_lock(&e->looking);
    if (e->absent[0])
        fault_set(f, CE_STALE, "%s", e->absent);
    pthread_mutex_unlock(&e->looking);
}

static void verdict_write(const struct admit_known *k, enum err err, const struct fault *f, struct cradle_edge_verdict *out)
{
    *out = (struct cradle_edge_verdict){ 0 };
    snprintf(out->uid, sizeof out->uid, "%s", k->peer.uid);
    snprintf(out->line, sizeof out->line, "%s", k->peer.line);
    for (size_t i = 0; i < k->peer.serial_n; i++)
        snprintf(out->serial + 2 * i, 3, "%02x", k->peer.serial[i]);
    snprintf(out->reason, sizeof out->reason, "%s", err_reason(err));
    snprintf(out->state, sizeof out->state, "%s", admit_state(err));
    snprintf(out->text, sizeof out->text, "%s", f->text);
}

enum cradle_edge_answer cradle_edge_check(struct cradle_edge *e, const void *der, size_t n, struct cradle_edge_verdict *out)
{
    struct admit_known k;
    snapshot_look(e);
    peer_learn(e, span_of(der, n), &k);
    struct fault f = k.fault;
    enum err err = f.code;
    struct snap *snap = atomic_load(&e->snap);
    if (!err)
        err = admit_judge(&k.peer, snap, clock_now_s(), e->refuse_ms, &f);
    if (err == CE_STALE && !snap)
        absent_tell(e, &f);
    if (out)
        verdict_write(&k, err, &f, out);
    return !err ? CRADLE_EDGE_ADMIT : err == CE_STALE ? CRADLE_EDGE_STALE : CRADLE_EDGE_REFUSE;
}
