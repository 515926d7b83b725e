/* front_map.c: see front_map.h. Open addressing, linear probing, tombstones dropped when it is rebuilt. */
#include "role/front_map.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum slot_state { SLOT_EMPTY, SLOT_LIVE, SLOT_DEAD };

struct slot {
    uint32_t hash;
    uint8_t state, nkey, key[FRONT_MAP_KEY];
};

#define VALUE_OFFSET ((sizeof(struct slot) + 7) & ~(size_t)7)

static size_t slot_size(const struct front_map *m)
{
    return (VALUE_OFFSET + m->value + 15) & ~(size_t)15;
}
static struct slot *slot_at(const struct front_map *m, size_t i)
{
    return (struct slot *)(void *)(m->slots + i * slot_size(m));
}
static void *slot_value(struct slot *s)
{
    return (uint8_t *)s + VALUE_OFFSET;
}

/* FNV-1a. Keys are names and serials that core has let in, so nobody outside chooses collisions in bulk. */
static uint32_t hash_of(struct span key)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < key.n; i++)
        h = (h ^ key.p[i]) * 16777619u;
    return h;
}

static struct slot *slot_find(const struct front_map *m, struct span key, uint32_t hash, struct slot **vacant)
{
    *vacant = NULL;
    for (size_t k = 0; k < m->nslots; k++) {
        struct slot *s = slot_at(m, (hash + k) & (m->nslots - 1));
        if (s->state == SLOT_LIVE && s->hash == hash && span_eq(span_of(s->key, s->nkey), key))
            return s;
        if (s->state != SLOT_LIVE && !*vacant)
            *vacant = s;
        if (s->state == SLOT_EMPTY)
            return NULL;
    }
    return NULL;
}

static void rebuild(struct front_map *m)
{
    struct front_map old = *m;
    m->nslots = old.nslots < 64 ? 64 : old.nslots * (old.live * 2 > old.nslots ? 2 : 1);
    m->slots = mem_calloc(m->nslots, slot_size(m));
    m->used = m->live;
    for (size_t i = 0; i < old.nslots; i++) {
        struct slot *s = slot_at(&old, i), *vacant;
        if (s->state != SLOT_LIVE)
            continue;
        slot_find(m, span_of(s->key, s->nkey), s->hash, &vacant);
        memcpy(vacant, s, slot_size(m));
    }
    free(old.slots);
}

void front_map_free(struct front_map *m)
{
    free(m->slots);
    *m = (struct front_map){.value = m->value};
}

void *front_map_get(const struct front_map *m, struct span key)
{
    struct slot *vacant, *s = slot_find(m, key, hash_of(key), &vacant);
    return s ? slot_value(s) : NULL;
}

void *front_map_set(struct front_map *m, struct span key)
{
    INVARIANT(key.n <= FRONT_MAP_KEY);
    struct slot *vacant, *s = slot_find(m, key, hash_of(key), &vacant);
    if (s)
        return slot_value(s);
    if ((m->used + 1) * 4 > m->nslots * 3) {
        rebuild(m);
        slot_find(m, key, hash_of(key), &vacant);
    }
    m->used += vacant->state == SLOT_EMPTY;
    m->live++;
    memset(vacant, 0, slot_size(m));
    vacant->hash = hash_of(key);
    vacant->state = SLOT_LIVE;
    vacant->nkey = (uint8_t)key.n;
    memcpy(vacant->key, key.p, key.n);
    return slot_value(vacant);
}

void front_map_del(struct front_map *m, struct span key)
{
    struct slot *vacant, *s = slot_find(m, key, hash_of(key), &vacant);
    if (!s)
        return;
    s->state = SLOT_DEAD;
    m->live--;
}

void *front_map_next(const struct front_map *m, size_t *at, struct span *key)
{
    while (*at < m->nslots) {
        struct slot *s = slot_at(m, (*at)++);
        if (s->state != SLOT_LIVE)
            continue;
        *key = span_of(s->key, s->nkey);
        return slot_value(s);
    }
    return NULL;
}
