/* store/attest.h: where the keys of devices live: tables device_key_home (of its newest key), device_ek (the TPM that belongs to a device)
 * and line_ek_ca (whose certificates vouch for the TPMs of a line). SQL only. Spans in rows read are in the arena. Times are ms since 1970. */
#ifndef CRADLE_STORE_ATTEST_H
#define CRADLE_STORE_ATTEST_H

#include "base/mem.h"
#include "store/db.h"

struct key_home_row {
    struct span uid, spki;  /* SHA-256 of the key's SubjectPublicKeyInfo */
    struct span home;       /* file tpm pkcs11 psa; empty: nobody said */
    bool proved;            /* by a TPM; else the device says so */
    struct span ek, vendor; /* of that TPM: SHA-256 of its endorsement key's SubjectPublicKeyInfo; who made it, may be empty */
    int64_t at;
};
MUST_USE enum err store_key_home_get(struct db *db, struct arena *a, struct span uid, struct key_home_row *out, struct fault *f); /* CE_NOT_FOUND */
MUST_USE enum err store_key_home_put(struct db *db, const struct key_home_row *r, struct fault *f);

/* ek empty: the device has none. */
MUST_USE enum err store_device_ek_get(struct db *db, struct arena *a, struct span uid, struct span *ek, struct fault *f);
MUST_USE enum err store_device_ek_put(struct db *db, struct span uid, struct span ek, struct fault *f);
/* Whose TPM it is; uid empty: nobody's. */
MUST_USE enum err store_device_ek_find(struct db *db, struct arena *a, struct span ek, struct span *uid, struct fault *f);

struct ek_ca_row {
    struct span line, sha256; /* of the certificate */
    struct span spki, title;  /* SubjectPublicKeyInfo; its subject, for people */
    int64_t at;
};
MUST_USE enum err store_ek_ca_list(struct db *db, struct arena *a, struct span line, struct ek_ca_row **out, size_t *n, struct fault *f);
MUST_USE enum err store_ek_ca_put(struct db *db, const struct ek_ca_row *r, struct fault *f);
MUST_USE enum err store_ek_ca_remove(struct db *db, struct span line, struct span sha256, bool *was, struct fault *f);

#endif
