/* device_query.c: see device_query.h. */
#include "cli/device_query.h"

#include <stdlib.h>

#include "base/mem.h"
#include "cli/device.h"

#define FIRST_SHOWN 10

static const struct { const char *opt, *key; } filters[] = {
    { "--line", "line" },       { "--model", "model" }, { "--batch", "batch" },
    { "--country", "country" }, { "--state", "state" }, { "--tag", "tag" },         { "--prefix", "q" },
};

bool device_query_given(const struct cli *c)
{
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        if (cli_opt(c, filters[i].opt))
            return true;
    return false;
}

static void count(json_t *of, const char *name)
{
    json_object_set_new(of, name, json_integer(json_integer_value(json_object_get(of, name)) + 1));
}

static void page_take(struct device_query *q, const json_t *page)
{
    size_t i;
    json_t *d;
    json_array_foreach(page, i, d) {
        const char *state = json_path_str(d, "state", "?"), *line = json_path_str(d, "line", "?");
        count(q->states, state);
        count(q->lines, line);
        json_array_append_new(q->items, json_pack("{s:s,s:s,s:s}", "uid", json_path_str(d, "uid", ""), "state", state, "line", line));
    }
}

enum err device_query_read(struct cli *c, struct device_query *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf q = BUF_INIT(4096);
    CLEANUP(mem_free_p) char *next = NULL;
    enum err e = CE_OK;
    *out = (struct device_query){ json_array(), json_object(), json_object() };
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        const char *v = cli_opt(c, filters[i].opt);
        if (v && !*v)
            return fault_set(f, CE_USAGE, "%s is empty; leave it out to match all", filters[i].opt);
        query_add(&q, filters[i].key, v);
    }
    const struct list l = { .path = "/api/v1/devices", .query = buf_span(&q) };
    do {
        CLEANUP(json_decref_p) json_t *page = json_array();
        e = cli_list_page(c, &l, INT64_MAX, page, &next, f);
        page_take(out, page);
        cli_progress(c, "devices that match", (int64_t)json_array_size(out->items), 0);
    } while (!e && next);
    cli_progress_end(c);
    return e;
}

void device_query_free(struct device_query *q)
{
    json_decref(q->items);
    json_decref(q->states);
    json_decref(q->lines);
    *q = (struct device_query){ 0 };
}

static void print_counts(const struct cli *c, const char *title, const json_t *of)
{
    CLEANUP(buf_free) struct buf line = BUF_INIT(4096);
    const char *name;
    json_t *n;
    json_object_foreach((json_t *)(uintptr_t)of, name, n)
        buf_printf(&line, "%s%s %lld", line.len ? ", " : "", name, (long long)json_integer_value(n));
    cli_say(c, "  %-9s %s", title, buf_err(&line) ? "many" : buf_cstr(&line));
}

void device_query_print(const struct cli *c, const struct device_query *q)
{
    size_t n = json_array_size(q->items), i;
    json_t *d;
    cli_say(c, "%zu device%s match%s", n, n == 1 ? "" : "s", n == 1 ? "es" : "");
    if (!n)
        return;
    print_counts(c, "by state:", q->states);
    print_counts(c, "by line:", q->lines);
    json_array_foreach(q->items, i, d) {
        if (i == FIRST_SHOWN) {
            cli_say(c, "    and %zu more", n - i);
            break;
        }
        cli_say(c, "    %s (%s, %s)", json_path_str(d, "uid", ""), json_path_str(d, "state", ""), json_path_str(d, "line", ""));
    }
}

json_t *device_query_json(const struct device_query *q)
{
    json_t *first = json_array(), *d;
    size_t i;
    json_array_foreach(q->items, i, d)
        if (i < FIRST_SHOWN)
            json_array_append(first, d);
    return json_pack("{s:I,s:O,s:O,s:o}", "matched", (json_int_t)json_array_size(q->items), "states", q->states, "lines", q->lines, "first", first);
}
