/* store/intent.h: table intent: certificates asked of the signer and not stored yet. What is left at start is an orphan.
 * Errors of class STORE, as db.h says. */
#ifndef CRADLE_STORE_INTENT_H
#define CRADLE_STORE_INTENT_H

#include "store/cert.h"

struct intent_row {
    struct span kid, serial;
    enum cert_holder holder_kind;
    struct span holder, profile;
    struct span spki;              /* SHA-256 */
    struct span key_der;           /* SubjectPublicKeyInfo */
    int64_t not_before, not_after; /* s */
    int64_t at;                    /* ms */
};
MUST_USE enum err store_intent_add(struct db *db, const struct intent_row *i, struct fault *f);
/* CE_NOT_FOUND when it is not there. */
MUST_USE enum err store_intent_drop(struct db *db, struct span kid, struct span serial, struct fault *f);
/* All of them, oldest first; rows in the arena, without key_der. */
MUST_USE enum err store_intent_list(struct db *db, struct arena *a, struct intent_row **out, size_t *n, struct fault *f);

#endif
