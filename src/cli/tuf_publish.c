/* tuf_publish.c: `cradle tuf publish|site`, `cradle release list`: the site gets what people have signed, in the order that it can judge. */
#include <string.h>

#include "cli/tuf_repo.h"

/* Newest version of a role at the site; 0: none. */
static int64_t site_version(const json_t *items, const char *role)
{
    size_t i;
    json_t *one;
    json_array_foreach(items, i, one)
        if (strcmp(json_path_str(one, "role", ""), role) == 0)
            return json_path_int(one, "version", 0);
    return 0;
}

static enum err site_read(struct cli *c, json_t **out, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = cli_call(c, "GET", "/api/v1/tuf", (struct span){ 0 }, &r, f);
    return e ? e : cli_json(&r, out, f);
}

static enum err file_send(struct cli *c, struct repo *r, const char *role, int64_t version, json_t *sent, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    CLEANUP(buf_free) struct buf text = BUF_INIT(DSSE_MAX), path = BUF_INIT(256);
    struct dsse env;
    enum err e = repo_read(r, role, version, &env, f);
    if (e)
        return e;
    dsse_encode(&env, &text);
    buf_put_str(&path, "/api/v1/tuf/");
    net_escape(&path, span_str(role));
    if ((e = cli_call(c, "POST", buf_cstr(&path), buf_span(&text), &reply, f)))
        return e;
    json_array_append_new(sent, json_pack("{s:s,s:I}", "role", role, "version", (json_int_t)version));
    cli_say(c, "published %lld.%s.json", (long long)version, role);
    return CE_OK;
}

/* The newest version of file, when it is complete and the site has an older one. */
static enum err newest_send(struct cli *c, struct repo *r, const struct repo_file *file, const json_t *items, json_t *sent, int *drafts, struct fault *f)
{
    if (file->version && !file->complete) {
        (*drafts)++;
        cli_say(c, "%lld.%s.json is a draft: %lld of %lld signatures (cradle tuf sign %s %s)", (long long)file->version, file->role,
                (long long)file->signed_by, (long long)file->threshold, r->dir, file->role);
        return CE_OK;
    }
    return file->version > site_version(items, file->role) ? file_send(c, r, file->role, file->version, sent, f) : CE_OK;
}

static enum err publish_run(struct cli *c, struct fault *f)
{
    CLEANUP(repo_close) struct repo r = { 0 };
    CLEANUP(json_decref_p) json_t *site = NULL;
    CLEANUP(json_decref_p) json_t *sent = json_array();
    struct repo_file file;
    int drafts = 0;
    enum err e = repo_open(&r, c->args[0], f);
    e = e ? e : site_read(c, &site, f);
    const json_t *items = json_object_get(site, "items");
    int64_t last = r.root_file.complete ? r.root_file.version : r.root_file.version - 1;
    for (int64_t v = site_version(items, "root") + 1; !e && v <= last; v++)
        e = file_send(c, &r, "root", v, sent, f);
    if (!e && !r.root_file.complete)
        e = newest_send(c, &r, &r.root_file, items, sent, &drafts, f);
    e = e ? e : newest_send(c, &r, &r.targets_file, items, sent, &drafts, f);
    for (size_t i = 0; !e && i < r.targets.n_lines; i++) {
        e = repo_line(&r, (const char *)r.targets.lines[i].name.p, &file, f);
        e = e ? e : newest_send(c, &r, &file, items, sent, &drafts, f);
    }
    if (e)
        return e;
    if (!json_array_size(sent))
        cli_say(c, drafts ? "nothing is published: drafts wait for signatures" : "the site has all of it already");
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:O,s:i}", "published", sent, "drafts", drafts);
        cli_print_json(o);
    }
    return CE_OK;
}
const struct verb verb_tuf_publish = {
    .name = "tuf publish", .args = "DIR", .min_args = 1, .max_args = 1, .help = "send the site what people have signed and it does not have",
    .text = "Root first, each version of it, then targets, then the lines. Drafts stay here. The site verifies each signature and makes snapshot and "
            "timestamp itself.",
    .example = "cradle tuf publish release", .run = publish_run,
};

static enum err site_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "ROLE", "role", 10, NULL }, { "VERSION", "version", 7, NULL }, { "EXPIRES", "expires_at", 20, NULL }, { "SINCE", "added_at", 20, NULL },
        { "SHA256", "sha256", 16, NULL },
    };
    struct list l = { .path = "/api/v1/tuf", .cols = cols, .ncols = ARRAY_LEN(cols),
                      .empty = "this site has no update metadata yet; cradle tuf init begins a ceremony, cradle tuf publish brings it here" };
    return cli_list(c, &l, f);
}
const struct verb verb_tuf_site = { .name = "tuf site", .args = "", .help = "show the update metadata that the site publishes", .example = "cradle tuf site", .run = site_run };

static enum err releases_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "RELEASE", "name", 10, NULL },   { "VERSION", "version", 10, NULL }, { "COUNTER", "counter", 7, NULL }, { "STATE", "state", 9, NULL },
        { "BYTES", "length", 9, NULL },    { "SUPPORT", "support_end", 10, NULL }, { "SINCE", "added_at", 20, NULL },
    };
    CLEANUP(buf_free) struct buf query = BUF_INIT(1024);
    struct list l = { .path = "/api/v1/releases", .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "the line has no release yet; cradle release create makes one" };
    query_add(&query, "line", c->args[0]);
    l.query = buf_span(&query);
    return cli_list(c, &l, f);
}
const struct verb verb_release_list = {
    .name = "release list", .args = "LINE", .min_args = 1, .max_args = 1, .help = "list the releases of a product line that people have signed",
    .example = "cradle release list vib", .run = releases_run,
};
