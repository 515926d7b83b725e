/* device_tag.c: `cradle device tag`: the labels by which searches and rollouts pick devices. */
#include <string.h>

#include "base/mem.h"
#include "cli/device.h"
#include "wire/msg.h"

void device_tags_say(const struct cli *c, const json_t *tags)
{
    size_t i;
    json_t *t;
    (void)c;
    printf("%-11s ", "Tags");
    json_array_foreach((json_t *)(uintptr_t)tags, i, t) {
        printf("%s", i ? ", " : "");
        cli_put_safe(json_string_value(t), 64);
    }
    printf("%s\n", json_array_size(tags) ? "" : "none");
}

static enum err tags_of(const struct cli *c, const char *opt, const char *key, json_t *o, struct fault *f)
{
    json_t *list = json_array();
    const char *v;
    enum err e = CE_OK;
    json_object_set_new(o, key, list);
    for (int i = 0; !e && (v = cli_opt_n(c, opt, i)); i++) {
        e = name_check_label(opt, span_str(v), f);
        json_array_append_new(list, json_string(v));
    }
    return e;
}

static enum err tag_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(json_decref_p) json_t *o = json_object(), *answer = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    if (!cli_opt(c, "--add") && !cli_opt(c, "--remove"))
        return fault_set(f, CE_USAGE, "what shall change? give --add TAG or --remove TAG; cradle device show %s says which it has", c->args[0]);
    enum err e = device_path(c->args[0], "/tags", &path, f);
    e = e ? e : tags_of(c, "--add", "add", o, f);
    e = e ? e : tags_of(c, "--remove", "remove", o, f);
    e = e ? e : json_set_text(o, "note", cli_opt(c, "--note"), f);
    if (e)
        return e;
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    if ((e = cli_call(c, "POST", buf_cstr(&path), span_str(body), &r, f)))
        return e;
    if (c->json)
        return cli_print_reply(&r, f);
    e = cli_json(&r, &answer, f);
    if (!e && !c->quiet)
        device_tags_say(c, json_object_get(answer, "tags"));
    return e;
}

static const struct verb_opt tag_opts[] = {
    { "--add", "TAG", "give it this tag", true },
    { "--remove", "TAG", "take this tag away", true },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_device_tag = {
    .name = "device tag", .args = "UID", .min_args = 1, .max_args = 1, .help = "give a device tags, by which searches and rollouts pick it",
    .text = "A tag is a label: up to 48 letters, digits and . _ - ; a device holds up to 16. Tags give no rights and take none. To tag many devices, "
            "run this for each UID that `cradle device list --json` prints.",
    .example = "cradle device tag pump-0001 --add canary --add hospital\ncradle device list --tag canary", VERB_OPTS(tag_opts), .run = tag_run,
};
