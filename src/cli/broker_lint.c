/* broker_lint.c: `cradle broker lint`: reads mosquitto.conf and what it includes, judges it with broker_conf.h, prints what it found. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/broker_conf.h"
#include "cli/cli.h"
#include "crypt/pem.h"

#define LINT_FILE_MAX (1u << 20)
#define LINT_FILES 64

struct lint {
    struct broker_conf conf;
    char files[LINT_FILES][PATH_MAX_LEN];
    int n_files;
};

static enum err lint_file(struct lint *l, const char *path, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(LINT_FILE_MAX);
    if (l->n_files == LINT_FILES)
        return fault_set(f, CE_TOO_LARGE, "%s: more than %d files", path, LINT_FILES);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "%s: cannot be read: %s", path, e == CE_IO || e == CE_NOT_FOUND ? strerror(errno) : err_text(e));
    path_join(l->files[l->n_files], "%.500s", path);
    broker_conf_read(&l->conf, l->n_files++, buf_span(&text));
    return CE_OK;
}

static int is_conf(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return d->d_name[0] != '.' && n > 5 && !strcmp(d->d_name + n - 5, ".conf");
}

/* include_dir: all *.conf of it, in the order of their names. */
static enum err lint_dir(struct lint *l, const struct broker_path *dir, struct fault *f)
{
    struct dirent **names;
    int n = scandir(dir->path, &names, is_conf, alphasort);
    enum err e = n < 0 ? fault_set(f, CE_NOT_FOUND, "%s:%d: include_dir %s: %s", l->files[dir->file], dir->line, dir->path, strerror(errno))
                       : CE_OK;
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX_LEN];
        path_join(path, "%s/%.200s", dir->path, names[i]->d_name);
        if (!e)
            e = lint_file(l, path, f);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return e;
}

/* Is every certificate of the file one of the site's bundle? CAs of others let strangers finish the handshake. */
static bool cas_are_ours(struct span text, struct span bundle)
{
    for (unsigned i = 0;; i++) {
        CLEANUP(buf_free) struct buf der = BUF_INIT(65536);
        bool found = false;
        if (pem_decode(text, "CERTIFICATE", i, &der))
            return i > 0;
        for (unsigned k = 0; !found; k++) {
            CLEANUP(buf_free) struct buf ours = BUF_INIT(65536);
            if (pem_decode(bundle, "CERTIFICATE", k, &ours))
                break;
            found = span_eq(buf_span(&der), buf_span(&ours));
        }
        if (!found)
            return false;
    }
}

static void lint_cas(struct lint *l, const char *site)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf bundle = BUF_INIT(LINT_FILE_MAX);
    path_join(path, "%s/ca/bundle.pem", site);
    if (file_read(path, &bundle))
        return;
    for (int i = 0; i < l->conf.n_cafiles; i++) {
        const struct broker_path *p = &l->conf.cafiles[i];
        CLEANUP(buf_free) struct buf text = BUF_INIT(LINT_FILE_MAX);
        if (file_read(p->path, &text) || !cas_are_ours(buf_span(&text), buf_span(&bundle)))
            broker_conf_add(&l->conf, BROKER_HARM, p->file, p->line, span_str(p->path),
                            "holds other CAs than this site's ca/bundle.pem: strangers then get through the TLS handshake",
                            "cafile SITE/ca/bundle.pem, no capath");
    }
}

static void print_text(const struct cli *c, const struct lint *l)
{
    for (int i = 0; i < l->conf.n_findings; i++) {
        const struct broker_finding *x = &l->conf.findings[i];
        bool bad = x->level == BROKER_LET_IN;
        cli_say(c, "%s:%d: %s%s%s: %s", l->files[x->file >= 0 ? x->file : 0], x->line, cli_tint(c, bad ? TINT_BAD : TINT_WARN),
                bad ? "lets in" : "harms", cli_tint(c, TINT_NONE), x->what);
        cli_say(c, "    why: %s", x->why);
        cli_say(c, "    fix: %s", x->fix);
    }
    if (!l->conf.n_findings && !l->conf.incomplete)
        cli_say(c, "%s: nothing found that would let a revoked device in (%d file%s read)", l->files[0], l->n_files, l->n_files == 1 ? "" : "s");
}

static void print_json(const struct lint *l)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    struct json_out j = JSON_OUT(&out);
    json_obj(&j, NULL);
    json_bool(&j, "lets_in", broker_conf_lets_in(&l->conf));
    json_arr(&j, "findings");
    for (int i = 0; i < l->conf.n_findings; i++) {
        const struct broker_finding *x = &l->conf.findings[i];
        json_obj(&j, NULL);
        json_cstr(&j, "file", l->files[x->file >= 0 ? x->file : 0]);
        json_int(&j, "line", x->line);
        json_cstr(&j, "level", x->level == BROKER_LET_IN ? "lets-in" : "harms");
        json_cstr(&j, "what", x->what);
        json_cstr(&j, "why", x->why);
        json_cstr(&j, "fix", x->fix);
        json_obj_end(&j);
    }
    json_arr_end(&j);
    json_obj_end(&j);
    printf("%s\n", buf_cstr(&out));
}

static enum err lint_run(struct cli *c, struct fault *f)
{
    CLEANUP(mem_free_p) struct lint *l = mem_calloc(1, sizeof *l);
    struct fault no_site;
    broker_conf_init(&l->conf);
    enum err e = lint_file(l, c->args[0], f);
    for (int i = 0; i < l->conf.n_includes && !e; i++)
        e = lint_dir(l, &l->conf.includes[i], f);
    if (e)
        return e;
    broker_conf_end(&l->conf);
    if (!cli_site(c, &no_site) && c->site[0]) /* without a site the CA files are not compared */
        lint_cas(l, c->site);
    if (c->json)
        print_json(l);
    else
        print_text(c, l);
    if (broker_conf_lets_in(&l->conf))
        return fault_set(f, CE_BROKER_OPEN, "%s: a revoked device could get in", c->args[0]);
    return l->conf.incomplete ? fault_set(f, CE_TOO_LARGE, "%s: it has more findings, listeners or included paths than are judged here", c->args[0])
                              : CE_OK;
}

const struct verb verb_broker_lint = {
    .name = "broker lint",
    .args = "FILE",
    .min_args = 1,
    .max_args = 1,
    .help = "find settings in mosquitto.conf that would let a revoked device in",
    .text = "Reads FILE and what its include_dir names. Each finding says where, what, why and what to write instead. Exits with 7 when a "
            "revoked device could get in, with 0 when the findings (if any) only harm otherwise.",
    .example = "cradle broker lint /etc/mosquitto/mosquitto.conf",
    .run = lint_run,
};
