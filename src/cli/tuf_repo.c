/* tuf_repo.c: see tuf_repo.h. */
#include "cli/tuf_repo.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypt/pem.h"

CLEANUP_PTR(DIR, closedir)

/* -- files ---------------------------------------------------------------------------------------------------------------------- */
enum err repo_read(struct repo *r, const char *role, int64_t version, struct dsse *env, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(DSSE_MAX);
    struct fault why = { 0 };
    path_join(path, "%s/%lld.%s.json", r->dir, (long long)version, role);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "cannot read %s: %s", path, strerror(errno));
    e = dsse_parse(buf_span(&text), &r->arena, env, &why);
    return e ? fault_set(f, e, "%s: %s", path, why.text) : CE_OK;
}

enum err repo_put(const struct repo *r, const char *role, int64_t version, const struct dsse *env, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(DSSE_MAX);
    path_join(path, "%s/%lld.%s.json", r->dir, (long long)version, role);
    dsse_encode(env, &text);
    enum err e = buf_err(&text);
    e = e ? e : file_write_atomic(path, buf_span(&text), 0644);
    return e ? fault_set(f, e, "cannot write %s: %s", path, strerror(errno)) : CE_OK;
}

/* "12.root.json" -> 12 for role "root"; 0: another file. */
static int64_t file_version(const char *name, const char *role)
{
    struct span rest = span_str(name), number;
    char want[LABEL_MAX + 8];
    int64_t v = 0;
    snprintf(want, sizeof want, "%s.json", role);
    return span_cut(&rest, '.', &number) && span_eq_str(rest, want) && span_to_i64(number, &v) && v > 0 ? v : 0;
}

static enum err newest(struct repo *r, const char *role, struct repo_file *out, struct fault *f)
{
    CLEANUP(closedir_p) DIR *d = opendir(r->dir);
    const struct dirent *en;
    *out = (struct repo_file){ 0 };
    snprintf(out->role, sizeof out->role, "%s", role);
    if (!d)
        return fault_set(f, CE_NOT_FOUND, "%s: %s; begin a ceremony there with cradle tuf init", r->dir, strerror(errno));
    while ((en = readdir(d)) != NULL) {
        int64_t v = file_version(en->d_name, role);
        out->version = v > out->version ? v : out->version;
    }
    return out->version ? repo_read(r, role, out->version, &out->env, f) : CE_OK;
}

/* The version that a change of file makes: the next one, or again the same draft. What enough keys once signed may have been published, also when some of them have lost the role since: it never changes under its number. A root's numbers have no
 * gap, and one that lacks signatures of the old or the new keys was never published. */
static int64_t repo_next(const struct repo_file *file)
{
    bool was_complete = strcmp(file->role, "root") != 0 && file->threshold > 0 && (int64_t)file->env.n_sigs >= file->threshold;
    return file->complete || was_complete || !file->version ? file->version + 1 : file->version;
}

/* -- who signed ------------------------------------------------------------------------------------------------------------------- */
static int64_t count(const struct dsse *env, const struct tuf_keys *keys, const struct tuf_role *role)
{
    int64_t n = 0;
    for (size_t i = 0; i < role->n_keyids; i++) {
        struct tuf_role one = { .keyids = { role->keyids[i] }, .n_keyids = 1, .threshold = 1 };
        n += tuf_verify(env, keys, &one, NULL) == CE_OK;
    }
    return n;
}

static void judge(struct repo_file *file, const struct tuf_keys *keys, const struct tuf_role *role)
{
    file->signed_by = count(&file->env, keys, role);
    file->threshold = role->threshold;
    file->complete = file->version && file->signed_by >= role->threshold;
}

/* A root must be signed as itself asks, and as the root before it asks (TUF 5.3.4). */
static void judge_root(struct repo *r, struct repo_file *file, const struct tuf_root *before)
{
    judge(file, &r->new_root.keys, &r->new_root.roles[TUF_ROOT]);
    if (!before)
        return;
    int64_t old = count(&file->env, &before->keys, &before->roles[TUF_ROOT]);
    if (before->roles[TUF_ROOT].threshold - old > file->threshold - file->signed_by) {
        file->signed_by = old;
        file->threshold = before->roles[TUF_ROOT].threshold;
    }
    file->complete = file->complete && old >= before->roles[TUF_ROOT].threshold;
}

static enum err roots_read(struct repo *r, struct fault *f)
{
    enum err e = newest(r, "root", &r->root_file, f);
    if (!e && !r->root_file.version)
        e = fault_set(f, CE_NOT_FOUND, "%s holds no root metadata; begin a ceremony there with cradle tuf init", r->dir);
    for (int64_t v = 1; !e && v <= r->root_file.version; v++) {
        struct repo_file file = { .role = "root", .version = v };
        e = repo_read(r, "root", v, &file.env, f);
        e = e ? e : tuf_root_read(file.env.payload, &r->arena, &r->new_root, f);
        if (e)
            return e;
        if (r->new_root.head.version != v)
            return fault_set(f, CE_BAD_METADATA, "%s/%lld.root.json is version %lld", r->dir, (long long)v, (long long)r->new_root.head.version);
        judge_root(r, &file, v > 1 ? &r->root : NULL);
        if (!file.complete && v < r->root_file.version)
            return fault_set(f, CE_THRESHOLD, "%s/%lld.root.json is not signed by enough keys, but version %lld follows it", r->dir, (long long)v,
                             (long long)v + 1);
        file.head = r->new_root.head;
        r->root_file = v == r->root_file.version ? file : r->root_file;
        if (file.complete || v == 1) {
            r->root = r->new_root;
            r->root_version = v;
        }
    }
    return e;
}

enum err repo_open(struct repo *r, const char *dir, struct fault *f)
{
    *r = (struct repo){ 0 };
    if (strlen(dir) > PATH_MAX_LEN - 100)
        return fault_set(f, CE_USAGE, "the folder's name is too long");
    path_join(r->dir, "%s", dir);
    enum err e = roots_read(r, f);
    e = e ? e : newest(r, "targets", &r->targets_file, f);
    if (!e && r->targets_file.version) {
        e = tuf_targets_read(r->targets_file.env.payload, &r->arena, &r->targets, f);
        r->targets_file.head = r->targets.head;
        judge(&r->targets_file, &r->root.keys, &r->root.roles[TUF_TARGETS]);
    }
    return e;
}

void repo_close(struct repo *r) { arena_free(&r->arena); }

const struct tuf_role *repo_line_role(const struct repo *r, struct span line)
{
    for (size_t i = 0; i < r->targets.n_lines; i++)
        if (span_eq(r->targets.lines[i].name, line))
            return &r->targets.lines[i];
    return NULL;
}

enum err repo_line(struct repo *r, const char *line, struct repo_file *out, struct fault *f)
{
    const struct tuf_role *role = repo_line_role(r, span_str(line));
    if (!role)
        return fault_set(f, CE_LINE_UNKNOWN, "no keys may sign for the product line %s yet; add it with cradle tuf line", line);
    struct tuf_line l;
    enum err e = newest(r, line, out, f);
    out->threshold = role->threshold;
    if (e || !out->version)
        return e;
    e = tuf_line_read(out->env.payload, span_str(line), &r->arena, &l, f);
    out->head = l.head;
    judge(out, &r->targets.keys, role);
    return e;
}

/* -- drafts -------------------------------------------------------------------------------------------------------------------------- */
static enum err draft_put(struct repo *r, const char *role, int64_t version, enum err made, const struct buf *payload, struct fault *f)
{
    const struct dsse env = { .type = SPAN_LIT(DSSE_TYPE_TUF), .payload = buf_span(payload) };
    return made ? fault_set(f, made, "the metadata of %s cannot be written", role) : repo_put(r, role, version, &env, f);
}

enum err repo_put_root(struct repo *r, struct tuf_root *root, struct fault *f)
{
    CLEANUP(buf_free) struct buf payload = BUF_INIT(DSSE_MAX);
    root->head.version = repo_next(&r->root_file);
    return draft_put(r, "root", root->head.version, tuf_root_write(root, &payload), &payload, f);
}

enum err repo_put_targets(struct repo *r, struct tuf_targets *targets, struct fault *f)
{
    CLEANUP(buf_free) struct buf payload = BUF_INIT(DSSE_MAX);
    targets->head.version = repo_next(&r->targets_file);
    return draft_put(r, "targets", targets->head.version, tuf_targets_write(targets, &payload), &payload, f);
}

enum err repo_put_line(struct repo *r, const char *line, struct tuf_line *l, struct fault *f)
{
    CLEANUP(buf_free) struct buf payload = BUF_INIT(DSSE_MAX);
    struct repo_file file;
    enum err e = repo_line(r, line, &file, f);
    if (e)
        return e;
    l->head.version = repo_next(&file);
    return draft_put(r, line, l->head.version, tuf_line_write(l, &payload), &payload, f);
}

/* -- keys ------------------------------------------------------------------------------------------------------------------------------ */
enum err repo_key_add(struct repo *r, const char *path, struct tuf_keys *keys, struct tuf_role *role, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(65536), der = BUF_INIT(KEY_SPKI_MAX);
    struct tuf_key k = { 0 };
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "cannot read %s: %s", path, strerror(errno));
    if (pem_decode(buf_span(&text), "PUBLIC KEY", 0, &der))
        return fault_set(f, CE_BAD_INPUT, "%s holds no public key (PEM, -----BEGIN PUBLIC KEY-----)", path);
    e = tuf_key_make(buf_span(&der), &r->arena, &k, f);
    if (e)
        return e;
    for (size_t i = 0; i < role->n_keyids; i++)
        if (span_eq(role->keyids[i], k.id))
            return fault_set(f, CE_EXISTS, "%s: this key has the role already", path);
    if (role->n_keyids == TUF_ROLE_KEYS || (!tuf_key_find(keys, k.id) && keys->n == TUF_KEYS))
        return fault_set(f, CE_USAGE, "too many keys: at most %d a role, %d in all", TUF_ROLE_KEYS, TUF_KEYS);
    if (!tuf_key_find(keys, k.id))
        keys->list[keys->n++] = k;
    role->keyids[role->n_keyids++] = k.id;
    return CE_OK;
}

enum err repo_role_judge(const struct cli *c, const struct tuf_keys *keys, const struct tuf_role *role, const char *what, struct fault *f)
{
    int64_t good = 0;
    for (size_t i = 0; i < role->n_keyids; i++) {
        const struct tuf_key *key = tuf_key_find(keys, role->keyids[i]);
        struct spki_info k = { .name = "unknown" };
        bool known = key && key->spki.n && spki_parse(key->spki, &k, NULL) == CE_OK;
        good += known && k.alg == KEY_EC_P256;
        if ((!known || k.alg != KEY_EC_P256) && !c->quiet)
            fprintf(stderr, "cradle: warning: key %.16s of role %s is %s; devices count ec:P-256 keys only\n", (const char *)role->keyids[i].p, what, k.name);
    }
    if (good >= role->threshold || cli_flag(c, NOT_FOR_DEVICES))
        return CE_OK;
    return fault_set(f, CE_USAGE, "role %s needs %lld signatures and has %lld P-256 keys, and devices count no others: give it P-256 keys (or " NOT_FOR_DEVICES ")", what,
                     (long long)role->threshold, (long long)good);
}

void repo_key_drop(struct tuf_role *role, struct span keyid)
{
    size_t n = 0;
    for (size_t i = 0; i < role->n_keyids; i++)
        if (!span_eq(role->keyids[i], keyid))
            role->keyids[n++] = role->keyids[i];
    role->n_keyids = n;
}

void repo_keys_tidy(struct tuf_keys *keys, const struct tuf_role *const *roles, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < keys->n; i++) {
        bool named = false;
        for (size_t k = 0; k < n; k++)
            for (size_t j = 0; j < roles[k]->n_keyids; j++)
                named |= span_eq(roles[k]->keyids[j], keys->list[i].id);
        if (named)
            keys->list[kept++] = keys->list[i];
    }
    keys->n = kept;
}
