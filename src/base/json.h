/* json.h: a writer of JSON into a buf (compact, keys in the order written: what is written is what is hashed).
 * Reading JSON is jansson's job, in wire/. */
#ifndef CRADLE_BASE_JSON_H
#define CRADLE_BASE_JSON_H

#include "base/span.h"

struct json_out {
    struct buf *b;    /* borrowed */
    bool comma;       /* a comma is due before the next item */
};
#define JSON_OUT(buf) ((struct json_out){ .b = (buf) })
/* key NULL inside arrays. Text that is not valid UTF-8 is written with each bad byte as U+FFFD. */
void json_obj(struct json_out *j, const char *key);
void json_obj_end(struct json_out *j);
void json_arr(struct json_out *j, const char *key);
void json_arr_end(struct json_out *j);
void json_str(struct json_out *j, const char *key, struct span v);
void json_cstr(struct json_out *j, const char *key, const char *v);
void json_int(struct json_out *j, const char *key, int64_t v);
void json_bool(struct json_out *j, const char *key, bool v);
void json_none(struct json_out *j, const char *key);
void json_hex(struct json_out *j, const char *key, struct span v);
void json_base64(struct json_out *j, const char *key, struct span v);
void json_time_s(struct json_out *j, const char *key, int64_t at_s);
void json_time_ms(struct json_out *j, const char *key, int64_t at_ms);
void json_raw(struct json_out *j, const char *key, struct span v); /* v is JSON already */

#endif
