/* json.c: see json.h. */
#include "base/json.h"

#include "base/clock.h"
#include "base/log.h"

static bool json_plain(uint8_t c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

/* One character beyond ASCII; returns its bytes. What steers a terminal is escaped, not changed: what is written is evidence. */
static size_t json_char(struct buf *b, struct span s)
{
    size_t len = span_utf8_len(s);
    if (len == 0) {
        buf_put_str(b, "\xef\xbf\xbd");
        return 1;
    }
    if (span_is_utf8(span_of(s.p, len)))
        buf_put(b, s.p, len);
    else if (len == 2)
        buf_printf(b, "\\u%04x", (s.p[0] & 0x1fu) << 6 | (s.p[1] & 0x3fu));
    else {
        INVARIANT(len == 3); /* none of them lies beyond the first plane */
        buf_printf(b, "\\u%04x", (s.p[0] & 0x0fu) << 12 | (s.p[1] & 0x3fu) << 6 | (s.p[2] & 0x3fu));
    }
    return len;
}

static void json_text(struct buf *b, struct span s)
{
    buf_put_u8(b, '"');
    for (size_t i = 0; i < s.n;) {
        uint8_t c = s.p[i];
        size_t len = 1;
        if (c >= 0x80) {
            len = json_char(b, span_of(s.p + i, s.n - i));
        } else if (c == '"' || c == '\\') {
            buf_put_u8(b, '\\');
            buf_put_u8(b, c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(b, "\\u%04x", c);
        } else { /* a whole run of plain characters */
            while (i + len < s.n && json_plain(s.p[i + len]))
                len++;
            buf_put(b, s.p + i, len);
        }
        i += len;
    }
    buf_put_u8(b, '"');
}

static void json_key(struct json_out *j, const char *key)
{
    if (j->comma)
        buf_put_u8(j->b, ',');
    j->comma = true;
    if (key) {
        json_text(j->b, span_str(key));
        buf_put_u8(j->b, ':');
    }
}

static void json_open(struct json_out *j, const char *key, char c)
{
    json_key(j, key);
    buf_put_u8(j->b, (uint8_t)c);
    j->comma = false;
}

static void json_close(struct json_out *j, char c)
{
    buf_put_u8(j->b, (uint8_t)c);
    j->comma = true;
}

void json_obj(struct json_out *j, const char *key) { json_open(j, key, '{'); }
void json_obj_end(struct json_out *j) { json_close(j, '}'); }
void json_arr(struct json_out *j, const char *key) { json_open(j, key, '['); }
void json_arr_end(struct json_out *j) { json_close(j, ']'); }

void json_str(struct json_out *j, const char *key, struct span v)
{
    json_key(j, key);
    json_text(j->b, v);
}

void json_cstr(struct json_out *j, const char *key, const char *v) { json_str(j, key, span_str(v)); }

void json_int(struct json_out *j, const char *key, int64_t v)
{
    json_key(j, key);
    buf_printf(j->b, "%lld", (long long)v);
}

void json_bool(struct json_out *j, const char *key, bool v)
{
    json_key(j, key);
    buf_put_str(j->b, v ? "true" : "false");
}

void json_none(struct json_out *j, const char *key)
{
    json_key(j, key);
    buf_put_str(j->b, "null");
}

void json_hex(struct json_out *j, const char *key, struct span v)
{
    json_key(j, key);
    buf_put_u8(j->b, '"');
    buf_put_hex(j->b, v);
    buf_put_u8(j->b, '"');
}

void json_base64(struct json_out *j, const char *key, struct span v)
{
    json_key(j, key);
    buf_put_u8(j->b, '"');
    buf_put_base64(j->b, v, 0);
    buf_put_u8(j->b, '"');
}

void json_time_s(struct json_out *j, const char *key, int64_t at_s)
{
    char text[CLOCK_TEXT_MAX];
    clock_text_s(at_s, text);
    json_cstr(j, key, text);
}

void json_time_ms(struct json_out *j, const char *key, int64_t at_ms)
{
    char text[CLOCK_TEXT_MAX];
    clock_text_ms(at_ms, text);
    json_cstr(j, key, text);
}

void json_raw(struct json_out *j, const char *key, struct span v)
{
    json_key(j, key);
    buf_put_span(j->b, v);
}
