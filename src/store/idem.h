/* store/idem.h: table idem: answers once given to requests with an Idempotency-Key. Errors of class STORE. */
#ifndef CRADLE_STORE_IDEM_H
#define CRADLE_STORE_IDEM_H

#include "base/mem.h"
#include "store/db.h"

struct idem_row {
    struct span caller, key;
    struct span digest;               /* SHA-256 over the request */
    int64_t code, http, rev, body_kind;
    struct span text, body;
    int64_t at;                       /* ms */
};
MUST_USE enum err store_idem_get(struct db *db, struct arena *a, struct span caller, struct span key, struct idem_row *out, struct fault *f); /* CE_NOT_FOUND */
MUST_USE enum err store_idem_add(struct db *db, const struct idem_row *i, struct fault *f);
MUST_USE enum err store_idem_forget(struct db *db, int64_t before_ms, struct fault *f); /* at most 1000 rows */

#endif
