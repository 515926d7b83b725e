/* cli_parse.c: the command line's own decisions: options, CSV lines, PKCS#11 URIs, answers of the service. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/device.h"
#include "net/net_priv.h"
#include "t/tap.h"

static enum err parse(struct cli *c, struct fault *f, const char *line)
{
    static char text[512];
    char *argv[32], *save = NULL;
    int argc = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *p = strtok_r(text, " ", &save); p && argc < 31; p = strtok_r(NULL, " ", &save))
        argv[argc++] = p;
    argv[argc] = NULL;
    *c = (struct cli){ 0 };
    *f = (struct fault){ 0 };
    return cli_parse(c, argc, argv, f);
}

static void test_command_line(void)
{
    struct cli c;
    struct fault f;
    ok(parse(&c, &f, "cradle device revoke d1 --reason keyCompromise --wait") == CE_OK && strcmp(c.verb->name, "device revoke") == 0, "two-word verb");
    ok(c.nargs == 1 && strcmp(c.args[0], "d1") == 0 && strcmp(cli_opt(&c, "--reason"), "keyCompromise") == 0 && cli_flag(&c, "--wait"), "argument, option, flag");
    ok(parse(&c, &f, "cradle --site /x device list --line=a") == CE_OK && strcmp(cli_opt(&c, "--line"), "a") == 0 && strcmp(cli_opt(&c, "--site"), "/x") == 0, "options before the verb, and with =");
    ok(parse(&c, &f, "cradle device show") == CE_USAGE && strstr(f.text, "missing"), "missing argument: %s", f.text);
    ok(parse(&c, &f, "cradle device revoke a b") == CE_USAGE && strstr(f.text, "too many"), "too many arguments");
    ok(parse(&c, &f, "cradle device explode a") == CE_USAGE && strstr(f.text, "cradle device --help"), "unknown verb of a group: %s", f.text);
    ok(parse(&c, &f, "cradle nonsense") == CE_USAGE, "unknown verb");
    ok(parse(&c, &f, "cradle device list --reason x") == CE_USAGE && strstr(f.text, "--reason"), "option of another verb");
    ok(parse(&c, &f, "cradle device list --line") == CE_USAGE && strstr(f.text, "needs a value"), "option without its value");
    ok(parse(&c, &f, "cradle device revoke a --wait=1") == CE_USAGE, "flag with a value");
    ok(parse(&c, &f, "cradle device list --line a --line b") == CE_USAGE && strstr(f.text, "twice"), "option given twice");
    ok(parse(&c, &f, "cradle device list -l a") == CE_USAGE, "short option");
    ok(parse(&c, &f, "cradle device show -- --uid") == CE_OK && c.nargs == 1 && strcmp(c.args[0], "--uid") == 0, "-- ends the options");
    ok(parse(&c, &f, "cradle device revoke --help") == CE_OK && cli_flag(&c, "--help"), "--help needs no arguments");
    int64_t v = 0;
    ok(parse(&c, &f, "cradle device revoke a --wait-time 90m") == CE_OK && cli_opt_span_s(&c, "--wait-time", 5, &v, &f) == CE_OK && v == 5400, "span of time");
    ok(parse(&c, &f, "cradle device revoke a --wait-time soon") == CE_OK && cli_opt_span_s(&c, "--wait-time", 5, &v, &f) == CE_USAGE, "bad span of time");
    ok(parse(&c, &f, "cradle device list --limit 0") == CE_OK && cli_opt_int(&c, "--limit", 5, 1, 10, &v, &f) == CE_USAGE, "number out of range");
}

static void test_verbs(void)
{
    bool good = true, sorted = true;
    for (size_t i = 0; i < cli_nverbs; i++) {
        const struct verb *v = cli_verbs[i];
        good &= v->run && v->help[0] && v->help[strlen(v->help) - 1] != '.' && v->args != NULL;
        for (size_t k = 0; k < v->nopts; k++) {
            good &= strncmp(v->opts[k].name, "--", 2) == 0 && v->opts[k].help[0];
            for (size_t g = 0; g < cli_nglobal_opts; g++)
                sorted &= strcmp(cli_global_opts[g].name, v->opts[k].name) != 0;
        }
    }
    ok(good && cli_nverbs > 20, "every verb has help and a function");
    ok(sorted, "no verb takes an option of every verb for itself");
}

static void csv(const char *line, int want, const char *second, const char *what)
{
    char copy[128];
    struct span fields[CSV_FIELDS];
    struct fault f = { 0 };
    int n = 0;
    snprintf(copy, sizeof copy, "%s", line);
    enum err e = csv_split(copy, fields, CSV_FIELDS, &n, &f);
    ok(want < 0 ? e == CE_BAD_INPUT && f.text[0] : e == CE_OK && n == want && span_eq_str(fields[1], second), "CSV: %s", what);
}

static void test_csv(void)
{
    csv("a,b,c,d,e", 5, "b", "five fields");
    csv("a,", 2, "", "an empty last field");
    csv("a, b ,c", 3, "b", "blanks around a field");
    csv("a,\"b,c\",d", 3, "b,c", "a comma in quotes");
    csv("a,\"b\"\"c\"", 2, "b\"c", "a quote in quotes");
    csv("a,\"\",c", 3, "", "an empty quoted field");
    csv("a,b,c,d,e,f", -1, "", "too many fields");
    csv("a,\"b", -1, "", "a quote that is not closed");
    csv("a,\"b\"c", -1, "", "text after a quote");
}

static enum err judge(int status, const char *type, const char *body, struct net_reply *r, struct fault *f)
{
    *r = (struct net_reply){ .status = status };
    *f = (struct fault){ 0 };
    char line[128];
    net_reply_header(r, SPAN_LIT("HTTP/1.1 200 OK\r\n"));
    snprintf(line, sizeof line, "Content-Type: %s; charset=utf-8\r\n", type);
    net_reply_header(r, span_str(line));
    buf_put_str(&r->body, body);
    return net_judge(r, f);
}

static void test_reply(void)
{
    CLEANUP(net_reply_free) struct net_reply r;
    struct fault f;
    ok(judge(200, "application/json", "{}", &r, &f) == CE_OK && strcmp(r.type, "application/json") == 0, "200");
    net_reply_header(&r, SPAN_LIT("ETag: W/\"17\"\r\n"));
    net_reply_header(&r, SPAN_LIT("retry-after: 30\r\n"));
    net_reply_header(&r, SPAN_LIT("Location: /x\r\n"));
    net_reply_header(&r, SPAN_LIT("nonsense without a colon\r\n"));
    ok(strcmp(r.etag, "17") == 0 && r.retry_s == 30, "headers");
    net_reply_header(&r, SPAN_LIT("HTTP/2 503\r\n"));
    ok(!r.etag[0] && !r.retry_s, "a second status line starts anew");
    net_reply_free(&r);
    ok(judge(404, "application/problem+json", "{\"reason\":\"uid-unknown\",\"detail\":\"no device 'a'\"}", &r, &f) == CE_UID_UNKNOWN && strcmp(f.text, "no device 'a'") == 0, "a problem");
    net_reply_free(&r);
    ok(judge(403, "text/html", "<html>", &r, &f) == CE_ROLE_FORBIDDEN && strstr(f.text, "403"), "a status without a reason: %s", f.text);
    net_reply_free(&r);
    ok(judge(502, "application/problem+json", "{\"reason\":\"no such thing\"}", &r, &f) == CE_ROLE_GONE, "a reason that we do not know");
    net_reply_free(&r);
    ok(judge(409, "application/problem+json", "{\"reason\":\"ok\"}", &r, &f) == CE_EXISTS, "a refusal cannot call itself ok");
    net_reply_free(&r);
    ok(judge(418, "application/json", "[1,2", &r, &f) == CE_INTERNAL, "nonsense");
    net_reply_free(&r);
    ok(judge(403, "text/plain", "device-revoked: the device d1 is revoked", &r, &f) == CE_ROLE_FORBIDDEN && strstr(f.text, "d1"), "an EST refusal");
}

int main(void)
{
    test_command_line();
    test_verbs();
    test_csv();
    test_reply();
    return done();
}
