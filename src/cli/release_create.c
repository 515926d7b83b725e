/* release_create.c: `cradle release create`: a file, what it is for and what is in it, as a target of its product line, to be signed
 * by two people. Refuses what is inconsistent: nobody should have to notice it in the field.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/release_file.h"
#include "cli/tuf_repo.h"
#include "wire/directive.h"

#define YEAR_S (365LL * 86400)
#define NOTES_MAX (1u << 20)

static const char *const handlers[] = { "raw", "files", "swupdate", "rauc", "mcu", "command" };

struct release {
    struct cli *c;
    struct repo repo;
    const char *line, *dir;
    struct tuf_target t;
    struct tuf_line old;
    uint8_t sbom[SHA256_LEN], notes[SHA256_LEN], inner[SHA256_LEN];
    struct release_file file;
    int64_t life_s;
};

static enum err text_need(const struct release *r, const char *opt, struct span *out, struct fault *f)
{
    const char *v = cli_opt(r->c, opt);
    *out = span_str(v);
    return v && *v ? CE_OK : fault_set(f, CE_USAGE, "%s is needed (cradle release create --help)", opt);
}

static enum err labels_take(const struct release *r, const char *opt, struct span *out, size_t *n, struct fault *f)
{
    const char *v;
    enum err e = CE_OK;
    for (*n = 0; !e && (v = cli_opt_n(r->c, opt, (int)*n)) != NULL; (*n)++) {
        if (*n == TUF_LIST)
            return fault_set(f, CE_USAGE, "%s: at most %d", opt, TUF_LIST);
        out[*n] = span_str(v);
        e = name_check_label(opt, out[*n], f);
    }
    return e;
}

static enum err date_check(struct span date, struct fault *f)
{
    char text[40];
    int64_t ms = 0;
    snprintf(text, sizeof text, "%.10sT00:00:00Z", (const char *)date.p);
    if (date.n != 10 || clock_parse_ms(span_str(text), &ms))
        return fault_set(f, CE_USAGE, "--support-end must be a date such as 2031-12-31");
    if (ms / 1000 <= clock_now_s())
        return fault_set(f, CE_USAGE, "--support-end " SPAN_FMT " has passed: a release must be supported when it comes out", SPAN_ARG(date));
    return CE_OK;
}

static enum err handler_check(struct span name, const char *file, struct fault *f)
{
    const char *dot = strrchr(file, '.');
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
        known |= span_eq_str(name, handlers[i]);
    if (!known)
        return fault_set(f, CE_USAGE, "--handler is raw, files, swupdate, rauc, mcu or command");
    if (span_eq_str(name, "swupdate") != (dot && strcmp(dot, ".swu") == 0))
        return fault_set(f, CE_USAGE, "%s: the handler swupdate and the ending .swu belong together", file);
    if (span_eq_str(name, "rauc") && !(dot && strcmp(dot, ".raucb") == 0))
        return fault_set(f, CE_USAGE, "%s: a RAUC bundle ends in .raucb", file);
    return CE_OK;
}

static enum err options_take(struct release *r, const char *file, struct fault *f)
{
    struct tuf_target *t = &r->t;
    enum err e = text_need(r, "--release", &t->release, f);
    e = e ? e : name_check_label("--release", t->release, f);
    e = e ? e : text_need(r, "--version", &t->version, f);
    e = e ? e : version_check(t->version, f);
    t->min_version = span_str(cli_opt_or(r->c, "--min-version", "0"));
    e = e ? e : version_check(t->min_version, f);
    if (!e && version_cmp(t->min_version, t->version) > 0)
        e = fault_set(f, CE_USAGE, "--min-version " SPAN_FMT " is higher than the version itself", SPAN_ARG(t->min_version));
    e = e ? e : cli_opt_int(r->c, "--counter", -1, 0, INT32_MAX, &t->counter, f);
    if (!e && t->counter < 0)
        e = fault_set(f, CE_USAGE, "--counter is needed: the security counter, which goes up when older versions must never come back");
    e = e ? e : labels_take(r, "--model", t->models, &t->n_models, f);
    e = e ? e : labels_take(r, "--hw-rev", t->hw_revs, &t->n_hw_revs, f);
    if (!e && !t->n_models)
        e = fault_set(f, CE_USAGE, "--model is needed: at least one model that the file fits");
    t->handler = span_str(cli_opt_or(r->c, "--handler", "raw"));
    e = e ? e : handler_check(t->handler, file, f);
    e = e ? e : text_need(r, "--support-end", &t->support_end, f);
    e = e ? e : date_check(t->support_end, f);
    t->security_only = cli_flag(r->c, "--security-only");
    return e ? e : cli_opt_span_s(r->c, "--expires", YEAR_S, &r->life_s, f);
}

static bool models_meet(const struct tuf_target *a, const struct tuf_target *b)
{
    for (size_t i = 0; i < a->n_models; i++)
        for (size_t k = 0; k < b->n_models; k++)
            if (span_eq(a->models[i], b->models[k]))
                return true;
    return false;
}

/* The security counter must follow the version: of two releases for a model the newer has no lower one. */
static enum err line_check(const struct release *r, struct fault *f)
{
    const struct tuf_target *t = &r->t;
    for (size_t i = 0; i < r->old.n; i++) {
        const struct tuf_target *o = &r->old.list[i];
        int newer = version_cmp(t->version, o->version);
        if (span_eq(o->release, t->release))
            return fault_set(f, CE_EXISTS, "line %s has a release " SPAN_FMT " already", r->line, SPAN_ARG(o->release));
        if (!models_meet(t, o))
            continue;
        if (newer == 0)
            return fault_set(f, CE_EXISTS, "version " SPAN_FMT " is release " SPAN_FMT " already", SPAN_ARG(o->version), SPAN_ARG(o->release));
        if ((newer > 0 && t->counter < o->counter) || (newer < 0 && t->counter > o->counter))
            return fault_set(f, CE_USAGE, "--counter %lld does not fit: version " SPAN_FMT " has counter %lld", (long long)t->counter, SPAN_ARG(o->version),
                             (long long)o->counter);
    }
    return r->old.n < TUF_FILES ? CE_OK : fault_set(f, CE_USAGE, "line %s has %d releases; withdraw old ones first", r->line, TUF_FILES);
}

static enum err line_read(struct release *r, struct fault *f)
{
    struct repo_file file;
    enum err e = repo_line(&r->repo, r->line, &file, f);
    return e || !file.version ? e : tuf_line_read(file.env.payload, span_str(r->line), &r->repo.arena, &r->old, f);
}

/* -- files ------------------------------------------------------------------------------------------------------------------------ */
static enum err copy_small(const char *from, const char *to, size_t max, uint8_t sha256_out[SHA256_LEN], struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(max);
    enum err e = file_read(from, &text);
    if (e)
        return fault_set(f, e, "cannot read %s: %s", from, strerror(errno));
    sha256(buf_span(&text), sha256_out);
    e = file_write_atomic(to, buf_span(&text), 0644);
    return e ? fault_set(f, e, "cannot write %s: %s", to, strerror(errno)) : CE_OK;
}

static enum err files_take(struct release *r, const char *file, struct fault *f)
{
    char dir[PATH_MAX_LEN], to[PATH_MAX_LEN];
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file, *sbom = cli_opt(r->c, "--sbom"), *notes = cli_opt(r->c, "--notes"), *format = "";
    if (!sbom)
        return fault_set(f, CE_USAGE, "--sbom is needed: what the file is made of (CycloneDX or SPDX, JSON)");
    enum err e = name_check_label("the file's name", span_str(name), f);
    e = e ? e : release_sbom_check(sbom, &format, r->sbom, f);
    if (e)
        return e;
    path_join(dir, "%s/files/%s/" SPAN_FMT, r->repo.dir, r->line, SPAN_ARG(r->t.release));
    if ((e = file_mkdirs(dir, 0755)))
        return fault_set(f, e, "cannot make the folder %s: %s", dir, strerror(errno));
    path_join(to, "%s/sbom.json", dir);
    e = copy_small(sbom, to, 64u << 20, r->sbom, f);
    path_join(to, "%s/notes.txt", dir);
    e = e || !notes ? e : copy_small(notes, to, NOTES_MAX, r->notes, f);
    path_join(to, "%s/%s", dir, name);
    e = e ? e : release_file_take(r->c, file, to, &r->file, f);
    if (!e && span_eq_str(r->t.handler, "swupdate")) {
        e = release_swu_digest(to, r->inner, f);
        r->t.inner_sha256 = span_of(r->inner, sizeof r->inner);
    }
    r->t.path = span_str(arena_printf(&r->repo.arena, "%s/" SPAN_FMT "/%s", r->line, SPAN_ARG(r->t.release), name));
    r->t.sbom_format = span_str(format);
    r->t.sbom_sha256 = span_of(r->sbom, sizeof r->sbom);
    r->t.notes_sha256 = notes ? span_of(r->notes, sizeof r->notes) : (struct span){ 0 };
    return e;
}

static enum err line_put(struct release *r, struct fault *f)
{
    struct tuf_line l = { .head.expires_s = clock_now_s() + r->life_s, .n = r->old.n + 1 };
    r->t.length = r->file.length;
    r->t.sha256 = span_of(r->file.sha256, SHA256_LEN);
    r->t.block_size = RELEASE_BLOCK;
    r->t.blocks_sha256 = span_of(r->file.blocks_sha256, SHA256_LEN);
    l.list = arena_alloc(&r->repo.arena, l.n * sizeof *l.list);
    if (r->old.n)
        memcpy(l.list, r->old.list, r->old.n * sizeof *l.list);
    l.list[r->old.n] = r->t;
    return repo_put_line(&r->repo, r->line, &l, f);
}

static void release_close(struct release *r) { repo_close(&r->repo); }

static enum err create_run(struct cli *c, struct fault *f)
{
    CLEANUP(release_close) struct release r = { .c = c, .line = cli_opt(c, "--line") };
    if (!r.line)
        return fault_set(f, CE_USAGE, "--line is needed: the product line of the release");
    enum err e = repo_open(&r.repo, c->args[0], f);
    e = e ? e : line_read(&r, f);
    e = e ? e : options_take(&r, c->args[1], f);
    e = e ? e : line_check(&r, f);
    e = e ? e : files_take(&r, c->args[1], f);
    e = e ? e : line_put(&r, f);
    if (e)
        return e;
    if (c->json) {
        CLEANUP(buf_free) struct buf hex = BUF_INIT(0);
        buf_put_hex(&hex, r.t.sha256);
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:s%,s:s,s:I}", "path", (const char *)r.t.path.p, r.t.path.n, "sha256", buf_cstr(&hex), "length",
                                                     (json_int_t)r.t.length);
        cli_print_json(o);
    }
    cli_say(c, "drafted release " SPAN_FMT " (version " SPAN_FMT ") of line %s; next: cradle tuf sign %s %s, by each of its signers", SPAN_ARG(r.t.release),
            SPAN_ARG(r.t.version), r.line, r.repo.dir, r.line);
    return CE_OK;
}
static const struct verb_opt create_opts[] = {
    { "--line", "LINE", "product line", false },
    { "--release", "ID", "name of the release within the line, such as r7", false },
    { "--version", "VERSION", "version of the software, such as 1.7.0", false },
    { "--counter", "N", "security counter: a device never installs a lower one than it has", false },
    { "--min-version", "VERSION", "lowest version that can be updated to this one (default: any)", false },
    { "--model", "MODEL", "model that the file fits", true },
    { "--hw-rev", "REV", "hardware revision that it fits (default: all)", true },
    { "--handler", "HANDLER", "how a device installs it: raw (default), files, swupdate, rauc, mcu, command", false },
    { "--sbom", "FILE", "software bill of materials, CycloneDX or SPDX in JSON; its digest is bound to the release", false },
    { "--support-end", "DATE", "until when the version is supported with security updates", false },
    { "--notes", "FILE", "release notes", false },
    { "--security-only", NULL, "contains security fixes and nothing else (Annex I 2(c): separable)", false },
    { "--expires", "SPAN", "life of the line's metadata (default 1y)", false },
};
const struct verb verb_release_create = {
    .name = "release create", .args = "DIR FILE", .min_args = 2, .max_args = 2, .help = "make a release out of a file: to be signed by two people",
    .text = "DIR is the folder of the ceremony (cradle tuf init). The file is copied into it, hashed whole and in blocks, and named in the next metadata of "
            "its line.",
    .example = "cradle release create release fw.bin --line vib --release r7 --version 1.7.0 --counter 4 --model vib-1 --sbom fw.cdx.json --support-end 2031-12-31",
    VERB_OPTS(create_opts), .run = create_run,
};

/* -- release withdraw ---------------------------------------------------------------------------------------------------------------- */
static enum err withdraw_run(struct cli *c, struct fault *f)
{
    CLEANUP(release_close) struct release r = { .c = c, .line = c->args[1], .life_s = YEAR_S };
    enum err e = repo_open(&r.repo, c->args[0], f);
    e = e ? e : line_read(&r, f);
    e = e ? e : cli_opt_span_s(c, "--expires", YEAR_S, &r.life_s, f);
    if (e)
        return e;
    struct tuf_line l = { .head.expires_s = clock_now_s() + r.life_s, .list = r.old.list };
    for (size_t i = 0; i < r.old.n; i++)
        if (!span_eq_str(r.old.list[i].release, c->args[2]))
            l.list[l.n++] = r.old.list[i];
    if (l.n == r.old.n)
        return fault_set(f, CE_NOT_FOUND, "line %s has no release %s", r.line, c->args[2]);
    e = repo_put_line(&r.repo, r.line, &l, f);
    if (!e)
        cli_say(c, "drafted metadata of line %s without release %s; next: cradle tuf sign %s %s", r.line, c->args[2], r.repo.dir, r.line);
    return e;
}
static const struct verb_opt withdraw_opts[] = { { "--expires", "SPAN", "life of the line's metadata (default 1y)", false } };
const struct verb verb_release_withdraw = {
    .name = "release withdraw", .args = "DIR LINE RELEASE", .min_args = 3, .max_args = 3, .help = "take a release out of its line: no device installs it any more",
    .example = "cradle release withdraw release vib r7", VERB_OPTS(withdraw_opts), .run = withdraw_run,
};
