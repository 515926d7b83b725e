/* list.c: JSON answers as tables, and the paging that every list verb shares. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "wire/msg.h"

#define LIST_PAGE 500
#define LIST_COLS_MAX 12
#define LIST_JSON_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY)

static const json_t *json_at(const json_t *o, const char *path)
{
    char key[64];
    for (const char *p = path; o && *p;) {
        size_t n = strcspn(p, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, p);
        o = json_object_get(o, key);
        p += n + (p[n] == '.');
    }
    return o;
}

const char *json_path_text(const json_t *o, const char *path, struct json_text *out)
{
    const json_t *v = json_at(o, path);
    if (json_is_string(v) && json_string_length(v))
        return json_string_value(v);
    if (json_is_integer(v))
        snprintf(out->text, sizeof out->text, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        snprintf(out->text, sizeof out->text, "%.3f", json_real_value(v));
    else
        snprintf(out->text, sizeof out->text, "%s", json_is_true(v) ? "yes" : json_is_false(v) ? "no" : "-");
    return out->text;
}

int64_t json_path_int(const json_t *o, const char *path, int64_t def)
{
    const json_t *v = json_at(o, path);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : json_is_real(v) ? (int64_t)json_real_value(v) : def;
}

const char *json_path_str(const json_t *o, const char *path, const char *def)
{
    const char *s = json_string_value(json_at(o, path));
    return s ? s : def;
}

enum cli_tint tint_state(const char *v)
{
    static const struct { const char *state; enum cli_tint tint; } rows[] = {
        { "active", TINT_GOOD }, { "good", TINT_GOOD },      { "ok", TINT_GOOD },          { "revoked", TINT_BAD },
        { "suspended", TINT_WARN }, { "quarantined", TINT_WARN }, { "hold", TINT_WARN }, { "decommissioned", TINT_DIM }, { "removed", TINT_DIM },
        { "superseded", TINT_DIM }, { "expired", TINT_DIM },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].state, v) == 0)
            return rows[i].tint;
    return TINT_NONE;
}

/* Terminal columns of UTF-8 text, one for each code point; control characters are one too. */
static int text_width(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

static void cell_print(const struct cli *c, const struct column *col, const char *v, int width, bool last)
{
    enum cli_tint t = col->tint ? col->tint(v) : TINT_NONE;
    if (t)
        fputs(cli_tint(c, t), stdout);
    cli_put_safe(v, 4096);
    if (t)
        fputs(cli_tint(c, TINT_NONE), stdout);
    if (!last)
        printf("%*s", width - text_width(v) + 2, "");
}

void cli_table(const struct cli *c, const json_t *items, const struct column *cols, size_t ncols)
{
    int width[LIST_COLS_MAX] = { 0 };
    size_t i;
    json_t *o;
    struct json_text t;
    for (size_t k = 0; k < ncols; k++) {
        width[k] = cols[k].min_width > (int)strlen(cols[k].title) ? cols[k].min_width : (int)strlen(cols[k].title);
        json_array_foreach(items, i, o) {
            int w = text_width(json_path_text(o, cols[k].path, &t));
            width[k] = w > width[k] ? w : width[k];
        }
    }
    fputs(cli_tint(c, TINT_DIM), stdout);
    for (size_t k = 0; k < ncols; k++)
        printf("%-*s", k + 1 == ncols ? 0 : width[k] + 2, cols[k].title);
    printf("%s\n", cli_tint(c, TINT_NONE));
    json_array_foreach(items, i, o) {
        for (size_t k = 0; k < ncols; k++)
            cell_print(c, &cols[k], json_path_text(o, cols[k].path, &t), width[k], k + 1 == ncols);
        putchar('\n');
    }
}

enum err cli_json(const struct net_reply *r, json_t **out, struct fault *f)
{
    struct fault why = { 0 };
    if (json_parse(buf_span(&r->body), out, &why))
        return fault_set(f, CE_BAD_JSON, "the service's answer is not JSON: %s", why.text);
    return CE_OK;
}

void cli_print_json(const json_t *o)
{
    json_dumpf(o, stdout, LIST_JSON_FLAGS);
    putchar('\n');
}

enum err cli_print_reply(const struct net_reply *r, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    enum err e = r->body.len ? cli_json(r, &o, f) : CE_OK;
    if (!e && o)
        cli_print_json(o);
    else if (!e)
        puts("{}");
    return e;
}

void cli_print_text(const struct cli *c, const char *key, const struct net_reply *r)
{
    if (!c->json) {
        fwrite(r->body.data, 1, r->body.len, stdout);
        return;
    }
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s%}", key, (const char *)r->body.data, r->body.len);
    cli_print_json(o);
}

enum err json_set_text(json_t *o, const char *key, const char *value, struct fault *f)
{
    if (value && json_object_set_new(o, key, json_string(value)))
        return fault_set(f, CE_BAD_NAME, "%s must be UTF-8 text", key);
    return CE_OK;
}

void query_add(struct buf *q, const char *key, const char *value)
{
    if (!value)
        return;
    buf_printf(q, "%s%s=", q->len ? "&" : "", key);
    net_escape(q, span_str(value));
}

enum err cli_list_page(struct cli *c, const struct list *l, int64_t want, json_t *items, char **next, struct fault *f)
{
    CLEANUP(buf_free) struct buf q = BUF_INIT(16384);
    CLEANUP(buf_free) struct buf path = BUF_INIT(16384);
    buf_put_span(&q, l->query);
    char limit[24];
    snprintf(limit, sizeof limit, "%lld", (long long)(want < LIST_PAGE ? want : LIST_PAGE));
    query_add(&q, "limit", limit);
    query_add(&q, "after", *next);
    CLEANUP(mem_free_p) char *before = *next;
    *next = NULL;
    buf_printf(&path, "%s?%s", l->path, buf_cstr(&q));
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = cli_call(c, "GET", buf_cstr(&path), (struct span){ 0 }, &r, f);
    CLEANUP(json_decref_p) json_t *o = NULL;
    if (!e)
        e = cli_json(&r, &o, f);
    if (e)
        return e;
    json_array_extend(items, json_object_get(o, "items"));
    const char *more = json_path_str(o, "next", NULL);
    *next = more ? mem_strdup(more) : NULL;
    return more && before && strcmp(more, before) == 0 ? fault_set(f, CE_INTERNAL, "the service's pages do not advance") : CE_OK;
}

static void list_rows(const struct cli *c, const struct list *l, const json_t *items)
{
    size_t i;
    json_t *o;
    json_array_foreach(items, i, o)
        l->row(c, o);
}

static void list_print(struct cli *c, const struct list *l, json_t *items, const char *next)
{
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:O,s:o?}", "items", items, "next", next ? json_string(next) : NULL);
        if (o && !next)
            json_object_set_new(o, "next", json_null());
        cli_print_json(o);
        return;
    }
    if (!json_array_size(items))
        cli_say(c, "%s", l->empty);
    else if (l->row)
        list_rows(c, l, items);
    else
        cli_table(c, items, l->cols, l->ncols);
    if (next)
        cli_say(c, "%sThere is more: --after '%s', or a higher --limit%s", cli_tint(c, TINT_DIM), next, cli_tint(c, TINT_NONE));
}

enum err cli_list(struct cli *c, struct list *l, struct fault *f)
{
    int64_t limit;
    enum err e = cli_opt_int(c, "--limit", 1000, 1, 10000000, &limit, f);
    if (e)
        return e;
    CLEANUP(json_decref_p) json_t *items = json_array();
    CLEANUP(mem_free_p) char *next = cli_opt(c, "--after") ? mem_strdup(cli_opt(c, "--after")) : NULL;
    do {
        int64_t had = (int64_t)json_array_size(items);
        e = cli_list_page(c, l, limit - had, items, &next, f);
        cli_progress(c, "rows", (int64_t)json_array_size(items), 0);
    } while (!e && next && (int64_t)json_array_size(items) < limit);
    cli_progress_end(c);
    if (!e)
        list_print(c, l, items, next);
    return e;
}
