/* delta_find.c: see delta_find.h. */
#include "wire/delta_find.h"

#include <stdlib.h>

#include "base/mem.h"

#define WINDOW 32             /* bytes that a sample is about */
#define SAMPLES (4u << 20)    /* of the whole old file at most: 64 MiB of slots */
#define SHIFT_MIN 6
#define SAME 4                /* cells that are kept for one sample */
#define WORTH_BYTES 192       /* a cell must promise more than its place in the record costs */
#define MULTIPLIER 0x9E3779B97F4A7C15ull

/* A polynomial over the last WINDOW bytes, modulo 2^64. */
struct roll { uint64_t h, out; };

static void roll_begin(struct roll *r)
{
    r->h = 0;
    r->out = 1;
    for (int i = 0; i < WINDOW; i++)
        r->out *= MULTIPLIER;
}

static inline uint64_t roll_mix(uint64_t h) { h ^= h >> 29; h *= 0xBF58476D1CE4E5B9ull; return h ^ h >> 32; }

/* Calls got(arg, key, end) for each sample of s. What repeats one byte gives no samples: it needs no reference. */
static void samples(struct span s, unsigned shift, void (*got)(void *arg, uint32_t key, size_t end), void *arg)
{
    struct roll r;
    uint64_t last = 0;
    roll_begin(&r);
    for (size_t i = 0; i < s.n; i++) {
        r.h = r.h * MULTIPLIER + s.p[i] + 1;
        if (i >= WINDOW)
            r.h -= r.out * (s.p[i - WINDOW] + 1u);
        if (i + 1 < WINDOW)
            continue;
        uint64_t mixed = roll_mix(r.h);
        if (mixed >> (64 - shift) || mixed == last)
            continue;
        last = mixed;
        got(arg, (uint32_t)mixed | 1u, i);
    }
}

static void slot_put(void *arg, uint32_t key, size_t end)
{
    struct find *x = arg;
    uint32_t cell = (uint32_t)((end - (WINDOW - 1)) / FIND_CELL);
    int same = 0;
    for (size_t i = key * 0x9E3779B1u & x->mask, step = 0; step < 64; i = (i + 1) & x->mask, step++) {
        struct find_slot *s = &x->slots[i];
        if (s->key == key && (s->cell == cell || ++same == SAME))
            return;
        if (s->key)
            continue;
        *s = (struct find_slot){ key, cell };
        return;
    }
}

void find_open(struct find *x, struct span from)
{
    size_t slots = 1024;
    *x = (struct find){ .shift = SHIFT_MIN, .cells = (uint32_t)(from.n / FIND_CELL + 1) };
    while (from.n >> x->shift > SAMPLES)
        x->shift++;
    while (slots < (from.n >> x->shift) * 2)
        slots *= 2;
    x->mask = slots - 1;
    x->slots = mem_calloc(slots, sizeof *x->slots);
    x->votes = mem_calloc(x->cells, sizeof *x->votes);
    samples(from, x->shift, slot_put, x);
}

void find_close(struct find *x)
{
    free(x->slots);
    free(x->votes);
    *x = (struct find){ 0 };
}

/* -- a block ------------------------------------------------------------------------------------------------------------------------ */
struct wish { uint32_t cell[SAME]; uint8_t n; }; /* where one sample of the block is to be had; n 0: covered */
struct look {
    struct find *x;
    struct wish *wishes; /* owned */
    size_t n, cap;
};

static void wish_put(void *arg, uint32_t key, size_t end)
{
    struct look *l = arg;
    const struct find *x = l->x;
    struct wish w = { .n = 0 };
    (void)end;
    for (size_t i = key * 0x9E3779B1u & x->mask, step = 0; step < 64 && x->slots[i].key && w.n < SAME; i = (i + 1) & x->mask, step++)
        if (x->slots[i].key == key)
            w.cell[w.n++] = x->slots[i].cell;
    if (!w.n)
        return;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 4096;
        l->wishes = mem_realloc(l->wishes, l->cap * sizeof *l->wishes);
    }
    l->wishes[l->n++] = w;
}

/* The cell that most uncovered samples wish for; *votes says how many. Leaves the votes at zero. */
static uint32_t favourite(const struct look *l, uint32_t *votes)
{
    uint32_t best = 0;
    *votes = 0;
    for (size_t i = 0; i < l->n; i++)
        for (unsigned k = 0; k < l->wishes[i].n; k++) {
            uint32_t cell = l->wishes[i].cell[k], v = ++l->x->votes[cell];
            if (v > *votes || (v == *votes && cell < best)) {
                best = cell;
                *votes = v;
            }
        }
    for (size_t i = 0; i < l->n; i++)
        for (unsigned k = 0; k < l->wishes[i].n; k++)
            l->x->votes[l->wishes[i].cell[k]] = 0;
    return best;
}

/* Drops the samples that cell covers. */
static void cover(struct look *l, uint32_t cell)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        bool has = false;
        for (unsigned k = 0; k < l->wishes[i].n; k++)
            has |= l->wishes[i].cell[k] == cell;
        if (!has)
            l->wishes[kept++] = l->wishes[i];
    }
    l->n = kept;
}

static int cell_cmp(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

size_t find_parts(struct find *x, struct span from, struct span block, size_t max, struct find_part out[FIND_PARTS])
{
    struct look l = { .x = x };
    uint32_t cells[FIND_PARTS], votes, worth = (WORTH_BYTES >> x->shift) + 1;
    size_t n = 0, parts = 0, most = max / FIND_CELL < FIND_PARTS ? max / FIND_CELL : FIND_PARTS;
    samples(block, x->shift, wish_put, &l);
    while (n < most) {
        uint32_t cell = favourite(&l, &votes);
        if (votes < worth)
            break;
        cells[n++] = cell;
        cover(&l, cell);
    }
    free(l.wishes);
    qsort(cells, n, sizeof *cells, cell_cmp);
    for (size_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)cells[i] * FIND_CELL;
        size_t len = from.n - at < FIND_CELL ? (size_t)(from.n - at) : FIND_CELL;
        if (parts && out[parts - 1].at + out[parts - 1].n == at)
            out[parts - 1].n += len;
        else
            out[parts++] = (struct find_part){ at, len };
    }
    return parts;
}
