/* msg.c: descriptors and the packed form of messages. See msg.h. */
#include "wire/msg.h"

#include "base/log.h"

#define MSG_BEGIN(UPPER, lower, type_) static const struct msg_field fields_##lower[] = {
#define FIELD(TYPE, name_, max_, FROM) { #name_, MSG_F_##TYPE, MSG_FROM_##FROM, max_ },
#define MSG_END(UPPER, lower) };
#include "wire/msg.def"
#undef MSG_BEGIN
#undef FIELD
#undef MSG_END

#define MSG_BEGIN(UPPER, lower, type_) \
    const struct msg_desc msg_desc_##lower = { #lower, MSG_##UPPER, sizeof(struct msg_##lower), fields_##lower, ARRAY_LEN(fields_##lower) };
#define FIELD(TYPE, name_, max_, FROM)
#define MSG_END(UPPER, lower)
#include "wire/msg.def"
#undef MSG_BEGIN
#undef MSG_END

#define MSG_BEGIN(UPPER, lower, type_) &msg_desc_##lower,
#define MSG_END(UPPER, lower)
static const struct msg_desc *const descs[] = {
#include "wire/msg.def"
};
#undef MSG_BEGIN
#undef FIELD
#undef MSG_END

const struct msg_desc *msg_desc_find(uint16_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(descs); i++)
        if (descs[i]->type == type)
            return descs[i];
    return NULL;
}

void msg_pack(const struct msg_desc *d, const void *m, struct buf *out)
{
    const char *at = m;
    for (size_t i = 0; i < d->nfields; i++) {
        const struct msg_field *f = &d->fields[i];
        if (msg_field_is_number(f)) {
            int64_t v;
            memcpy(&v, at, sizeof v);
            buf_put_u64(out, (uint64_t)v);
            at += sizeof v;
            continue;
        }
        struct span s;
        memcpy(&s, at, sizeof s);
        INVARIANT((int64_t)s.n <= f->max);
        buf_put_u32(out, (uint32_t)s.n);
        buf_put_span(out, s);
        at += sizeof s;
    }
    INVARIANT((size_t)(at - (const char *)m) == d->size);
}

static enum err unpack_number(const struct msg_field *f, struct span *in, char *at)
{
    uint64_t v;
    if (!span_get_u64(in, &v))
        return CE_TRUNCATED;
    if (f->type == MSG_F_BOOL && v > 1)
        return CE_BAD_FIELD;
    if (f->max && (int64_t)v > f->max)
        return CE_BAD_FIELD;
    memcpy(at, &v, sizeof v);
    return CE_OK;
}

static enum err unpack_span(const struct msg_field *f, struct span *in, char *at)
{
    uint32_t n;
    struct span s;
    if (!span_get_u32(in, &n))
        return CE_TRUNCATED;
    if (n > f->max)
        return CE_TOO_LARGE;
    if (!span_get(in, n, &s))
        return CE_TRUNCATED;
    if (f->type == MSG_F_STR && !span_is_utf8(s))
        return CE_BAD_FIELD;
    memcpy(at, &s, sizeof s);
    return CE_OK;
}

enum err msg_unpack(const struct msg_desc *d, struct span *in, void *m)
{
    char *at = m;
    for (size_t i = 0; i < d->nfields; i++) {
        const struct msg_field *f = &d->fields[i];
        enum err e = msg_field_is_number(f) ? unpack_number(f, in, at) : unpack_span(f, in, at);
        if (e)
            return e;
        at += msg_field_is_number(f) ? sizeof(int64_t) : sizeof(struct span);
    }
    return CE_OK;
}

enum err msg_unpack_all(const struct msg_desc *d, struct span in, void *m)
{
    enum err e = msg_unpack(d, &in, m);
    return e ? e : in.n ? CE_TRAILING : CE_OK;
}
