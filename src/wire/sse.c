/* sse.c: see sse.h. */
#include "wire/sse.h"

#include <string.h>

/* One line without its end; false: its end has not come yet. */
static bool line_take(struct span *rest, struct span *line)
{
    for (size_t i = 0; i < rest->n; i++) {
        if (rest->p[i] != '\n' && rest->p[i] != '\r')
            continue;
        size_t end = i + 1;
        if (rest->p[i] == '\r') {
            if (end == rest->n)
                return false; /* a line feed may follow */
            end += rest->p[end] == '\n';
        }
        *line = span_of(rest->p, i);
        *rest = span_of(rest->p + end, rest->n - end);
        return true;
    }
    return false;
}

/* "name: value", "name:value" or "name". */
static void field_split(struct span line, struct span *name, struct span *value)
{
    const uint8_t *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
    *name = line;
    *value = span_of(NULL, 0);
    if (!colon)
        return;
    size_t n = (size_t)(colon - line.p), from = n + 1;
    from += from < line.n && line.p[from] == ' ';
    *name = span_of(line.p, n);
    *value = span_of(line.p + from, line.n - from);
}

enum err sse_next(struct span *rest, struct sse_event *out)
{
    struct span at = *rest, line, name, value;
    bool any = false;
    out->name = SPAN_LIT("message");
    buf_reset(&out->data);
    while (line_take(&at, &line)) {
        if (line.n == 0) { /* dispatch */
            *rest = at;
            if (any)
                return buf_err(&out->data);
            out->name = SPAN_LIT("message");
            continue;
        }
        field_split(line, &name, &value);
        if (span_eq_str(name, "event"))
            out->name = value.n ? value : SPAN_LIT("message");
        if (!span_eq_str(name, "data"))
            continue;
        if (any)
            buf_put_u8(&out->data, '\n');
        buf_put_span(&out->data, value);
        any = true;
    }
    return CE_NOT_FOUND;
}
