/* store/idevid.h: tables line_anchor (makers whose IDevIDs may enroll devices of a line) and device_idevid (the IDevID of another maker that a device is
 * known by). SQL only: who may what is core's. Spans read are in
 * the arena. Errors of class STORE, as db.h says.
 */
#ifndef CRADLE_STORE_IDEVID_H
#define CRADLE_STORE_IDEVID_H

#include "base/mem.h"
#include "store/db.h"

struct anchor_row {
    struct span line, sha256;   /* of the certificate */
    struct span root, inters;   /* DER; DER after DER */
    struct span rule;           /* serial | cn | hwserial */
    struct span hw_type;        /* OID as text; empty: any */
    struct span model;          /* an IDevID that names no device registers one of this model; empty: it is refused */
    struct span title;
    int64_t added_at;           /* ms */
    struct span added_by;
};
MUST_USE enum err store_anchor_add(struct db *db, const struct anchor_row *r, struct fault *f);                             /* CE_EXISTS */
MUST_USE enum err store_anchor_get(struct db *db, struct arena *a, struct span line, struct span sha256, struct anchor_row *out, struct fault *f); /* CE_NOT_FOUND */
/* line empty: of all lines, by line and digest. */
MUST_USE enum err store_anchor_list(struct db *db, struct arena *a, struct span line, struct anchor_row **out, size_t *n, struct fault *f);
MUST_USE enum err store_anchor_remove(struct db *db, struct span line, struct span sha256, struct fault *f); /* with its lists */               /* CE_NOT_FOUND */

/* The newest revocation list of one CA of a maker. */
struct anchor_crl_row {
    struct span line, sha256, issuer, digest; /* the anchor; key identifier of the CA that signed the list; SHA-256 of the list */
    int64_t number, this_update, next_update, entries; /* s */
    struct span revoked;                      /* as in MSG_ANCHOR_CRL */
    struct span stale;                        /* refuse, warn */
    int64_t added_at;                         /* ms */
    struct span added_by;
};
MUST_USE enum err store_anchor_crl_put(struct db *db, const struct anchor_crl_row *r, struct fault *f); /* new, or in place of what was there */
MUST_USE enum err store_anchor_crls(struct db *db, struct arena *a, struct span line, struct span sha256, struct anchor_crl_row **out, size_t *n, struct fault *f);

struct idevid_row {
    struct span uid, spki, anchor, serial, name; /* spki, anchor: SHA-256; name: what the rule took from the certificate */
    int64_t at;                                  /* ms, of the first enrollment with it */
};
MUST_USE enum err store_idevid_put(struct db *db, const struct idevid_row *r, struct fault *f);
MUST_USE enum err store_idevid_get(struct db *db, struct arena *a, struct span uid, struct idevid_row *out, struct fault *f);      /* CE_NOT_FOUND */
MUST_USE enum err store_idevid_by_key(struct db *db, struct arena *a, struct span spki, struct idevid_row *out, struct fault *f);  /* CE_NOT_FOUND */
MUST_USE enum err store_idevid_forget(struct db *db, struct span uid, struct fault *f);                                            /* CE_NOT_FOUND */

#endif
