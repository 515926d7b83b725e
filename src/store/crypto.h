/* store/crypto.h: tables device_crypto (key, signature and end of the certificate that each device got last, unless it was revoked) and crypto_count (how
 * many devices have what, kept in the same transaction). SQL only. Devices that got their certificate before these tables were there
 * are filled in by core/crypto_fill.c. Errors: of class STORE, as db.h says.
 */
#ifndef CRADLE_STORE_CRYPTO_H
#define CRADLE_STORE_CRYPTO_H

#include "base/mem.h"
#include "store/db.h"

struct crypto_row {
    struct span uid, kid, serial;   /* the device and its certificate */
    struct span key_alg, sig_alg;   /* "ec:P-256"; "ecdsa-sha256" */
    int64_t not_after;              /* s */
};
/* The device has this certificate now. Line and release are read from the device's own rows. */
MUST_USE enum err store_crypto_put(struct db *db, struct arena *a, const struct crypto_row *r, struct fault *f);
/* The certificate was revoked: when it is the device's, the device counts no more. */
MUST_USE enum err store_crypto_drop(struct db *db, struct span uid, struct span kid, struct span serial, struct fault *f);
/* The device runs this release now; a device without a row stays without one. store_version_put calls it. */
MUST_USE enum err store_crypto_release(struct db *db, struct span uid, struct span release, struct fault *f);

/* -- devices of before these tables: a walk, once, whose place is in the database -- */
/* A device without a row, and its newest certificate. */
struct crypto_unread {
    struct span uid, kid, serial, der; /* kid empty: it has none, or the newest is revoked; arena */
    int64_t not_after;
};
/* *due: the walk is not done; *after: it goes on behind this UID. */
MUST_USE enum err store_crypto_place(struct db *db, struct arena *a, bool *due, struct span *after, struct fault *f);
/* Of the next limit devices those without a row. *last: the last one looked at; empty: there are no more. */
MUST_USE enum err store_crypto_unread(struct db *db, struct arena *a, struct span after, int64_t limit, struct crypto_unread **out, size_t *n, struct span *last,
                                      struct fault *f);
/* last empty: done. */
MUST_USE enum err store_crypto_place_put(struct db *db, struct span last, struct fault *f);

/* -- for the query role; spans live until the next row -- */
/* line, key_alg, sig_alg, month of the end (yyyymm), devices */
void crypto_total_rows(struct db *db, struct db_rows *out);
/* line, release, its support_end, the line's service_until (both "" when not known), key_alg, sig_alg, devices */
void crypto_service_rows(struct db *db, struct db_rows *out);
/* uid, line, release, sig_alg, not_after of devices with that key, by (line, release, uid) from after the place on; line not empty: of that line only */
void crypto_device_rows(struct db *db, struct span key_alg, struct span line, const struct span after[3], int64_t limit, struct db_rows *out);

#endif
