/* tuf_impl.h: private to tuf*.c: members of JSON objects, read with a rule in the refusal. */
#ifndef CRADLE_WIRE_TUF_IMPL_H
#define CRADLE_WIRE_TUF_IMPL_H

#include <jansson.h>

#include "wire/msg.h"
#include "wire/tuf.h"

struct tuf_in { struct arena *a; struct fault *f; };

/* Each: the member of o, checked; CE_BAD_METADATA names it. */
MUST_USE enum err tuf_text(const struct tuf_in *in, const json_t *o, const char *name, struct span *out);
MUST_USE enum err tuf_int(const struct tuf_in *in, const json_t *o, const char *name, int64_t min, int64_t *out);
MUST_USE enum err tuf_sha256(const struct tuf_in *in, const json_t *o, const char *name, struct span *out);
MUST_USE enum err tuf_object(const struct tuf_in *in, const json_t *o, const char *name, const json_t **out);
MUST_USE enum err tuf_array(const struct tuf_in *in, const json_t *o, const char *name, size_t max, const json_t **out);
/* Parses payload and reads _type, spec_version, version and expires. *doc is the caller's. */
MUST_USE enum err tuf_open(const struct tuf_in *in, struct span payload, enum tuf_type type, json_t **doc, struct tuf_head *out);
MUST_USE enum err tuf_keys_read(const struct tuf_in *in, const json_t *o, struct tuf_keys *out);
MUST_USE enum err tuf_role_read(const struct tuf_in *in, const json_t *o, const char *what, struct tuf_role *out);

json_t *tuf_doc(enum tuf_type type, const struct tuf_head *h); /* an object with the head's members */
json_t *tuf_str(struct span s);                                /* NULL when it is not UTF-8 */
json_t *tuf_hex(struct span s);
json_t *tuf_keys_json(const struct tuf_keys *keys);
json_t *tuf_role_json(const struct tuf_role *role);
/* Takes doc; appends it. CE_BAD_METADATA when doc is NULL (a part could not be made). */
MUST_USE enum err tuf_dump(json_t *doc, struct buf *out);

#endif
