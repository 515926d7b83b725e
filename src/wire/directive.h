/* directive.h: the order to one device to install one file: made online by the signer for exactly this device, its key, model and
 * hardware. It adds to the update metadata (tuf.h) and replaces nothing in it: a device installs only what both name.
 * Payload of a DSSE envelope of type DSSE_TYPE_DIRECTIVE. Pure codec.
 */
#ifndef CRADLE_WIRE_DIRECTIVE_H
#define CRADLE_WIRE_DIRECTIVE_H

#include "wire/tuf.h"

#define DIRECTIVE_APPROVALS 8

enum directive_action { DIRECTIVE_NONE, DIRECTIVE_INSTALL, DIRECTIVE_RESET }; /* nothing to do | install | wipe and enroll again */

struct directive { /* spans in the arena (read) or borrowed (written) */
    enum directive_action action;
    struct span device, model, hw_rev, line; /* hw_rev may be empty */
    struct span spki;                        /* SHA-256 of the device's SubjectPublicKeyInfo */
    int64_t sequence;                        /* of this device, 1.. and always higher than the one before */
    int64_t issued_s, expires_s;
    /* DIRECTIVE_INSTALL only: */
    struct span release, path, version;
    struct span sha256, sbom_sha256;         /* 32 bytes each */
    int64_t length, counter_floor;
    struct { struct span by; int64_t at_s; } approvals[DIRECTIVE_APPROVALS];
    size_t n_approvals;
};

MUST_USE enum err directive_read(struct span payload, struct arena *a, struct directive *out, struct fault *f); /* CE_BAD_JSON, CE_BAD_METADATA */
MUST_USE enum err directive_write(const struct directive *d, struct buf *out);

/* Versions: numbers and words between dots and dashes, compared from the left; numbers by value (1.10 > 1.9), a missing part is
 * lower than a number and higher than a word (1.2 < 1.2.1, 1.2-rc1 < 1.2). Returns < 0, 0, > 0. */
int version_cmp(struct span a, struct span b);
MUST_USE enum err version_check(struct span v, struct fault *f); /* 1..64 of [0-9A-Za-z.-+_], begins with a digit; CE_BAD_NAME */

#endif
