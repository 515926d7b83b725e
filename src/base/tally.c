/* tally.c: see tally.h. */
#include "base/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/distinct.h"
#include "base/mem.h"

struct kind { /* one sort of refusal */
    struct tally_item item; /* count: not told yet; at_ms: of the first of them */
    int64_t since_ms;       /* monotonic, when its window opened */
};
struct rest { /* what has no place among the kinds, of one reason */
    int64_t count, at_ms, since_ms;
    struct distinct addresses;
};
struct tally {
    tally_tell *tell;
    void *ctx;
    uint32_t hashes[TALLY_KINDS]; /* of the kinds; 0: none in this place */
    struct kind kinds[TALLY_KINDS];
    struct rest *rests[CE_COUNT]; /* owned; NULL: none of this reason in the window */
};

struct tally *tally_new(tally_tell *tell, void *ctx)
{
    struct tally *t = mem_calloc(1, sizeof *t);
    t->tell = tell;
    t->ctx = ctx;
    return t;
}

void tally_free(struct tally *t)
{
    if (!t)
        return;
    for (int i = 0; i < CE_COUNT; i++)
        free(t->rests[i]);
    free(t);
}

static uint32_t hash_add(uint32_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 16777619u;
    return h;
}

static uint32_t hash_of(const struct tally_item *x) { return hash_add(hash_add(2166136261u ^ (uint32_t)x->code, x->uid) * 31, x->addr) | 1; }

static bool same(const struct tally_item *a, const struct tally_item *b)
{
    return a->code == b->code && strcmp(a->addr, b->addr) == 0 && strcmp(a->uid, b->uid) == 0;
}

static void rest_put(struct tally *t, const struct tally_item *item, int64_t mono_ms)
{
    struct rest **at = &t->rests[item->code];
    if (!*at) {
        *at = mem_calloc(1, sizeof **at);
        (*at)->at_ms = item->at_ms;
        (*at)->since_ms = mono_ms;
    }
    (*at)->count++;
    distinct_add(&(*at)->addresses, span_str(item->addr));
}

void tally_put(struct tally *t, const struct tally_item *item, int64_t mono_ms)
{
    struct kind *k = NULL;
    uint32_t hash = hash_of(item);
    int vacant = -1;
    for (int i = 0; i < TALLY_KINDS && !k; i++) {
        vacant = t->hashes[i] || vacant >= 0 ? vacant : i;
        k = t->hashes[i] == hash && same(&t->kinds[i].item, item) ? &t->kinds[i] : NULL;
    }
    if (k) {
        if (!k->item.count++)
            k->item.at_ms = item->at_ms;
        return;
    }
    if (vacant < 0) {
        rest_put(t, item, mono_ms);
        return;
    }
    k = &t->kinds[vacant];
    *k = (struct kind){ .item = *item, .since_ms = mono_ms };
    t->hashes[vacant] = hash;
    k->item.count = 1;
    k->item.sources = 0;
    if (t->tell(t->ctx, &k->item))
        k->item.count = 0;
}

static bool rest_tell(struct tally *t, enum err code, const struct rest *r)
{
    struct tally_item item = { .code = code, .at_ms = r->at_ms, .count = r->count, .sources = distinct_count(&r->addresses) };
    snprintf(item.text, sizeof item.text, "%lld more, beyond the %d kinds that are told one by one, from about %lld addresses",
             (long long)item.count, TALLY_KINDS, (long long)item.sources);
    return t->tell(t->ctx, &item);
}

void tally_age(struct tally *t, int64_t mono_ms)
{
    for (int i = 0; i < TALLY_KINDS; i++) {
        struct kind *k = &t->kinds[i];
        if (t->hashes[i] && mono_ms - k->since_ms >= TALLY_WINDOW_MS && (!k->item.count || t->tell(t->ctx, &k->item)))
            t->hashes[i] = 0;
    }
    for (int i = 0; i < CE_COUNT; i++) {
        struct rest *r = t->rests[i];
        if (!r || mono_ms - r->since_ms < TALLY_WINDOW_MS || !rest_tell(t, (enum err)i, r))
            continue;
        free(r);
        t->rests[i] = NULL;
    }
}
