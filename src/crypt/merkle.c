/* merkle.c: see merkle.h. Everything follows the recursive definitions of RFC 6962 2.1, including verification, so that the
 * iterative algorithm of RFC 9162 in t/tool/rfc6962.c is a real second opinion. */
#include "crypt/merkle.h"

#include "base/log.h"
#include "base/mem.h"
#include "crypt/hash.h"

#define LEAF_ON_STACK 1024

void merkle_empty(struct merkle_hash *out) { sha256(span_of("", 0), out->b); }

void merkle_leaf(struct span entry, struct merkle_hash *out)
{
    uint8_t small[1 + LEAF_ON_STACK];
    CLEANUP(mem_free_p) uint8_t *large = NULL;
    uint8_t *p = entry.n <= LEAF_ON_STACK ? small : (large = mem_alloc(1 + entry.n));
    p[0] = 0x00;
    if (entry.n)
        memcpy(p + 1, entry.p, entry.n);
    sha256(span_of(p, 1 + entry.n), out->b);
}

void merkle_node(const struct merkle_hash *l, const struct merkle_hash *r, struct merkle_hash *out)
{
    uint8_t p[1 + 2 * MERKLE_HASH];
    p[0] = 0x01;
    memcpy(p + 1, l->b, MERKLE_HASH);
    memcpy(p + 1 + MERKLE_HASH, r->b, MERKLE_HASH);
    sha256(span_of(p, sizeof p), out->b);
}

bool merkle_eq(const struct merkle_hash *a, const struct merkle_hash *b) { return memcmp(a->b, b->b, MERKLE_HASH) == 0; }

void merkle_root(const struct merkle_hash *leaves, uint64_t n, struct merkle_hash *out)
{
    struct merkle_range r = { 0 };
    for (uint64_t i = 0; i < n; i++)
        merkle_range_add(&r, &leaves[i]);
    merkle_range_root(&r, out);
}

void merkle_range_add(struct merkle_range *r, const struct merkle_hash *leaf)
{
    struct merkle_hash h = *leaf;
    for (uint64_t s = r->size; s & 1; s >>= 1) {
        INVARIANT(r->n > 0);
        merkle_node(&r->h[--r->n], &h, &h);
    }
    INVARIANT(r->n < MERKLE_LEVELS);
    r->h[r->n++] = h;
    r->size++;
}

void merkle_range_root(const struct merkle_range *r, struct merkle_hash *out)
{
    if (r->n == 0) {
        merkle_empty(out);
        return;
    }
    struct merkle_hash h = r->h[r->n - 1];
    for (unsigned i = r->n - 1; i-- > 0;)
        merkle_node(&r->h[i], &h, &h);
    *out = h;
}

/* MTH(D[lo:hi]); lo is a multiple of a power of two that is >= hi - lo, as every split of RFC 6962 leaves it. */
static enum err subtree(const struct merkle_source *s, uint64_t lo, uint64_t hi, struct merkle_hash *out)
{
    struct merkle_range r = { .size = hi - lo };
    for (unsigned level = MERKLE_LEVELS; level-- > 0;) {
        if (!((hi - lo) >> level & 1))
            continue;
        uint64_t at = lo + ((hi - lo) >> level >> 1 << level << 1);
        enum err e = s->node(s->ctx, level, at >> level, &r.h[r.n++]);
        if (e)
            return e;
    }
    merkle_range_root(&r, out);
    return CE_OK;
}

enum err merkle_root_at(const struct merkle_source *s, uint64_t size, struct merkle_hash *out) { return subtree(s, 0, size, out); }

static uint64_t split(uint64_t n) /* largest power of two < n, n >= 2 */ { return UINT64_C(1) << (63 - __builtin_clzll(n - 1)); }

static void reverse(struct merkle_proof *p)
{
    for (unsigned i = 0; i < p->n / 2; i++) {
        struct merkle_hash h = p->h[i];
        p->h[i] = p->h[p->n - 1 - i];
        p->h[p->n - 1 - i] = h;
    }
}

enum err merkle_inclusion(const struct merkle_source *s, uint64_t index, uint64_t size, struct merkle_proof *out)
{
    out->n = 0;
    if (index >= size)
        return CE_BAD_PROOF;
    for (uint64_t lo = 0, hi = size; hi - lo > 1;) {
        uint64_t mid = lo + split(hi - lo);
        bool left = index < mid;
        enum err e = left ? subtree(s, mid, hi, &out->h[out->n]) : subtree(s, lo, mid, &out->h[out->n]);
        if (e)
            return e;
        out->n++;
        if (left)
            hi = mid;
        else
            lo = mid;
    }
    reverse(out);
    return CE_OK;
}

enum err merkle_consistency(const struct merkle_source *s, uint64_t old, uint64_t size, struct merkle_proof *out)
{
    out->n = 0;
    if (old == 0 || old > size)
        return CE_BAD_PROOF;
    uint64_t lo = 0, hi = size;
    bool whole = true; /* [lo, old) is the whole old tree: its root is known to the verifier */
    while (old < hi) {
        uint64_t mid = lo + split(hi - lo);
        bool left = old <= mid;
        enum err e = left ? subtree(s, mid, hi, &out->h[out->n]) : subtree(s, lo, mid, &out->h[out->n]);
        if (e)
            return e;
        out->n++;
        if (left) {
            hi = mid;
        } else {
            lo = mid;
            whole = false;
        }
    }
    if (!whole) {
        enum err e = subtree(s, lo, hi, &out->h[out->n]);
        if (e)
            return e;
        out->n++;
    }
    reverse(out);
    return CE_OK;
}

/* Root of the tree of size leaves that holds leaf at index; consumes the proof's first n hashes exactly. */
static bool inclusion_root(const struct merkle_hash *leaf, uint64_t index, uint64_t size, const struct merkle_hash *p, unsigned n,
                           struct merkle_hash *out)
{
    if (size == 1) {
        *out = *leaf;
        return n == 0;
    }
    if (n == 0)
        return false;
    uint64_t k = split(size);
    const struct merkle_hash *sibling = &p[n - 1];
    if (index < k) {
        if (!inclusion_root(leaf, index, k, p, n - 1, out))
            return false;
        merkle_node(out, sibling, out);
    } else {
        if (!inclusion_root(leaf, index - k, size - k, p, n - 1, out))
            return false;
        merkle_node(sibling, out, out);
    }
    return true;
}

enum err merkle_inclusion_verify(const struct merkle_hash *leaf, uint64_t index, uint64_t size, const struct merkle_proof *p,
                                 const struct merkle_hash *root)
{
    struct merkle_hash got;
    if (index >= size || p->n > MERKLE_PROOF_MAX || !inclusion_root(leaf, index, size, p->h, p->n, &got) || !merkle_eq(&got, root))
        return CE_BAD_PROOF;
    return CE_OK;
}

/* SUBPROOF of RFC 6962 2.1.2 read backwards: both roots that the proof leads to. seed: the old root, NULL below a right turn. */
static bool consistency_roots(uint64_t old, uint64_t size, const struct merkle_hash *seed, const struct merkle_hash *p, unsigned n,
                              struct merkle_hash *old_out, struct merkle_hash *new_out)
{
    if (old == size) {
        if (n != (seed ? 0u : 1u))
            return false;
        *old_out = *new_out = seed ? *seed : p[0];
        return true;
    }
    if (n == 0)
        return false;
    uint64_t k = split(size);
    const struct merkle_hash *sibling = &p[n - 1];
    if (old <= k) {
        if (!consistency_roots(old, k, seed, p, n - 1, old_out, new_out))
            return false;
        merkle_node(new_out, sibling, new_out);
    } else {
        if (!consistency_roots(old - k, size - k, NULL, p, n - 1, old_out, new_out))
            return false;
        merkle_node(sibling, old_out, old_out);
        merkle_node(sibling, new_out, new_out);
    }
    return true;
}

enum err merkle_consistency_verify(uint64_t old, uint64_t size, const struct merkle_hash *old_root, const struct merkle_hash *root,
                                   const struct merkle_proof *p)
{
    struct merkle_hash got_old, got;
    if (old == 0 || old > size || p->n > MERKLE_PROOF_MAX || !consistency_roots(old, size, old_root, p->h, p->n, &got_old, &got) ||
        !merkle_eq(&got_old, old_root) || !merkle_eq(&got, root))
        return CE_BAD_PROOF;
    return CE_OK;
}
