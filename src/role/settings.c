/* settings.c: see settings.h. */
#include "role/settings.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

const struct config_key settings_keys[] = {
#define CFG(...) CONFIG_ROW(settings, __VA_ARGS__)
#include "role/cradled.def"
#undef CFG
};
const size_t settings_nkeys = ARRAY_LEN(settings_keys);

static bool one_of(const char *v, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(v, *list) == 0)
            return true;
    return false;
}

/* Values that are written into nginx' configuration or into URLs take no quoting at all. */
static bool plain_words(const char *v)
{
    for (; *v; v++)
        if (!isalnum((unsigned char)*v) && !strchr(" .-_:/[]*", *v))
            return false;
    return true;
}

static bool is_url(const char *v)
{
    return (strncmp(v, "http://", 7) == 0 || strncmp(v, "https://", 8) == 0) && plain_words(v) && !strchr(v, ' ') &&
           v[strlen(v) - 1] != '/';
}

static bool are_paths(const char *s)
{
    struct span rest = span_str(s), word;
    while (span_cut(&rest, ' ', &word))
        if (word.n && word.p[0] != '/')
            return false;
    return true;
}

static bool are_variables(const char *s)
{
    struct span rest = span_str(s), word;
    while (span_cut(&rest, ' ', &word))
        if (word.n && (!memchr(word.p, '=', word.n) || word.p[0] == '=' || span_starts(word, "LD_")))
            return false;
    return true;
}

static enum err settings_check(const char *name, const struct settings *s, struct fault *f)
{
    static const char *const tls[] = { "nginx", "external", NULL };
    static const char *const links[] = { "certificate", "capability", NULL };
    static const char *const versions[] = { "1.2", "1.3", NULL };
    static const char *const connects[] = { "no", "unix", "tcp", NULL };
    static const char *const levels[] = { "error", "warn", "info", "debug", NULL };
    const struct {
        bool good;
        const char *text;
    } rules[] = {
        { s->https_port != s->http_port, "https_port and http_port must differ" },
        { !s->enroll_port || (s->enroll_port != s->https_port && s->enroll_port != s->http_port), "enroll_port must differ from https_port and http_port" },
        { one_of(s->tls_min, versions) && one_of(s->enroll_tls_min, versions), "tls_min and enroll_tls_min must be 1.2 or 1.3" },
        { one_of(s->tls, tls), "tls must be nginx or external" },
        { one_of(s->ddi_links, links), "ddi_links must be certificate or capability" },
        { one_of(s->log_level, levels), "log_level must be error, warn, info or debug" },
        { plain_words(s->host) && !strpbrk(s->host, " */"), "host must be one name or address" },
        { plain_words(s->listen), "listen must be addresses separated by spaces" },
        { plain_words(s->server_names), "server_names must be host names separated by spaces" },
        { plain_words(s->nginx) && s->nginx[0] == '/' && !strchr(s->nginx, ' '), "nginx must be an absolute path" },
        { !*s->http_url || is_url(s->http_url), "http_url must be a http:// URL without a slash at the end" },
        { s->crl_refresh < s->crl_validity, "crl_refresh must be shorter than crl_validity" },
        { !*s->signer_user || *s->user, "signer_user needs user" },
        { one_of(s->hsm_connect, connects), "hsm_connect must be no, unix or tcp" },
        { are_paths(s->hsm_paths), "hsm_paths must be absolute paths separated by spaces" },
        { are_variables(s->hsm_env), "hsm_env must be NAME=VALUE separated by spaces, without LD_ variables" },
        { !*s->socket_group || strcmp(s->tls, "external") == 0, "socket_group is for tls = external only" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (!rules[i].good)
            return fault_set(f, CE_BAD_CONFIG, "%s: %s", name, rules[i].text);
    return CE_OK;
}

enum err settings_parse(const char *name, struct span text, struct settings *out, struct fault *f)
{
    enum err e = config_parse(settings_keys, settings_nkeys, name, text, out, f);
    return e ? e : settings_check(name, out, f);
}

enum err settings_load(const char *path, struct settings *out, struct fault *f)
{
    enum err e = config_load(settings_keys, settings_nkeys, path, out, f);
    return e ? e : settings_check(path, out, f);
}

enum log_level settings_log_level(const struct settings *s)
{
    return *s->log_level == 'e' ? LOG_LEVEL_ERROR : *s->log_level == 'w' ? LOG_LEVEL_WARN : *s->log_level == 'd' ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
}

bool settings_own_tls(const struct settings *s) { return strcmp(s->tls, "nginx") == 0; }

static void base_url(const char *scheme, const char *host, int64_t port, int64_t usual, char *out)
{
    bool bare_v6 = strchr(host, ':') && host[0] != '[';
    int n = snprintf(out, SETTINGS_URL_MAX, "%s://%s%s%s", scheme, bare_v6 ? "[" : "", host, bare_v6 ? "]" : "");
    if (port != usual)
        snprintf(out + n, SETTINGS_URL_MAX - (size_t)n, ":%d", (int)port);
}

void settings_http_url(const struct settings *s, char *out)
{
    if (*s->http_url)
        snprintf(out, SETTINGS_URL_MAX, "%s", s->http_url);
    else
        base_url("http", s->host, s->http_port, 80, out);
}

void settings_https_url(const struct settings *s, char *out) { base_url("https", s->host, s->https_port, 443, out); }

bool settings_keep_fixed(struct settings *fresh, const struct settings *old)
{
    static const char *const fixed[] = { "n_front", "n_query", "user", "signer_user", "tls", "nginx", NULL };
    bool differ = false;
    for (size_t i = 0; i < settings_nkeys; i++) {
        const struct config_key *k = &settings_keys[i];
        char *to = (char *)fresh + k->offset;
        const char *from = (const char *)old + k->offset;
        if (!one_of(k->name, fixed))
            continue;
        INVARIANT(k->type == CFG_STR || k->type == CFG_INT);
        differ |= k->type == CFG_STR ? strcmp(to, from) != 0 : memcmp(to, from, sizeof(int64_t)) != 0;
        memcpy(to, from, k->type == CFG_STR ? CONFIG_STR_MAX : sizeof(int64_t));
    }
    return differ;
}
