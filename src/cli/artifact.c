/* artifact.c: `cradle artifact upload|list|remove`, `cradle release upload`: files for devices into the site's depot. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/tuf_repo.h"
#include "cli/upload.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static enum err one_upload(struct cli *c, struct upload *u, json_t *done, struct fault *f)
{
    CLEANUP(buf_free) struct buf hex = BUF_INIT(0);
    enum err e = upload_run(c, u, f);
    if (e)
        return e;
    buf_put_hex(&hex, span_of(u->sha256, SHA256_LEN));
    json_array_append_new(done, json_pack("{s:s,s:s,s:I,s:I}", "name", u->name, "sha256", buf_cstr(&hex), "length", (json_int_t)u->length, "sent",
                                          (json_int_t)u->sent));
    if (u->sent)
        cli_say(c, "uploaded %s: %lld bytes, SHA-256 %s", u->name, (long long)u->length, buf_cstr(&hex));
    else
        cli_say(c, "%s is there already: SHA-256 %s", u->name, buf_cstr(&hex));
    return CE_OK;
}

static void done_print(const struct cli *c, json_t *done)
{
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:O}", "artifacts", done);
    if (c->json)
        cli_print_json(o);
}

static enum err upload_verb_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *done = json_array();
    enum err e = CE_OK;
    for (int i = 0; !e && i < c->nargs; i++) {
        struct upload u = { .path = c->args[i], .name = base_name(c->args[i]), .encrypted = cli_flag(c, "--encrypted") };
        e = one_upload(c, &u, done, f);
    }
    if (!e)
        done_print(c, done);
    return e;
}
static const struct verb_opt upload_opts[] = { { "--encrypted", NULL, "keep the files encrypted: devices get the key with their order, wrapped for them alone", false } };
const struct verb verb_artifact_upload = {
    .name = "artifact upload", .args = "FILE...", .min_args = 1, .max_args = -1, .help = "send files for devices to the site, which keeps them by their SHA-256",
    .text = "An upload that was cut off goes on where it was when the command is given again, also from another machine. A file that the site has is not "
            "sent. Devices get only what a signed release names.",
    .example = "cradle artifact upload fw-1.7.0.bin", VERB_OPTS(upload_opts), .run = upload_verb_run,
};

static enum err list_verb_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "SHA256", "sha256", 64, NULL }, { "BYTES", "length", 9, NULL },
        { "RELEASES", "releases", 8, NULL }, { "ENCRYPTED", "encrypted", 9, NULL }, { "SINCE", "added_at", 20, NULL }, { "NAME", "name", 10, NULL },
    };
    struct list l = { .path = "/api/v1/artifacts", .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "there is no file yet; cradle artifact upload brings one" };
    return cli_list(c, &l, f);
}
static const struct verb_opt list_opts[] = {
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_artifact_list = {
    .name = "artifact list", .args = "", .help = "list the files for devices; RELEASES 0: no signed release names it", .example = "cradle artifact list",
    VERB_OPTS(list_opts), .run = list_verb_run,
};

static enum err remove_verb_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(512);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = json_object();
    enum err e = json_set_text(o, "note", cli_opt(c, "--note"), f);
    buf_put_str(&path, "/api/v1/artifacts/");
    net_escape(&path, span_str(c->args[0]));
    char *text = e ? NULL : json_dumps(o, JSON_COMPACT);
    e = e ? e : cli_call(c, "DELETE", buf_cstr(&path), span_str(text), &r, f);
    free(text);
    if (e)
        return e;
    cli_say(c, "removed %s", c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}
static const struct verb_opt remove_opts[] = { { "--note", "TEXT", "why, in your words; becomes evidence", false } };
const struct verb verb_artifact_remove = {
    .name = "artifact remove", .args = "SHA256", .min_args = 1, .max_args = 1, .help = "remove a file that no signed release names",
    .text = "A file that a release names stays until the release is withdrawn (cradle release withdraw) and the change is published.",
    .example = "cradle artifact remove 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --note \"wrong build\"", VERB_OPTS(remove_opts), .run = remove_verb_run,
};

/* -- all files of a release ------------------------------------------------------------------------------------------------------------ */
/* The target that people sign: its digest is what the file must have. */
static enum err target_find(struct repo *r, const char *line, const char *release, struct tuf_target *out, struct fault *f)
{
    struct repo_file file;
    struct tuf_line l;
    enum err e = repo_line(r, line, &file, f);
    if (!e && !file.version)
        return fault_set(f, CE_NOT_FOUND, "%s has no releases of line %s", r->dir, line);
    e = e ? e : tuf_line_read(file.env.payload, span_str(line), &r->arena, &l, f);
    for (size_t i = 0; !e && i < l.n; i++)
        if (span_eq_str(l.list[i].release, release)) {
            *out = l.list[i];
            return CE_OK;
        }
    return e ? e : fault_set(f, CE_NOT_FOUND, "line %s has no release %s in %s", line, release, r->dir);
}

static bool is_made_here(const char *name)
{
    const char *dot = strrchr(name, '.');
    return name[0] == '.' || (dot && (strcmp(dot, ".blocks") == 0 || strcmp(dot, ".new") == 0));
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static enum err folder_list(struct repo *r, const char *dir, const char **names, size_t max, size_t *n, struct fault *f)
{
    DIR *d = opendir(dir);
    *n = 0;
    if (!d)
        return fault_set(f, errno == ENOENT ? CE_NOT_FOUND : CE_IO, "cannot read the folder %s: %s", dir, strerror(errno));
    for (struct dirent *e; *n < max && (e = readdir(d));)
        if (e->d_type != DT_DIR && !is_made_here(e->d_name))
            names[(*n)++] = arena_str(&r->arena, span_str(e->d_name));
    closedir(d);
    qsort(names, *n, sizeof *names, by_name);
    return CE_OK;
}

#define RELEASE_FILES 64

static enum err release_upload_run(struct cli *c, struct fault *f)
{
    CLEANUP(repo_close) struct repo r = { 0 };
    CLEANUP(json_decref_p) json_t *done = json_array();
    struct tuf_target t;
    const char *names[RELEASE_FILES], *line = c->args[1], *release = c->args[2];
    char dir[PATH_MAX_LEN], path[PATH_MAX_LEN];
    size_t n = 0;
    enum err e = name_check_label("LINE", span_str(line), f);
    e = e ? e : name_check_label("RELEASE", span_str(release), f);
    e = e ? e : repo_open(&r, c->args[0], f);
    e = e ? e : target_find(&r, line, release, &t, f);
    path_join(dir, "%s/files/%s/%s", c->args[0], line, release);
    e = e ? e : folder_list(&r, dir, names, RELEASE_FILES, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        path_join(path, "%s/%s", dir, names[i]);
        struct upload u = { .path = path, .name = arena_printf(&r.arena, "%s/%s/%s", line, release, names[i]) };
        if (span_eq_str(t.path, u.name)) {
            u.want = t.sha256;
            u.encrypted = cli_flag(c, "--encrypted");
        }
        e = one_upload(c, &u, done, f);
    }
    if (!e)
        done_print(c, done);
    return e;
}
static const struct verb_opt release_upload_opts[] = {
    { "--encrypted", NULL, "keep the file itself encrypted: devices get the key with their order, wrapped for them alone", false },
};
const struct verb verb_release_upload = {
    .name = "release upload", .args = "DIR LINE RELEASE", .min_args = 3, .max_args = 3, .help = "send the files of a release in the folder of its ceremony to the site",
    .text = "The file itself, which must have the digest that people sign, its SBOM, its notes and whatever else lies in DIR/files/LINE/RELEASE.",
    .example = "cradle release upload release vib r7", VERB_OPTS(release_upload_opts), .run = release_upload_run,
};
