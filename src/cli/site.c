/* site.c: which site a verb talks to, and as whom: --site, $CRADLE_SITE or the user's profile. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "crypt/ca.h"

#define SITE_CONF_MAX 65536

/* "key = value  # comment" lines of a file whose whole table belongs to another program. */
static bool conf_value(struct span text, const char *key, char *out, size_t cap)
{
    struct span line, name;
    while (span_cut(&text, '\n', &line)) {
        if (!memchr(line.p, '=', line.n))
            continue;
        struct span value = line;
        span_cut(&value, '=', &name);
        if (!span_eq_str(span_trim(name), key))
            continue;
        for (size_t i = 1; i < value.n; i++)
            if (value.p[i] == '#' && (value.p[i - 1] == ' ' || value.p[i - 1] == '\t'))
                value.n = i;
        return span_to_cstr(span_trim(value), out, cap) == CE_OK;
    }
    return false;
}

enum err site_conf_get(const char *site, const char *key, char *out, size_t cap, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/cradled.conf", site);
    CLEANUP(buf_free) struct buf text = BUF_INIT(SITE_CONF_MAX);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e == CE_NOT_FOUND ? CE_NOT_FOUND : CE_IO, "'%s' is not a site of cradle: cannot read %s: %s", site, path,
                         strerror(errno));
    if (!conf_value(buf_span(&text), key, out, cap))
        out[0] = 0;
    return CE_OK;
}

enum err site_http_url(const char *site, char *url, int64_t *n_shards, struct fault *f)
{
    char host[200], port[16], shards[16];
    enum err e = site_conf_get(site, "http_url", url, CA_URL_MAX, f);
    if (e || (e = site_conf_get(site, "host", host, sizeof host, f)) || (e = site_conf_get(site, "http_port", port, sizeof port, f)) ||
        (e = site_conf_get(site, "n_shards", shards, sizeof shards, f)))
        return e;
    bool v6 = strchr(host, ':') != NULL;
    if (!url[0])
        snprintf(url, CA_URL_MAX, "http://%s%s%s:%s", v6 ? "[" : "", host[0] ? host : "localhost", v6 ? "]" : "", port[0] ? port : "8080");
    if (n_shards && !span_to_i64(span_str(shards), n_shards))
        *n_shards = 16;
    return CE_OK;
}

enum err profile_path(char *out, struct fault *f)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/' && strlen(xdg) < 400)
        path_join(out, "%s/cradle/profile", xdg);
    else if (home && home[0] == '/' && strlen(home) < 400)
        path_join(out, "%s/.config/cradle/profile", home);
    else
        return fault_set(f, CE_USAGE, "neither $XDG_CONFIG_HOME nor $HOME names a folder for the profile");
    return CE_OK;
}

static enum err profile_read(struct buf *text, struct fault *f)
{
    char path[PATH_MAX_LEN];
    enum err e = profile_path(path, f);
    if (e)
        return e;
    e = file_read(path, text);
    return e == CE_NOT_FOUND ? fault_set(f, CE_USAGE, "which site? give --site DIR, set CRADLE_SITE, or store it once: cradle profile set --site DIR")
         : e ? fault_set(f, e, "cannot read %s: %s", path, strerror(errno)) : CE_OK;
}

static enum err site_take(struct cli *c, const char *dir, const char *from, struct fault *f)
{
    if (!dir[0] || strlen(dir) > PATH_MAX_LEN - 128)
        return fault_set(f, CE_USAGE, "%s does not name a folder", from);
    path_join(c->site, "%s", dir);
    size_t n = strlen(c->site);
    while (n > 1 && c->site[n - 1] == '/')
        c->site[--n] = 0;
    char conf[16];
    return site_conf_get(c->site, "host", conf, sizeof conf, f) == CE_NOT_FOUND ? f->code : CE_OK;
}

enum err cli_site(struct cli *c, struct fault *f)
{
    const char *env = getenv("CRADLE_SITE");
    if (c->site[0])
        return CE_OK;
    if (cli_opt(c, "--site"))
        return site_take(c, cli_opt(c, "--site"), "--site", f);
    if (env && env[0])
        return site_take(c, env, "CRADLE_SITE", f);
    CLEANUP(buf_free) struct buf text = BUF_INIT(SITE_CONF_MAX);
    enum err e = profile_read(&text, f);
    char dir[PATH_MAX_LEN];
    if (!e && !conf_value(buf_span(&text), "site", dir, sizeof dir))
        e = fault_set(f, CE_USAGE, "the profile names a site on another machine; this command needs its folder: give --site DIR");
    return e ? e : site_take(c, dir, "the profile's site", f);
}

/* A profile for a site on another machine: url, ca, cert, key. */
static enum err net_from_profile(struct cli *c, struct fault *f, bool *found)
{
    *found = false;
    if (cli_opt(c, "--site") || (getenv("CRADLE_SITE") && *getenv("CRADLE_SITE")))
        return CE_OK;
    CLEANUP(buf_free) struct buf text = BUF_INIT(SITE_CONF_MAX);
    enum err e = profile_read(&text, f);
    if (e)
        return e;
    struct span t = buf_span(&text);
    struct net_config *n = &c->net_cfg;
    if (!conf_value(t, "url", n->base, sizeof n->base))
        return CE_OK;
    if (!conf_value(t, "ca", n->ca, sizeof n->ca) || !conf_value(t, "cert", n->cert, sizeof n->cert) ||
        !conf_value(t, "key", n->key, sizeof n->key))
        return fault_set(f, CE_BAD_CONFIG, "the profile has a url but not all of ca, cert and key; run: cradle profile set --help");
    *found = true;
    return CE_OK;
}

static enum err net_from_site(struct cli *c, struct fault *f)
{
    enum err e = cli_site(c, f);
    if (e)
        return e;
    char host[256], port[16];
    const char *as = cli_opt_or(c, "--as", "admin");
    if ((e = site_conf_get(c->site, "host", host, sizeof host, f)) || (e = site_conf_get(c->site, "https_port", port, sizeof port, f)))
        return e;
    struct net_config *n = &c->net_cfg;
    bool v6 = strchr(host, ':') != NULL;
    snprintf(n->base, sizeof n->base, "https://%s%s%s:%s", v6 ? "[" : "", host[0] ? host : "localhost", v6 ? "]" : "", port[0] ? port : "8443");
    path_join(n->ca, "%s/ca/bundle.pem", c->site);
    path_join(n->cert, "%s/operators/%.64s.pem", c->site, as);
    path_join(n->key, "%s/operators/%.64s.key", c->site, as);
    if (access(n->cert, F_OK) && errno == ENOENT)
        return fault_set(f, CE_USAGE, "there is no operator '%.64s' in %s/operators; name one with --as", as, c->site);
    return CE_OK;
}

enum err cli_net(struct cli *c, struct fault *f)
{
    if (c->net)
        return CE_OK;
    bool remote = false;
    enum err e = net_from_profile(c, f, &remote);
    if (!e && !remote)
        e = net_from_site(c, f);
    return e ? e : net_open(&c->net_cfg, &c->net, f);
}

enum err cli_call(struct cli *c, const char *method, const char *path, struct span body, struct net_reply *r, struct fault *f)
{
    enum err e = cli_net(c, f);
    if (e)
        return e;
    return body.n ? net_json(c->net, method, path, body, r, f) : net_request(c->net, method, path, NULL, body, r, f);
}
