/* der.h: the little DER (X.690) that the device library writes and reads. Internal; no malloc; every read is bounded. */
#ifndef CRADLE_DEV_DER_H
#define CRADLE_DEV_DER_H

#include <stdbool.h>

#include "cradle/dev.h"

/* Writes backwards from the end of a buffer, so that lengths are known when a header is due. */
struct der_out {
    uint8_t *base;
    size_t at;   /* index of the first byte written so far */
    bool full;   /* sticky: the buffer was too small */
};
void der_add(struct der_out *o, const void *p, size_t n);
/* Puts tag and length before what has been written since `end` (a former o->at). */
void der_wrap(struct der_out *o, uint8_t tag, size_t end);
void der_put_tlv(struct der_out *o, uint8_t tag, const void *p, size_t n);

struct der_in {
    const uint8_t *p;
    size_t n;
};
/* Takes the next element; whatever its tag, tag and contents are given. false: malformed or past the end. */
bool der_next(struct der_in *in, uint8_t *tag, struct der_in *body);
/* The next element must have this tag. */
bool der_take(struct der_in *in, uint8_t tag, struct der_in *body);
bool der_is(const struct der_in *in, const uint8_t *oid, size_t n);

#endif
