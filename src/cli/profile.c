/* profile.c: `cradle profile set|show`: which site commands mean when nothing names one. And `cradle version`. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"

/* Appends "key = ABSOLUTE PATH"; the file or folder must be there. */
static enum err put_path(struct buf *out, const char *key, const char *path, struct fault *f)
{
    char real[PATH_MAX];
    if (!realpath(path, real))
        return fault_set(f, CE_NOT_FOUND, "%s: %s", path, strerror(errno));
    if (strlen(real) > PATH_MAX_LEN - 128 || strpbrk(real, "\n#"))
        return fault_set(f, CE_USAGE, "the path %.100s cannot be in a profile", real);
    buf_printf(out, "%s = %s\n", key, real);
    return CE_OK;
}

static enum err remote_profile(const struct cli *c, struct buf *out, struct fault *f)
{
    static const char *const files[] = { "ca", "cert", "key" };
    const char *url = cli_opt(c, "--url");
    if (strncmp(url, "https://", 8) != 0 || strlen(url) > 300 || strpbrk(url, "\n #"))
        return fault_set(f, CE_USAGE, "--url must be https://HOST:PORT");
    buf_printf(out, "url = %.*s\n", (int)(strlen(url) - (url[strlen(url) - 1] == '/')), url);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char opt[16];
        snprintf(opt, sizeof opt, "--%s", files[i]);
        if (!cli_opt(c, opt))
            return fault_set(f, CE_USAGE, "a site on another machine needs --url, --ca, --cert and --key");
        enum err e = put_path(out, files[i], cli_opt(c, opt), f);
        if (e)
            return e;
    }
    return CE_OK;
}

static enum err set_run(struct cli *c, struct fault *f)
{
    char path[PATH_MAX_LEN], dir[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(8192);
    const char *site = cli_opt(c, "--site");
    if (!site == !cli_opt(c, "--url"))
        return fault_set(f, CE_USAGE, "give --site DIR, or --url with --ca, --cert and --key");
    enum err e = site ? cli_site(c, f) : CE_OK;
    if (!e)
        e = site ? put_path(&text, "site", c->site, f) : remote_profile(c, &text, f);
    if (e || (e = profile_path(path, f)))
        return e;
    path_join(dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    if ((e = file_mkdirs(dir, 0700)) || (e = file_write_atomic(path, buf_span(&text), 0600)))
        return fault_set(f, e, "cannot write %s: %s", path, strerror(errno));
    cli_say(c, "wrote %s; from now on commands need no --site", path);
    return CE_OK;
}
static const struct verb_opt set_opts[] = {
    { "--url", "URL", "a site on another machine: https://HOST:PORT", false },
    { "--ca", "FILE", "its CA bundle (DIR/ca/bundle.pem there)", false },
    { "--cert", "FILE", "your certificate", false },
    { "--key", "FILE", "your key", false },
};
const struct verb verb_profile_set = {
    .name = "profile set", .args = "", .help = "store which site commands mean when nothing names one",
    .example = "cradle profile set --site /srv/cradle\ncradle profile set --url https://cradle.acme.example:8443 --ca bundle.pem --cert alice.pem --key alice.key",
    VERB_OPTS(set_opts), .run = set_run,
};

static enum err show_run(struct cli *c, struct fault *f)
{
    enum err e = cli_net(c, f);
    if (e)
        return e;
    const struct net_config *n = &c->net_cfg;
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s}", "site", c->site, "url", n->base, "ca", n->ca, "cert", n->cert, "key", n->key);
        cli_print_json(o);
        return CE_OK;
    }
    cli_say(c, "site  %s\nurl   %s\nca    %s\ncert  %s\nkey   %s", c->site[0] ? c->site : "(on another machine)", n->base, n->ca, n->cert, n->key);
    return CE_OK;
}
const struct verb verb_profile_show = { .name = "profile show", .args = "", .help = "show which site commands talk to, and as whom", .run = show_run };

static enum err version_run(struct cli *c, struct fault *f)
{
    (void)f;
    if (c->json)
        puts("{\"version\":\"" CRADLE_VERSION "\"}");
    else
        puts("cradle " CRADLE_VERSION);
    return CE_OK;
}
const struct verb verb_version = { .name = "version", .args = "", .help = "print the version of this program", .run = version_run };
