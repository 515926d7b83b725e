/* tuf_sign.c: `cradle tuf sign|status`: signing a draft offline, and what the ceremony lacks. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/release_key.h"
#include "cli/tuf_repo.h"

/* The newest file of a role: root, targets, or a product line's. */
static enum err role_file(struct repo *r, const char *role, struct repo_file *out, struct fault *f)
{
    if (strcmp(role, "root") == 0 || strcmp(role, "targets") == 0) {
        *out = role[0] == 'r' ? r->root_file : r->targets_file;
        return CE_OK;
    }
    return repo_line(r, role, out, f);
}

/* -- tuf sign -------------------------------------------------------------------------------------------------------------------- */
static void target_show(const struct cli *c, const struct tuf_target *t)
{
    CLEANUP(buf_free) struct buf hex = BUF_INIT(0);
    buf_put_hex(&hex, t->sha256);
    cli_say(c, "  " SPAN_FMT "  version " SPAN_FMT "  counter %lld  %lld bytes\n    sha256 %s", SPAN_ARG(t->path), SPAN_ARG(t->version),
            (long long)t->counter, (long long)t->length, buf_cstr(&hex));
}

static void role_show(const struct cli *c, const char *name, const struct tuf_role *role)
{
    cli_say(c, "  %s: %lld of %zu keys", name, (long long)role->threshold, role->n_keyids);
    for (size_t i = 0; i < role->n_keyids; i++)
        cli_say(c, "    %.16s", (const char *)role->keyids[i].p);
}

/* What the signature will be under: people must see it before they give it. */
static enum err draft_show(struct cli *c, struct repo *r, const struct repo_file *file, struct fault *f)
{
    char expires[CLOCK_TEXT_MAX];
    struct tuf_line l = { 0 };
    clock_text_s(file->head.expires_s, expires);
    cli_say(c, "%s, version %lld, valid until %s:", file->role, (long long)file->version, expires);
    if (strcmp(file->role, "root") == 0) {
        for (int t = 0; t < TUF_TYPES; t++)
            role_show(c, tuf_type_name((enum tuf_type)t), &r->new_root.roles[t]);
        role_show(c, "directive", &r->new_root.directive);
    } else if (strcmp(file->role, "targets") == 0) {
        for (size_t i = 0; i < r->targets.n_lines; i++)
            role_show(c, (const char *)r->targets.lines[i].name.p, &r->targets.lines[i]);
    } else {
        enum err e = tuf_line_read(file->env.payload, span_str(file->role), &r->arena, &l, f);
        if (e)
            return e;
        for (size_t i = 0; i < l.n; i++)
            target_show(c, &l.list[i]);
    }
    return CE_OK;
}

static enum err confirm(struct cli *c, struct fault *f)
{
    char line[16] = "";
    if (cli_flag(c, "--yes"))
        return CE_OK;
    if (!isatty(0))
        return fault_set(f, CE_USAGE, "look at what is signed and confirm it: run this on a terminal, or give --yes");
    fputs("sign this? Type yes: ", stderr);
    if (!fgets(line, sizeof line, stdin) || strcmp(line, "yes\n") != 0)
        return fault_set(f, CE_USAGE, "not signed");
    return CE_OK;
}

/* May this key sign the file at all? Of a root, keys of the root before it may as well. */
static bool key_fits(const struct repo *r, const struct repo_file *file, struct span id)
{
    const struct tuf_role *roles[2] = { NULL, NULL };
    if (strcmp(file->role, "root") == 0) {
        roles[0] = &r->new_root.roles[TUF_ROOT];
        roles[1] = &r->root.roles[TUF_ROOT];
    } else {
        roles[0] = strcmp(file->role, "targets") == 0 ? &r->root.roles[TUF_TARGETS] : repo_line_role(r, span_str(file->role));
    }
    for (size_t i = 0; i < ARRAY_LEN(roles) && roles[i]; i++)
        for (size_t k = 0; k < roles[i]->n_keyids; k++)
            if (span_eq(roles[i]->keyids[k], id))
                return true;
    return false;
}

static enum err sign_run(struct cli *c, struct fault *f)
{
    CLEANUP(repo_close) struct repo r;
    CLEANUP(key_free_p) struct key *key = NULL;
    struct repo_file file;
    struct tuf_key k;
    enum err e = repo_open(&r, c->args[0], f);
    e = e ? e : role_file(&r, c->args[1], &file, f);
    if (!e && !file.version)
        e = fault_set(f, CE_NOT_FOUND, "there is no metadata of %s yet; cradle release create makes it", c->args[1]);
    e = e ? e : draft_show(c, &r, &file, f);
    e = e ? e : confirm(c, f);
    e = e ? e : release_key_open(c, &release_key_own, &key, f);
    e = e ? e : tuf_key_make(key_spki(key), &r.arena, &k, f);
    if (!e && !key_fits(&r, &file, k.id))
        e = fault_set(f, CE_ROLE_FORBIDDEN, "key %.16s is none of those that sign %s", (const char *)k.id.p, file.role);
    e = e ? e : dsse_sign(&file.env, key, k.id, &r.arena, f);
    e = e ? e : repo_put(&r, file.role, file.version, &file.env, f);
    if (e)
        return e;
    cli_say(c, "signed %lld.%s.json with key %.16s; see cradle tuf status %s", (long long)file.version, file.role, (const char *)k.id.p, r.dir);
    return CE_OK;
}
static const struct verb_opt sign_opts[] = {
    { "--key", "FILE", "your key (cradle tuf key)", false },
    { "--passphrase-file", "FILE", "first line of FILE opens the key; otherwise asked on the terminal", false },
    { "--pkcs11", "URI", "your key is in this token", false },
    { "--yes", NULL, "do not ask whether what is shown is to be signed", false },
};
const struct verb verb_tuf_sign = {
    .name = "tuf sign", .args = "DIR ROLE", .min_args = 2, .max_args = 2, .help = "add your signature to the newest metadata of root, targets or a product line",
    .text = "Shows what is being signed and asks. Needs no network: bring the folder to where the key is, and back.",
    .example = "cradle tuf sign release root --key ann.key\ncradle tuf sign release vib --pkcs11 'pkcs11:token=bob;object=release?module-path=…&pin-source=…'",
    VERB_OPTS(sign_opts), .run = sign_run,
};

/* -- tuf status -------------------------------------------------------------------------------------------------------------------- */
static const char *file_state(const struct repo_file *file, int64_t now_s)
{
    if (!file->version)
        return "none";
    if (!file->complete)
        return "draft";
    return file->head.expires_s <= now_s ? "expired" : "complete";
}

static void status_add(json_t *items, const struct repo *r, const struct repo_file *file)
{
    char expires[CLOCK_TEXT_MAX] = "-", next[600] = "";
    const char *state = file_state(file, clock_now_s());
    if (file->version)
        clock_text_s(file->head.expires_s, expires);
    if (strcmp(state, "draft") == 0)
        snprintf(next, sizeof next, "cradle tuf sign %s %s", r->dir, file->role);
    else if (strcmp(state, "none") == 0)
        snprintf(next, sizeof next, "cradle release create %s", r->dir);
    json_array_append_new(items, json_pack("{s:s,s:I,s:s,s:I,s:I,s:s,s:s}", "role", file->role, "version", (json_int_t)file->version, "state", state,
                                           "signed_by", (json_int_t)file->signed_by, "threshold", (json_int_t)file->threshold, "expires", expires, "next",
                                           next));
}

static enum err status_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "ROLE", "role", 10, NULL },     { "VERSION", "version", 7, NULL }, { "STATE", "state", 9, NULL },  { "SIGNED", "signed_by", 6, NULL },
        { "NEEDS", "threshold", 5, NULL }, { "EXPIRES", "expires", 20, NULL }, { "NEXT", "next", 10, NULL },
    };
    CLEANUP(repo_close) struct repo r;
    CLEANUP(json_decref_p) json_t *items = json_array();
    enum err e = repo_open(&r, c->args[0], f);
    if (e)
        return e;
    status_add(items, &r, &r.root_file);
    status_add(items, &r, &r.targets_file);
    for (size_t i = 0; !e && i < r.targets.n_lines; i++) {
        struct repo_file file;
        e = repo_line(&r, (const char *)r.targets.lines[i].name.p, &file, f);
        if (!e)
            status_add(items, &r, &file);
    }
    if (e)
        return e;
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:O}", "items", items);
        cli_print_json(o);
    } else {
        cli_table(c, items, cols, ARRAY_LEN(cols));
    }
    return CE_OK;
}
const struct verb verb_tuf_status = {
    .name = "tuf status", .args = "DIR", .min_args = 1, .max_args = 1, .help = "show each role of a release ceremony: version, signatures, end, and what is next",
    .example = "cradle tuf status release", .run = status_run,
};
