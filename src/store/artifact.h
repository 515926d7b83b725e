/* store/artifact.h: table artifact: the files for devices that the depot has taken in, by digest. SQL only; the bytes lie in DIR/artifact.
 * Spans in rows read are in the arena.
 */
#ifndef CRADLE_STORE_ARTIFACT_H
#define CRADLE_STORE_ARTIFACT_H

#include "base/mem.h"
#include "store/db.h"

struct artifact_row {
    struct span sha256, sha1, name, added_by;
    int64_t length, encrypted, added_at;
    int64_t releases; /* signed releases, not withdrawn, that name it; read only */
};
MUST_USE enum err store_artifact_add(struct db *db, const struct artifact_row *r, struct fault *f); /* CE_EXISTS */
MUST_USE enum err store_artifact_get(struct db *db, struct arena *a, struct span sha256, struct artifact_row *out, struct fault *f); /* CE_NOT_FOUND */
MUST_USE enum err store_artifact_remove(struct db *db, struct span sha256, struct fault *f); /* CE_NOT_FOUND */
/* By digest, from after `after` on; limit rows at most. */
MUST_USE enum err store_artifact_list(struct db *db, struct arena *a, struct span after, int64_t limit, struct artifact_row **out, size_t *n, struct fault *f);

#endif
