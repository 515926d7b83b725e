/* settings.c: cradled.conf's rules, what a change of it means for a running service, and the configuration made for nginx. */
#include "role/settings.h"

#include <string.h>

#include "base/mem.h"
#include "role/nginx.h"
#include "t/tap.h"

static struct fault fault;

static enum err parse(const char *text, struct settings *s)
{
    fault = (struct fault){ 0 };
    return settings_parse("x.conf", span_str(text), s, &fault);
}

static void test_rules(void)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        { "hots = a\n", "x.conf:1: unknown key 'hots'" },
        { "\n# c\nn_front = 99\n", "x.conf:3: n_front" },
        { "https_port = 80\nhttp_port = 80\n", "must differ" },
        { "enroll_port = 8080\n", "must differ" },
        { "tls_min = 1.1\n", "must be 1.2 or 1.3" },
        { "enroll_tls_min = new\n", "must be 1.2 or 1.3" },
        { "tls = apache\n", "tls must be" },
        { "log_level = loud\n", "log_level must be" },
        { "listen = 127.0.0.1; include /etc/shadow\n", "listen must be" },
        { "host = a\"b\n", "host must be" },
        { "host = a b\n", "host must be" },
        { "nginx = nginx\n", "nginx must be an absolute path" },
        { "server_names = $host\n", "server_names must be" },
        { "http_url = ftp://x\n", "http_url must be" },
        { "http_url = http://x/\n", "http_url must be" },
        { "crl_validity = 1d\ncrl_refresh = 2d\n", "crl_refresh must be shorter" },
        { "signer_user = x\n", "signer_user needs user" },
        { "socket_group = x\n", "tls = external only" },
        { "crl_validity = soon\n", "time span" },
        { "org = a\norg = b\n", "a second time" },
    };
    struct settings s;
    ok(parse("", &s) == CE_OK && s.n_shards == 16 && s.crl_validity == 7 * 86400, "an empty file is the defaults");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ok(parse(bad[i].text, &s) == CE_BAD_CONFIG && strstr(fault.text, bad[i].why), "refused: %s", fault.text);
}

static void test_urls(void)
{
    char url[SETTINGS_URL_MAX];
    struct settings s;
    ok(parse("host = a.example\nhttp_port = 80\nhttps_port = 8443\n", &s) == CE_OK, "ports");
    settings_http_url(&s, url);
    ok(strcmp(url, "http://a.example") == 0, "the usual port is left out: %s", url);
    settings_https_url(&s, url);
    ok(strcmp(url, "https://a.example:8443") == 0, "another one is not: %s", url);
    ok(parse("host = ::1\nhttp_url = http://pki.example/x\n", &s) == CE_OK, "an IPv6 host, a base URL");
    settings_https_url(&s, url);
    ok(strcmp(url, "https://[::1]:8443") == 0, "brackets around IPv6: %s", url);
    settings_http_url(&s, url);
    ok(strcmp(url, "http://pki.example/x") == 0, "http_url wins: %s", url);
}

static void test_fixed(void)
{
    struct settings old, fresh;
    ok(parse("", &old) == CE_OK && parse("", &fresh) == CE_OK && !settings_keep_fixed(&fresh, &old), "no change");
    ok(parse("max_requests = 9\n", &fresh) == CE_OK && !settings_keep_fixed(&fresh, &old) && fresh.max_requests == 9,
       "a limit changes in a running service");
    ok(parse("n_front = 3\nuser = daemon\nmax_requests = 9\n", &fresh) == CE_OK && settings_keep_fixed(&fresh, &old) &&
           fresh.n_front == old.n_front && !*fresh.user && fresh.max_requests == 9,
       "the number of fronts and the user change at the next start only");
}

static bool has(struct buf *b, const char *text)
{
    return strstr(buf_cstr(b), text) != NULL;
}

static void test_nginx(void)
{
    static const char *const wanted[] = {
        "ssl_session_tickets off;", "ssl_session_cache off;", "ssl_verify_client optional;", "error_page 495 496 = @front;",
        "proxy_pass_request_headers off;", "proxy_set_header X-Cradle-Client-Cert $ssl_client_escaped_cert;",
        "proxy_set_header X-Cradle-Verify $ssl_client_verify;", "proxy_set_header X-Cradle-Client-Cert \"\";", "server_tokens off;",
        "client_header_timeout 10s;", "proxy_request_buffering off;", "limit_conn conn 7;", "ssl_protocols TLSv1.2 TLSv1.3;",
        "server unix:/srv/site/run/front-0.sock", "server unix:/srv/site/run/front-2.sock", "listen [::1]:8443 ssl http2;",
        "listen 127.0.0.1:8080;", "pki.example 1;", "caller\\'s role",
    };
    struct settings s;
    struct buf out = BUF_INIT(0), newer = BUF_INIT(0);
    ok(parse("listen = 127.0.0.1 [::1]\nn_front = 3\nserver_names = pki.example\nconnections_per_address = 7\n", &s) == CE_OK, "settings");
    nginx_config(&s, "/srv/site", 12201, 1024, &out);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        ok(has(&out, wanted[i]), "nginx: %s", wanted[i]);
    ok(!has(&out, "front-3.sock") && !has(&out, "http2 on;"), "nginx 1.22: three fronts, HTTP/2 by listen");
    nginx_config(&s, "/srv/site", 12603, 1024, &newer);
    ok(has(&newer, "http2 on;") && !has(&newer, "ssl http2;"), "nginx 1.26: HTTP/2 by its directive");
    buf_free(&out);
    buf_free(&newer);
    ok(nginx_version(SPAN_LIT("nginx version: nginx/1.22.1\n")) == 12201 && nginx_version(SPAN_LIT("nginx version: nginx/1.26.3 (Debian)")) == 12603 &&
           nginx_version(SPAN_LIT("apache")) == 0 && nginx_version(SPAN_LIT("")) == 0, "versions");
    ok(nginx_check_site("/srv/a-b_c.d/e", &fault) == CE_OK && nginx_check_site("srv", &fault) && nginx_check_site("/srv/a b", &fault) &&
           nginx_check_site("/srv/a;b", &fault) &&
           nginx_check_site("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &fault),
       "a site's path is plain and short");
}

int main(void)
{
    test_rules();
    test_urls();
    test_fixed();
    test_nginx();
    return done();
}
