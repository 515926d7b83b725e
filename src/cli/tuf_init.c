/* tuf_init.c: `cradle tuf key|init|line`: keys of people, the first root of a release ceremony, and who may sign for a line. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/release_key.h"
#include "cli/tuf_repo.h"

#define YEAR_S (365LL * 86400)

/* -- tuf key ------------------------------------------------------------------------------------------------------------------- */
static enum err key_run(struct cli *c, struct fault *f)
{
    struct arena arena = { 0 };
    CLEANUP(key_free_p) struct key *key = NULL;
    struct tuf_key k = { 0 };
    enum err e = release_key_new(c, c->args[0], cli_opt_or(c, "--alg", "ec:P-256"), &key, f);
    e = e ? e : tuf_key_make(key_spki(key), &arena, &k, f);
    if (!e && c->json)
        printf("{\"keyid\":\"" SPAN_FMT "\",\"public\":\"%s.pub\"}\n", SPAN_ARG(k.id), c->args[0]);
    if (!e)
        cli_say(c, "made key %.16s: give %s.pub to who begins the ceremony, and keep the private key where only you reach it", (const char *)k.id.p, c->args[0]);
    arena_free(&arena);
    return e;
}
static const struct verb_opt key_opts[] = {
    { "--alg", "ALG", "ec:P-256 (default), ed25519, or ml-dsa-65 where OpenSSL has it", false },
    { "--passphrase-file", "FILE", "first line of FILE encrypts the key; otherwise asked on the terminal", false },
    { "--pkcs11", "URI", "the key is in a token (made there when it is not): pkcs11:token=…;object=…?module-path=…&pin-source=…", false },
};
const struct verb verb_tuf_key = {
    .name = "tuf key", .args = "NAME", .min_args = 1, .max_args = 1, .help = "make a key that signs releases: NAME.key, encrypted, and NAME.pub",
    .text = "One key a person. It never goes to the server. Whoever begins the ceremony needs NAME.pub only.",
    .example = "cradle tuf key ann\ncradle tuf key bob --pkcs11 'pkcs11:token=bob;object=release?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/root/pin'",
    VERB_OPTS(key_opts), .run = key_run,
};

/* -- tuf init --------------------------------------------------------------------------------------------------------------------- */
static enum err keys_take(struct cli *c, struct repo *r, const char *opt, const char *what, int64_t threshold, struct tuf_keys *keys, struct tuf_role *role,
                          struct fault *f)
{
    const char *path;
    enum err e = CE_OK;
    for (int i = 0; !e && (path = cli_opt_n(c, opt, i)) != NULL; i++)
        e = repo_key_add(r, path, keys, role, f);
    role->threshold = threshold;
    if (!e && (int64_t)role->n_keyids < threshold)
        e = fault_set(f, CE_USAGE, "%s: %lld signatures are wanted, but %zu keys are given", opt, (long long)threshold, role->n_keyids);
    return e ? e : repo_role_judge(c, keys, role, what, f);
}

static enum err online_take(const struct cli *c, struct repo *r, const char *trust, const char *name, struct tuf_keys *keys, struct tuf_role *role, struct fault *f)
{
    char path[PATH_MAX_LEN];
    if (strlen(trust) > PATH_MAX_LEN - 40)
        return fault_set(f, CE_USAGE, "--trust is too long");
    path_join(path, "%s/%s.pub", trust, name);
    role->threshold = 1;
    enum err e = repo_key_add(r, path, keys, role, f);
    return e ? e : repo_role_judge(c, keys, role, name, f);
}

static enum err root_fill(struct cli *c, struct repo *r, struct tuf_root *root, struct fault *f)
{
    int64_t root_n = 0, targets_n = 0, life_s = 0;
    const char *trust = cli_opt(c, "--trust");
    if (!trust)
        return fault_set(f, CE_USAGE, "--trust DIR is needed: the site's folder trust/ with the public keys of its online roles");
    enum err e = cli_opt_int(c, "--root-threshold", 2, 1, TUF_ROLE_KEYS, &root_n, f);
    e = e ? e : cli_opt_int(c, "--targets-threshold", 2, 1, TUF_ROLE_KEYS, &targets_n, f);
    e = e ? e : cli_opt_span_s(c, "--expires", YEAR_S, &life_s, f);
    root->head.expires_s = clock_now_s() + life_s;
    e = e ? e : keys_take(c, r, "--root-key", "root", root_n, &root->keys, &root->roles[TUF_ROOT], f);
    e = e ? e : keys_take(c, r, "--targets-key", "targets", targets_n, &root->keys, &root->roles[TUF_TARGETS], f);
    e = e ? e : online_take(c, r, trust, "tuf-snapshot", &root->keys, &root->roles[TUF_SNAPSHOT], f);
    e = e ? e : online_take(c, r, trust, "tuf-timestamp", &root->keys, &root->roles[TUF_TIMESTAMP], f);
    return e ? e : online_take(c, r, trust, "directive", &root->keys, &root->directive, f);
}

static enum err init_run(struct cli *c, struct fault *f)
{
    struct repo r = { 0 };
    char path[PATH_MAX_LEN];
    struct tuf_root root = { 0 };
    if (strlen(c->args[0]) > PATH_MAX_LEN - 100)
        return fault_set(f, CE_USAGE, "the folder's name is too long");
    path_join(r.dir, "%s", c->args[0]);
    path_join(path, "%s/1.root.json", r.dir);
    if (file_exists(path))
        return fault_set(f, CE_EXISTS, "%s is there already: a ceremony was begun in this folder (cradle tuf status %s)", path, r.dir);
    enum err e = root_fill(c, &r, &root, f);
    if (!e && (e = file_mkdirs(r.dir, 0755)))
        e = fault_set(f, e, "cannot make the folder %s: %s", r.dir, strerror(errno));
    e = e ? e : repo_put_root(&r, &root, f);
    struct tuf_targets targets = { .head.expires_s = root.head.expires_s };
    e = e ? e : repo_put_targets(&r, &targets, f);
    arena_free(&r.arena);
    if (!e)
        cli_say(c, "began a ceremony in %s; next: cradle tuf sign %s root --key FILE.key, by %lld of the %zu holders", r.dir, r.dir,
                (long long)root.roles[TUF_ROOT].threshold, root.roles[TUF_ROOT].n_keyids);
    return e;
}
static const struct verb_opt init_opts[] = {
    { "--root-key", "FILE", "public key of a holder of the root role (NAME.pub)", true },
    { "--root-threshold", "N", "how many of them must sign (default 2)", false },
    { "--targets-key", "FILE", "public key of somebody who decides which product lines have which signers", true },
    { "--targets-threshold", "N", "how many of them must sign (default 2)", false },
    { "--trust", "DIR", "the site's folder trust/: the public keys of its online roles snapshot, timestamp and directive", false },
    { "--expires", "SPAN", "life of the root (default 1y)", false },
    NOT_FOR_DEVICES_OPT,
};
const struct verb verb_tuf_init = {
    .name = "tuf init", .args = "DIR", .min_args = 1, .max_args = 1, .help = "begin a release ceremony: the first root, to be signed offline",
    .text = "Makes DIR with drafts of the roles root and targets (The Update Framework, in DSSE envelopes). The folder holds no private key: carry it to "
            "each signer.",
    .example = "cradle tuf init release --trust /srv/cradle/trust --root-key ann.pub --root-key bob.pub --root-key eve.pub --targets-key ann.pub --targets-key bob.pub",
    VERB_OPTS(init_opts), .run = init_run,
};

/* -- tuf line ----------------------------------------------------------------------------------------------------------------------- */
static enum err line_run(struct cli *c, struct fault *f)
{
    CLEANUP(repo_close) struct repo r;
    int64_t threshold = 0, life_s = 0;
    struct span name = span_str(c->args[1]);
    enum err e = repo_open(&r, c->args[0], f);
    e = e ? e : name_check_label("line", name, f);
    e = e ? e : cli_opt_int(c, "--threshold", 2, 1, TUF_ROLE_KEYS, &threshold, f);
    e = e ? e : cli_opt_span_s(c, "--expires", YEAR_S, &life_s, f);
    if (e)
        return e;
    struct tuf_targets t = r.targets;
    if (repo_line_role(&r, name))
        return fault_set(f, CE_EXISTS, "line %s has its signers already; change them with cradle tuf rotate", c->args[1]);
    if (t.n_lines == TUF_LINES)
        return fault_set(f, CE_USAGE, "there are %d lines already", TUF_LINES);
    struct tuf_role *lines = arena_alloc(&r.arena, (t.n_lines + 1) * sizeof *lines);
    if (t.n_lines)
        memcpy(lines, t.lines, t.n_lines * sizeof *lines);
    lines[t.n_lines].name = name;
    e = keys_take(c, &r, "--key", c->args[1], threshold, &t.keys, &lines[t.n_lines], f);
    t.lines = lines;
    t.n_lines++;
    t.head.expires_s = clock_now_s() + life_s;
    e = e ? e : repo_put_targets(&r, &t, f);
    if (!e)
        cli_say(c, "line %s: drafted %lld.targets.json; next: cradle tuf sign %s targets --key FILE.key", c->args[1], (long long)t.head.version, r.dir);
    return e;
}
static const struct verb_opt line_opts[] = {
    { "--key", "FILE", "public key of somebody who approves releases of the line (NAME.pub)", true },
    { "--threshold", "N", "how many of them must sign each release (default 2)", false },
    { "--expires", "SPAN", "life of the new targets metadata (default 1y)", false },
    NOT_FOR_DEVICES_OPT,
};
const struct verb verb_tuf_line = {
    .name = "tuf line", .args = "DIR LINE", .min_args = 2, .max_args = 2, .help = "say whose signatures release files for a product line",
    .text = "By default two people must sign each release, each with a key of their own.",
    .example = "cradle tuf line release vib --key ann.pub --key bob.pub --key eve.pub", VERB_OPTS(line_opts), .run = line_run,
};
