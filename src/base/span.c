/* span.c: borrowed and owned bytes. See span.h. */
#include "base/span.h"

#include "base/mem.h"

bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_eq_str(struct span a, const char *s) { return span_eq(a, span_str(s)); }

static uint8_t ascii_lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c; }

bool span_eq_nocase(struct span a, const char *ascii)
{
    if (a.n != strlen(ascii))
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower((uint8_t)ascii[i]))
            return false;
    return true;
}

int span_cmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool span_starts(struct span a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.n >= n && memcmp(a.p, prefix, n) == 0;
}

static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

struct span span_trim(struct span a)
{
    while (a.n && is_space(a.p[0]))
        a.p++, a.n--;
    while (a.n && is_space(a.p[a.n - 1]))
        a.n--;
    return a;
}

bool span_cut(struct span *rest, char sep, struct span *head)
{
    if (rest->n == 0)
        return false;
    const uint8_t *at = memchr(rest->p, sep, rest->n);
    if (!at) {
        *head = *rest;
        *rest = (struct span){ rest->p + rest->n, 0 };
        return true;
    }
    *head = (struct span){ rest->p, (size_t)(at - rest->p) };
    *rest = (struct span){ at + 1, rest->n - head->n - 1 };
    return true;
}

bool span_to_i64(struct span a, int64_t *out)
{
    bool neg = a.n && a.p[0] == '-';
    size_t i = neg;
    int64_t v = 0;
    if (i == a.n)
        return false;
    for (; i < a.n; i++) {
        if (a.p[i] < '0' || a.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, a.p[i] - '0', &v))
            return false;
    }
    if (!neg && __builtin_sub_overflow((int64_t)0, v, &v))
        return false;
    *out = v;
    return true;
}

/* Bytes of the UTF-8 sequence that starts at p (n left), 0 when it is malformed, overlong or a surrogate. */
static size_t utf8_len(const uint8_t *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

/* What steers a terminal or reorders what is read: C0, DEL, C1 (U+0080..9F), line and paragraph separators, bidirectional
 * embeddings, overrides and isolates (U+2028..202E, U+2066..2069). */
static bool utf8_steers(const uint8_t *p, size_t len)
{
    if (len == 1)
        return p[0] < 0x20 || p[0] == 0x7f;
    if (len == 2)
        return p[0] == 0xc2 && p[1] < 0xa0;
    return len == 3 && p[0] == 0xe2 && ((p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

size_t span_utf8_len(struct span a) { return a.n ? utf8_len(a.p, a.n) : 0; }

bool span_is_utf8(struct span a)
{
    for (size_t i = 0; i < a.n;) {
        size_t len = utf8_len(a.p + i, a.n - i);
        if (len == 0 || utf8_steers(a.p + i, len))
            return false;
        i += len;
    }
    return true;
}

enum err span_to_cstr(struct span a, char *out, size_t cap)
{
    if (a.n >= cap)
        return CE_TOO_LARGE;
    if (a.n && memchr(a.p, 0, a.n))
        return CE_BAD_INPUT;
    if (a.n)
        memcpy(out, a.p, a.n);
    out[a.n] = 0;
    return CE_OK;
}

bool span_get(struct span *s, size_t n, struct span *out)
{
    if (s->n < n)
        return false;
    *out = (struct span){ s->p, n };
    s->p = n ? s->p + n : s->p;
    s->n -= n;
    return true;
}

static bool span_get_be(struct span *s, size_t n, uint64_t *v)
{
    struct span b;
    if (!span_get(s, n, &b))
        return false;
    *v = 0;
    for (size_t i = 0; i < n; i++)
        *v = *v << 8 | b.p[i];
    return true;
}

#define SPAN_GET(name, type)                     \
    bool name(struct span *s, type *v)           \
    {                                            \
        uint64_t w;                              \
        if (!span_get_be(s, sizeof *v, &w))      \
            return false;                        \
        *v = (type)w;                            \
        return true;                             \
    }
SPAN_GET(span_get_u8, uint8_t)
SPAN_GET(span_get_u16, uint16_t)
SPAN_GET(span_get_u32, uint32_t)
SPAN_GET(span_get_u64, uint64_t)
