/* der.c: see der.h. */
#include "crypt/der.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

/* -- reading ------------------------------------------------------------------------------------------------ */

static enum err der_length(struct span *in, size_t *out)
{
    uint8_t first, byte;
    if (!span_get_u8(in, &first))
        return CE_TRUNCATED;
    if (first < 0x80) {
        *out = first;
        return CE_OK;
    }
    unsigned n = first & 0x7f;
    size_t len = 0;
    if (n == 0 || n > 4)
        return CE_BAD_DER;
    for (unsigned i = 0; i < n; i++) {
        if (!span_get_u8(in, &byte))
            return CE_TRUNCATED;
        if (i == 0 && byte == 0)
            return CE_BAD_DER;
        len = len << 8 | byte;
    }
    if (len < 0x80)
        return CE_BAD_DER;
    *out = len;
    return CE_OK;
}

enum err der_any(struct span *in, struct der_item *out)
{
    const uint8_t *start = in->p;
    uint8_t tag;
    size_t len;
    if (in->n >= 2 && start[1] < 0x80 && start[1] <= in->n - 2 && (start[0] & 0x1f) != 0x1f) { /* what nearly every element is */
        out->tag = start[0];
        out->body = span_of(start + 2, start[1]);
        out->all = span_of(start, 2u + start[1]);
        *in = span_of(start + out->all.n, in->n - out->all.n);
        return CE_OK;
    }
    if (!span_get_u8(in, &tag))
        return CE_TRUNCATED;
    if ((tag & 0x1f) == 0x1f)
        return CE_BAD_DER;
    enum err e = der_length(in, &len);
    if (e)
        return e;
    out->tag = tag;
    if (!span_get(in, len, &out->body))
        return CE_TRUNCATED;
    out->all = span_of(start, (size_t)(in->p - start));
    return CE_OK;
}

enum err der_get(struct span *in, unsigned tag, struct span *body)
{
    struct der_item it;
    enum err e = der_any(in, &it);
    if (e)
        return e;
    if (it.tag != tag)
        return CE_BAD_DER;
    *body = it.body;
    return CE_OK;
}

bool der_peek(struct span in, unsigned tag) { return in.n && in.p[0] == tag; }

enum err der_skip(struct span *in)
{
    struct der_item it;
    return der_any(in, &it);
}

enum err der_get_uint(struct span *in, struct span *magnitude)
{
    struct span b;
    enum err e = der_get(in, DER_INTEGER, &b);
    if (e)
        return e;
    if (b.n == 0 || b.p[0] & 0x80)
        return CE_BAD_DER;
    if (b.n > 1 && b.p[0] == 0) {
        if (!(b.p[1] & 0x80))
            return CE_BAD_DER;
        b = span_of(b.p + 1, b.n - 1);
    }
    *magnitude = b;
    return CE_OK;
}

enum err der_get_small(struct span *in, int64_t *v)
{
    struct span m;
    enum err e = der_get_uint(in, &m);
    if (e)
        return e;
    if (m.n > 8 || (m.n == 8 && m.p[0] > 0x3f))
        return CE_BAD_DER;
    *v = 0;
    for (size_t i = 0; i < m.n; i++)
        *v = *v << 8 | m.p[i];
    return CE_OK;
}

enum err der_get_bool(struct span *in, bool *v)
{
    struct span b;
    enum err e = der_get(in, DER_BOOLEAN, &b);
    if (e)
        return e;
    if (b.n != 1 || (b.p[0] != 0 && b.p[0] != 0xff))
        return CE_BAD_DER;
    *v = b.p[0] != 0;
    return CE_OK;
}

enum err der_get_bits(struct span *in, struct span *bytes)
{
    struct span b;
    enum err e = der_get(in, DER_BIT_STRING, &b);
    if (e)
        return e;
    if (b.n == 0 || b.p[0] != 0)
        return CE_BAD_DER;
    *bytes = span_of(b.p + 1, b.n - 1);
    return CE_OK;
}

enum err der_get_oid(struct span *in, struct span *oid)
{
    enum err e = der_get(in, DER_OID, oid);
    if (e)
        return e;
    if (oid->n == 0 || oid->n > 64 || oid->p[oid->n - 1] & 0x80)
        return CE_BAD_DER;
    for (size_t i = 0; i < oid->n; i++) /* X.690 8.19.2: no subidentifier begins with 80 */
        if (oid->p[i] == 0x80 && (i == 0 || !(oid->p[i - 1] & 0x80)))
            return CE_BAD_DER;
    return CE_OK;
}

static bool der_digits(struct span *s, unsigned n, int *out)
{
    struct span d;
    if (!span_get(s, n, &d))
        return false;
    *out = 0;
    for (unsigned i = 0; i < n; i++) {
        if (d.p[i] < '0' || d.p[i] > '9')
            return false;
        *out = *out * 10 + d.p[i] - '0';
    }
    return true;
}

enum err der_get_time(struct span *in, int64_t *at_s)
{
    static const uint8_t days[12] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    struct der_item it;
    struct clock_civil c;
    enum err e = der_any(in, &it);
    if (e)
        return e;
    bool utc = it.tag == DER_UTC_TIME;
    struct span s = it.body;
    if ((!utc && it.tag != DER_GENERAL_TIME) || s.n != (utc ? 13u : 15u))
        return CE_BAD_DER;
    if (!der_digits(&s, utc ? 2 : 4, &c.year) || !der_digits(&s, 2, &c.month) || !der_digits(&s, 2, &c.day) ||
        !der_digits(&s, 2, &c.hour) || !der_digits(&s, 2, &c.min) || !der_digits(&s, 2, &c.sec) || s.p[0] != 'Z')
        return CE_BAD_DER;
    if (utc)
        c.year += c.year < 50 ? 2000 : 1900;
    bool leap = c.year % 4 == 0 && (c.year % 100 != 0 || c.year % 400 == 0);
    if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > days[c.month - 1] || (c.month == 2 && c.day == 29 && !leap) ||
        c.hour > 23 || c.min > 59 || c.sec > 59)
        return CE_BAD_DER;
    *at_s = clock_from_civil(&c);
    return CE_OK;
}

static enum err der_walk(struct span in, unsigned depth)
{
    struct der_item it;
    while (in.n) {
        enum err e = der_any(&in, &it);
        if (!e && it.tag & 0x20)
            e = depth < DER_DEPTH_MAX ? der_walk(it.body, depth + 1) : CE_BAD_DER;
        if (e)
            return e;
    }
    return CE_OK;
}

enum err der_check(struct span in)
{
    struct der_item it;
    struct span whole = in;
    enum err e = der_any(&in, &it);
    if (e)
        return e;
    return in.n ? CE_TRAILING : der_walk(whole, 0);
}

/* -- writing ------------------------------------------------------------------------------------------------ */

static unsigned der_length_bytes(size_t len) /* after the first length byte */
{
    return len < 0x80 ? 0 : len <= 0xff ? 1 : len <= 0xffff ? 2 : len <= 0xffffff ? 3 : 4;
}

static void der_write_length(uint8_t *at, size_t len)
{
    unsigned n = der_length_bytes(len);
    if (n == 0) {
        at[0] = (uint8_t)len;
        return;
    }
    at[0] = (uint8_t)(0x80 | n);
    for (unsigned i = 0; i < n; i++)
        at[1 + i] = (uint8_t)(len >> (8 * (n - 1 - i)));
}

size_t der_header_size(size_t body) { return 2 + der_length_bytes(body); }

void der_put_header(struct buf *b, unsigned tag, size_t body)
{
    uint8_t *at = buf_grow(b, der_header_size(body));
    if (!at)
        return;
    at[0] = (uint8_t)tag;
    der_write_length(at + 1, body);
}

size_t der_begin(struct buf *b, unsigned tag)
{
    buf_put_u8(b, (uint8_t)tag);
    buf_put_u8(b, 0);
    return b->len;
}

void der_end(struct buf *b, size_t at)
{
    if (buf_err(b))
        return;
    INVARIANT(at >= 2 && at <= b->len);
    size_t len = b->len - at;
    unsigned extra = der_length_bytes(len);
    if (extra) {
        if (!buf_grow(b, extra))
            return;
        memmove(b->data + at + extra, b->data + at, len);
    }
    der_write_length(b->data + at - 1, len);
}

void der_put(struct buf *b, unsigned tag, struct span body)
{
    der_put_header(b, tag, body.n);
    buf_put_span(b, body);
}

void der_put_uint(struct buf *b, struct span m)
{
    while (m.n && m.p[0] == 0)
        m = span_of(m.p + 1, m.n - 1);
    bool pad = m.n == 0 || m.p[0] & 0x80;
    der_put_header(b, DER_INTEGER, m.n + pad);
    if (pad)
        buf_put_u8(b, 0);
    buf_put_span(b, m);
}

void der_put_small(struct buf *b, uint64_t v)
{
    uint8_t be[8];
    for (unsigned i = 0; i < 8; i++)
        be[i] = (uint8_t)(v >> (8 * (7 - i)));
    der_put_uint(b, span_of(be, sizeof be));
}

void der_put_bool(struct buf *b, bool v) { der_put(b, DER_BOOLEAN, v ? SPAN_LIT("\xff") : SPAN_LIT("\0")); }

void der_put_bits(struct buf *b, struct span bytes)
{
    der_put_header(b, DER_BIT_STRING, bytes.n + 1);
    buf_put_u8(b, 0);
    buf_put_span(b, bytes);
}

static void der_two(uint8_t *at, int v)
{
    at[0] = (uint8_t)('0' + v / 10 % 10);
    at[1] = (uint8_t)('0' + v % 10);
}

static size_t der_civil(uint8_t out[DER_TIME_MAX], int64_t at_s, bool general)
{
    struct clock_civil c;
    uint8_t text[15];
    clock_civil(at_s, &c);
    der_two(text, c.year / 100);
    der_two(text + 2, c.year);
    der_two(text + 4, c.month);
    der_two(text + 6, c.day);
    der_two(text + 8, c.hour);
    der_two(text + 10, c.min);
    der_two(text + 12, c.sec);
    text[14] = 'Z';
    general = general || c.year >= 2050 || c.year < 1950;
    size_t n = general ? 15 : 13;
    out[0] = general ? DER_GENERAL_TIME : DER_UTC_TIME;
    out[1] = (uint8_t)n;
    memcpy(out + 2, text + 15 - n, n);
    return n + 2;
}

size_t der_time(uint8_t out[DER_TIME_MAX], int64_t at_s) { return der_civil(out, at_s, false); }

static void der_put_civil(struct buf *b, int64_t at_s, bool general)
{
    uint8_t der[DER_TIME_MAX];
    buf_put(b, der, der_civil(der, at_s, general));
}

void der_put_time(struct buf *b, int64_t at_s) { der_put_civil(b, at_s, false); }
void der_put_general_time(struct buf *b, int64_t at_s) { der_put_civil(b, at_s, true); }
