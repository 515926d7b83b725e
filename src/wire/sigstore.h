/* sigstore.h: sigstore bundles v0.3 with a public key as verification material: the signature of a file, or a DSSE envelope about it, in the JSON that
 * cosign reads. No transparency log and no time stamp: cradle's evidence is its own log, and an offline verifier has the key. Pure.
 */
#ifndef CRADLE_WIRE_SIGSTORE_H
#define CRADLE_WIRE_SIGSTORE_H

#include "wire/dsse.h"

struct sigstore { /* spans into the arena */
    bool has_envelope;        /* dsseEnvelope: the envelope; else messageSignature: sha256 and sig */
    struct span sha256, sig;
    struct dsse envelope;
};

/* Appends a bundle for the key with this SubjectPublicKeyInfo. An envelope must have exactly one signature; its key identifier is left out, because
 * cosign takes another one for another key. */
void sigstore_write(const struct sigstore *s, struct span spki, struct buf *out);
/* CE_BAD_JSON, CE_BAD_ENVELOPE with the rule broken, CE_TOO_LARGE. Judges no signature, and ignores the hint at the key. */
MUST_USE enum err sigstore_read(struct span json, struct arena *a, struct sigstore *out, struct fault *f);

#endif
