/* session.c: three hash tables over the same entries, a heap of certificate ends, and a memory of the ended. */
#include "plugin/session.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define GONE_SETS 2048
#define GONE_WAYS 8
struct gone {
    uint8_t key[SNAPSHOT_KEY], cert_key[SNAPSHOT_KEY];
    const void *client;
    struct session_memory peer; /* kind PEER_FOREIGN: empty */
    uint64_t turn;
};

enum index { BY_CLIENT, BY_IDENT, BY_CERT, N_INDEX };
struct session_table {
    struct session **buckets[N_INDEX];
    size_t n_buckets;          /* a power of two */
    struct session **heap;     /* least not_after first */
    size_t n, heap_cap;
    uint32_t sweep[SESSION_SWEEPS];
    size_t sweep_bucket[SESSION_SWEEPS];
    uint64_t turn;
    struct gone gone[GONE_SETS][GONE_WAYS];
};

static uint64_t key_hash(const uint8_t *key)
{
    uint64_t h;
    memcpy(&h, key, sizeof h);
    return h;
}

static uint64_t client_hash(const void *client) { return ((uint64_t)(uintptr_t)client >> 4) * 0x9e3779b97f4a7c15u >> 20; }

static struct session **chain_link(struct session *s, enum index i)
{
    return i == BY_CLIENT ? &s->by_client : i == BY_IDENT ? &s->by_ident : &s->by_cert;
}

static struct session **bucket_of(struct session_table *t, const struct session *s, enum index i)
{
    uint64_t h = i == BY_CLIENT ? client_hash(s->client) : key_hash(i == BY_IDENT ? s->peer.ident_key : s->peer.cert_key);
    return &t->buckets[i][h & (t->n_buckets - 1)];
}

static void chain_push(struct session_table *t, struct session *s, enum index i)
{
    struct session **b = bucket_of(t, s, i);
    *chain_link(s, i) = *b;
    *b = s;
}

static void chain_drop(struct session_table *t, struct session *s, enum index i)
{
    struct session **at = bucket_of(t, s, i);
    while (*at != s)
        at = chain_link(*at, i);
    *at = *chain_link(s, i);
}

/* -- heap of ends -------------------------------------------------------------------------------------------------------- */
static void heap_put(struct session_table *t, size_t i, struct session *s)
{
    t->heap[i] = s;
    s->heap_at = i;
}

static void heap_up(struct session_table *t, size_t i)
{
    struct session *s = t->heap[i];
    for (; i && s->peer.not_after < t->heap[(i - 1) / 2]->peer.not_after; i = (i - 1) / 2)
        heap_put(t, i, t->heap[(i - 1) / 2]);
    heap_put(t, i, s);
}

static void heap_down(struct session_table *t, size_t i)
{
    struct session *s = t->heap[i];
    for (;;) {
        size_t c = 2 * i + 1;
        if (c + 1 < t->n && t->heap[c + 1]->peer.not_after < t->heap[c]->peer.not_after)
            c++;
        if (c >= t->n || t->heap[c]->peer.not_after >= s->peer.not_after)
            break;
        heap_put(t, i, t->heap[c]);
        i = c;
    }
    heap_put(t, i, s);
}

/* -- table ---------------------------------------------------------------------------------------------------------------- */
static void table_resize(struct session_table *t, size_t n_buckets)
{
    t->n_buckets = n_buckets;
    for (enum index i = 0; i < N_INDEX; i++) {
        free(t->buckets[i]);
        t->buckets[i] = mem_calloc(n_buckets, sizeof *t->buckets[i]);
    }
    for (size_t k = 0; k < t->n; k++)
        for (enum index i = 0; i < N_INDEX; i++)
            chain_push(t, t->heap[k], i);
    memset(t->sweep_bucket, 0, sizeof t->sweep_bucket);
}

struct session_table *session_table_new(void)
{
    struct session_table *t = mem_calloc(1, sizeof *t);
    table_resize(t, 64);
    return t;
}

void session_table_free(struct session_table *t)
{
    if (!t)
        return;
    for (size_t k = 0; k < t->n; k++)
        free(t->heap[k]);
    for (enum index i = 0; i < N_INDEX; i++)
        free(t->buckets[i]);
    free(t->heap);
    free(t);
}

size_t session_count(const struct session_table *t) { return t->n; }

struct session *session_add(struct session_table *t, const void *client, const struct peer *p, const char *addr)
{
    struct session *old = session_find(t, client);
    if (old)
        session_remove(t, old);
    if (t->n == t->heap_cap) {
        t->heap_cap = t->heap_cap ? t->heap_cap * 2 : 64;
        t->heap = mem_realloc(t->heap, t->heap_cap * sizeof(struct session *));
    }
    if (t->n >= t->n_buckets)
        table_resize(t, t->n_buckets * 2);
    struct session *s = mem_calloc(1, sizeof *s);
    s->client = client;
    s->peer = *p;
    s->began_mono_ms = s->heard_mono_ms = clock_mono_ms();
    memcpy(s->sweep, t->sweep, sizeof s->sweep);
    size_t n = strnlen(addr, sizeof s->addr - 1);
    memcpy(s->addr, addr, n);
    for (enum index i = 0; i < N_INDEX; i++)
        chain_push(t, s, i);
    heap_put(t, t->n++, s);
    heap_up(t, s->heap_at);
    return s;
}

struct session *session_find(struct session_table *t, const void *client)
{
    struct session *s = t->buckets[BY_CLIENT][client_hash(client) & (t->n_buckets - 1)];
    while (s && s->client != client)
        s = s->by_client;
    return s;
}

static struct session *ident_from(struct session *s, const uint8_t *key)
{
    while (s && memcmp(s->peer.ident_key, key, SNAPSHOT_KEY) != 0)
        s = s->by_ident;
    return s;
}

static struct session *cert_from(struct session *s, const uint8_t *key)
{
    while (s && memcmp(s->peer.cert_key, key, SNAPSHOT_KEY) != 0)
        s = s->by_cert;
    return s;
}

struct session *session_by_ident(struct session_table *t, const uint8_t key[SNAPSHOT_KEY])
{
    return ident_from(t->buckets[BY_IDENT][key_hash(key) & (t->n_buckets - 1)], key);
}

struct session *session_ident_next(struct session *s) { return ident_from(s->by_ident, s->peer.ident_key); }

struct session *session_by_cert(struct session_table *t, const uint8_t key[SNAPSHOT_KEY])
{
    return cert_from(t->buckets[BY_CERT][key_hash(key) & (t->n_buckets - 1)], key);
}

struct session *session_cert_next(struct session *s) { return cert_from(s->by_cert, s->peer.cert_key); }

static void gone_note(struct session_table *t, const struct session *s)
{
    struct gone *set = t->gone[key_hash(s->peer.ident_key) % GONE_SETS], *at = &set[0];
    for (int i = 0; i < GONE_WAYS; i++) {
        if (!memcmp(set[i].key, s->peer.ident_key, SNAPSHOT_KEY)) {
            at = &set[i];
            break;
        }
        if (set[i].turn < at->turn)
            at = &set[i];
    }
    if (s->kicked) {
        if (!memcmp(at->key, s->peer.ident_key, SNAPSHOT_KEY))
            *at = (struct gone){ 0 };
        return;
    }
    memcpy(at->key, s->peer.ident_key, SNAPSHOT_KEY);
    memcpy(at->cert_key, s->peer.cert_key, SNAPSHOT_KEY);
    at->client = s->client;
    at->peer.kind = s->peer.kind;
    memcpy(at->peer.line, s->peer.line, sizeof at->peer.line);
    at->turn = ++t->turn;
}

static const struct gone *gone_find(struct session_table *t, const uint8_t *key)
{
    const struct gone *set = t->gone[key_hash(key) % GONE_SETS];
    for (int i = 0; i < GONE_WAYS; i++)
        if (set[i].peer.kind && !memcmp(set[i].key, key, SNAPSHOT_KEY))
            return &set[i];
    return NULL;
}

bool session_gone(struct session_table *t, const uint8_t key[SNAPSHOT_KEY], struct session_memory *out)
{
    const struct gone *x = gone_find(t, key);
    if (x)
        *out = x->peer;
    return x != NULL;
}

bool session_gone_was(struct session_table *t, const struct peer *p, const void *client)
{
    const struct gone *x = gone_find(t, p->ident_key);
    return x && x->client == client && !memcmp(x->cert_key, p->cert_key, SNAPSHOT_KEY);
}

void session_remove(struct session_table *t, struct session *s)
{
    INVARIANT(t->n && t->heap[s->heap_at] == s);
    gone_note(t, s);
    for (enum index i = 0; i < N_INDEX; i++)
        chain_drop(t, s, i);
    struct session *last = t->heap[--t->n];
    if (last != s) {
        size_t at = s->heap_at;
        heap_put(t, at, last);
        heap_up(t, at);
        heap_down(t, last->heap_at);
    }
    free(s);
}

struct session *session_first_end(struct session_table *t) { return t->n ? t->heap[0] : NULL; }

void session_sweep_begin(struct session_table *t, enum session_sweep w)
{
    t->sweep[w]++;
    t->sweep_bucket[w] = 0;
}

struct session *session_sweep_next(struct session_table *t, enum session_sweep w)
{
    for (; t->sweep_bucket[w] < t->n_buckets; t->sweep_bucket[w]++)
        for (struct session *s = t->buckets[BY_CLIENT][t->sweep_bucket[w]]; s; s = s->by_client)
            if (s->sweep[w] != t->sweep[w]) {
                s->sweep[w] = t->sweep[w];
                return s;
            }
    return NULL;
}
