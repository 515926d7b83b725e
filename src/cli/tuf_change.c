/* tuf_change.c: `cradle tuf rotate|revoke-key`: other keys for a role, and a key that must not count any more, anywhere. */
#include <string.h>

#include "base/clock.h"
#include "cli/tuf_repo.h"

#define YEAR_S (365LL * 86400)

/* What names a key: the first digits of its identifier, or its file NAME.pub. */
static enum err key_named(struct repo *r, const char *text, const char **id, struct fault *f)
{
    struct tuf_role role = { 0 };
    *id = text;
    if (!file_exists(text))
        return CE_OK;
    struct tuf_keys *keys = arena_alloc(&r->arena, sizeof *keys);
    enum err e = repo_key_add(r, text, keys, &role, f);
    if (!e)
        *id = (const char *)role.keyids[0].p;
    return e;
}

/* -- rotate ----------------------------------------------------------------------------------------------------------------------- */
static enum err role_change(struct cli *c, struct repo *r, struct tuf_keys *keys, struct tuf_role *role, struct fault *f)
{
    const char *v;
    enum err e = CE_OK;
    for (int i = 0; (v = cli_opt_n(c, "--remove", i)) != NULL; i++) {
        size_t before = role->n_keyids;
        if ((e = key_named(r, v, &v, f)))
            return e;
        for (size_t k = 0; k < role->n_keyids; k++)
            if (strlen(v) >= 8 && span_starts(role->keyids[k], v))
                repo_key_drop(role, role->keyids[k]);
        if (role->n_keyids == before)
            return fault_set(f, CE_NOT_FOUND, "no key of the role begins with %s (at least 8 digits; cradle tuf sign shows them)", v);
    }
    for (int i = 0; !e && (v = cli_opt_n(c, "--add", i)) != NULL; i++)
        e = repo_key_add(r, v, keys, role, f);
    e = e ? e : cli_opt_int(c, "--threshold", role->threshold, 1, TUF_ROLE_KEYS, &role->threshold, f);
    if (!e && (int64_t)role->n_keyids < role->threshold)
        e = fault_set(f, CE_USAGE, "%zu keys are left, but %lld must sign: add others or lower --threshold", role->n_keyids, (long long)role->threshold);
    return e ? e : repo_role_judge(c, keys, role, c->args[1], f);
}

static void root_tidy(struct tuf_root *root)
{
    const struct tuf_role *roles[TUF_TYPES + 1];
    for (int t = 0; t < TUF_TYPES; t++)
        roles[t] = &root->roles[t];
    roles[TUF_TYPES] = &root->directive;
    repo_keys_tidy(&root->keys, roles, ARRAY_LEN(roles));
}

static void targets_tidy(struct repo *r, struct tuf_targets *t)
{
    const struct tuf_role **roles = arena_alloc(&r->arena, (t->n_lines + 1) * sizeof *roles);
    for (size_t i = 0; i < t->n_lines; i++)
        roles[i] = &t->lines[i];
    repo_keys_tidy(&t->keys, roles, t->n_lines);
}

static struct tuf_role *root_role(struct tuf_root *root, const char *name)
{
    for (int t = 0; t < TUF_TYPES; t++)
        if (strcmp(name, tuf_type_name((enum tuf_type)t)) == 0)
            return &root->roles[t];
    return strcmp(name, "directive") == 0 ? &root->directive : NULL;
}

/* The same releases once more, to be signed anew. *version: of the draft, 0: the line has none yet. */
static enum err line_redraft(struct repo *r, const char *line, int64_t expires_s, int64_t *version, struct fault *f)
{
    struct repo_file file;
    struct tuf_line l;
    enum err e = repo_line(r, line, &file, f);
    *version = 0;
    if (e || !file.version)
        return e;
    e = tuf_line_read(file.env.payload, span_str(line), &r->arena, &l, f);
    l.head.expires_s = expires_s;
    e = e ? e : repo_put_line(r, line, &l, f);
    *version = l.head.version;
    return e;
}

/* targets or a line as they are, with a new end. */
static enum err renew(struct cli *c, struct repo *r, const char *name, int64_t expires_s, struct fault *f)
{
    int64_t version = 0;
    struct tuf_targets t = r->targets;
    if (strcmp(name, "targets") != 0) {
        enum err e = line_redraft(r, name, expires_s, &version, f);
        if (!e && !version)
            e = fault_set(f, CE_NOT_FOUND, "line %s has no metadata yet; cradle release create makes it", name);
        if (!e)
            cli_say(c, "%s: drafted version %lld; next: cradle tuf sign %s %s", name, (long long)version, r->dir, name);
        return e;
    }
    t.head.expires_s = expires_s;
    enum err e = repo_put_targets(r, &t, f);
    if (!e)
        cli_say(c, "targets: drafted version %lld; next: cradle tuf sign %s targets", (long long)t.head.version, r->dir);
    return e;
}

static enum err rotate_run(struct cli *c, struct fault *f)
{
    CLEANUP(repo_close) struct repo r;
    int64_t life_s = 0;
    const char *name = c->args[1], *file = "root";
    enum err e = repo_open(&r, c->args[0], f);
    e = e ? e : cli_opt_span_s(c, "--expires", YEAR_S, &life_s, f);
    if (e)
        return e;
    struct tuf_root root = r.new_root;
    struct tuf_role *role = root_role(&root, name);
    bool change = cli_opt(c, "--add") || cli_opt(c, "--remove") || cli_opt(c, "--threshold");
    if (!change && (!role || strcmp(name, "targets") == 0))
        return renew(c, &r, name, clock_now_s() + life_s, f);
    if (role) {
        root.head.expires_s = clock_now_s() + life_s;
        e = role_change(c, &r, &root.keys, role, f);
        root_tidy(&root);
        e = e ? e : repo_put_root(&r, &root, f);
    } else {
        struct tuf_targets t = r.targets;
        role = (struct tuf_role *)(uintptr_t)repo_line_role(&r, span_str(name));
        if (!role)
            return fault_set(f, CE_LINE_UNKNOWN, "%s is neither a role nor a line with signers", name);
        t.head.expires_s = clock_now_s() + life_s;
        file = "targets";
        e = role_change(c, &r, &t.keys, role, f);
        targets_tidy(&r, &t);
        e = e ? e : repo_put_targets(&r, &t, f);
    }
    if (!e)
        cli_say(c, "%s: drafted the next %s metadata; next: cradle tuf sign %s %s", name, file, r.dir, file);
    return e;
}
static const struct verb_opt rotate_opts[] = {
    { "--add", "FILE", "public key that signs from now on", true },
    { "--remove", "KEYID", "key that signs no more (its first 8 digits or more, or its file NAME.pub)", true },
    { "--threshold", "N", "how many must sign from now on", false },
    { "--expires", "SPAN", "life of the new metadata (default 1y)", false },
    NOT_FOR_DEVICES_OPT,
};
const struct verb verb_tuf_rotate = {
    .name = "tuf rotate", .args = "DIR ROLE", .min_args = 2, .max_args = 2, .help = "change the keys of a role, or renew its metadata",
    .text = "ROLE is root, targets, snapshot, timestamp, directive or a product line. With --add, --remove or --threshold the file that names the role's keys changes: root, or for "
            "a line targets. Without them the role's own metadata is renewed with a new end. A new root must be signed by enough holders of the old one and of the new one.",
    .example = "cradle tuf rotate release root --remove 3fa94c01 --add eve.pub\ncradle tuf rotate release vib --add kim.pub", VERB_OPTS(rotate_opts),
    .run = rotate_run,
};

/* -- revoke-key ------------------------------------------------------------------------------------------------------------------- */
/* Full identifier of the one key that begins with text. */
static enum err key_search(struct repo *r, const char *text, struct span *id, struct fault *f)
{
    enum err e = key_named(r, text, &text, f);
    if (e)
        return e;
    const struct tuf_keys *rings[] = { &r->new_root.keys, &r->targets.keys };
    *id = (struct span){ 0 };
    for (size_t i = 0; i < ARRAY_LEN(rings) && strlen(text) >= 8; i++)
        for (size_t k = 0; k < rings[i]->n; k++) {
            if (!span_starts(rings[i]->list[k].id, text))
                continue;
            if (id->n && !span_eq(*id, rings[i]->list[k].id))
                return fault_set(f, CE_USAGE, "more than one key begins with %s", text);
            *id = rings[i]->list[k].id;
        }
    return id->n ? CE_OK : fault_set(f, CE_NOT_FOUND, "no key of this ceremony begins with %s (at least 8 digits)", text);
}

/* Takes the key out of role. *hit: it was there. */
static enum err role_strip(const struct cli *c, const struct tuf_keys *keys, struct tuf_role *role, const char *name, struct span id, bool *hit, struct fault *f)
{
    size_t before = role->n_keyids;
    repo_key_drop(role, id);
    if (role->n_keyids == before)
        return CE_OK;
    *hit = true;
    if ((int64_t)role->n_keyids < role->threshold)
        return fault_set(f, CE_USAGE, "without this key, role %s has %zu keys and needs %lld: add another first (cradle tuf rotate)", name, role->n_keyids,
                         (long long)role->threshold);
    return repo_role_judge(c, keys, role, name, f);
}

static enum err targets_strip(struct cli *c, struct repo *r, struct span id, int64_t expires_s, bool again, struct fault *f)
{
    struct tuf_targets t = r->targets;
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < t.n_lines; i++) {
        bool line_hit = false;
        int64_t version = 0;
        e = role_strip(c, &t.keys, &t.lines[i], (const char *)t.lines[i].name.p, id, &line_hit, f);
        if (!e && line_hit) /* what the lost key helped to sign must not count */
            e = line_redraft(r, (const char *)t.lines[i].name.p, expires_s, &version, f);
        if (!e && line_hit && version)
            cli_say(c, "  drafted %lld.%s.json", (long long)version, (const char *)t.lines[i].name.p);
        again |= line_hit;
    }
    if (e || !again)
        return e;
    targets_tidy(r, &t);
    t.head.expires_s = expires_s;
    e = repo_put_targets(r, &t, f);
    if (!e)
        cli_say(c, "  drafted %lld.targets.json", (long long)t.head.version);
    return e;
}

static enum err root_strip(struct cli *c, struct repo *r, struct span id, int64_t expires_s, bool *hit, struct fault *f)
{
    struct tuf_root root = r->new_root;
    enum err e = role_strip(c, &root.keys, &root.directive, "directive", id, hit, f);
    for (int t = 0; !e && t < TUF_TYPES; t++)
        e = role_strip(c, &root.keys, &root.roles[t], tuf_type_name((enum tuf_type)t), id, hit, f);
    if (e || !*hit)
        return e;
    root_tidy(&root);
    root.head.expires_s = expires_s;
    e = repo_put_root(r, &root, f);
    if (!e)
        cli_say(c, "  drafted %lld.root.json", (long long)root.head.version);
    return e;
}

static enum err revoke_run(struct cli *c, struct fault *f)
{
    CLEANUP(repo_close) struct repo r;
    struct span id = { 0 };
    bool in_root = false, again = false;
    int64_t expires_s = clock_now_s() + YEAR_S;
    enum err e = repo_open(&r, c->args[0], f);
    e = e ? e : key_search(&r, c->args[1], &id, f);
    for (size_t i = 0; !e && i < r.new_root.roles[TUF_TARGETS].n_keyids; i++)
        again |= span_eq(r.new_root.roles[TUF_TARGETS].keyids[i], id); /* targets was signed with it, so it is signed anew */
    e = e ? e : root_strip(c, &r, id, expires_s, &in_root, f);
    e = e ? e : targets_strip(c, &r, id, expires_s, again, f);
    if (!e)
        cli_say(c, "key %.16s counts for nothing once these are signed and published: devices refuse it at their next poll (cradle tuf status %s)",
                (const char *)id.p, r.dir);
    return e;
}
static const struct verb_opt revoke_opts[] = { NOT_FOR_DEVICES_OPT };
const struct verb verb_tuf_revoke_key = {
    .name = "tuf revoke-key", .args = "DIR KEYID", .min_args = 2, .max_args = 2, .help = "take a lost or stolen key out of every role",
    .text = "KEYID is the first 8 digits or more, or the key's file NAME.pub. Drafts the next version of every file that must change, releases of a line included, so that nothing stands on that key's signature any more.",
    .example = "cradle tuf revoke-key release 3fa94c01\ncradle tuf revoke-key release bob.pub", VERB_OPTS(revoke_opts), .run = revoke_run,
};
