/* buf.c: the owned byte buffer with a hard maximum, and text encodings of bytes. See span.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/span.h"

void buf_free(struct buf *b)
{
    if (b->data) {
        mem_zero(b->data, b->cap);
        free(b->data);
    }
    b->data = NULL;
    b->len = b->cap = 0;
    b->err = CE_OK;
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->err = CE_OK;
}

uint8_t *buf_grow(struct buf *b, size_t n)
{
    size_t max = b->max ? b->max : BUF_MAX_DEFAULT;
    if (b->err)
        return NULL;
    if (n > max - b->len) {
        b->err = CE_TOO_LARGE;
        return NULL;
    }
    if (!b->data || b->len + n > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < b->len + n)
            cap *= 2;
        uint8_t *fresh = mem_alloc(cap);
        if (b->len)
            memcpy(fresh, b->data, b->len);
        if (b->data) {
            mem_zero(b->data, b->cap);
            free(b->data);
        }
        b->data = fresh;
        b->cap = cap;
    }
    uint8_t *at = b->data + b->len;
    b->len += n;
    return at;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    uint8_t *at = buf_grow(b, n);
    if (at)
        memcpy(at, p, n);
}

static void buf_put_be(struct buf *b, uint64_t v, size_t n)
{
    uint8_t *at = buf_grow(b, n);
    for (size_t i = 0; at && i < n; i++)
        at[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

void buf_put_u8(struct buf *b, uint8_t v) { buf_put_be(b, v, 1); }
void buf_put_u16(struct buf *b, uint16_t v) { buf_put_be(b, v, 2); }
void buf_put_u32(struct buf *b, uint32_t v) { buf_put_be(b, v, 4); }
void buf_put_u64(struct buf *b, uint64_t v) { buf_put_be(b, v, 8); }

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    uint8_t *at = n < 0 ? NULL : buf_grow(b, (size_t)n + 1);
    if (at) {
        vsnprintf((char *)at, (size_t)n + 1, fmt, again);
        b->len--;
    }
    va_end(again);
}

char *buf_cstr(struct buf *b)
{
    uint8_t *at = buf_grow(b, 1);
    if (!at)
        return NULL;
    *at = 0;
    b->len--;
    return (char *)b->data;
}

void buf_drop(struct buf *b, size_t n)
{
    if (n > b->len)
        n = b->len;
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

void buf_put_hex(struct buf *b, struct span s)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *at = buf_grow(b, 2 * s.n);
    for (size_t i = 0; at && i < s.n; i++) {
        at[2 * i] = (uint8_t)digits[s.p[i] >> 4];
        at[2 * i + 1] = (uint8_t)digits[s.p[i] & 15];
    }
}

int hex_value(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum err hex_decode(struct span text, struct buf *out)
{
    if (text.n % 2)
        return CE_BAD_INPUT;
    for (size_t i = 0; i < text.n; i += 2) {
        int hi = hex_value(text.p[i]), lo = hex_value(text.p[i + 1]);
        if (hi < 0 || lo < 0)
            return CE_BAD_INPUT;
        buf_put_u8(out, (uint8_t)(hi << 4 | lo));
    }
    return buf_err(out);
}

void buf_put_base64(struct buf *b, struct span s, unsigned line)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned col = 0;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t w = (uint32_t)s.p[i] << 16 | (left > 1 ? (uint32_t)s.p[i + 1] << 8 : 0) | (left > 2 ? s.p[i + 2] : 0);
        char four[4] = { digits[w >> 18], digits[w >> 12 & 63], left > 1 ? digits[w >> 6 & 63] : '=',
                         left > 2 ? digits[w & 63] : '=' };
        buf_put(b, four, 4);
        col += 4;
        if (line && col >= line && i + 3 < s.n) {
            buf_put_u8(b, '\n');
            col = 0;
        }
    }
    if (line && s.n)
        buf_put_u8(b, '\n');
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

enum err base64_decode(struct span text, struct buf *out)
{
    uint32_t w = 0;
    unsigned have = 0, pad = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == ' ' || (c >= '\t' && c <= '\r'))
            continue;
        if (c == '=') {
            if (++pad > 2 || have < 2)
                return CE_BAD_BASE64;
            continue;
        }
        int v = base64_value(c);
        if (v < 0 || pad)
            return CE_BAD_BASE64;
        w = w << 6 | (uint32_t)v;
        if (++have == 4) {
            buf_put_u8(out, (uint8_t)(w >> 16));
            buf_put_u8(out, (uint8_t)(w >> 8));
            buf_put_u8(out, (uint8_t)w);
            have = 0, w = 0;
        }
    }
    if (have == 1 || (pad && have + pad != 4))
        return CE_BAD_BASE64;
    if (have >= 2)
        buf_put_u8(out, (uint8_t)(w >> (have == 2 ? 4 : 10)));
    if (have == 3)
        buf_put_u8(out, (uint8_t)(w >> 2));
    return buf_err(out);
}

enum err percent_decode(struct span text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '%') {
            buf_put_u8(out, text.p[i]);
            continue;
        }
        int hi = i + 2 < text.n ? hex_value(text.p[i + 1]) : -1, lo = i + 2 < text.n ? hex_value(text.p[i + 2]) : -1;
        if (hi < 0 || lo < 0)
            return CE_BAD_INPUT;
        buf_put_u8(out, (uint8_t)(hi << 4 | lo));
        i += 2;
    }
    return buf_err(out);
}
