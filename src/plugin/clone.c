/* clone.c: the clone score. */
#include "plugin/clone.h"

#include <stdlib.h>

#include "base/mem.h"

struct clone_rec {
    uint8_t key[SNAPSHOT_KEY];
    bool used;
    int returns;
    int64_t takeover_ms; /* the last take-over */
    int64_t alarm_ms;    /* the last alarm; 0 none */
    char addr[48];       /* of the session that took over */
};

#define CLONE_WAYS 8
struct clone_watch {
    struct clone_rec recs[CLONE_SLOTS / CLONE_WAYS][CLONE_WAYS];
};

struct clone_watch *clone_new(void) { return mem_calloc(1, sizeof(struct clone_watch)); }

void clone_free(struct clone_watch *w) { free(w); }

/* The record of key, or (make) the one that has been quiet longest in its set, emptied. */
static struct clone_rec *rec_find(struct clone_watch *w, const uint8_t *key, bool make)
{
    uint32_t h;
    memcpy(&h, key, sizeof h); /* keys are hashes already */
    struct clone_rec *set = w->recs[h % (CLONE_SLOTS / CLONE_WAYS)], *oldest = &set[0];
    for (int i = 0; i < CLONE_WAYS; i++) {
        if (set[i].used && !memcmp(set[i].key, key, SNAPSHOT_KEY))
            return &set[i];
        if (oldest->used && (!set[i].used || set[i].takeover_ms < oldest->takeover_ms))
            oldest = &set[i];
    }
    if (!make)
        return NULL;
    *oldest = (struct clone_rec){ .used = true };
    memcpy(oldest->key, key, SNAPSHOT_KEY);
    return oldest;
}

enum clone_sign clone_login(struct clone_watch *w, const uint8_t key[SNAPSHOT_KEY], const char *addr, bool took_over, int64_t now_ms, int *returns)
{
    struct clone_rec *r = rec_find(w, key, took_over);
    enum clone_sign sign = CLONE_NONE;
    *returns = 0;
    if (!r)
        return CLONE_NONE;
    if (r->addr[0] && now_ms - r->takeover_ms <= CLONE_WINDOW_MS) {
        r->returns++;
        if (strncmp(r->addr, addr, sizeof r->addr - 1) != 0)
            sign = CLONE_SECOND_ADDRESS;
        else if (r->returns >= CLONE_RETURNS)
            sign = CLONE_RETURNED;
    } else {
        r->returns = 0;
    }
    *returns = r->returns;
    if (took_over) {
        r->takeover_ms = now_ms;
        size_t n = strnlen(addr, sizeof r->addr - 1);
        memcpy(r->addr, addr, n);
        r->addr[n] = 0;
    }
    if (sign && r->alarm_ms && now_ms - r->alarm_ms < CLONE_WINDOW_MS)
        return CLONE_NONE;
    if (sign)
        r->alarm_ms = now_ms;
    return sign;
}
