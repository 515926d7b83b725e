/* distinct.c: see distinct.h. The hash is no secret: who chooses his texts to deceive it makes a number in a report smaller. */
#include "base/distinct.h"

#define RANKS (1 << DISTINCT_BITS)

static uint64_t hash_of(struct span text) /* FNV-1a, and the last mix of MurmurHash3 */
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < text.n; i++)
        h = (h ^ text.p[i]) * 1099511628211u;
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
    return h ^ (h >> 33);
}

void distinct_add(struct distinct *d, struct span text)
{
    uint64_t h = hash_of(text), rest = h >> DISTINCT_BITS;
    uint8_t rank = 1;
    while (!(rest & 1) && rank < 64 - DISTINCT_BITS) {
        rest >>= 1;
        rank++;
    }
    uint8_t *at = &d->rank[h & (RANKS - 1)];
    *at = *at > rank ? *at : rank;
}

/* Natural logarithm of x >= 1: halvings, and a short series. libm is not linked for one number. */
static double ln_of(double x)
{
    double sum = 0;
    for (; x > 1.5; x /= 2)
        sum += 0.69314718055994531;
    double t = (x - 1) / (x + 1), term = t, s = 0;
    for (int i = 1; i < 40; i += 2, term *= t * t)
        s += term / i;
    return sum + 2 * s;
}

int64_t distinct_count(const struct distinct *d)
{
    double sum = 0;
    int zeros = 0;
    for (int i = 0; i < RANKS; i++) {
        sum += 1.0 / (double)((uint64_t)1 << d->rank[i]);
        zeros += d->rank[i] == 0;
    }
    double all = 0.7213 / (1 + 1.079 / RANKS) * RANKS * RANKS / sum;
    if (all <= 2.5 * RANKS && zeros)
        all = RANKS * ln_of((double)RANKS / zeros);
    return (int64_t)(all + 0.5);
}
