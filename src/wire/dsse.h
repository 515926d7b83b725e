/* dsse.h: DSSE envelopes (Dead Simple Signing Envelope, protocol v1): JSON with a payload, its type and signatures over the
 * pre-authentication encoding of both. Pure codec; who may sign, and how many must, is the caller's (tuf.h, directive.h).
 */
#ifndef CRADLE_WIRE_DSSE_H
#define CRADLE_WIRE_DSSE_H

#include "base/mem.h"
#include "base/span.h"
#include "crypt/key.h"

#define DSSE_MAX (4u << 20) /* bytes of an envelope that is looked at */
#define DSSE_SIGS 32        /* more signatures are CE_BAD_ENVELOPE */
#define DSSE_TYPE_TUF "application/vnd.tuf+json"
#define DSSE_TYPE_DIRECTIVE "application/vnd.cradle.directive+json"
#define DSSE_TYPE_INTOTO "application/vnd.in-toto+json"

struct dsse_sig { struct span keyid, sig; }; /* keyid: text, a hint only; sig: bytes */
struct dsse { /* spans into the arena */
    struct span type, payload;
    struct dsse_sig sigs[DSSE_SIGS];
    size_t n_sigs;
};

/* Unknown members are ignored, as the protocol says. CE_BAD_ENVELOPE, CE_BAD_JSON, CE_TOO_LARGE; f names the rule. */
MUST_USE enum err dsse_parse(struct span json, struct arena *a, struct dsse *out, struct fault *f);
/* Appends the envelope in compact JSON. */
void dsse_encode(const struct dsse *d, struct buf *out);
/* Appends what is signed: "DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload. */
void dsse_pae(struct span type, struct span payload, struct buf *out);
/* Adds a signature by key to d (an older one with this keyid is replaced). keyid is borrowed. CE_CRYPTO, CE_BAD_ENVELOPE: full. */
MUST_USE enum err dsse_sign(struct dsse *d, struct key *key, struct span keyid, struct arena *a, struct fault *f);
/* Does the i-th signature hold by the key with this SubjectPublicKeyInfo? CE_BAD_SIGNATURE, CE_KEY_ALG, CE_UNSUPPORTED. */
MUST_USE enum err dsse_verify(const struct dsse *d, size_t i, struct span spki);

#endif
