/* checkpoint.h: the text of a tlog checkpoint (c2sp.org/tlog-checkpoint): origin, size, base64 root, extension lines.
 * Pure codec. Signatures around it are note.h; what a size means is core/evlog.
 */
#ifndef CRADLE_WIRE_CHECKPOINT_H
#define CRADLE_WIRE_CHECKPOINT_H

#include "crypt/merkle.h"
#include "wire/note.h"

struct checkpoint {
    char origin[NOTE_NAME_MAX + 1];
    uint64_t size; /* leaves, <= INT64_MAX */
    struct merkle_hash root;
};

void checkpoint_put(const struct checkpoint *c, struct buf *out); /* the text to be signed, ends in "\n" */
/* Reads the text of a note. Extension lines are accepted and ignored. CE_BAD_CHECKPOINT. */
MUST_USE enum err checkpoint_parse(struct span text, struct checkpoint *c, struct fault *f);
/* A whole signed note: verified with k (NULL: only split, not verified), its origin must be k's name. */
MUST_USE enum err checkpoint_open(const struct note_key *k, struct span note, struct checkpoint *c, struct fault *f);
/* What the signer does for SIGN_HEAD: origin is k's name. Appends the signed note. */
MUST_USE enum err checkpoint_sign(const struct note_key *k, struct key *key, uint64_t size, const struct merkle_hash *root,
                                  struct buf *out);

#endif
