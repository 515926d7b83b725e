/* djson.h: reading JSON where it lies: no allocation, no copy, every read bounded. Internal to the device library.
 *
 * A value is a slice of a document that djson_check has accepted (whole syntax, at most DJSON_DEPTH deep), so the readers after it need not
 * doubt the syntax. A member that is there twice is refused: two readers must not see two documents in the same bytes.
 */
#ifndef CRADLE_DEV_DJSON_H
#define CRADLE_DEV_DJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DJSON_DEPTH 12

struct djson { const char *p; size_t n; }; /* one value without white space around it */

bool djson_check(const char *text, size_t n, struct djson *out); /* one whole value, nothing after it */
/* The member called name of object o; false: o is no object, has no such member, or has it twice. */
bool djson_member(struct djson o, const char *name, struct djson *out);
/* Walks an object or array: *at 0 at first; key is empty in arrays. false: the end, or neither. */
bool djson_each(struct djson o, size_t *at, struct djson *key, struct djson *value);
bool djson_is_object(struct djson v);
bool djson_text(struct djson v, struct djson *out);               /* inside of a string without escapes */
bool djson_text_is(struct djson v, const char *want);
bool djson_copy(struct djson v, char *out, size_t cap);          /* string without escapes and NUL, of at most cap - 1 bytes */
bool djson_uint(struct djson v, uint64_t max, uint64_t *out);
bool djson_hex32(struct djson v, uint8_t out[32]);               /* string of 64 hexadecimal digits */
bool djson_time(struct djson v, int64_t *out_s);                 /* "YYYY-MM-DDTHH:MM:SSZ" */

#endif
