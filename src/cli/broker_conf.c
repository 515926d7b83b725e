/* broker_conf.c: the lint rules. Most are rows of a table over single lines; what needs the whole is in broker_conf_end. */
#include "cli/broker_conf.h"

#include <stdio.h>

#include "base/mem.h"

enum when { ALWAYS, IF_TRUE, IF_OLD_TLS, IF_NOT_OURS, IF_ROOT, IF_FALSE };

static const struct rule {
    const char *key;
    enum when when;
    enum broker_level level;
    const char *why, *fix;
} rules[] = {
    { "use_identity_as_username", IF_TRUE, BROKER_LET_IN,
      "the broker then never asks the plugin (no BASIC_AUTH): a revoked certificate logs in",
      "remove the line; the plugin sets the user name to the certificate's CN by itself" },
    { "use_subject_as_username", IF_TRUE, BROKER_LET_IN,
      "the broker then never asks the plugin (no BASIC_AUTH): a revoked certificate logs in",
      "remove the line; the plugin sets the user name to the certificate's CN by itself" },
    { "use_username_as_clientid", IF_TRUE, BROKER_HARM,
      "the client id is then replaced after or before the plugin compares it with the certificate, depending on the version",
      "remove the line; the plugin demands client id = CN" },
    { "allow_anonymous", IF_TRUE, BROKER_LET_IN,
      "clients without a certificate are let in wherever the plugin is not asked",
      "allow_anonymous false" },
    { "password_file", ALWAYS, BROKER_LET_IN,
      "the password file is asked before the plugin: a revoked device that knows a password logs in",
      "remove the line; the certificate is the only identity" },
    { "psk_file", ALWAYS, BROKER_LET_IN, "a pre-shared key needs no certificate: nothing that could be revoked is shown",
      "remove the line and the listener's psk_hint" },
    { "psk_hint", ALWAYS, BROKER_LET_IN, "a pre-shared key needs no certificate: nothing that could be revoked is shown",
      "remove the line; use cafile, certfile, keyfile and require_certificate true" },
    { "auth_plugin", ALWAYS, BROKER_LET_IN, "the first plugin that says yes decides: this one could let in whom cradle has revoked",
      "remove the line; only cradle_mosquitto.so decides who is in" },
    { "plugin", IF_NOT_OURS, BROKER_LET_IN,
      "the first plugin that says yes decides, and MQTT 5 enhanced authentication asks no other: it could let in whom cradle has revoked",
      "remove the plugin, or make sure that it registers no authentication and keep it after cradle_mosquitto.so" },
    { "global_plugin", IF_NOT_OURS, BROKER_LET_IN, "the first plugin that says yes decides", "remove the plugin" },
    { "plugin_load", IF_NOT_OURS, BROKER_LET_IN, "the first plugin that says yes decides", "remove the plugin" },
    { "connection", ALWAYS, BROKER_LET_IN,
      "a bridge brings in what clients of another broker publish: a device revoked here may still be connected there",
      "remove the bridge, or run cradle's plugin on the other broker too and bridge backend topics only" },
    { "auth_plugin_deny_special_chars", IF_FALSE, BROKER_HARM, "user names and client ids with + and # would then reach topic patterns",
      "remove the line" },
    { "crlfile", ALWAYS, BROKER_HARM,
      "a CRL past its nextUpdate locks the whole fleet out, a reload breaks logins, and a live session is never cut by it",
      "remove the line; the plugin's signed snapshot revokes within a second" },
    { "acl_file", ALWAYS, BROKER_HARM, "what the ACL file grants is granted without asking the plugin",
      "remove the line; topics are those of the product line: cradle line set" },
    { "mount_point", ALWAYS, BROKER_HARM, "topics get a prefix before the plugin sees them: its topic templates would not match",
      "remove the line, or write the prefix into the topics of the lines and backends" },
    { "tls_version", IF_OLD_TLS, BROKER_HARM, "TLS 1.0 and 1.1 are broken (RFC 8996)", "remove the line: TLS 1.2 and 1.3 are the default" },
    { "user", IF_ROOT, BROKER_HARM, "a broker that stays root needs only one flaw to read every key of the host", "user mosquitto" },
};

void broker_conf_init(struct broker_conf *c)
{
    *c = (struct broker_conf){ .n_listeners = 1 };
    c->listeners[0].file = -1;
    c->listeners[0].port = 1883;
}

void broker_conf_add(struct broker_conf *c, enum broker_level level, int file, int line, struct span what, const char *why, const char *fix)
{
    if (c->n_findings == BROKER_FINDINGS) {
        c->incomplete = true;
        for (int i = 0; level == BROKER_LET_IN && i < BROKER_FINDINGS; i++)
            if (c->findings[i].level == BROKER_HARM) { /* the graver one keeps its place */
                c->findings[i] = c->findings[--c->n_findings];
                break;
            }
        if (c->n_findings == BROKER_FINDINGS)
            return;
    }
    struct broker_finding *f = &c->findings[c->n_findings++];
    *f = (struct broker_finding){ .level = level, .file = file, .line = line, .why = why, .fix = fix };
    size_t n = what.n < sizeof f->what - 1 ? what.n : sizeof f->what - 1;
    for (size_t i = 0; i < n; i++)
        f->what[i] = what.p[i] >= 0x20 && what.p[i] < 0x7f ? (char)what.p[i] : '?';
}

static bool is_true(struct span v) { return span_eq_nocase(v, "true") || span_eq_str(v, "1"); }

static bool ends_with(struct span v, const char *end)
{
    size_t n = strlen(end);
    return v.n >= n && !memcmp(v.p + v.n - n, end, n);
}

static bool is_our_plugin(struct span path)
{
    return ends_with(path, "/cradle_mosquitto.so") || span_eq_str(path, "cradle_mosquitto.so");
}

static bool rule_applies(const struct rule *r, struct span value)
{
    switch (r->when) {
    case ALWAYS:
        return true;
    case IF_TRUE:
        return is_true(value);
    case IF_FALSE:
        return !is_true(value);
    case IF_OLD_TLS:
        return !span_eq_str(value, "tlsv1.2") && !span_eq_str(value, "tlsv1.3");
    case IF_NOT_OURS:
        return !is_our_plugin(value);
    case IF_ROOT:
        return span_eq_str(value, "root");
    }
    return false;
}

/* -- settings that make the picture of the whole ---------------------------------------------------------------------------- */
static struct broker_listener *current(struct broker_conf *c) { return &c->listeners[c->n_listeners - 1]; }

static void path_add(struct broker_conf *c, struct broker_path *list, int *n, int max, int file, int line, struct span value)
{
    if (*n == max || span_to_cstr(value, list[*n].path, BROKER_PATH)) {
        c->incomplete = true;
        return;
    }
    list[*n].file = file;
    list[*n].line = line;
    (*n)++;
}

static void set_listener(struct broker_conf *c, int file, int line, struct span value)
{
    int64_t port = 0;
    struct span word;
    if (span_cut(&value, ' ', &word))
        (void)span_to_i64(word, &port);
    if (c->n_listeners == BROKER_LISTENERS) {
        c->incomplete = true;
        return;
    }
    c->listeners[c->n_listeners++] = (struct broker_listener){ .file = file, .line = line, .port = (int)(port & 0xffff), .open = true };
    c->in_bridge = false;
}

static void set_port(struct broker_conf *c, int file, int line, struct span value)
{
    int64_t port;
    c->listeners[0].open = true;
    c->listeners[0].file = file;
    c->listeners[0].line = line;
    if (span_to_i64(value, &port))
        c->listeners[0].port = (int)(port & 0xffff);
}

static void set_require(struct broker_conf *c, int file, int line, struct span value)
{
    (void)file;
    (void)line;
    current(c)->require_certificate = is_true(value);
}

static void set_tls(struct broker_conf *c, int file, int line, struct span value)
{
    (void)file;
    (void)line;
    (void)value;
    current(c)->tls = true;
}

static void set_ca(struct broker_conf *c, int file, int line, struct span value)
{
    current(c)->tls = true;
    path_add(c, c->cafiles, &c->n_cafiles, BROKER_CAFILES, file, line, value);
}

static void set_protocol(struct broker_conf *c, int file, int line, struct span value)
{
    if (!span_eq_str(value, "websockets"))
        return;
    current(c)->websockets = true;
    broker_conf_add(c, BROKER_HARM, file, line, SPAN_LIT("protocol websockets"),
                    "not every broker shows the plugin the certificates of websocket clients (2.0.11 does): without it they are refused",
                    "remove the listener; let the browser talk to your backend");
}

static void set_per_listener(struct broker_conf *c, int file, int line, struct span value)
{
    c->per_listener = is_true(value);
    c->per_listener_file = file;
    c->per_listener_line = line;
    if (c->per_listener)
        broker_conf_add(c, BROKER_LET_IN, file, line, SPAN_LIT("per_listener_settings true"),
                        "a plugin then guards one listener only, and Mosquitto 2.0.11 sends it no ticks: live sessions would never be cut",
                        "per_listener_settings false");
}

static void set_plugin(struct broker_conf *c, int file, int line, struct span value)
{
    (void)file;
    (void)line;
    if (is_our_plugin(value))
        c->plugin_any = true;
}

static void set_include(struct broker_conf *c, int file, int line, struct span value)
{
    path_add(c, c->includes, &c->n_includes, BROKER_INCLUDES, file, line, value);
}

static void set_bridge(struct broker_conf *c, int file, int line, struct span value)
{
    (void)file;
    (void)line;
    (void)value;
    c->in_bridge = true; /* what follows belongs to the bridge until the next listener */
}

static const struct setting {
    const char *key;
    void (*set)(struct broker_conf *c, int file, int line, struct span value);
} settings[] = {
    { "listener", set_listener }, { "port", set_port },         { "require_certificate", set_require },
    { "certfile", set_tls },      { "cafile", set_ca },         { "capath", set_ca },
    { "protocol", set_protocol }, { "plugin", set_plugin },     { "per_listener_settings", set_per_listener },
    { "plugin_load", set_plugin }, { "global_plugin", set_plugin }, { "include_dir", set_include }, { "connection", set_bridge },
};

static void line_read(struct broker_conf *c, int file, int line, struct span text)
{
    struct span rest = text, key;
    /* the broker cuts at spaces only, and takes a comment sign only in the first column */
    do {
        if (!span_cut(&rest, ' ', &key))
            return;
    } while (!key.n);
    struct span value = span_trim(rest);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (span_eq_str(key, rules[i].key) && rule_applies(&rules[i], value))
            broker_conf_add(c, rules[i].level, file, line, text, rules[i].why, rules[i].fix);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (span_eq_str(key, settings[i].key) && !(c->in_bridge && settings[i].set != set_listener && settings[i].set != set_plugin))
            settings[i].set(c, file, line, value);
}

void broker_conf_read(struct broker_conf *c, int file, struct span text)
{
    struct span line;
    for (int n = 1; span_cut(&text, '\n', &line); n++) {
        while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
            line.n--;
        if (line.n && line.p[0] != '#')
            line_read(c, file, n, line);
    }
}

void broker_conf_end(struct broker_conf *c)
{
    int open = 0;
    char what[100];
    if (!c->plugin_any)
        broker_conf_add(c, BROKER_LET_IN, -1, 0, SPAN_LIT("no `plugin .../cradle_mosquitto.so`"),
                        "nobody asks cradle who is revoked", "write the file with: cradle broker config --site DIR");
    for (int i = 0; i < c->n_listeners; i++) {
        const struct broker_listener *l = &c->listeners[i];
        if (!l->open && !l->tls)
            continue;
        open++;
        if (l->require_certificate && l->tls)
            continue;
        snprintf(what, sizeof what, "listener on port %d without require_certificate true", l->port);
        broker_conf_add(c, BROKER_LET_IN, l->file, l->line, span_str(what),
                        "clients show no certificate there: only the plugin's refusal of them stands between a revoked device and the broker",
                        "remove the listener, or give it cafile, certfile, keyfile and require_certificate true");
    }
    if (!open)
        broker_conf_add(c, BROKER_LET_IN, -1, 0, SPAN_LIT("no listener"),
                        "Mosquitto then listens on the local port 1883 without TLS and lets everybody in who is on this host",
                        "write the file with: cradle broker config --site DIR");
}

bool broker_conf_lets_in(const struct broker_conf *c)
{
    for (int i = 0; i < c->n_findings; i++)
        if (c->findings[i].level == BROKER_LET_IN)
            return true;
    return false;
}
