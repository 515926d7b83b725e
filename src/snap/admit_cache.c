/* admit_cache.c: four places a set; a clock hand in each set says which one is next to go. */
#include "snap/admit_cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

#define WAYS 4

struct place { uint8_t key[32]; bool used; struct admit_known known; };
struct set { struct place place[WAYS]; unsigned hand; };
struct admit_cache {
    pthread_mutex_t lock;
    size_t n_sets; /* power of two */
    struct set *sets;
};

struct admit_cache *admit_cache_new(size_t entries)
{
    struct admit_cache *c = mem_calloc(1, sizeof *c);
    c->n_sets = 1;
    while (c->n_sets * WAYS < entries)
        c->n_sets *= 2;
    c->sets = mem_calloc(c->n_sets, sizeof *c->sets);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void admit_cache_free(struct admit_cache *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    free(c->sets);
    free(c);
}

static struct set *set_of(struct admit_cache *c, const uint8_t *key)
{
    uint64_t h;
    memcpy(&h, key, sizeof h);
    return &c->sets[h & (c->n_sets - 1)];
}

static struct place *place_find(struct set *s, const uint8_t *key)
{
    for (unsigned i = 0; i < WAYS; i++)
        if (s->place[i].used && !memcmp(s->place[i].key, key, sizeof s->place[i].key))
            return &s->place[i];
    return NULL;
}

bool admit_cache_get(struct admit_cache *c, const uint8_t key[32], struct admit_known *out)
{
    pthread_mutex_lock(&c->lock);
    const struct place *p = place_find(set_of(c, key), key);
    if (p)
        *out = p->known;
    pthread_mutex_unlock(&c->lock);
    return p != NULL;
}

void admit_cache_put(struct admit_cache *c, const uint8_t key[32], const struct admit_known *known)
{
    pthread_mutex_lock(&c->lock);
    struct set *s = set_of(c, key);
    struct place *p = place_find(s, key);
    if (!p)
        p = &s->place[s->hand++ % WAYS];
    memcpy(p->key, key, sizeof p->key);
    p->known = *known;
    p->used = true;
    pthread_mutex_unlock(&c->lock);
}
