/* front_query.c: GET requests of the REST API into msg_query: which parameters a route takes, and their bounds. The answers come
 * ready-made from the query role.
 */
#include "role/front_priv.h"

#define LIMIT_MAX 500

/* Where each query parameter goes. */
static const struct filter {
    const char *name;
    size_t offset, max;
} filters[] = {
#define FILTER(name, field, max)                                                                                                           \
    {                                                                                                                                      \
        name, offsetof(struct msg_query, field), max                                                                                       \
    }
    FILTER("after", after, 1024), FILTER("line", line, 48),   FILTER("model", model, 48),
    FILTER("batch", batch, 48),   FILTER("state", state, 16), FILTER("kind", kind, 48), FILTER("which", kind, 48), FILTER("alg", kind, 24), FILTER("country", country, 2),
    FILTER("edge", edge, 48), FILTER("tag", tag, 48), FILTER("key_home", key_home, 16), FILTER("since", since, 40),
    FILTER("q", q, 64),           FILTER("version", q, 64),           FILTER("device", key, 64),  FILTER("index", key, 20),
#undef FILTER
};

static bool taken(const char *list, struct span name)
{
    struct span rest = span_str(list), one;
    while (span_cut(&rest, ' ', &one))
        if (one.n && span_eq(one, name))
            return true;
    return false;
}

static enum err unknown(struct span name, struct fault *f)
{
    return fault_set(f, CE_BAD_FIELD, "unknown query parameter '" SPAN_FMT "'", name.n < 40 ? (int)name.n : 40, (const char *)name.p);
}

static enum err filter_set(struct msg_query *m, struct span name, struct span value, struct fault *f)
{
    if (span_eq_str(name, "limit")) {
        if (!span_to_i64(value, &m->limit) || m->limit < 1 || m->limit > LIMIT_MAX)
            return fault_set(f, CE_BAD_FIELD, "query parameter 'limit' must be 1 to %d", LIMIT_MAX);
        return CE_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        if (!span_eq_str(name, filters[i].name))
            continue;
        if (value.n > filters[i].max)
            return fault_set(f, CE_BAD_FIELD, "query parameter '%s' is longer than %zu bytes", filters[i].name, filters[i].max);
        memcpy((char *)m + filters[i].offset, &value, sizeof value);
        return CE_OK;
    }
    return unknown(name, f);
}

static enum err filters_read(struct front_req *r, struct msg_query *m, struct fault *f)
{
    struct span rest = r->query, name, value, seen[16];
    size_t n = 0;
    enum err e;
    while ((e = http_query_next(&rest, &r->arena, &name, &value, f)) == CE_OK) {
        if (!taken(r->handler->filters, name))
            return unknown(name, f);
        for (size_t i = 0; i < n; i++)
            if (span_eq(seen[i], name))
                return fault_set(f, CE_BAD_FIELD, "query parameter '" SPAN_FMT "' is given twice", SPAN_ARG(name));
        INVARIANT(n < ARRAY_LEN(seen));
        seen[n++] = name;
        e = filter_set(m, name, value, f);
        if (e)
            return e;
    }
    return e == CE_NOT_FOUND ? CE_OK : e;
}

static enum err key_read(struct front_req *r, struct msg_query *m, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(64);
    enum err e = front_param(r, &m->key, f);
    if (e || strcmp(r->handler->param, "serial") != 0)
        return e;
    buf_put_hex(&text, m->key);
    m->key = arena_copy(&r->arena, buf_span(&text));
    return CE_OK;
}

enum err front_query(struct front_req *r, struct fault *f)
{
    struct msg_query *m = arena_alloc(&r->arena, sizeof *m);
    m->what = span_str(r->handler->what);
    m->scope = span_str(r->who.lines);
    r->desc = &msg_desc_query;
    r->msg = m;
    enum err e = r->handler->param ? key_read(r, m, f) : CE_OK;
    return e ? e : filters_read(r, m, f);
}

/* Accept: application/pkix-cert asks for the certificate itself (RFC 5280 4.2.2.1). */
enum err front_cert_query(struct front_req *r, struct fault *f)
{
    enum err e = front_query(r, f);
    if (!e && http_accepts(front_in_header(r, "Accept"), "application/pkix-cert"))
        ((struct msg_query *)r->msg)->kind = SPAN_LIT("der");
    return e;
}

/* The two parts of a release's name are two parts of the path. */
enum err front_release(struct front_req *r, struct fault *f)
{
    enum err e = front_query(r, f);
    e = e ? e : name_check_label("line", r->match.params[0], f);
    e = e ? e : name_check_label("name", r->match.params[1], f);
    if (e)
        return e;
    struct msg_query *m = r->msg;
    m->line = r->match.params[0];
    m->key = r->match.params[1];
    return CE_OK;
}
