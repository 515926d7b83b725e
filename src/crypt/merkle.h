/* merkle.h: RFC 6962 hashing (also RFC 9162 2.1): leaves, nodes, an incremental tree, inclusion and consistency proofs.
 * Pure arithmetic over hashes: no files, no signatures. Where subtree hashes come from is the caller's business
 * (struct merkle_source). Old size 0 is a matter of the protocol above: nothing can be proved against it here.
 */
#ifndef CRADLE_CRYPT_MERKLE_H
#define CRADLE_CRYPT_MERKLE_H

#include "base/span.h"

#define MERKLE_HASH 32 /* bytes */
#define MERKLE_LEVELS 64
#define MERKLE_PROOF_MAX 66 /* hashes; a consistency proof has at most log2(size) + 1 */

struct merkle_hash {
    uint8_t b[MERKLE_HASH];
};

void merkle_empty(struct merkle_hash *out);                   /* root of the tree of no leaves: SHA-256("") */
void merkle_leaf(struct span entry, struct merkle_hash *out); /* SHA-256(0x00 || entry) */
void merkle_node(const struct merkle_hash *l, const struct merkle_hash *r,
                 struct merkle_hash *out); /* SHA-256(0x01 || l || r); out may be l or r */
bool merkle_eq(const struct merkle_hash *a, const struct merkle_hash *b);
void merkle_root(const struct merkle_hash *leaves, uint64_t n, struct merkle_hash *out);

/* Compact range [0, size): the roots of its perfect subtrees, largest first; all a tree needs in order to grow. */
struct merkle_range {
    uint64_t size; /* leaves */
    unsigned n;    /* subtrees in h = number of one bits in size */
    struct merkle_hash h[MERKLE_LEVELS];
};
void merkle_range_add(struct merkle_range *r, const struct merkle_hash *leaf);
void merkle_range_root(const struct merkle_range *r, struct merkle_hash *out);

/* Gives the hash of the perfect subtree of leaves [index << level, (index + 1) << level). Its errors are passed on. */
struct merkle_source {
    void *ctx; /* borrowed */
    enum err (*node)(void *ctx, unsigned level, uint64_t index, struct merkle_hash *out);
};

struct merkle_proof {
    unsigned n;
    struct merkle_hash h[MERKLE_PROOF_MAX];
};

/* Root of the tree of the first size leaves, and proofs (RFC 6962 2.1.1, 2.1.2).
 * index >= size, or old == 0 or old > size: CE_BAD_PROOF. */
MUST_USE enum err merkle_root_at(const struct merkle_source *s, uint64_t size, struct merkle_hash *out);
MUST_USE enum err merkle_inclusion(const struct merkle_source *s, uint64_t index, uint64_t size, struct merkle_proof *out);
MUST_USE enum err merkle_consistency(const struct merkle_source *s, uint64_t old, uint64_t size, struct merkle_proof *out);

/* Verification as in RFC 9162 2.1.3.2 and 2.1.4.2: CE_BAD_PROOF when it does not hold. */
MUST_USE enum err merkle_inclusion_verify(const struct merkle_hash *leaf, uint64_t index, uint64_t size, const struct merkle_proof *p,
                                          const struct merkle_hash *root);
MUST_USE enum err merkle_consistency_verify(uint64_t old, uint64_t size, const struct merkle_hash *old_root, const struct merkle_hash *root,
                                            const struct merkle_proof *p);

#endif
