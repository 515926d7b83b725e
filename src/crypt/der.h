/* der.h: strict DER, X.690: a reader over a span and a writer into a buf. Pure; no OpenSSL.
 * Reader: definite minimal lengths only, one-byte tags only, nothing beyond the enclosing element. The span given to
 * a reader is the rest of the enclosing element; each call takes one element from its front.
 */
#ifndef CRADLE_CRYPT_DER_H
#define CRADLE_CRYPT_DER_H

#include "base/span.h"

enum der_tag {
    DER_BOOLEAN = 0x01, DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_OCTET_STRING = 0x04, DER_NULL = 0x05,
    DER_OID = 0x06, DER_ENUMERATED = 0x0a, DER_UTF8 = 0x0c, DER_PRINTABLE = 0x13, DER_IA5 = 0x16,
    DER_UTC_TIME = 0x17, DER_GENERAL_TIME = 0x18, DER_SEQUENCE = 0x30, DER_SET = 0x31,
};
#define DER_CONTEXT(n) (0x80u | (n))             /* primitive [n] */
#define DER_CONTEXT_CONS(n) (0xa0u | (n))        /* constructed [n] */
#define DER_DEPTH_MAX 16

/* -- reading: CE_OK, CE_TRUNCATED, or CE_BAD_DER; *in is unspecified after an error -- */
struct der_item {
    unsigned tag;
    struct span body; /* contents */
    struct span all;  /* tag, length and contents */
};
MUST_USE enum err der_any(struct span *in, struct der_item *out);
MUST_USE enum err der_get(struct span *in, unsigned tag, struct span *body);   /* the next must be tag */
bool der_peek(struct span in, unsigned tag);                                   /* is the next one tag? */
MUST_USE enum err der_skip(struct span *in);
/* INTEGER >= 0 without its sign byte ("minimal big-endian"; zero is one 00 byte). Negative or non-minimal: CE_BAD_DER. */
MUST_USE enum err der_get_uint(struct span *in, struct span *magnitude);
MUST_USE enum err der_get_small(struct span *in, int64_t *v);                  /* INTEGER 0..2^62 */
MUST_USE enum err der_get_bool(struct span *in, bool *v);                      /* FF or 00 only */
MUST_USE enum err der_get_bits(struct span *in, struct span *bytes);           /* BIT STRING, 0 unused bits */
MUST_USE enum err der_get_oid(struct span *in, struct span *oid);               /* well-formed, at most 64 bytes */
MUST_USE enum err der_get_time(struct span *in, int64_t *at_s);                /* UTCTime or GeneralizedTime, RFC 5280 4.1.2.5 */
/* Walks the whole element tree: well-formed, depth <= DER_DEPTH_MAX, nothing after it. */
MUST_USE enum err der_check(struct span in);

/* -- writing: `size_t at = der_begin(b, DER_SEQUENCE); …contents…; der_end(b, at);` back-patches the length -- */
size_t der_begin(struct buf *b, unsigned tag);
void der_end(struct buf *b, size_t at);
size_t der_header_size(size_t body);                       /* bytes of tag and length before body bytes */
void der_put_header(struct buf *b, unsigned tag, size_t body); /* when the length is known before */
void der_put(struct buf *b, unsigned tag, struct span body);
void der_put_uint(struct buf *b, struct span magnitude);   /* INTEGER; leading zeros dropped, sign byte added */
void der_put_small(struct buf *b, uint64_t v);
void der_put_bool(struct buf *b, bool v);
void der_put_bits(struct buf *b, struct span bytes);       /* 0 unused bits */
void der_put_time(struct buf *b, int64_t at_s);            /* UTCTime to 2049, GeneralizedTime after */
#define DER_TIME_MAX 17
size_t der_time(uint8_t out[DER_TIME_MAX], int64_t at_s);   /* the same into place; how many bytes */
void der_put_general_time(struct buf *b, int64_t at_s);

#endif
