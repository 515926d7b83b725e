/* msg.h: the messages between roles as structs, made from msg.def, and their codecs.
 * Packed form: fields in order; I64/BOOL/TIM 8 bytes big-endian, others u32 length + bytes. Pure functions, no I/O.
 * Spans in an unpacked message point into the bytes it came from.
 */
#ifndef CRADLE_WIRE_MSG_H
#define CRADLE_WIRE_MSG_H

#include <jansson.h>
#include <stddef.h>

#include "base/mem.h"
#include "base/span.h"
#include "crypt/key.h"

#define MSG_SPKI_MAX KEY_SPKI_MAX /* bytes of a SubjectPublicKeyInfo in a message */

/* CALLER_IDEVID: an initial device identity, ours or of a maker whose anchor is pinned: front has verified the path, core judges whose it is.
 * CALLER_EXPIRED: a device by a certificate of ours that has ended; front has verified the signature, core judges whether it may renew.
 * CALLER_SECRET: a device by its one-time secret, whose reference is in cn; core verifies the MAC of each message. */
enum caller_kind { CALLER_NONE, CALLER_INFRA, CALLER_DEVICE, CALLER_FOREIGN, CALLER_IDEVID, CALLER_EXPIRED, CALLER_SECRET };
enum body_kind { BODY_NONE, BODY_JSON, BODY_CERT, BODY_OCSP, BODY_TEXT, BODY_BINARY };

#define MSG_T_I64 int64_t
#define MSG_T_BOOL int64_t
#define MSG_T_TIM int64_t
#define MSG_T_STR struct span
#define MSG_T_BYT struct span
#define MSG_T_HEX struct span
#define MSG_T_LST struct span

#define MSG_BEGIN(UPPER, lower, type) struct msg_##lower {
#define FIELD(TYPE, name, max, FROM) MSG_T_##TYPE name;
#define MSG_END(UPPER, lower) };
#include "wire/msg.def"
#undef MSG_BEGIN
#undef FIELD
#undef MSG_END

#define DEVICE_STATES_MAX 500 /* UIDs in one msg_device_states */
#define DEVICE_TAGS_MAX 16    /* tags of one device */

enum msg_type {
#define MSG_BEGIN(UPPER, lower, type) MSG_##UPPER = type,
#define FIELD(TYPE, name, max, FROM)
#define MSG_END(UPPER, lower)
#include "wire/msg.def"
#undef MSG_BEGIN
#undef FIELD
#undef MSG_END
};

enum msg_ftype { MSG_F_I64, MSG_F_BOOL, MSG_F_TIM, MSG_F_STR, MSG_F_BYT, MSG_F_HEX, MSG_F_LST };
enum msg_from { MSG_FROM_REQ, MSG_FROM_OPT, MSG_FROM_INT };

/* Fields lie one after the other without padding: each is an int64_t or a struct span. */
struct msg_field {
    const char *name;
    enum msg_ftype type;
    enum msg_from from;
    int64_t max;
};

/* An int64_t in the struct; else a struct span. */
static inline bool msg_field_is_number(const struct msg_field *f)
{
    return f->type == MSG_F_I64 || f->type == MSG_F_BOOL || f->type == MSG_F_TIM;
}

struct msg_desc {
    const char *name;
    enum msg_type type;
    size_t size; /* of the struct */
    const struct msg_field *fields;
    size_t nfields;
};

/* One descriptor a message: msg_desc_caller, msg_desc_reply, … */
#define MSG_BEGIN(UPPER, lower, type) extern const struct msg_desc msg_desc_##lower;
#define FIELD(TYPE, name, max, FROM)
#define MSG_END(UPPER, lower)
#include "wire/msg.def"
#undef MSG_BEGIN
#undef FIELD
#undef MSG_END

const struct msg_desc *msg_desc_find(uint16_t type); /* NULL when there is none */

/* Appends m, packed. A field over its max is a broken invariant (our own bug), not an error. */
void msg_pack(const struct msg_desc *d, const void *m, struct buf *out);
/* Takes one message from the front of *in. CE_TRUNCATED or CE_TOO_LARGE or CE_BAD_FIELD; *in is then unspecified. */
MUST_USE enum err msg_unpack(const struct msg_desc *d, struct span *in, void *m);
/* The same, and nothing may follow: CE_TRAILING. */
MUST_USE enum err msg_unpack_all(const struct msg_desc *d, struct span in, void *m);

/* Fills the REQ and OPT fields of *m from a JSON object; INT fields and absent OPT ones are zero. Unknown keys, wrong types,
 * sizes beyond max: CE_BAD_FIELD and f names the field. Copies live in the arena. */
MUST_USE enum err msg_from_json(const struct msg_desc *d, const json_t *obj, struct arena *a, void *m, struct fault *f);
static inline void json_decref_p(json_t **o) { json_decref(*o); } /* for CLEANUP */
/* Parses text as one JSON value (jansson; duplicates rejected, depth bounded): CE_BAD_JSON. Caller json_decref()s *out. */
MUST_USE enum err json_parse(struct span text, json_t **out, struct fault *f);

#endif
