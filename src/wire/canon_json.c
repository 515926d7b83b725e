/* canon_json.c: see canon_json.h. */
#include "wire/canon_json.h"

#include <stdlib.h>

#include "base/mem.h"

static enum err value_put(const json_t *v, int depth, struct buf *out);

static void string_put(struct span s, struct buf *out)
{
    buf_put_u8(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_put_u8(out, '\\');
        buf_put_u8(out, s.p[i]);
    }
    buf_put_u8(out, '"');
}

static int key_cmp(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static enum err object_put(const json_t *v, int depth, struct buf *out)
{
    size_t n = json_object_size(v), i = 0;
    CLEANUP(mem_free_p) char *mem = mem_calloc(n + 1, sizeof(const char *));
    const char **keys = (const char **)(void *)mem, *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)v, key, member)
        keys[i++] = key;
    qsort(keys, n, sizeof *keys, key_cmp);
    buf_put_u8(out, '{');
    enum err e = CE_OK;
    for (i = 0; !e && i < n; i++) {
        if (i)
            buf_put_u8(out, ',');
        string_put(span_str(keys[i]), out);
        buf_put_u8(out, ':');
        e = value_put(json_object_get(v, keys[i]), depth + 1, out);
    }
    buf_put_u8(out, '}');
    return e;
}

static enum err array_put(const json_t *v, int depth, struct buf *out)
{
    enum err e = CE_OK;
    buf_put_u8(out, '[');
    for (size_t i = 0; !e && i < json_array_size(v); i++) {
        if (i)
            buf_put_u8(out, ',');
        e = value_put(json_array_get(v, i), depth + 1, out);
    }
    buf_put_u8(out, ']');
    return e;
}

static enum err value_put(const json_t *v, int depth, struct buf *out)
{
    if (depth > CANON_DEPTH)
        return CE_BAD_JSON;
    switch (json_typeof(v)) {
    case JSON_OBJECT: return object_put(v, depth, out);
    case JSON_ARRAY: return array_put(v, depth, out);
    case JSON_STRING: string_put(span_of(json_string_value(v), json_string_length(v)), out); break;
    case JSON_INTEGER: buf_printf(out, "%lld", (long long)json_integer_value(v)); break;
    case JSON_TRUE: buf_put_str(out, "true"); break;
    case JSON_FALSE: buf_put_str(out, "false"); break;
    case JSON_NULL: buf_put_str(out, "null"); break;
    default: return CE_BAD_JSON; /* real numbers have no canonical form */
    }
    return CE_OK;
}

enum err canon_json_put(const json_t *v, struct buf *out)
{
    enum err e = value_put(v, 0, out);
    return e ? e : buf_err(out);
}
