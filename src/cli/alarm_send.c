/* alarm_send.c: one attempt to bring an alarm out: posts it, hands it to sendmail, or runs a command. Blocking, bounded by the channel's
 * timeout; what is tried again, and when, is decided by the caller. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/cli.h"
#include "crypt/hash.h"
#include "wire/msg.h"

#define ANSWER_MAX 65536
#define FILE_MAX 8192
#define SECRET_BYTES_MIN 24
#define SECRET_BYTES_MAX 64
#define WORDS_MAX 32

/* -- webhook ---------------------------------------------------------------------------------------------------------------------- */
enum err alarm_url_cut(const char *url, char *base, size_t cap, const char **path, struct fault *f)
{
    bool https = strncmp(url, "https://", 8) == 0, http = strncmp(url, "http://", 7) == 0;
    const char *host = url + (https ? 8 : 7);
    if (!https && !http)
        return fault_set(f, CE_BAD_CONFIG, "url must begin with https:// (or http:// to this host)");
    size_t n = strcspn(host, "/?#");
    for (const char *p = url; *p; p++)
        if (*p <= 0x20 || *p == 0x7f || *p == '#' || *p == '\\')
            return fault_set(f, CE_BAD_CONFIG, "url must not hold spaces, control characters, # or \\");
    if (!n || memchr(host, '@', n))
        return fault_set(f, CE_BAD_CONFIG, "url must name a host, and no user: credentials belong into the file of header");
    if (http && !net_url_is_loopback(url))
        return fault_set(f, CE_BAD_CONFIG, "url: http:// is for this host only (localhost, 127.0.0.1, [::1]); use https://");
    if (host[n] == '?')
        return fault_set(f, CE_BAD_CONFIG, "url must have a / before its ?");
    if (span_to_cstr(span_of(url, (size_t)(host - url) + n), base, cap))
        return fault_set(f, CE_BAD_CONFIG, "url is too long");
    *path = host[n] ? host + n : "/";
    return CE_OK;
}

/* A file that nobody else may read: its first line. */
static enum err private_line(const char *path, const char *what, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(FILE_MAX);
    struct fault why;
    if (file_read_private(path, &text, &why))
        return fault_set(f, CE_BAD_CONFIG, "%s: %s", what, why.text);
    struct span rest = buf_span(&text), line = { 0 };
    span_cut(&rest, '\n', &line);
    buf_put_span(out, span_trim(line));
    return CE_OK;
}

enum err alarm_secret_read(const char *path, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(FILE_MAX);
    enum err e = private_line(path, "secret", &text, f);
    struct span b64 = buf_span(&text);
    if (e)
        return e;
    if (span_starts(b64, "whsec_"))
        b64 = span_of(b64.p + 6, b64.n - 6);
    if (base64_decode(b64, out) || out->len < SECRET_BYTES_MIN || out->len > SECRET_BYTES_MAX)
        return fault_set(f, CE_BAD_CONFIG, "secret: %s does not hold the base64 of %d to %d bytes; make one: openssl rand -base64 32", path,
                         SECRET_BYTES_MIN, SECRET_BYTES_MAX);
    return CE_OK;
}

/* One header line: a name, a colon, visible text. It must not be one that is ours. */
static enum err header_read(const char *path, struct buf *out, struct fault *f)
{
    enum err e = private_line(path, "header", out, f);
    struct span rest = buf_span(out), name = { 0 };
    bool good = !e && span_is_utf8(rest) && memchr(rest.p, ':', rest.n) && span_cut(&rest, ':', &name) && name.n;
    for (size_t i = 0; i < name.n; i++)
        good = good && ((name.p[i] >= '0' && name.p[i] <= '9') || name.p[i] == '-' || ((name.p[i] | 32) >= 'a' && (name.p[i] | 32) <= 'z'));
    return e || good ? e : fault_set(f, CE_BAD_CONFIG, "header: %s does not hold a line such as Authorization: Bearer …", path);
}

void alarm_sign(struct span secret, const char *id, int64_t at_s, const char *body, struct buf *out)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    uint8_t mac[SHA256_LEN];
    buf_printf(&text, "%s.%lld.", id, (long long)at_s);
    buf_put_str(&text, body);
    hmac_sha256(secret, buf_span(&text), mac);
    buf_put_str(out, "v1,");
    buf_put_base64(out, span_of(mac, sizeof mac), 0);
}

enum alarm_outcome alarm_hook_outcome(int status)
{
    if (status >= 200 && status < 300)
        return ALARM_TAKEN;
    bool again = status < 300 || status >= 500 || status == 408 || status == 425 || status == 429;
    return again ? ALARM_AGAIN : ALARM_REFUSED;
}

static enum err hook_open(const struct alarm_channel *ch, struct net **net, const char **path, struct fault *f)
{
    struct net_config nc = { .total_ms = ch->cfg.timeout * 1000, .connect_ms = ch->cfg.timeout * 1000, .max_body = ANSWER_MAX, .peer = "the receiver" };
    enum err e = alarm_url_cut(ch->cfg.url, nc.base, sizeof nc.base, path, f);
    if (strncmp(nc.base, "https", 5) == 0)
        path_join(nc.ca, "%s", ch->cfg.ca);
    path_join(nc.cert, "%s", ch->cfg.cert);
    path_join(nc.key, "%s", ch->cfg.key);
    return e ? e : net_open(&nc, net, f);
}

static enum err hook_headers(const struct alarm_channel *ch, const char *id, const char *body, char line[5][1024], const char **headers,
                             struct fault *f)
{
    CLEANUP(buf_free) struct buf secret = BUF_INIT(FILE_MAX);
    CLEANUP(buf_free) struct buf text = BUF_INIT(FILE_MAX);
    int64_t now_s = clock_now_s();
    int n = 0;
    enum err e;
    headers[n++] = "Content-Type: application/json";
    snprintf(line[0], sizeof line[0], "Idempotency-Key: %s", id);
    snprintf(line[1], sizeof line[1], "webhook-id: %s", id);
    snprintf(line[2], sizeof line[2], "webhook-timestamp: %lld", (long long)now_s);
    for (int i = 0; i < 3; i++)
        headers[n++] = line[i];
    if (ch->cfg.secret[0]) {
        if ((e = alarm_secret_read(ch->cfg.secret, &secret, f)))
            return e;
        alarm_sign(buf_span(&secret), id, now_s, body, &text);
        snprintf(line[3], sizeof line[3], "webhook-signature: %s", buf_cstr(&text));
        headers[n++] = line[3];
    }
    if (ch->cfg.header[0]) {
        buf_reset(&text);
        if ((e = header_read(ch->cfg.header, &text, f)) || (e = span_to_cstr(buf_span(&text), line[4], sizeof line[4])))
            return e;
        headers[n++] = line[4];
    }
    headers[n] = NULL;
    return CE_OK;
}

static void hook_send(const struct alarm_channel *ch, const char *id, const char *body, struct alarm_result *out)
{
    CLEANUP(net_close_p) struct net *net = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    struct fault f = { 0 };
    char line[5][1024];
    const char *headers[8], *path;
    enum err e = hook_headers(ch, id, body, line, headers, &f);
    if (!e)
        e = hook_open(ch, &net, &path, &f);
    if (!e)
        e = net_request(net, "POST", path, headers, span_str(body), &r, &f);
    mem_zero(line, sizeof line);
    out->outcome = alarm_hook_outcome(r.status);
    out->wait_s = r.retry_s;
    if (out->outcome != ALARM_TAKEN && r.status)
        snprintf(out->text, sizeof out->text, "HTTP status %d: %.200s", r.status, f.text);
    else if (out->outcome != ALARM_TAKEN)
        snprintf(out->text, sizeof out->text, "%s", f.text[0] ? f.text : err_text(e));
}

/* -- programs --------------------------------------------------------------------------------------------------------------------- */
enum alarm_outcome alarm_exit_outcome(enum alarm_type type, int code)
{
    if (code == 0)
        return ALARM_TAKEN;
    if (code < 0 || code >= 126 || code == EX_TEMPFAIL)
        return ALARM_AGAIN;
    bool host = code == EX_UNAVAILABLE || (code >= EX_SOFTWARE && code <= EX_IOERR); /* this host's trouble, not the message's */
    return type == ALARM_MAIL && (host || code < EX_USAGE) ? ALARM_AGAIN : ALARM_REFUSED;
}

static void program_outcome(enum alarm_type type, int code, const char *said, struct alarm_result *out)
{
    out->outcome = alarm_exit_outcome(type, code);
    if (out->outcome != ALARM_TAKEN && code >= 0)
        snprintf(out->text, sizeof out->text, "exit code %d%s%.200s", code, *said ? ": " : "", said);
    else if (out->outcome != ALARM_TAKEN)
        snprintf(out->text, sizeof out->text, "%.250s", said);
}

static void mail_send(const struct alarm_channel *ch, const json_t *alarm, struct alarm_result *out)
{
    CLEANUP(buf_free) struct buf mail = BUF_INIT(0);
    char said[256], path[CONFIG_STR_MAX], from[CONFIG_STR_MAX];
    snprintf(path, sizeof path, "%s", ch->cfg.sendmail);
    snprintf(from, sizeof from, "%s", ch->cfg.from);
    char *const argv[] = { path, (char[]){ "-t" }, (char[]){ "-i" }, (char[]){ "-f" }, from, NULL };
    char *const env[] = { (char[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" }, (char[]){ "LC_ALL=C" }, NULL };
    if (alarm_mail(ch, alarm, &mail)) {
        *out = (struct alarm_result){ .outcome = ALARM_REFUSED, .text = "the message is too large" };
        return;
    }
    program_outcome(ALARM_MAIL, alarm_exec(argv, env, buf_span(&mail), ch->cfg.timeout * 1000, said, sizeof said), said, out);
}

static void command_send(const struct alarm_conf *c, const struct alarm_channel *ch, const json_t *alarm, const char *body,
                         struct alarm_result *out)
{
    char words[CONFIG_STR_MAX], said[256], env_text[4][320], *argv[WORDS_MAX + 1], *save = NULL;
    static const char *const names[] = { "id", "rule", "severity" };
    int n = 0;
    snprintf(words, sizeof words, "%s", ch->cfg.command);
    for (char *w = strtok_r(words, " ", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " ", &save))
        argv[n++] = w;
    argv[n] = NULL;
    snprintf(env_text[0], sizeof env_text[0], "CRADLE_ALARM_SITE=%s", c->head.name);
    for (int i = 0; i < 3; i++)
        snprintf(env_text[i + 1], sizeof env_text[0], "CRADLE_ALARM_%s=%.250s", (const char *[]){ "ID", "RULE", "SEVERITY" }[i],
                 json_path_str(alarm, names[i], ""));
    char *const env[] = { (char[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" }, (char[]){ "LC_ALL=C" }, env_text[0], env_text[1], env_text[2],
                          env_text[3], NULL };
    program_outcome(ALARM_COMMAND, alarm_exec(argv, env, span_str(body), ch->cfg.timeout * 1000, said, sizeof said), said, out);
}

void alarm_send(const struct alarm_conf *c, const struct alarm_channel *ch, const char *body, struct alarm_result *out)
{
    CLEANUP(json_decref_p) json_t *alarm = NULL;
    *out = (struct alarm_result){ .outcome = ALARM_REFUSED };
    if (json_parse(span_str(body), &alarm, NULL)) {
        snprintf(out->text, sizeof out->text, "the alarm in the journal is not JSON");
        return;
    }
    if (ch->type == ALARM_WEBHOOK)
        hook_send(ch, json_path_str(alarm, "id", ""), body, out);
    else if (ch->type == ALARM_MAIL)
        mail_send(ch, alarm, out);
    else
        command_send(c, ch, alarm, body, out);
}

/* -- before the first alarm --------------------------------------------------------------------------------------------------------- */
static enum err program_check(const char *what, const char *command, struct fault *f)
{
    char path[CONFIG_STR_MAX];
    snprintf(path, sizeof path, "%.*s", (int)strcspn(command, " "), command);
    return access(path, X_OK) == 0 ? CE_OK : fault_set(f, CE_BAD_CONFIG, "%s: %s cannot be run: %s", what, path, strerror(errno));
}

enum err alarm_channel_check(const struct alarm_channel *ch, struct fault *f)
{
    CLEANUP(net_close_p) struct net *net = NULL;
    char line[5][1024];
    const char *headers[8], *path;
    struct fault inner = { 0 };
    enum err e;
    if (ch->type == ALARM_MAIL)
        e = program_check("sendmail", ch->cfg.sendmail, &inner);
    else if (ch->type == ALARM_COMMAND)
        e = program_check("command", ch->cfg.command, &inner);
    else if (!(e = hook_headers(ch, "", "", line, headers, &inner)))
        e = hook_open(ch, &net, &path, &inner);
    return e ? fault_set(f, CE_BAD_CONFIG, "[channel %s]: %s", ch->name, inner.text) : CE_OK;
}
