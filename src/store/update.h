/* store/update.h: tables tuf (every accepted file of the update metadata) and release (what the newest line files name). SQL only.
 * Spans in rows read are in the arena.
 */
#ifndef CRADLE_STORE_UPDATE_H
#define CRADLE_STORE_UPDATE_H

#include "base/mem.h"
#include "store/db.h"

struct tuf_row { struct span role; int64_t version; struct span envelope, sha256; int64_t length, expires_at, added_at; }; /* expires_at: s */
MUST_USE enum err store_tuf_add(struct db *db, const struct tuf_row *r, struct fault *f); /* CE_EXISTS */
/* The newest version of a role; version 0 when there is none. */
MUST_USE enum err store_tuf_newest(struct db *db, struct arena *a, struct span role, struct tuf_row *out, struct fault *f);
MUST_USE enum err store_tuf_get(struct db *db, struct arena *a, struct span role, int64_t version, struct tuf_row *out, struct fault *f); /* CE_NOT_FOUND */
/* Newest version of each role, by name; envelopes are left empty. */
MUST_USE enum err store_tuf_list(struct db *db, struct arena *a, struct tuf_row **out, size_t *n, struct fault *f);

struct release_row {
    struct span line, name, version, path, sha256, sbom_sha256, support_end;
    int64_t counter, length, security_only, withdrawn, added_at;
    struct span min_version, handler, models, hw_revs; /* the last two: wire/text_list.h */
};
MUST_USE enum err store_release_add(struct db *db, const struct release_row *r, struct fault *f); /* CE_EXISTS */
MUST_USE enum err store_release_withdraw(struct db *db, struct span line, struct span name, struct fault *f); /* CE_NOT_FOUND */
MUST_USE enum err store_release_get(struct db *db, struct arena *a, struct span line, struct span name, struct release_row *out, struct fault *f); /* CE_NOT_FOUND */
/* The newest of a line with this version that was not withdrawn; an empty name: there is none. */
MUST_USE enum err store_release_find(struct db *db, struct arena *a, struct span line, struct span version, struct release_row *out, struct fault *f);
/* Releases that devices run and whose support ends before this day (or has ended), the earliest first. */
struct release_use { struct span line, name, support_end; int64_t devices; };
MUST_USE enum err store_release_ending(struct db *db, struct arena *a, struct span before, int64_t limit, struct release_use **out, size_t *n, struct fault *f);
/* Of a line, by name, from after `after` on; limit rows at most. */
MUST_USE enum err store_release_list(struct db *db, struct arena *a, struct span line, struct span after, int64_t limit, struct release_row **out, size_t *n,
                                     struct fault *f);

#endif
