/* manifest.h: manifest.json, the plain description of a release for programs that know neither TUF nor directives:
 *   {"version", "firmware", "signature", "certificate", "sha256", "min_version", "release_date"}
 * firmware is a file's name, signature base64 of ECDSA P-256 with SHA-256 (DER) over that file, certificate the signer's in PEM. A detached CMS
 * signature (cms_signed.h) over the manifest's bytes makes it authentic. Pure.
 */
#ifndef CRADLE_WIRE_MANIFEST_H
#define CRADLE_WIRE_MANIFEST_H

#include "base/mem.h"
#include "base/span.h"

#define MANIFEST_MAX 65536 /* bytes */

struct manifest { /* spans into the arena */
    struct span version, firmware, min_version; /* texts; min_version "0": any */
    struct span signature;                      /* DER */
    struct span certificate;                    /* DER */
    struct span sha256;                         /* 32 bytes */
    int64_t release_date_s;
};

/* Appends the manifest: JSON, compact, a newline at its end. */
void manifest_write(const struct manifest *m, struct buf *out);
/* All members are needed; others are passed over. CE_BAD_JSON, CE_BAD_METADATA with the member, CE_TOO_LARGE. Judges no signature. */
MUST_USE enum err manifest_read(struct span json, struct arena *a, struct manifest *out, struct fault *f);

#endif
