/* route.c: see route.h. */
#include "wire/route.h"

#include "wire/http.h"

#define ROUTE(m, p, h, r, b) { ROUTE_##m, #m, p, #h, r, b },
const struct route route_table[] = {
#include "wire/route.def"
};
#undef ROUTE
const size_t route_count = ARRAY_LEN(route_table);

static const struct {
    const char *name;
    unsigned bit;
} role_names[] = {
    { "admin", R_ADMIN }, { "operator", R_OPERATOR }, { "station", R_STATION }, { "auditor", R_AUDITOR }, { "edge", R_EDGE },
    { "backend", R_BACKEND },
};

unsigned route_role_bit(struct span role)
{
    for (size_t i = 0; i < ARRAY_LEN(role_names); i++)
        if (span_eq_str(role, role_names[i].name))
            return role_names[i].bit;
    return 0;
}

/* One segment of a path or template: up to the next '/'; *rest begins behind it. */
static struct span segment(struct span *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '/')
        n++;
    struct span s = span_of(rest->p, n);
    size_t skip = n < rest->n ? n + 1 : n;
    *rest = span_of(rest->p + skip, rest->n - skip);
    return s;
}

static bool is_param(struct span t) { return t.n > 2 && t.p[0] == '{'; }
static bool is_tail(struct span t) { return is_param(t) && t.p[t.n - 2] == '*'; }

/* Does the raw path have the template's shape? Parameters come out still encoded. */
static bool shape_match(const char *template, struct span path, struct span *params, size_t *nparams)
{
    struct span t = span_str(template);
    *nparams = 0;
    for (;;) {
        bool more_t = t.n > 0, more_p = path.n > 0;
        if (!more_t || !more_p)
            return more_t == more_p;
        struct span want = segment(&t), whole = path, got = segment(&path);
        bool slash = got.n < whole.n;
        if (is_tail(want)) {
            params[(*nparams)++] = whole;
            return whole.n > 0;
        }
        if (is_param(want)) {
            if (got.n == 0 || *nparams == ROUTE_PARAMS)
                return false;
            params[(*nparams)++] = got;
        } else if (!span_eq(want, got)) {
            return false;
        }
        if (slash && path.n == 0)
            return false; /* a slash at the end is another path */
    }
}

static enum err params_decode(struct route_match *m, struct arena *a, struct fault *f)
{
    for (size_t i = 0; i < m->nparams; i++) {
        CLEANUP(buf_free) struct buf b = BUF_INIT(16384);
        if (percent_decode(m->params[i], &b) || buf_err(&b))
            return fault_set(f, CE_BAD_INPUT, "the path is not percent-encoded as RFC 3986 2.1 says");
        if (!span_is_utf8(buf_span(&b)))
            return fault_set(f, CE_BAD_INPUT, "the path has control characters or is not UTF-8");
        m->params[i] = arena_copy(a, buf_span(&b));
    }
    return CE_OK;
}

enum err route_find(struct span method, struct span path, struct arena *a, struct route_match *out, struct fault *f)
{
    const struct route *other = NULL;
    *out = (struct route_match){ 0 };
    for (size_t i = 0; i < route_count; i++) {
        const struct route *r = &route_table[i];
        struct span params[ROUTE_PARAMS];
        size_t n;
        if (!shape_match(r->path, path, params, &n))
            continue;
        if (!span_eq_str(method, r->method_name)) {
            other = other ? other : r;
            continue;
        }
        out->index = i;
        out->route = r;
        out->nparams = n;
        memcpy(out->params, params, sizeof params);
        return params_decode(out, a, f);
    }
    out->route = other;
    if (other)
        return fault_set(f, CE_METHOD, "this path does not take " SPAN_FMT, method.n < 16 ? (int)method.n : 16, (const char *)method.p);
    return fault_set(f, CE_NO_ROUTE, "there is nothing at this path");
}

void route_allow(const struct route *r, struct buf *out)
{
    bool comma = false;
    for (size_t i = 0; i < route_count; i++) {
        if (strcmp(route_table[i].path, r->path) != 0)
            continue;
        if (comma)
            buf_put_str(out, ", ");
        buf_put_str(out, route_table[i].method_name);
        comma = true;
    }
}
