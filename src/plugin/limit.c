/* limit.c: see limit.h. A bucket is one time (generic cell rate algorithm): when it would be full again. */
#include "plugin/limit.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "crypt/hash.h"

#define WAYS 8
#define SETS (LIMIT_SLOTS / WAYS)

struct bucket {
    uint64_t key;
    int64_t full_us; /* monotonic; not later than now: the place is free */
};
struct limit {
    int64_t step_us, depth_us; /* one login; the whole bucket less one */
    uint8_t secret[16];
    uint64_t forgotten;
    struct bucket *buckets;    /* owned; SETS * WAYS; NULL: no limit */
};

enum err limit_new(int64_t per_minute, int64_t burst, struct limit **out)
{
    struct limit *l = mem_calloc(1, sizeof *l);
    *out = l;
    if (per_minute <= 0)
        return CE_OK;
    l->step_us = 60000000 / per_minute;
    l->depth_us = (burst - 1) * l->step_us;
    l->buckets = mem_calloc(LIMIT_SLOTS, sizeof *l->buckets);
    return random_bytes(l->secret, sizeof l->secret);
}

void limit_free(struct limit *l)
{
    if (!l)
        return;
    free(l->buckets);
    free(l);
}

/* The bucket of key, or the place for it: a free one, else the fullest. */
static struct bucket *bucket_find(struct limit *l, uint64_t key, int64_t now_us)
{
    struct bucket *set = &l->buckets[key % SETS * WAYS], *at = &set[0];
    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key && set[i].full_us > now_us)
            return &set[i];
        if (set[i].full_us < at->full_us)
            at = &set[i];
    }
    l->forgotten += at->full_us > now_us;
    *at = (struct bucket){ key, now_us };
    return at;
}

bool limit_take(struct limit *l, struct span what, int64_t now_us)
{
    uint8_t hash[SHA256_LEN];
    uint64_t key;
    if (!l->buckets)
        return true;
    sha256_two(span_of(l->secret, sizeof l->secret), what, hash);
    memcpy(&key, hash, sizeof key);
    struct bucket *b = bucket_find(l, key, now_us);
    if (b->full_us - now_us > l->depth_us)
        return false;
    b->full_us += l->step_us;
    return true;
}

bool limit_take_addr(struct limit *l, const char *addr, int64_t now_us)
{
    struct in6_addr six;
    struct in_addr four;
    if (inet_pton(AF_INET, addr, &four) == 1)
        return limit_take(l, span_of(&four, sizeof four), now_us);
    if (inet_pton(AF_INET6, addr, &six) != 1)
        return limit_take(l, span_str(addr), now_us);
    return IN6_IS_ADDR_V4MAPPED(&six) ? limit_take(l, span_of(&six.s6_addr[12], 4), now_us) : limit_take(l, span_of(six.s6_addr, 8), now_us);
}

uint64_t limit_forgotten(const struct limit *l) { return l->forgotten; }
