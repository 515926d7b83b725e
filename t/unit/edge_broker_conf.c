/* edge_broker_conf.c: what broker lint finds in mosquitto.conf, and what it leaves alone. */
#include "base/mem.h"
#include "cli/broker_conf.h"
#include "t/tap.h"

#define GOOD                                                                                                            \
    "per_listener_settings false\nallow_anonymous false\nplugin /usr/lib/cradle/cradle_mosquitto.so\nlistener 8883\n"   \
    "cafile a\ncertfile b\nkeyfile c\nrequire_certificate true\n"

static const struct row {
    const char *what, *text;
    int findings;
    bool lets_in;
    int line; /* of the first finding */
} rows[] = {
    { "a right file", GOOD, 0, false, 0 },
    { "comments and blank lines", "# use_identity_as_username true\n\n" GOOD "#crlfile x\n", 0, false, 0 },
    { "CRLF line ends", "plugin /x/cradle_mosquitto.so\r\nlistener 1\r\ncafile a\r\nrequire_certificate true\r\n", 0, false, 0 },
    { "use_identity_as_username", GOOD "use_identity_as_username true\n", 1, true, 9 },
    { "with leading spaces", GOOD "  use_identity_as_username true\n", 1, true, 9 },
    { "switched off", GOOD "use_identity_as_username false\n", 0, false, 0 },
    { "use_subject_as_username", GOOD "use_subject_as_username TRUE\n", 1, true, 9 },
    { "allow_anonymous", GOOD "allow_anonymous true\n", 1, true, 9 },
    { "password_file", GOOD "password_file /etc/pw\n", 1, true, 9 },
    { "psk", GOOD "psk_hint h\npsk_file f\n", 2, true, 9 },
    { "a bridge", GOOD "connection cloud\naddress x\nrequire_certificate false\n", 1, true, 9 },
    { "a bridge's own settings do not touch the listener", GOOD "connection c\nlistener 9\ncafile a\nrequire_certificate true\n", 1, true, 9 },
    { "another plugin", GOOD "plugin /usr/lib/mosquitto_dynamic_security.so\n", 1, true, 9 },
    { "the old plugin interface", GOOD "auth_plugin /usr/lib/go-auth.so\n", 1, true, 9 },
    { "no plugin", "listener 8883\ncafile a\nrequire_certificate true\n", 1, true, 0 },
    { "a plugin that only looks like ours", "plugin /x/notcradle_mosquitto.so\nlistener 8883\ncafile a\nrequire_certificate true\n", 2, true, 1 },
    { "per_listener_settings", "per_listener_settings true\n" GOOD, 1, true, 1 },
    { "a second listener without certificates", GOOD "listener 1883\n", 1, true, 9 },
    { "require_certificate without TLS", GOOD "listener 1884\nrequire_certificate true\n", 1, true, 9 },
    { "the default listener", GOOD "port 1883\n", 1, true, 9 },
    { "no listener at all", "plugin /x/cradle_mosquitto.so\n", 1, true, 0 },
    { "an empty file", "", 2, true, 0 },
    { "crlfile", GOOD "crlfile x\n", 1, false, 9 },
    { "acl_file", GOOD "acl_file x\n", 1, false, 9 },
    { "old TLS", GOOD "tls_version tlsv1.1\n", 1, false, 9 },
    { "websockets", GOOD "protocol websockets\n", 1, false, 9 },
    { "root", GOOD "user root\n", 1, false, 9 },
};

int main(void)
{
    struct broker_conf *c = mem_alloc(sizeof *c);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        broker_conf_init(c);
        broker_conf_read(c, 0, span_str(rows[i].text));
        broker_conf_end(c);
        int line = c->n_findings ? c->findings[0].line : 0;
        if (rows[i].line)
            for (int k = 0; k < c->n_findings; k++)
                line = c->findings[k].line == rows[i].line ? rows[i].line : line;
        ok(c->n_findings == rows[i].findings && broker_conf_lets_in(c) == rows[i].lets_in && line == rows[i].line,
           "%s: %d found, line %d", rows[i].what, c->n_findings, line);
    }
    broker_conf_init(c);
    broker_conf_read(c, 0, SPAN_LIT("include_dir /etc/mosquitto/conf.d\ncafile /a\n"));
    ok(c->n_includes == 1 && !strcmp(c->includes[0].path, "/etc/mosquitto/conf.d") && c->n_cafiles == 1, "include_dir and cafile are kept");
    broker_conf_init(c);
    for (int i = 0; i < 300; i++)
        broker_conf_read(c, 0, SPAN_LIT("crlfile x\n"));
    broker_conf_read(c, 0, SPAN_LIT("allow_anonymous true\n"));
    ok(c->n_findings == BROKER_FINDINGS && c->incomplete && broker_conf_lets_in(c), "a flood of harms does not hide the hole");
    free(c);
    return done();
}
