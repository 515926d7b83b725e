/* rollout_create.c: `cradle rollout create`: what is asked for, and how many devices it would reach now. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/name.h"
#include "cli/rollout.h"

#define FIRST_SHOWN 10

static enum err wave_wrong(const char *text, const char *why, struct fault *f)
{
    return fault_set(f, CE_USAGE, "--wave '%.60s': %s; such as 1%%, 50, tag=canary, or 10%%,success=95,errors=3,soak=1h", text, why);
}

/* One word of a wave after its size: success=, errors=, soak=. */
static enum err wave_setting(const char *text, struct span word, json_t *wave, struct fault *f)
{
    static const struct { const char *name, *key; } settings[] = { { "success", "success_percent" }, { "errors", "error_percent" }, { "soak", "soak_s" } };
    struct span value = word, name;
    int64_t n;
    span_cut(&value, '=', &name);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (!span_eq_str(name, settings[i].name))
            continue;
        if (i == 2 ? clock_parse_span_s(value, &n) != CE_OK : !span_to_i64(value, &n) || n < 0 || n > 100)
            return wave_wrong(text, i == 2 ? "soak is a time such as 1h" : "success and errors are percentages", f);
        json_object_set_new(wave, settings[i].key, json_integer(n));
        return CE_OK;
    }
    return wave_wrong(text, "only success, errors and soak may follow", f);
}

/* "1%", "50", "tag=T", then settings. */
static enum err wave_parse(const char *text, json_t *wave, struct fault *f)
{
    struct span rest = span_str(text), first, word;
    int64_t n;
    span_cut(&rest, ',', &first);
    if (first.n > 4 && memcmp(first.p, "tag=", 4) == 0) {
        json_object_set_new(wave, "tag", json_stringn((const char *)first.p + 4, first.n - 4));
    } else {
        bool percent = first.n && first.p[first.n - 1] == '%';
        if (!span_to_i64(span_of(first.p, first.n - percent), &n) || n < 1 || (percent && n > 100))
            return wave_wrong(text, "begins with a share (1% to 100%), a number of devices, or tag=TAG", f);
        json_object_set_new(wave, percent ? "percent" : "devices", json_integer(n));
    }
    enum err e = CE_OK;
    while (!e && rest.n && span_cut(&rest, ',', &word))
        e = wave_setting(text, word, wave, f);
    return e;
}

static enum err waves_put(const struct cli *c, json_t *o, struct fault *f)
{
    json_t *waves = json_array();
    const char *v;
    enum err e = CE_OK;
    json_object_set_new(o, "waves", waves);
    for (int i = 0; !e && (v = cli_opt_n(c, "--wave", i)); i++) {
        json_t *wave = json_object();
        json_array_append_new(waves, wave);
        e = wave_parse(v, wave, f);
    }
    if (!e && !json_array_size(waves))
        e = fault_set(f, CE_USAGE, "which waves? give --wave once for each, such as --wave 1%% --wave 10%% --wave 100%%");
    return e;
}

static enum err window_put(const struct cli *c, json_t *o, struct fault *f)
{
    const char *v = cli_opt(c, "--window");
    if (!v)
        return CE_OK;
    if (strlen(v) != 11 || v[5] != '-' || v[2] != ':' || v[8] != ':')
        return fault_set(f, CE_USAGE, "--window is such as 22:00-05:00, in the time of the device, not '%.40s'", v);
    json_object_set_new(o, "window", json_pack("{s:s#,s:s}", "from", v, 5, "to", v + 6));
    return CE_OK;
}

static enum err body_make(const struct cli *c, json_t *o, struct fault *f)
{
    static const struct { const char *opt, *key; } query[] = { { "--model", "model" }, { "--batch", "batch" }, { "--country", "country" },
                                                               { "--version", "version" }, { "--tag", "tag" } };
    json_t *q = json_object();
    int64_t timeout, active;
    json_object_set_new(o, "query", q);
    enum err e = json_set_text(o, "name", c->args[0], f);
    e = e ? e : json_set_text(o, "line", cli_opt(c, "--line"), f);
    e = e ? e : json_set_text(o, "release", cli_opt(c, "--release"), f);
    e = e ? e : json_set_text(o, "note", cli_opt(c, "--note"), f);
    for (size_t i = 0; !e && i < ARRAY_LEN(query); i++)
        e = json_set_text(q, query[i].key, cli_opt(c, query[i].opt), f);
    e = e ? e : waves_put(c, o, f);
    e = e ? e : window_put(c, o, f);
    e = e ? e : cli_opt_span_s(c, "--timeout", 86400, &timeout, f);
    e = e ? e : cli_opt_int(c, "--max-active", 0, 0, INT32_MAX, &active, f);
    if (e)
        return e;
    json_object_set_new(o, "timeout_s", json_integer(timeout));
    if (active)
        json_object_set_new(o, "max_active", json_integer(active));
    if (cli_flag(c, "--forced"))
        json_object_set_new(o, "forced", json_true());
    return CE_OK;
}

/* How many devices match now, and the first of them. */
struct reach { json_int_t n; bool exact; };

static void filters_add(const struct cli *c, struct buf *q, bool all)
{
    static const struct { const char *opt, *key; bool listed; } filters[] = { { "--line", "line", true }, { "--model", "model", true }, { "--batch", "batch", true },
                                                                              { "--country", "country", true }, { "--tag", "tag", true }, { "--version", "version", false } };
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        if (all || filters[i].listed)
            query_add(q, filters[i].key, cli_opt(c, filters[i].opt));
}

static enum err reach_read(struct cli *c, struct reach *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024), q = BUF_INIT(1024);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    filters_add(c, &q, true);
    buf_put_str(&path, "/api/v1/device-count?");
    buf_put_span(&path, buf_span(&q));
    enum err e = cli_call(c, "GET", buf_cstr(&path), (struct span){ 0 }, &r, f);
    e = e ? e : cli_json(&r, &o, f);
    if (!e)
        *out = (struct reach){ json_path_int(o, "matched", 0), json_is_true(json_object_get(o, "exact")) };
    return e;
}

/* A list knows nothing of versions: then none is shown. */
static enum err reach_say(struct cli *c, const struct reach *n, struct fault *f)
{
    CLEANUP(buf_free) struct buf q = BUF_INIT(1024);
    CLEANUP(json_decref_p) json_t *items = json_array();
    json_t *d;
    CLEANUP(mem_free_p) char *next = NULL;
    size_t i;
    cli_say(c, "%s%lld device%s match%s", n->exact ? "" : "at least ", (long long)n->n, n->n == 1 ? "" : "s", n->n == 1 && n->exact ? "es" : "");
    if (!n->n || cli_opt(c, "--version") || c->json || c->quiet)
        return CE_OK;
    filters_add(c, &q, false);
    const struct list l = { .path = "/api/v1/devices", .query = buf_span(&q) };
    enum err e = cli_list_page(c, &l, FIRST_SHOWN, items, &next, f);
    json_array_foreach(items, i, d)
        cli_say(c, "    %s (%s)", json_path_str(d, "uid", ""), json_path_str(d, "state", ""));
    if (!e && n->n > (json_int_t)i)
        cli_say(c, "    and %s%lld more", n->exact ? "" : "at least ", (long long)(n->n - (json_int_t)i));
    return e;
}

static void reach_put(json_t *o, const struct reach *n)
{
    json_object_set_new(o, "matched", json_integer(n->n));
    json_object_set_new(o, "matched_exact", json_boolean(n->exact));
}

static enum err create_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_object(), *answer = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    struct reach n = { .n = 0 };
    if (!cli_opt(c, "--line") || !cli_opt(c, "--release"))
        return fault_set(f, CE_USAGE, "--line and --release are needed; cradle release list LINE says what there is");
    enum err e = name_check_label("name", span_str(c->args[0]), f);
    e = e ? e : body_make(c, o, f);
    e = e ? e : reach_read(c, &n, f);
    e = e ? e : reach_say(c, &n, f);
    if (e)
        return e;
    if (cli_flag(c, "--dry-run")) {
        reach_put(o, &n);
        if (c->json)
            cli_print_json(o);
        return CE_OK;
    }
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    if ((e = cli_call(c, "POST", "/api/v1/rollouts", span_str(body), &r, f)) || (e = cli_json(&r, &answer, f)))
        return e;
    reach_put(answer, &n);
    if (c->json)
        cli_print_json(answer);
    cli_say(c, "made rollout %s (%s); next: somebody else says cradle rollout approve %s, then cradle rollout start %s", c->args[0],
            json_path_str(answer, "state", "?"), c->args[0], c->args[0]);
    return CE_OK;
}

static const struct verb_opt create_opts[] = {
    { "--line", "LINE", "product line", false },
    { "--release", "RELEASE", "signed release of the line", false },
    { "--model", "MODEL", "only devices of this model", false },
    { "--batch", "BATCH", "… of this batch", false },
    { "--country", "CC", "… sold in this country", false },
    { "--version", "VERSION", "… that run this version", false },
    { "--tag", "TAG", "… with this tag", false },
    { "--wave", "SIZE", "1% (up to this share), 50 (so many devices) or tag=TAG; then ,success=95,errors=3,soak=1h: when the next one opens, when it stops", true },
    { "--timeout", "TIME", "a device that says nothing for so long counts as silent (default 1d)", false },
    { "--window", "FROM-TO", "maintenance window in the time of the device, such as 22:00-05:00", false },
    { "--forced", NULL, "a user may put it off for a day, and not decline it", false },
    { "--max-active", "COUNT", "so many devices at a time may load and install", false },
    { "--dry-run", NULL, "say how many devices match now, and make nothing", false },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_rollout_create = {
    .name = "rollout create", .args = "NAME", .min_args = 1, .max_args = 1, .help = "draft a rollout: which devices get a release, in which waves",
    .text = "Prints how many devices match now; the group is looked at anew for each wave. Nothing goes out before somebody else approves and the gate agrees.",
    .example = "cradle rollout create r7-all --line vib --release r7 --wave 1%,success=95,errors=3,soak=1h --wave 10% --wave 100% --window 22:00-05:00\n"
               "cradle rollout create r7-lab --line vib --release r7 --tag lab --wave 100% --dry-run",
    VERB_OPTS(create_opts), .run = create_run,
};
