/* djson.c: see djson.h. */
#include "djson.h"

#include <string.h>

#include "calendar.h"

/* -- syntax, RFC 8259 -------------------------------------------------------------------------------------------------------- */
struct scan { const char *p, *end; };

static void blank(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static bool take(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

static bool string(struct scan *s)
{
    if (!take(s, '"'))
        return false;
    while (s->p < s->end && *s->p != '"') {
        if ((unsigned char)*s->p < 0x20)
            return false;
        if (*s->p++ != '\\')
            continue;
        if (s->p == s->end)
            return false;
        char c = *s->p++;
        if (c == 'u') {
            for (int i = 0; i < 4; i++, s->p++)
                if (s->p == s->end || hex(*s->p) < 0)
                    return false;
        } else if (!memchr("\"\\/bfnrt", c, 8)) {
            return false;
        }
    }
    return take(s, '"');
}

static bool digits(struct scan *s)
{
    const char *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
}

static bool number(struct scan *s)
{
    take(s, '-');
    if (!take(s, '0') && !digits(s))
        return false;
    if (take(s, '.') && !digits(s))
        return false;
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (!take(s, '+'))
            take(s, '-');
        return digits(s);
    }
    return true;
}

static bool word(struct scan *s, const char *w)
{
    size_t n = strlen(w);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool scalar(struct scan *s)
{
    if (s->p == s->end)
        return false;
    switch (*s->p) {
    case '"': return string(s);
    case 't': return word(s, "true");
    case 'f': return word(s, "false");
    case 'n': return word(s, "null");
    default: return number(s);
    }
}

/* In an object: the key and the colon before a value. */
static bool key_colon(struct scan *s)
{
    blank(s);
    if (!string(s))
        return false;
    blank(s);
    return take(s, ':');
}

/* Moves over one value without recursion: the open brackets are a small stack. */
static bool value(struct scan *s)
{
    char open[DJSON_DEPTH];
    int depth = 0;
    for (;;) {
        blank(s);
        bool object = take(s, '{'), array = !object && take(s, '[');
        if (object || array) {
            if (depth == DJSON_DEPTH)
                return false;
            open[depth++] = object ? '}' : ']';
            blank(s);
            if (!take(s, open[depth - 1])) {
                if (object && !key_colon(s))
                    return false;
                continue;
            }
            depth--;
        } else if (!scalar(s)) {
            return false;
        }
        for (;;) { /* after a value */
            if (!depth)
                return true;
            blank(s);
            if (take(s, ','))
                break;
            if (!take(s, open[--depth]))
                return false;
        }
        if (open[depth - 1] == '}' && !key_colon(s))
            return false;
    }
}

bool djson_check(const char *text, size_t n, struct djson *out)
{
    struct scan s = { text, text + n };
    blank(&s);
    const char *from = s.p;
    if (!value(&s))
        return false;
    *out = (struct djson){ from, (size_t)(s.p - from) };
    blank(&s);
    return s.p == s.end;
}

/* -- walking ------------------------------------------------------------------------------------------------------------------- */
bool djson_is_object(struct djson v) { return v.n && v.p[0] == '{'; }

bool djson_each(struct djson o, size_t *at, struct djson *key, struct djson *out)
{
    if (!o.n || (o.p[0] != '{' && o.p[0] != '['))
        return false;
    struct scan s = { o.p + (*at ? *at : 1), o.p + o.n };
    blank(&s);
    if (s.p < s.end && *s.p == ',')
        s.p++;
    blank(&s);
    if (s.p >= s.end || *s.p == '}' || *s.p == ']')
        return false;
    *key = (struct djson){ s.p, 0 };
    if (o.p[0] == '{') {
        const char *from = s.p;
        if (!string(&s))
            return false;
        *key = (struct djson){ from, (size_t)(s.p - from) };
        blank(&s);
        take(&s, ':');
        blank(&s);
    }
    const char *from = s.p;
    if (!value(&s))
        return false;
    *out = (struct djson){ from, (size_t)(s.p - from) };
    *at = (size_t)(s.p - o.p);
    return true;
}

bool djson_member(struct djson o, const char *name, struct djson *out)
{
    struct djson key, v;
    size_t at = 0, found = 0;
    while (djson_is_object(o) && djson_each(o, &at, &key, &v))
        if (djson_text_is(key, name) && !found++)
            *out = v;
    return found == 1;
}

/* -- scalars ------------------------------------------------------------------------------------------------------------------- */
bool djson_text(struct djson v, struct djson *out)
{
    if (v.n < 2 || v.p[0] != '"' || memchr(v.p, '\\', v.n))
        return false;
    *out = (struct djson){ v.p + 1, v.n - 2 };
    return true;
}

bool djson_text_is(struct djson v, const char *want)
{
    struct djson s;
    return djson_text(v, &s) && s.n == strlen(want) && memcmp(s.p, want, s.n) == 0;
}

bool djson_copy(struct djson v, char *out, size_t cap)
{
    struct djson s;
    if (!djson_text(v, &s) || s.n >= cap)
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = 0;
    return true;
}

bool djson_uint(struct djson v, uint64_t max, uint64_t *out)
{
    uint64_t x = 0;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
        unsigned d = (unsigned)(v.p[i] - '0');
        if (x > (max - d) / 10 || d > max)
            return false;
        x = x * 10 + d;
    }
    *out = x;
    return v.n > 0;
}

bool djson_hex32(struct djson v, uint8_t out[32])
{
    struct djson s;
    if (!djson_text(v, &s) || s.n != 64)
        return false;
    for (int i = 0; i < 32; i++) {
        int hi = hex(s.p[2 * i]), lo = hex(s.p[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

bool djson_time(struct djson v, int64_t *out_s)
{
    struct djson s;
    if (!djson_text(v, &s) || s.n != 20 || s.p[4] != '-' || s.p[7] != '-' || s.p[10] != 'T' || s.p[13] != ':' || s.p[16] != ':' || s.p[19] != 'Z')
        return false;
    int century = calendar_two(s.p), year = calendar_two(s.p + 2);
    return century >= 0 && year >= 0 && !calendar_s(century * 100 + year, calendar_two(s.p + 5), calendar_two(s.p + 8), calendar_two(s.p + 11),
                                                    calendar_two(s.p + 14), calendar_two(s.p + 17), out_s);
}
