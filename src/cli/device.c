/* device.c: `cradle device add|list|show`. Changes of state are in device_state.c, bulk addition in device_csv.c. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/device.h"

enum err device_path(const char *uid, const char *tail, struct buf *out, struct fault *f)
{
    enum err e = name_check_uid(span_str(uid), f);
    if (e)
        return e;
    buf_put_str(out, "/api/v1/devices/");
    net_escape(out, span_str(uid));
    buf_put_str(out, tail);
    return CE_OK;
}

/* Empty: left out. False: not UTF-8. */
static bool put_text(json_t *o, const char *key, struct span v)
{
    return !v.n || json_object_set_new(o, key, json_stringn((const char *)v.p, v.n)) == 0;
}

enum err device_post(struct cli *c, const struct device_row *d, struct net_reply *r, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_object();
    bool utf8 = put_text(o, "uid", d->uid) && put_text(o, "serial", d->serial) && put_text(o, "model", d->model) &&
                put_text(o, "batch", d->batch) && put_text(o, "country", d->country) && put_text(o, "ek", d->ek);
    if (!utf8 || !d->uid.n || !d->model.n)
        return fault_set(f, CE_BAD_FIELD, "uid and model must not be empty, and all fields must be UTF-8");
    CLEANUP(mem_free_p) char *text = json_dumps(o, JSON_COMPACT);
    return cli_call(c, "POST", "/api/v1/devices", span_str(text), r, f);
}

static struct span opt_span(const struct cli *c, const char *name) { return span_str(cli_opt_or(c, name, "")); }

static enum err add_run(struct cli *c, struct fault *f)
{
    const char *csv = cli_opt(c, "--csv");
    if (csv)
        return c->nargs ? fault_set(f, CE_USAGE, "give a UID or --csv, not both") : device_add_csv(c, csv, f);
    if (!c->nargs || !cli_opt(c, "--model"))
        return fault_set(f, CE_USAGE, "a device needs a UID and --model (or give --csv FILE)");
    struct device_row d = { span_str(c->args[0]), opt_span(c, "--serial"), opt_span(c, "--model"), opt_span(c, "--batch"),
                            opt_span(c, "--country"), opt_span(c, "--ek") };
    enum err e = name_check_uid(d.uid, f);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    if (e || (e = device_post(c, &d, &r, f)))
        return e;
    if (c->json)
        return cli_print_reply(&r, f);
    cli_say(c, "registered %s (model %s); a station can enroll it now", c->args[0], cli_opt(c, "--model"));
    return CE_OK;
}

static const struct verb_opt add_opts[] = {
    { "--model", "MODEL", "model of the device (its product line follows from it)", false },
    { "--serial", "SERIAL", "serial number on the label", false },
    { "--batch", "BATCH", "production batch", false },
    { "--country", "CC", "country of sale, two letters (ISO 3166-1)", false },
    { "--ek", "SHA256", "of the SubjectPublicKeyInfo of its TPM's endorsement key: only that TPM may prove where its keys live", false },
    { "--csv", "FILE", "many devices: lines of uid,serial,model,batch,country; '-' is standard input", false },
    { "--refused", "FILE", "with --csv: write the refused lines and why to FILE", false },
};
const struct verb verb_device_add = {
    .name = "device add", .args = "[UID]", .max_args = 1, .help = "register one device, or many from a CSV file",
    .text = "With --csv every line is tried; refused lines are listed at the end, and the exit code is that of the first refusal. "
            "A field may be quoted with \". A first line that begins with uid is a heading.",
    .example = "cradle device add pump-0001 --model P100 --serial 0001 --country DE\ncradle device add --csv batch7.csv --refused again.csv",
    VERB_OPTS(add_opts), .run = add_run,
};

static enum err list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "UID", "uid", 16, NULL }, { "STATE", "state", 10, tint_state }, { "MODEL", "model", 0, NULL }, { "LINE", "line", 0, NULL },
        { "SERIAL", "serial", 0, NULL }, { "BATCH", "batch", 0, NULL }, { "LAST SEEN", "last_seen", 0, NULL },
    };
    static const struct { const char *opt, *key; } filters[] = {
        { "--line", "line" }, { "--model", "model" }, { "--batch", "batch" }, { "--country", "country" }, { "--state", "state" }, { "--tag", "tag" }, { "--key-home", "key_home" }, { "--prefix", "q" },
    };
    CLEANUP(buf_free) struct buf q = BUF_INIT(4096);
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        query_add(&q, filters[i].key, cli_opt(c, filters[i].opt));
    struct list l = { .path = "/api/v1/devices", .query = buf_span(&q), .cols = cols, .ncols = ARRAY_LEN(cols),
                      .empty = "No device matches. Register one: cradle device add UID --model MODEL" };
    return cli_list(c, &l, f);
}

static const struct verb_opt list_opts[] = {
    { "--line", "LINE", "of this product line", false },   { "--model", "MODEL", "of this model", false },
    { "--batch", "BATCH", "of this batch", false },        { "--country", "CC", "sold in this country", false },
    { "--state", "STATE", "in this state", false },        { "--tag", "TAG", "with this tag", false },
    { "--key-home", "HOME", "whose key lives there: file, tpm, pkcs11, psa or unknown, as the device says; proved: as a TPM has proved", false },
    { "--prefix", "TEXT", "UID or serial begins with this", false },
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_device_list = {
    .name = "device list", .args = "", .help = "list devices", .example = "cradle device list --line pump --state active", VERB_OPTS(list_opts),
    .run = list_run,
};

static void show_certs(const struct cli *c, const json_t *d)
{
    static const struct column cols[] = {
        { "CERTIFICATE", "serial", 0, NULL }, { "STATUS", "status", 0, tint_state }, { "FROM", "not_before", 0, NULL },
        { "UNTIL", "not_after", 0, NULL },
    };
    const json_t *certs = json_object_get(d, "certs");
    if (!json_array_size(certs))
        cli_say(c, "\nIt holds no certificate yet.");
    else {
        cli_say(c, "%s", "");
        cli_table(c, certs, cols, ARRAY_LEN(cols));
    }
}

static enum err show_timeline(struct cli *c, const char *uid, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    enum err e = device_path(uid, "/timeline", &path, f);
    struct list l = { .path = buf_cstr(&path), .empty = "No event.", .row = cli_print_event };
    if (e)
        return e;
    cli_say(c, "%s", "");
    return cli_list(c, &l, f);
}

/* What a broker said of it last. */
static void show_presence(const struct cli *c, const json_t *d)
{
    const json_t *p = json_object_get(d, "presence");
    bool online = json_is_true(json_object_get(p, "online"));
    if (!json_is_object(p)) {
        cli_say(c, "%-11s %s", "Broker", "never connected");
        return;
    }
    printf("%-11s %s%s%s ", "Broker", cli_tint(c, online ? TINT_GOOD : TINT_NONE), online ? "connected to" : "was connected to", cli_tint(c, TINT_NONE));
    cli_put_safe(json_path_str(p, "edge", "?"), 64);
    printf(" from ");
    cli_put_safe(json_path_str(p, "addr", "?"), 64);
    printf(" %s ", online ? "since" : "until");
    cli_put_safe(json_path_str(p, online ? "since" : "at", "?"), 40);
    printf("\n%-11s ", "TLS");
    cli_put_safe(json_path_str(p, "tls", "")[0] ? json_path_str(p, "tls", "") : "not known", 64);
    printf("%s\n", json_is_true(json_object_get(p, "resumed")) ? ", resumed" : "");
}

static void show_key_home(const struct cli *c, const json_t *d)
{
    const json_t *k = json_object_get(d, "key_home");
    const char *ek = json_path_str(d, "ek", ""), *vendor = json_path_str(k, "vendor", "");
    bool proved = json_is_true(json_object_get(k, "proved"));
    printf("%-11s ", "Key");
    cli_put_safe(json_is_object(k) ? json_path_str(k, "home", "?") : "unknown", 16);
    printf("%s%s%s%s", cli_tint(c, proved ? TINT_GOOD : TINT_NONE), proved ? ", proved by its TPM" : json_is_object(k) ? ", as the device says" : "", cli_tint(c, TINT_NONE), *vendor ? " of " : "");
    cli_put_safe(vendor, 24);
    printf("%s", *ek ? "; TPM " : "");
    cli_put_safe(ek, 16);
    puts("");
}

static enum err show_run(struct cli *c, struct fault *f)
{
    static const struct { const char *title, *path; } rows[] = {
        { "UID", "uid" }, { "State", "state" }, { "Model", "model" }, { "Line", "line" }, { "Serial", "serial" }, { "Batch", "batch" },
        { "Country", "country" }, { "Revision", "rev" }, { "Registered", "created_at" }, { "Last seen", "last_seen" },
    };
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    enum err e = device_path(c->args[0], "", &path, f);
    if (e || (e = cli_call(c, "GET", buf_cstr(&path), (struct span){ 0 }, &r, f)) || (e = cli_json(&r, &o, f)))
        return e;
    if (c->json && !cli_flag(c, "--timeline")) {
        cli_print_json(o);
        return CE_OK;
    }
    struct json_text t;
    for (size_t i = 0; !c->json && i < ARRAY_LEN(rows); i++) {
        const char *v = json_path_text(o, rows[i].path, &t);
        enum cli_tint tint = strcmp(rows[i].path, "state") == 0 ? tint_state(v) : TINT_NONE;
        printf("%-11s %s", rows[i].title, tint ? cli_tint(c, tint) : "");
        cli_put_safe(v, 300);
        printf("%s\n", tint ? cli_tint(c, TINT_NONE) : "");
    }
    if (!c->json) {
        device_tags_say(c, json_object_get(o, "tags"));
        show_key_home(c, o);
        show_presence(c, o);
        show_certs(c, o);
    }
    return cli_flag(c, "--timeline") ? show_timeline(c, c->args[0], f) : CE_OK;
}

static const struct verb_opt show_opts[] = {
    { "--timeline", NULL, "also every event of its life", false },
    { "--limit", "ROWS", "with --timeline: stop after so many events (default 1000)", false },
};
const struct verb verb_device_show = {
    .name = "device show", .args = "UID", .min_args = 1, .max_args = 1, .help = "show one device, its certificates and its life",
    .text = "With --json and --timeline the timeline alone is printed.", VERB_OPTS(show_opts), .run = show_run,
};
