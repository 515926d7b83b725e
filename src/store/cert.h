/* store/cert.h: tables cert (written once), cert_state (what changes; a row only when it was used or is not plainly good) and key.
 * SQL only: who may do what is core's. Times: see schema.c. Every function: errors of class STORE, as db.h says.
 */
#ifndef CRADLE_STORE_CERT_H
#define CRADLE_STORE_CERT_H

#include "base/mem.h"
#include "store/db.h"

enum cert_holder { CERT_HOLDER_OPERATOR = 1, CERT_HOLDER_DEVICE = 2 };
enum cert_status { CERT_GOOD = 0, CERT_REVOKED = 1, CERT_HELD = 2, CERT_SUPERSEDED = 3 };

struct cert_state {
    enum cert_status status;
    int64_t revoked_at;   /* s; 0: never. Also when it was put on hold */
    int reason;           /* CRLReason */
    int64_t shard;        /* CRL shard that lists the serial */
    int64_t not_after;    /* s, as in the certificate: when the entry may leave the CRL */
    int64_t first_used_at; /* ms; 0: never seen */
};

struct cert_row {
    struct span kid, serial;          /* issuer's key id; minimal positive big-endian */
    enum cert_holder holder_kind;
    struct span holder;               /* UID or operator's name */
    struct span profile;
    struct span spki;                 /* SHA-256 */
    int64_t not_before, not_after;    /* s */
    int64_t issued_at;                /* ms */
    struct span der;                  /* empty in listings */
    struct cert_state state;          /* of cert_state; good and zero when there is no row */
    bool has_state;                   /* is there a row in cert_state? then shard is known */
};

MUST_USE enum err store_cert_add(struct db *db, const struct cert_row *c, struct fault *f);
/* Copies into the arena, DER included. CE_NOT_FOUND. */
MUST_USE enum err store_cert_get(struct db *db, struct arena *a, struct span kid, struct span serial, struct cert_row *out, struct fault *f);
/* The same for a serial whose issuer is not known (80 bits of a serial are random: it is unique in practice; the newest if not). */
MUST_USE enum err store_cert_find(struct db *db, struct arena *a, struct span serial, struct cert_row *out, struct fault *f);
/* All certificates of a holder that end after now_s, oldest first, without DER; *n rows in the arena. */
MUST_USE enum err store_cert_list(struct db *db, struct arena *a, enum cert_holder kind, struct span holder, int64_t now_s,
                                  struct cert_row **out, size_t *n, struct fault *f);
/* Revoked and held certificates of operators (any infrastructure role) that end after now_s, without DER. */
MUST_USE enum err store_cert_list_blocked(struct db *db, struct arena *a, int64_t now_s, struct cert_row **out, size_t *n, struct fault *f);

MUST_USE enum err store_cert_state_put(struct db *db, struct span kid, struct span serial, const struct cert_state *s, struct fault *f);
/* What OCSP says: CE_NOT_FOUND for a serial that was never issued (an orphan intent's serial is found: revoked). */
MUST_USE enum err store_cert_status(struct db *db, struct span kid, struct span serial, struct cert_state *out, struct fault *f);

/* Next rows of cert_state that are revoked, in key order after (kid, serial) (both empty: from the start), at most limit; fn gets
 * each; the loop ends when fn returns false. *n: rows seen. */
typedef bool store_cert_state_fn(void *ctx, struct span kid, struct span serial, const struct cert_state *s);
MUST_USE enum err store_cert_revoked_each(struct db *db, struct span kid, struct span serial, int64_t limit, store_cert_state_fn *fn,
                                          void *ctx, size_t *n, struct fault *f);

/* -- who is blocked as a whole, for the revocation stream -- */
typedef bool store_name_fn(void *ctx, struct span name);
/* Devices that are suspended, revoked or decommissioned, and operators that are removed. */
MUST_USE enum err store_blocked_idents_each(struct db *db, store_name_fn *fn, void *ctx, struct fault *f);
MUST_USE enum err store_quarantined_each(struct db *db, store_name_fn *fn, void *ctx, struct fault *f);
MUST_USE enum err store_blocked_lines_each(struct db *db, store_name_fn *fn, void *ctx, struct fault *f);

struct key_row {
    enum cert_holder holder_kind;
    struct span holder;    /* in the arena */
    int64_t added_at;      /* ms */
    int64_t revoked_at;    /* s; 0: not */
};
/* spki: SHA-256 of the SubjectPublicKeyInfo. CE_NOT_FOUND. */
MUST_USE enum err store_key_get(struct db *db, struct arena *a, struct span spki, struct key_row *out, struct fault *f);
/* A key that is there already stays as it is. */
MUST_USE enum err store_key_add(struct db *db, struct span spki, enum cert_holder kind, struct span holder, int64_t at_ms, struct fault *f);
MUST_USE enum err store_key_revoke(struct db *db, struct span spki, int64_t at_s, struct fault *f);

#endif
