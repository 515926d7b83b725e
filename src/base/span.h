/* span.h, the two byte types: `struct span` (borrowed, never freed by its holder) and
 * `struct buf` (owned, with a hard maximum). There are no others.
 *
 * buf writers are sticky: after the first failure (maximum reached) the buf ignores further writes
 * and buf_err() says CE_TOO_LARGE; check once at the end. Out of memory aborts the process.
 */
#ifndef CRADLE_BASE_SPAN_H
#define CRADLE_BASE_SPAN_H

#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct span {
    const uint8_t *p; /* borrowed; may be NULL only when n == 0 */
    size_t n;         /* bytes */
};

#define SPAN_LIT(s) ((struct span){ (const uint8_t *)("" s), sizeof(s) - 1 })
static inline struct span span_of(const void *p, size_t n) { return (struct span){ p, n }; }
static inline struct span span_str(const char *s) { return (struct span){ (const uint8_t *)s, s ? strlen(s) : 0 }; }
bool span_eq(struct span a, struct span b);            /* not constant-time */
bool span_eq_str(struct span a, const char *s);
bool span_eq_nocase(struct span a, const char *ascii); /* letters A-Z equal a-z; whatever the locale */
int span_cmp(struct span a, struct span b);            /* memcmp order, shorter first */
bool span_starts(struct span a, const char *prefix);
struct span span_trim(struct span a);                  /* without ASCII white space at both ends */
bool span_cut(struct span *rest, char sep, struct span *head); /* head = up to sep; false when rest is empty */
bool span_to_i64(struct span a, int64_t *out);         /* whole span, decimal, optional '-' */
size_t span_utf8_len(struct span a);                   /* bytes of the character at its front; 0: malformed, or a is empty */
bool span_is_utf8(struct span a);                      /* valid UTF-8 without what steers a terminal: controls, bidi */
/* Copies into a NUL-terminated array of cap bytes. CE_TOO_LARGE when it does not fit, CE_BAD_INPUT on an inner NUL. */
MUST_USE enum err span_to_cstr(struct span a, char *out, size_t cap);
#define SPAN_FMT "%.*s"
#define SPAN_ARG(s) (int)(s).n, (const char *)(s).p

struct buf {
    uint8_t *data; /* owned */
    size_t len, cap;
    size_t max;    /* hard maximum in bytes; 0 means BUF_MAX_DEFAULT */
    enum err err;  /* sticky */
};

#define BUF_MAX_DEFAULT (64u << 20)
#define BUF_INIT(max_) ((struct buf){ .max = (max_) })
void buf_free(struct buf *b);                     /* zeroes then frees; legal on an empty buf */
void buf_reset(struct buf *b);                    /* len = 0, error cleared, memory kept */
static inline struct span buf_span(const struct buf *b) { return (struct span){ b->data, b->len }; }
static inline enum err buf_err(const struct buf *b) { return b->err; }
uint8_t *buf_grow(struct buf *b, size_t n);       /* n more bytes, uninitialised; NULL (only) when over max */
void buf_put(struct buf *b, const void *p, size_t n);
static inline void buf_put_span(struct buf *b, struct span s) { buf_put(b, s.p, s.n); }
static inline void buf_put_str(struct buf *b, const char *s) { buf_put(b, s, strlen(s)); }
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);      /* all integers big-endian */
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_put_hex(struct buf *b, struct span s);   /* lower case */
void buf_put_base64(struct buf *b, struct span s, unsigned line); /* line = 0: no breaks, else break after line chars */
char *buf_cstr(struct buf *b);                    /* NUL-terminated view, valid until the next write; NULL on error */
void buf_drop(struct buf *b, size_t n);           /* removes the first n bytes (n <= len) */

/* Reading a span from its front; each returns false and leaves *s alone when too short. */
bool span_get_u8(struct span *s, uint8_t *v);
bool span_get_u16(struct span *s, uint16_t *v);
bool span_get_u32(struct span *s, uint32_t *v);
bool span_get_u64(struct span *s, uint64_t *v);
bool span_get(struct span *s, size_t n, struct span *out);

/* Decoders append to out. Hex: exact pairs, either case. Base64: white space anywhere is ignored
 * (RFC 8951 2.1 for EST), padding optional at the end, anything else is CE_BAD_BASE64. */
int hex_value(uint8_t digit); /* 0..15, -1 for another character */
MUST_USE enum err hex_decode(struct span text, struct buf *out);
MUST_USE enum err base64_decode(struct span text, struct buf *out);
/* Exactly once (RFC 3986 2.1). "%" without two hex digits: CE_BAD_INPUT. "+" stays "+". */
MUST_USE enum err percent_decode(struct span text, struct buf *out);

#endif
