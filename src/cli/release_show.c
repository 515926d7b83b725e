/* release_show.c: `cradle release show` and `cradle device firmware`: what became of a release, and what one device has run. */
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "cli/device.h"
#include "cli/rollout.h"

static enum err release_path(const struct cli *c, const char *tail, struct buf *out, struct fault *f)
{
    enum err e = name_check_label("line", span_str(c->args[0]), f);
    e = e ? e : name_check_label("release", span_str(c->args[1]), f);
    if (!e)
        buf_printf(out, "/api/v1/releases/%s/%s%s", c->args[0], c->args[1], tail);
    return e;
}

static enum err devices_list(struct cli *c, const char *which, struct fault *f)
{
    static const struct column cols[] = { { "UID", "uid", 16, NULL }, { "RELEASE", "release", 8, NULL }, { "VERSION", "version", 8, NULL }, { "SINCE", "since", 20, NULL } };
    CLEANUP(buf_free) struct buf path = BUF_INIT(256), q = BUF_INIT(64);
    enum err e = release_path(c, "/devices", &path, f);
    query_add(&q, "which", which);
    struct list l = { .path = buf_cstr(&path), .query = buf_span(&q), .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "No device." };
    return e ? e : cli_list(c, &l, f);
}

static enum err show_run(struct cli *c, struct fault *f)
{
    static const struct { const char *title, *path; } rows[] = {
        { "Release", "name" }, { "Line", "line" }, { "Version", "version" }, { "State", "state" }, { "Counter", "counter" }, { "File", "path" },
        { "Bytes", "length" }, { "SHA-256", "sha256" }, { "SBOM", "sbom_sha256" }, { "Support", "support_end" }, { "Signed", "added_at" },
    };
    CLEANUP(buf_free) struct buf path = BUF_INIT(256);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    struct json_text t;
    size_t i;
    json_t *x;
    if (cli_flag(c, "--on") || cli_flag(c, "--behind"))
        return devices_list(c, cli_flag(c, "--behind") ? "behind" : "on", f);
    enum err e = release_path(c, "", &path, f);
    if (e || (e = cli_call(c, "GET", buf_cstr(&path), (struct span){ 0 }, &r, f)) || (e = cli_json(&r, &o, f)))
        return e;
    if (c->json) {
        cli_print_json(o);
        return CE_OK;
    }
    for (i = 0; i < ARRAY_LEN(rows); i++) {
        printf("%-11s ", rows[i].title);
        cli_put_safe(json_path_text(o, rows[i].path, &t), 200);
        printf("\n");
    }
    printf("%-11s %lld devices\n", "Run by", (long long)json_path_int(o, "on", 0));
    printf("%-11s %s%lld devices run less\n", "Behind", json_is_true(json_object_get(o, "behind_exact")) ? "" : "more than ", (long long)json_path_int(o, "behind", 0));
    json_array_foreach(json_object_get(o, "rollouts"), i, x) {
        printf("\n");
        rollout_print(c, x);
    }
    return CE_OK;
}
static const struct verb_opt show_opts[] = {
    { "--on", NULL, "list the devices that run it, and since when", false },
    { "--behind", NULL, "list the devices that run a lower version, and since when", false },
    { "--limit", "ROWS", "with --on, --behind: stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "with them: go on after the cursor that the page before ended with", false },
};
const struct verb verb_release_show = {
    .name = "release show", .args = "LINE RELEASE", .min_args = 2, .max_args = 2, .help = "show a release, how many devices run it, and its rollouts",
    .example = "cradle release show vib r7\ncradle release show vib r7 --behind --json", VERB_OPTS(show_opts), .run = show_run,
};

static enum err firmware_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "AT", "at", 24, NULL }, { "WHAT", "kind", 18, NULL }, { "RELEASE", "release", 0, NULL }, { "VERSION", "version", 0, NULL }, { "ROLLOUT", "rollout", 0, NULL },
        { "BY", "by", 0, NULL },  { "REASON", "reason", 0, NULL }, { "SBOM", "sbom_sha256", 0, NULL },
    };
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    enum err e = device_path(c->args[0], "/firmware", &path, f);
    struct list l = { .path = buf_cstr(&path), .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "No order was ever made for this device, and it has not said what it runs." };
    return e ? e : cli_list(c, &l, f);
}
static const struct verb_opt firmware_opts[] = {
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_device_firmware = {
    .name = "device firmware", .args = "UID", .min_args = 1, .max_args = 1, .help = "show what a device was told to install, and what became of it",
    .text = "With --json also who approved each rollout.", .example = "cradle device firmware pump-0001 --json", VERB_OPTS(firmware_opts), .run = firmware_run,
};
