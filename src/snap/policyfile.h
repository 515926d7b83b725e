/* policyfile.h: the policy document in force, as cradle-edge keeps it on disk: DIR/policy.KEY, KEY being the hash that the verified
 * snapshot names, in hex. Read, checked against its key, parsed, and shared by reference count: any thread may read one that it holds.
 */
#ifndef CRADLE_SNAP_POLICYFILE_H
#define CRADLE_SNAP_POLICYFILE_H

#include <stdatomic.h>

#include "base/file.h"
#include "wire/policy.h"

#define POLICYFILE "policy." /* and the key in hex */

struct policyfile {
    struct policy *policy;
    uint8_t key[SNAPSHOT_KEY];
    int64_t stored_ms;       /* when cradle-edge stored it, ms since 1970 */
    atomic_uint refs;        /* policyfile_ref, policyfile_drop */
};

void policyfile_path(char out[PATH_MAX_LEN], const char *dir, const uint8_t key[SNAPSHOT_KEY]);
/* *out has one reference. CE_NOT_FOUND, CE_BAD_SIGNATURE (its bytes have another key), CE_BAD_CONFIG (it cannot be understood), CE_TOO_LARGE,
 * CE_IO; f names the file. */
MUST_USE enum err policyfile_load(const char *dir, const uint8_t key[SNAPSHOT_KEY], struct policyfile **out, struct fault *f);
struct policyfile *policyfile_ref(struct policyfile *p); /* another one to the same; NULL is legal */
void policyfile_drop(struct policyfile *p);              /* NULL is legal */

#endif
