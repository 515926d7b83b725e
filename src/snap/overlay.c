/* overlay.c: open addressing with linear probing; keys are hashes already, and entries are never taken out. */
#include "snap/overlay.h"

#include <stdlib.h>

#include "base/mem.h"

static struct overlay_slot *slot_find(struct overlay_slot *slots, size_t cap, unsigned set, const uint8_t *key)
{
    uint64_t h;
    memcpy(&h, key, sizeof h);
    for (size_t i = (size_t)(h + set) & (cap - 1);; i = (i + 1) & (cap - 1))
        if (!slots[i].set || (slots[i].set == set && !memcmp(slots[i].key, key, SNAPSHOT_KEY)))
            return &slots[i];
}

static void overlay_grow(struct overlay *o)
{
    size_t cap = o->cap ? o->cap * 2 : 64;
    struct overlay_slot *slots = mem_calloc(cap, sizeof *slots);
    for (size_t i = 0; i < o->cap; i++)
        if (o->slots[i].set)
            *slot_find(slots, cap, o->slots[i].set, o->slots[i].key) = o->slots[i];
    free(o->slots);
    o->slots = slots;
    o->cap = cap;
}

void overlay_put(struct overlay *o, unsigned set, unsigned op, const uint8_t *key)
{
    if (o->n * 4 >= o->cap * 3)
        overlay_grow(o);
    struct overlay_slot *s = slot_find(o->slots, o->cap, set, key);
    o->n += !s->set;
    s->set = (uint8_t)set;
    s->op = (uint8_t)op;
    memcpy(s->key, key, SNAPSHOT_KEY);
}

unsigned overlay_get(const struct overlay *o, unsigned set, const uint8_t *key)
{
    return o->cap ? slot_find(o->slots, o->cap, set, key)->op : 0;
}

void overlay_free(struct overlay *o)
{
    free(o->slots);
    *o = (struct overlay){ 0 };
}
