/* msg_json.c: JSON of strangers into message structs, by the same descriptors as the packed form. See msg.h. */
#include "base/clock.h"
#include "base/log.h"
#include "wire/msg.h"

enum err json_parse(struct span text, json_t **out, struct fault *f)
{
    json_error_t why;
    *out = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!*out)
        return fault_set(f, CE_BAD_JSON, "line %d column %d: %s", why.line, why.column, why.text);
    return CE_OK;
}

static enum err wrong_type(const struct msg_field *f, const char *want, struct fault *why)
{
    return fault_set(why, CE_BAD_FIELD, "field '%s' must be %s", f->name, want);
}

static enum err json_number(const struct msg_field *f, const json_t *v, int64_t *out, struct fault *why)
{
    if (f->type == MSG_F_BOOL) {
        if (!json_is_boolean(v))
            return wrong_type(f, "true or false", why);
        *out = json_is_true(v);
        return CE_OK;
    }
    if (f->type == MSG_F_TIM) {
        struct span text = span_of(json_string_value(v), json_string_length(v));
        if (!json_is_string(v) || clock_parse_ms(text, out) != CE_OK)
            return wrong_type(f, "an RFC 3339 time in UTC, such as 2026-11-20T22:57:00Z", why);
        return CE_OK;
    }
    if (!json_is_integer(v))
        return wrong_type(f, "a whole number", why);
    *out = json_integer_value(v);
    if (*out < 0 || (f->max && *out > f->max))
        return fault_set(why, CE_BAD_FIELD, "field '%s' is out of range", f->name);
    return CE_OK;
}

static enum err json_list(const struct msg_field *f, const json_t *v, struct arena *a, struct span *out, struct fault *why)
{
    CLEANUP(buf_free) struct buf bytes = BUF_INIT((size_t)f->max);
    size_t i;
    json_t *one;
    if (!json_is_array(v))
        return wrong_type(f, "an array of strings", why);
    json_array_foreach((json_t *)(uintptr_t)v, i, one) {
        struct span text = span_of(json_string_value(one), json_string_length(one));
        if (!text.n || !span_is_utf8(text))
            return fault_set(why, CE_BAD_FIELD, "field '%s': element %zu is empty, is no string, or has control characters", f->name, i);
        buf_put_span(&bytes, text);
        buf_put_u8(&bytes, '\n');
    }
    if (!json_array_size(v))
        buf_put_u8(&bytes, '\n');
    if (buf_err(&bytes))
        return fault_set(why, CE_BAD_FIELD, "field '%s' is longer than %lld bytes", f->name, (long long)f->max);
    *out = arena_copy(a, buf_span(&bytes));
    return CE_OK;
}

static enum err json_bytes(const struct msg_field *f, const json_t *v, struct arena *a, struct span *out, struct fault *why)
{
    if (f->type == MSG_F_LST)
        return json_list(f, v, a, out, why);
    if (!json_is_string(v))
        return wrong_type(f, "a string", why);
    struct span text = span_of(json_string_value(v), json_string_length(v));
    CLEANUP(buf_free) struct buf bytes = BUF_INIT((size_t)f->max);
    enum err e = CE_OK;
    if (f->type == MSG_F_STR)
        buf_put_span(&bytes, text);
    else if (f->type == MSG_F_HEX)
        e = hex_decode(text, &bytes);
    else
        e = base64_decode(text, &bytes);
    if (e == CE_TOO_LARGE || buf_err(&bytes))
        return fault_set(why, CE_BAD_FIELD, "field '%s' is longer than %lld bytes", f->name, (long long)f->max);
    if (e)
        return wrong_type(f, f->type == MSG_F_HEX ? "hexadecimal" : "base64", why);
    if (f->type == MSG_F_STR && !span_is_utf8(buf_span(&bytes)))
        return fault_set(why, CE_BAD_FIELD, "field '%s' has control characters or is not UTF-8", f->name);
    *out = arena_copy(a, buf_span(&bytes));
    return CE_OK;
}

static const struct msg_field *field_find(const struct msg_desc *d, const char *name)
{
    for (size_t i = 0; i < d->nfields; i++)
        if (d->fields[i].from != MSG_FROM_INT && strcmp(d->fields[i].name, name) == 0)
            return &d->fields[i];
    return NULL;
}

enum err msg_from_json(const struct msg_desc *d, const json_t *obj, struct arena *a, void *m, struct fault *why)
{
    const char *key;
    json_t *v;
    char *at = m;
    memset(m, 0, d->size);
    if (!json_is_object(obj))
        return fault_set(why, CE_BAD_FIELD, "the body must be a JSON object");
    json_object_foreach((json_t *)(uintptr_t)obj, key, v)
        if (!field_find(d, key))
            return fault_set(why, CE_BAD_FIELD, "unknown field '%.40s'", key);
    for (size_t i = 0; i < d->nfields; i++) {
        const struct msg_field *f = &d->fields[i];
        bool number = msg_field_is_number(f);
        v = f->from == MSG_FROM_INT ? NULL : json_object_get(obj, f->name);
        if (!v && f->from == MSG_FROM_REQ)
            return fault_set(why, CE_BAD_FIELD, "field '%s' is missing", f->name);
        enum err e = !v ? CE_OK : number ? json_number(f, v, (int64_t *)(void *)at, why) : json_bytes(f, v, a, (struct span *)(void *)at, why);
        if (e)
            return e;
        at += number ? sizeof(int64_t) : sizeof(struct span);
    }
    return CE_OK;
}
