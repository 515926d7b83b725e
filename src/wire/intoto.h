/* intoto.h: an in-toto Statement v1 about one file of a release, with cradle's own predicate: what the release metadata says of it, from which SBOM,
 * and which keys approved it. It travels as the payload (DSSE_TYPE_INTOTO) of an envelope of dsse.h. Pure.
 */
#ifndef CRADLE_WIRE_INTOTO_H
#define CRADLE_WIRE_INTOTO_H

#include "wire/tuf.h"

#define INTOTO_PREDICATE "urn:cradle:release:v1"

struct intoto_release { /* what is written */
    struct span line, file;            /* product line, file's name */
    const struct tuf_target *target;
    int64_t line_version;              /* of the metadata that names the target */
    struct span line_sha256;           /* of that envelope's payload */
    struct span approved[TUF_ROLE_KEYS]; /* identifiers of the keys that signed it */
    size_t n_approved;
};
struct intoto { /* what is read back; spans into the arena */
    struct span name, sha256;          /* of the one subject */
    struct span predicate_type;
    struct span line, release, version, sbom_sha256; /* of the predicate when it is ours, else empty */
};

/* Appends the statement in compact JSON. CE_BAD_METADATA when a text is not UTF-8. */
MUST_USE enum err intoto_write(const struct intoto_release *r, struct buf *out);
/* CE_BAD_JSON, CE_BAD_METADATA with the rule broken: another type, not exactly one subject, no SHA-256. */
MUST_USE enum err intoto_read(struct span payload, struct arena *a, struct intoto *out, struct fault *f);

#endif
