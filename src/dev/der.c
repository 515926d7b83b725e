/* der.c: see der.h. */
#include "der.h"

#include <string.h>

void der_add(struct der_out *o, const void *p, size_t n)
{
    if (n > o->at) {
        o->full = true;
        o->at = 0;
        return;
    }
    o->at -= n;
    if (n)
        memcpy(o->base + o->at, p, n);
}

void der_wrap(struct der_out *o, uint8_t tag, size_t end)
{
    size_t len = end - o->at;
    uint8_t head[4] = { tag, 0, 0, 0 };
    size_t n = 2;
    if (o->full)
        return;
    if (len < 0x80) {
        head[1] = (uint8_t)len;
    } else if (len < 0x100) {
        head[1] = 0x81;
        head[2] = (uint8_t)len;
        n = 3;
    } else {
        head[1] = 0x82;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        n = 4;
    }
    der_add(o, head, n);
}

void der_put_tlv(struct der_out *o, uint8_t tag, const void *p, size_t n)
{
    size_t end = o->at;
    der_add(o, p, n);
    der_wrap(o, tag, end);
}

bool der_next(struct der_in *in, uint8_t *tag, struct der_in *body)
{
    if (in->n < 2)
        return false;
    size_t head = 2, len = in->p[1];
    *tag = in->p[0];
    if ((*tag & 0x1f) == 0x1f)
        return false;
    if (len >= 0x80) {
        size_t count = len & 0x7f;
        if (count == 0 || count > 3 || in->n < 2 + count)
            return false;
        len = 0;
        for (size_t i = 0; i < count; i++)
            len = len << 8 | in->p[2 + i];
        if (len < 0x80 || (count > 1 && len >> (8 * (count - 1)) == 0))
            return false;
        head += count;
    }
    if (len > in->n - head)
        return false;
    *body = (struct der_in){ in->p + head, len };
    in->p += head + len;
    in->n -= head + len;
    return true;
}

bool der_take(struct der_in *in, uint8_t tag, struct der_in *body)
{
    uint8_t got;
    struct der_in save = *in;
    if (der_next(in, &got, body) && got == tag)
        return true;
    *in = save;
    return false;
}

bool der_is(const struct der_in *in, const uint8_t *oid, size_t n) { return in->n == n && memcmp(in->p, oid, n) == 0; }
