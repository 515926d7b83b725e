/* The map under front's caches against a plain array, through growth, deletion and reuse. */
#include "role/front_map.h"

#include "base/mem.h"
#include "t/tap.h"

#define N 5000

static struct span key_of(uint32_t *i)
{
    return span_of(i, sizeof *i);
}

int main(void)
{
    static bool there[N];
    static uint64_t value[N];
    struct front_map m = FRONT_MAP(uint64_t);
    uint32_t seed = 1, wrong = 0;
    ok(front_map_get(&m, SPAN_LIT("x")) == NULL, "an empty map holds nothing");
    front_map_del(&m, SPAN_LIT("x"));
    for (uint32_t round = 0; round < 40000; round++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t i = (seed >> 8) % N;
        uint64_t *v = front_map_get(&m, key_of(&i));
        wrong += (v != NULL) != there[i] || (v && *v != value[i]);
        if (seed >> 30) {
            uint64_t *slot = front_map_set(&m, key_of(&i));
            wrong += !there[i] && *slot != 0;
            *slot = value[i] = round;
            there[i] = true;
        } else {
            front_map_del(&m, key_of(&i));
            there[i] = false;
        }
    }
    ok(wrong == 0, "40 000 random changes agree with an array");
    size_t n = 0, walked = 0, at = 0;
    for (size_t i = 0; i < N; i++)
        n += there[i];
    struct span key;
    uint64_t *v;
    while ((v = front_map_next(&m, &at, &key))) {
        uint32_t i;
        memcpy(&i, key.p, sizeof i);
        wrong += !there[i] || *v != value[i];
        walked++;
        if (i % 2)
            front_map_del(&m, key);
    }
    ok(walked == n && m.live < n && wrong == 0, "a walk meets each of %zu once and may delete", n);
    size_t slots = m.nslots;
    for (uint32_t i = 0; i < 200000; i++) { /* churn must not grow it */
        uint32_t k = N + i;
        front_map_set(&m, key_of(&k));
        front_map_del(&m, key_of(&k));
    }
    ok(m.nslots == slots, "churn leaves the size as it is (%zu slots)", slots);
    front_map_free(&m);
    ok(front_map_get(&m, SPAN_LIT("x")) == NULL, "a freed map is an empty one");
    return done();
}
