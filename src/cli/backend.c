/* backend.c: `cradle backend add|set|list`: applications with a certificate of their own and the topics that they may use at a broker. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "cli/operator.h"
#include "cli/topics.h"

enum err topics_option(const struct cli *c, const char *option, const char *key, json_t *o, struct fault *f)
{
    const char *v = cli_opt(c, option);
    if (!v)
        return CE_OK;
    json_t *list = json_array();
    json_object_set_new(o, key, list);
    if (!v[0] && !cli_opt_n(c, option, 1))
        return CE_OK;
    for (int i = 0; (v = cli_opt_n(c, option, i)); i++) {
        json_t *s = json_string(v);
        if (!s)
            return fault_set(f, CE_BAD_NAME, "%s is not UTF-8", option);
        json_array_append_new(list, s);
    }
    return CE_OK;
}

void topics_say(const struct cli *c, const json_t *o, const char *key, const char *what)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(4096);
    const json_t *list = json_object_get(o, key);
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
        buf_printf(&text, "  %s", json_string_value(one));
    cli_say(c, "  %-13s%s", what, text.len ? buf_cstr(&text) : "  nothing");
}

static enum err topics_read(const struct cli *c, json_t *o, struct fault *f)
{
    enum err e = topics_option(c, "--write", "write", o, f);
    return e ? e : topics_option(c, "--read", "read", o, f);
}

static enum err add_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_object();
    struct operator_new n = { .name = c->args[0], .role = "backend", .more = o };
    char key[PATH_MAX_LEN], pem[PATH_MAX_LEN];
    enum err e = topics_read(c, o, f);
    e = e ? e : operator_make(c, &n, key, pem, f);
    if (e)
        return e;
    if (c->json) {
        json_object_update_new(o, json_pack("{s:s,s:s,s:s,s:s}", "name", n.name, "role", n.role, "key", key, "certificate", pem));
        cli_print_json(o);
    }
    cli_say(c, "added backend %s; key %s (keep it secret), certificate %s", n.name, key, pem);
    topics_say(c, o, "write", "may publish");
    topics_say(c, o, "read", "may receive");
    return CE_OK;
}

static enum err set_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_object(), *backend = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    char path[128];
    enum err e = name_check_label("name", span_str(c->args[0]), f);
    e = e ? e : topics_read(c, o, f);
    e = e ? e : json_set_text(o, "note", cli_opt(c, "--note"), f);
    if (e)
        return e;
    snprintf(path, sizeof path, "/api/v1/backends/%.64s", c->args[0]);
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    if ((e = cli_call(c, "PATCH", path, span_str(body), &r, f)) || (e = cli_json(&r, &backend, f)))
        return e;
    if (c->json)
        return cli_print_reply(&r, f);
    cli_say(c, "backend %s is set: brokers have it within a second", c->args[0]);
    topics_say(c, backend, "write", "may publish");
    topics_say(c, backend, "read", "may receive");
    return CE_OK;
}

static void list_row(const struct cli *c, const json_t *item)
{
    cli_say(c, "%s (%s)", json_path_str(item, "name", "?"), json_path_str(item, "state", "?"));
    topics_say(c, item, "write", "may publish");
    topics_say(c, item, "read", "may receive");
}

static enum err list_run(struct cli *c, struct fault *f)
{
    struct list l = { .path = "/api/v1/backends", .row = list_row, .empty = "There is no backend yet: cradle backend add NAME --read 'd/+/up/#'" };
    return cli_list(c, &l, f);
}

#define WRITE_OPT { "--write", "TOPIC", "topic filter that it may publish to; up to eight", true }
#define READ_OPT { "--read", "TOPIC", "topic filter that it may receive; up to eight", true }
static const struct verb_opt add_opts[] = {
    WRITE_OPT, READ_OPT, { "--out", "DIR", "where NAME.key and NAME.pem go (default: the site's operators folder)", false },
};
static const struct verb_opt set_opts[] = { WRITE_OPT, READ_OPT, { "--note", "TEXT", "why, in your words; becomes evidence", false } };
static const struct verb_opt list_opts[] = {
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_backend_add = {
    .name = "backend add", .args = "NAME", .min_args = 1, .max_args = 1, .help = "let an application use topics at the brokers",
    .text = "Makes a key in NAME.key (0600) and stores the certificate that the service issues beside it. The key never leaves this machine. It may use "
            "the topics given here, renew its certificate by EST, and nothing else.",
    .example = "cradle backend add billing --read 'd/+/up/#' --write 'd/+/down/#' --out ./billing", VERB_OPTS(add_opts), .run = add_run,
};
const struct verb verb_backend_set = {
    .name = "backend set", .args = "NAME", .min_args = 1, .max_args = 1, .help = "change the topics of a backend",
    .text = "--write and --read replace what was set; given once with an empty text they take all topics away. Live sessions go on under the new rights. "
            "cradle operator remove ends a backend.",
    .example = "cradle backend set billing --read 'd/+/up/meter/#'", VERB_OPTS(set_opts), .run = set_run,
};
const struct verb verb_backend_list = {
    .name = "backend list", .args = "", .help = "list backends and their topics", VERB_OPTS(list_opts), .run = list_run,
};
