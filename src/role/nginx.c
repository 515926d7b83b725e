/* nginx.c: see nginx.h. Facts behind the odd places:
 * - tickets and session cache off: a resumed session is never verified again, so a revoked certificate would get in.
 * - error_page 495 496: with ssl_verify_client optional nginx answers 400 by itself to an expired or foreign certificate; handed
 *   to front, the refusal gets its reason and its evidence.
 * - proxy_pass_request_headers off: only headers named here reach front, so no X-Cradle-* of a client ever does.
 * - log_not_found off: nginx writes the decoded path of a missing file into its log, line breaks and escapes of a stranger with it.
 * - proxy_request_buffering off on small bodies: front's absolute deadline also ends a body that trickles.
 */
#include "role/nginx.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Statuses that nginx makes by itself, as RFC 9457 problems. Their places are paths, not names: a request whose path cannot be
 * parsed has no way to a named location. */
static const struct problem {
    int status, answer;
    enum err code;
    const char *detail;
} problems[] = {
    { 400, 400, CE_BAD_INPUT, "the request is malformed (RFC 9112)" },
    { 403, 403, CE_ROLE_FORBIDDEN, "this address may not ask for that" },
    { 404, 404, CE_NO_ROUTE, "there is nothing at this path" },
    { 405, 405, CE_METHOD, "this path does not take this method" },
    { 408, 408, CE_TIMEOUT, "the request did not arrive in time" },
    { 411, 411, CE_BAD_INPUT, "Content-Length is missing" },
    { 413, 413, CE_TOO_LARGE, "the body is larger than this route accepts" },
    { 414, 414, CE_TOO_LARGE, "the path is too long" },
    { 421, 421, CE_NO_ROUTE, "this server does not answer for that host name" },
    { 429, 429, CE_RATE, "too many requests from this address; try again later" },
    { 494, 431, CE_TOO_LARGE, "the header is too large" },
    { 497, 400, CE_BAD_INPUT, "this port speaks TLS; use https://" },
    { 500, 500, CE_INTERNAL, "internal error" },
    { 502, 503, CE_ROLE_GONE, "a part of the service is restarting; try again" },
    { 503, 503, CE_BUSY, "the service is too busy; try again later" },
    { 504, 503, CE_TIMEOUT, "the answer took longer than allowed" },
    { 526, 404, CE_NOT_FOUND, "the file is not at this site yet: cradle release upload" },
    { 529, 503, CE_BUSY, "too many downloads are running; try again later" },
    { 507, 503, CE_DISK_FULL, "no space is left to store the body; nothing was taken" },
};

/* Inside nginx' single quotes. */
static void put_quoted(struct buf *b, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            buf_put_u8(b, '\\');
        buf_put_u8(b, (uint8_t)*text);
    }
}

static const struct problem *problem_find(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(problems); i++)
        if (problems[i].status == status)
            return &problems[i];
    return NULL;
}

/* as: the problem that `status` is in this place; 0, 0: all as everywhere. */
static void put_error_pages(struct buf *b, int status, int as)
{
    for (size_t i = 0; i < ARRAY_LEN(problems); i++) {
        const struct problem *p = problems[i].status == status ? problem_find(as) : &problems[i];
        buf_printf(b, "    error_page %d =%d /problem/%d;\n", problems[i].status, p->answer, p->status);
    }
}

static void put_problems(struct buf *b)
{
    put_error_pages(b, 0, 0);
    for (size_t i = 0; i < ARRAY_LEN(problems); i++) {
        const struct problem *p = &problems[i];
        const char *reason = err_reason(p->code);
        buf_printf(b,
                   "    location = /problem/%d {\n"
                   "      internal;\n      client_max_body_size 0; # a large body would be judged once more, and end in nginx' own page\n      default_type application/problem+json;\n"
                   "      add_header X-Cradle-Reason %s always;\n%s"
                   "      return %d '{\"type\":\"urn:cradle:problem:%s\",\"title\":\"",
                   p->status, reason, p->status == 529 ? "      add_header Retry-After 30 always;\n" : p->answer == 503 || p->answer == 429 ? "      add_header Retry-After 1 always;\n" : "",
                   p->answer, reason);
        put_quoted(b, err_text(p->code));
        buf_printf(b, "\",\"status\":%d,\"detail\":\"", p->answer);
        put_quoted(b, p->detail);
        buf_printf(b, "\",\"reason\":\"%s\",\"instance\":\"urn:cradle:request:$request_id\"}\n';\n    }\n", reason);
    }
}

static void put_main(struct buf *b, const struct settings *s, const char *site, int64_t files)
{
    int64_t connections = files / 2 < 64 ? 64 : files / 2 > 32768 ? 32768 : files / 2;
    buf_printf(b,
               "# made by cradled from cradled.conf at each start and reload: changes here are lost\n"
               "daemon off;\nworker_processes %d;\npid %s/run/nginx/nginx.pid;\nerror_log stderr warn;\n"
               "worker_shutdown_timeout %ds;\nevents { worker_connections %d; }\n",
               (int)s->nginx_workers, site, (int)(s->drain_time > 2 ? s->drain_time / 2 : 1), (int)connections);
}

static void put_http(struct buf *b, const struct settings *s, const char *site)
{
    static const char *const temps[] = { "client_body", "proxy", "fastcgi", "uwsgi", "scgi" };
    for (size_t i = 0; i < ARRAY_LEN(temps); i++)
        buf_printf(b, "  %s_temp_path %s/run/nginx/%s;\n", temps[i], site, temps[i]);
    buf_put_str(b, "  server_tokens off;\n  access_log off;\n  log_not_found off;\n  sendfile on;\n  tcp_nodelay on;\n  merge_slashes off;\n"
                   "  default_type application/octet-stream;\n"
                   "  client_header_timeout 10s;\n  client_body_timeout 10s;\n  send_timeout 30s;\n  keepalive_timeout 75s;\n"
                   "  lingering_timeout 1s; # an idle client that does not close its side would hold up the end of the service\n"
                   "  keepalive_requests 100000;\n  large_client_header_buffers 4 8k;\n  http2_max_concurrent_streams 64;\n"
                   "  limit_conn_zone $binary_remote_addr zone=conn:10m;  limit_conn_zone $ssl_client_serial$cradle_url zone=device:4m;\n"
                   "  limit_conn_zone all zone=downloads:1m;  map $ssl_client_serial $cradle_url { default \"\"; \"\" $uri; }\n"
                   " \n  limit_conn_status 429;\n  limit_req_status 429;\n");
    buf_printf(b, "  limit_req_zone $binary_remote_addr zone=req:10m rate=%dr/s;\n", (int)s->requests_per_second);
    buf_printf(b, "  limit_conn conn %d;\n  limit_req zone=req burst=%d nodelay;\n", (int)s->connections_per_address,
               (int)s->requests_per_second * 10);
    buf_put_str(b, "  upstream front {\n");
    for (int i = 0; i < s->n_front; i++)
        buf_printf(b, "    server unix:%s/run/front-%d.sock max_fails=0;\n", site, i);
    buf_put_str(b, "    keepalive 128;\n    keepalive_timeout 60s;\n  }\n"
                   "  proxy_http_version 1.1;\n  proxy_pass_request_headers off;\n  proxy_next_upstream error timeout;\n"
                   "  proxy_next_upstream_tries 3;\n  proxy_connect_timeout 2s;\n");
    buf_printf(b, "  proxy_read_timeout %ds;\n  proxy_send_timeout %ds;\n", (int)s->request_deadline + 5, (int)s->request_deadline + 5);
    if (*s->server_names) {
        buf_put_str(b, "  map $host $cradle_host { default 0;");
        struct span rest = span_str(s->server_names), name;
        while (span_cut(&rest, ' ', &name))
            if (name.n)
                buf_printf(b, " " SPAN_FMT " 1;", SPAN_ARG(name));
        buf_put_str(b, " }\n");
    }
}

/* The whole of what front gets to see of a request's header. Set in every server, because a location that sets one of its own
 * would lose them all. */
static void put_headers(struct buf *b, bool tls)
{
    static const char *const passed[] = { "Host $host", "Connection \"\"", "Content-Type $content_type", "Accept $http_accept",
                                          "If-Match $http_if_match", "If-None-Match $http_if_none_match",
                                          "Idempotency-Key $http_idempotency_key", "User-Agent $http_user_agent",
                                          "Cradle-Key-Home $http_cradle_key_home", "X-Request-Id $request_id", "X-Cradle-Addr $remote_addr" };
    for (size_t i = 0; i < ARRAY_LEN(passed); i++)
        buf_printf(b, "    proxy_set_header %s;\n", passed[i]);
    buf_put_str(b, tls ? "    proxy_set_header X-Cradle-Port tls;\n"
                         "    proxy_set_header X-Cradle-Client-Cert $ssl_client_escaped_cert;\n"
                         "    proxy_set_header X-Cradle-Verify $ssl_client_verify;\n"
                         "    proxy_set_header X-Cradle-Serial $ssl_client_serial;\n"
                       : "    proxy_set_header X-Cradle-Port plain;\n"
                         "    proxy_set_header X-Cradle-Client-Cert \"\";\n"
                         "    proxy_set_header X-Cradle-Verify NONE;\n"
                         "    proxy_set_header X-Cradle-Serial \"\";\n");
}

/* Pieces of uploads: nginx spools the body to a file and hands its name over, so that no process of ours copies it through a socket. A
 * location that sets a header of its own needs them all. What nginx itself answers with 500 there is a disk that took no more. */
static void put_uploads(struct buf *b)
{
    buf_put_str(b, "    location ~ ^/api/v1/uploads/[0-9a-f]+$ {\n"
                   "      client_max_body_size 16m; client_body_in_file_only clean; proxy_pass_request_body off;\n");
    put_headers(b, true);
    buf_put_str(b, "      proxy_set_header Content-Length 0;\n      proxy_set_header X-Cradle-Body $request_body_file;\n"
                   "      proxy_pass http://front;\n");
    put_error_pages(b, 500, 507);
    buf_put_str(b, "    }\n");
}

/* Downloads: front says who may have what (X-Accel-Redirect), the bytes come from the folder. The limits count requests of this place, which
 * live until the last byte is sent. The key of a device is its certificate's serial number; without one the URL, whose token is one device's. */
static void put_downloads(struct buf *b, const struct settings *s, const char *site, bool tls)
{
    buf_printf(b, "    location ~ ^/%s/ {\n"
                  "      client_max_body_size 1k; limit_conn conn %d; limit_conn device %d; limit_conn downloads %d; limit_conn_status 529;\n",
               tls ? "(update/v1/(artifact|blocks|delta)|get|[0-9A-Za-z._-]+/controller/v1/[^/]+/artifact)" : "get", (int)s->connections_per_address, (int)s->downloads_per_device, (int)s->download_max);
    put_headers(b, tls);
    if (s->download_total)
        buf_put_str(b, "      proxy_set_header X-Cradle-Active $connections_writing;\n");
    buf_put_str(b, "      proxy_pass http://front;\n    }\n"
                   "    location ~ ^/inside/artifact/(?<artifact_file>(?<artifact_digest>[0-9a-f]+)(\\.blocks)?)$ {\n");
    buf_printf(b, "      internal; alias %s/artifact/$artifact_file; etag off; add_header ETag '\"$artifact_digest\"'; max_ranges 16;\n"
                  "      default_type application/octet-stream;\n", site);
    put_error_pages(b, 404, 526);
    buf_printf(b, "    }\n    location ~ ^/inside/artifact/(?<sealed_file>[0-9a-f]+\\.enc)$ {\n" /* the same file sealed anew has other bytes: nginx' own ETag */
                  "      internal; alias %s/artifact/$sealed_file; default_type application/octet-stream;\n", site);
    put_error_pages(b, 404, 526);
    if (tls)
        buf_printf(b, "    }\n    location ~ ^/inside/delta/(?<delta_file>[0-9a-f]+-[0-9a-f]+)$ {\n"
                      "      internal; alias %s/delta/$delta_file; default_type application/octet-stream;\n", site);
    buf_put_str(b, "    }\n");
}

static void put_listen(struct buf *b, const struct settings *s, int64_t port, const char *options)
{
    struct span rest = span_str(s->listen), addr;
    while (span_cut(&rest, ' ', &addr))
        if (addr.n)
            buf_printf(b, "    listen " SPAN_FMT ":%d%s;\n", SPAN_ARG(addr), (int)port, options);
    if (*s->server_names)
        buf_put_str(b, "    if ($cradle_host = 0) { return 421; }\n");
}

/* The beginning of a server that speaks TLS, with EST. tls_min is of this listener alone: nginx knows protocols by address and port. */
static void put_tls_begin(struct buf *b, const struct settings *s, const char *site, unsigned version, int64_t port, const char *tls_min)
{
    bool directive = version >= 12501; /* "http2 on" since 1.25.1; "listen … http2" warns there */
    buf_put_str(b, "  server {\n");
    put_listen(b, s, port, directive ? " ssl" : " ssl http2");
    if (directive)
        buf_put_str(b, "    http2 on;\n");
    buf_printf(b,
               "    ssl_certificate %s/tls/server.pem;\n    ssl_certificate_key %s/tls/server.key;\n"
               "    ssl_client_certificate %s/ca/bundle.pem;\n    ssl_verify_client optional;\n    ssl_verify_depth 2;\n"
               "    ssl_protocols %sTLSv1.3;\n    ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;\n"
               "    ssl_session_tickets off;\n    ssl_session_cache off;\n",
               site, site, site, strcmp(tls_min, "1.3") == 0 ? "" : "TLSv1.2 ");
    put_headers(b, true);
    put_problems(b);
    /* ^~: no regular expression is tried after it */
    buf_put_str(b, "    error_page 495 496 = @front;\n"
                   "    location @front { client_max_body_size 16k; proxy_request_buffering off; proxy_pass http://front; }\n"
                   "    location ^~ /.well-known/est/ { client_max_body_size 16k; proxy_request_buffering off; proxy_pass http://front; }\n"
                   "    location ^~ /.well-known/cmp { client_max_body_size 32k; proxy_request_buffering off; proxy_pass http://front; }\n");
}

/* For clients that speak an older TLS than the rest of the site: enrollment and nothing else. */
static void put_enroll_server(struct buf *b, const struct settings *s, const char *site, unsigned version)
{
    if (!s->enroll_port)
        return;
    put_tls_begin(b, s, site, version, s->enroll_port, s->enroll_tls_min);
    buf_put_str(b, "    location / { return 404; }\n  }\n");
}

static void put_tls_server(struct buf *b, const struct settings *s, const char *site, unsigned version)
{
    put_tls_begin(b, s, site, version, s->https_port, s->tls_min);
    buf_put_str(b, "    location /api/v1/ { client_max_body_size 16k; proxy_request_buffering off; proxy_pass http://front; }\n"
                   "    location /api/v1/tuf { client_max_body_size 1m; client_body_buffer_size 64k; proxy_pass http://front; }\n"
                   "    location /tuf/ { client_max_body_size 1k; proxy_pass http://front; }\n"
                   "    location /update/v1/ { client_max_body_size 16k; proxy_pass http://front; }\n"
                   "    location /attest/v1/ { client_max_body_size 16k; proxy_pass http://front; }\n"
                   "    location = /edge/v1/report { client_max_body_size 1m; client_body_buffer_size 64k; proxy_pass http://front; }\n"
                   "    location = /edge/v1/stream {\n      client_max_body_size 1k; proxy_buffering off; proxy_read_timeout 1h;\n"
                   "      send_timeout 60s; proxy_pass http://front;\n    }\n"
                   "    location ~ ^/api/v1/rollouts/[^/]+/stream$ {\n      client_max_body_size 1k; proxy_buffering off; proxy_read_timeout 1h;\n"
                   "      send_timeout 60s; proxy_pass http://front;\n    }\n"
                   "    location = /healthz { client_max_body_size 1k; proxy_pass http://front; }\n"
                   "    location = /metrics { client_max_body_size 1k; proxy_pass http://front; }\n");
    put_uploads(b);
    put_downloads(b, s, site, true);
    buf_put_str(b, "    location ~ ^/[0-9A-Za-z._-]+/controller/v1/ { client_max_body_size 64k; client_body_buffer_size 64k; proxy_pass http://front; }\n");
    buf_printf(b,
               "    location = /log/checkpoint { alias %s/log/checkpoint; default_type text/plain; add_header Cache-Control no-store; }\n"
               "    location /log/tile/ { alias %s/log/tile/; add_header Cache-Control \"public, max-age=31536000, immutable\"; }\n"
               "    location / { return 404; }\n  }\n",
               site, site);
}

static void put_plain_server(struct buf *b, const struct settings *s, const char *site)
{
    static const char local[] = "allow 127.0.0.1; allow ::1; deny all; client_max_body_size 1k; proxy_pass http://front;";
    buf_put_str(b, "  server {\n");
    put_listen(b, s, s->http_port, "");
    put_headers(b, false);
    put_problems(b);
    buf_printf(b,
               "    location /crl/ { alias %s/pub/crl/; types { application/pkix-crl crl; } }\n"
               "    location /ca/ { alias %s/pub/ca/; types { application/pkix-cert cer; } }\n"
               "    location /tuf/ { client_max_body_size 1k; proxy_pass http://front; }\n"
               "    location ^~ /.well-known/cmp { client_max_body_size 32k; proxy_request_buffering off; proxy_pass http://front; }\n"
               "    location = /ocsp { client_max_body_size 8k; proxy_request_buffering off; proxy_pass http://front; }\n"
               "    location /ocsp/ { client_max_body_size 1k; proxy_pass http://front; }\n",
               site, site);
    put_downloads(b, s, site, false);
    if (s->local_metrics)
        buf_printf(b, "    location = /healthz { %s }\n    location = /metrics { %s }\n", local, local);
    buf_put_str(b, "    location / { return 404; }\n  }\n");
}

void nginx_config(const struct settings *s, const char *site, unsigned version, int64_t files, struct buf *out)
{
    put_main(out, s, site, files);
    buf_put_str(out, "http {\n");
    put_http(out, s, site);
    put_tls_server(out, s, site, version);
    put_enroll_server(out, s, site, version);
    put_plain_server(out, s, site);
    buf_put_str(out, "}\n");
}

enum err nginx_check_site(const char *site, struct fault *f)
{
    if (site[0] != '/' || strlen(site) > 80)
        return fault_set(f, CE_BAD_CONFIG, "the site's path must be absolute and at most 80 bytes long (Unix sockets lie in it): %s", site);
    for (const char *p = site; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("/._-+@~", *p))
            return fault_set(f, CE_BAD_CONFIG, "the site's path may have letters, digits and / . _ - + @ ~ only: %s", site);
    return CE_OK;
}

unsigned nginx_version(struct span text)
{
    char t[128];
    unsigned a = 0, b = 0, c = 0;
    struct span head = span_of(text.p, text.n < sizeof t - 1 ? text.n : sizeof t - 1);
    if (span_to_cstr(head, t, sizeof t))
        return 0;
    const char *at = strstr(t, "nginx/");
    if (!at || sscanf(at, "nginx/%u.%u.%u", &a, &b, &c) != 3 || a > 99 || b > 99 || c > 99)
        return 0;
    return a * 10000 + b * 100 + c;
}
