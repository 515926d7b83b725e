/* store/cmp.h: tables cmp_tx (open CMP transactions) and device_secret (one-time secrets that protect a first enrollment). SQL only: rules are core/cmp*.c. Errors of class STORE, as db.h says. Times in ms.
 */
#ifndef CRADLE_STORE_CMP_H
#define CRADLE_STORE_CMP_H

#include "base/mem.h"
#include "store/db.h"

struct cmp_tx_row {
    struct span tx;              /* transactionID */
    int64_t kind;                /* enum caller_kind of who began it */
    struct span who, ref;        /* its name; the secret's reference, empty when it signed */
    struct span uid;             /* whom the certificate is for */
    int64_t answer;              /* enum cmp_body: what the request is answered with */
    struct span state;           /* signing | waiting | issued | confirmed | rejected */
    struct span nonce;           /* senderNonce of our last answer */
    struct span kid, serial;     /* of the certificate, from issued on */
    int64_t fresh;               /* the certificate was made in this transaction */
    struct span enroll;          /* waiting: the packed msg_enroll that is judged again */
    int64_t began_at, until_at;
};
MUST_USE enum err store_cmp_tx_get(struct db *db, struct arena *a, struct span tx, struct cmp_tx_row *out, struct fault *f); /* CE_NOT_FOUND */
MUST_USE enum err store_cmp_tx_put(struct db *db, const struct cmp_tx_row *r, struct fault *f);
MUST_USE enum err store_cmp_tx_drop(struct db *db, struct span tx, struct fault *f);
MUST_USE enum err store_cmp_tx_count(struct db *db, struct span who, int64_t *n, struct fault *f);
/* Those whose time is over, at most limit, oldest first; *n rows in the arena. */
MUST_USE enum err store_cmp_tx_over(struct db *db, struct arena *a, int64_t now, int64_t limit, struct cmp_tx_row **out, size_t *n, struct fault *f);
MUST_USE enum err store_cmp_tx_next(struct db *db, int64_t *until, struct fault *f); /* when the next one is over; 0: none */
/* Every transaction about this certificate is confirmed. */
MUST_USE enum err store_cmp_tx_confirmed(struct db *db, struct span kid, struct span serial, struct fault *f);

struct secret_row {
    struct span ref, uid;
    struct span secret;          /* empty: wiped */
    struct span state;           /* open | used | over | locked */
    int64_t tries;               /* wrong ones */
    int64_t made_at, expires_at, wipe_at; /* wipe_at 0: it is wiped */
};
MUST_USE enum err store_secret_get(struct db *db, struct arena *a, struct span ref, struct secret_row *out, struct fault *f); /* CE_NOT_FOUND */
MUST_USE enum err store_secret_put(struct db *db, const struct secret_row *r, struct fault *f);
/* Open ones of a device; at most one in practice. *n rows in the arena. */
MUST_USE enum err store_secret_open(struct db *db, struct arena *a, struct span uid, struct secret_row **out, size_t *n, struct fault *f);
MUST_USE enum err store_secret_over(struct db *db, struct arena *a, int64_t now, int64_t limit, struct secret_row **out, size_t *n, struct fault *f);
MUST_USE enum err store_secret_next(struct db *db, int64_t *wipe, struct fault *f);

#endif
