/* status.c: `cradle status` for a tired person: what is wrong comes first, then what is there. And `cradle metrics`. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "crypt/cert.h"
#include "crypt/crl.h"

#define SOON_S (30 * 86400)
#define FINDINGS_MAX 64

struct status {
    struct cli *c;
    json_t *o;                 /* the service's own words; owned */
    int64_t now_ms;
    struct { bool alarm; char text[260]; } found[FINDINGS_MAX];
    int nfound, nalarms;
};

static void find(struct status *s, bool alarm, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void find(struct status *s, bool alarm, const char *fmt, ...)
{
    va_list ap;
    if (s->nfound == FINDINGS_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(s->found[s->nfound].text, sizeof s->found[0].text, fmt, ap);
    va_end(ap);
    s->found[s->nfound++].alarm = alarm;
    s->nalarms += alarm;
}

/* of status_judge */
static void on_found(void *arg, bool alarm, const char *key, const char *text)
{
    (void)key;
    find(arg, alarm, "%s", text);
}

/* -- what may be wrong ------------------------------------------------------------------------------------------------------ */
static void check_end(struct status *s, const char *what, int64_t end_s, const char *then)
{
    int64_t left = end_s - s->now_ms / 1000;
    char t[32];
    if (left < 0)
        find(s, true, "%s ended %s ago; %s", what, cli_ms_text(-left * 1000, t, sizeof t), then);
    else if (left < SOON_S)
        find(s, false, "%s ends in %s; %s", what, cli_ms_text(left * 1000, t, sizeof t), then);
}

/* The site's own certificates, where its folder is at hand and may be read. */
static void check_certificates(struct status *s)
{
    static const struct { const char *file, *then; } rows[] = {
        { "ca/root.pem", "the site must be founded anew before that" },
        { "ca/device.pem", "a new issuing CA is needed" },
        { "ca/infra.pem", "a new issuing CA is needed" },
        { "ca/device-ocsp.pem", "run cradle site renew" },
        { "ca/infra-ocsp.pem", "run cradle site renew" },
        { "ca/cmp.pem", "run cradle site renew" },
        { "tls/server.pem", "run cradle site renew" },
    };
    char path[PATH_MAX_LEN];
    for (size_t i = 0; s->c->site[0] && i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
        struct cert cert;
        path_join(path, "%s/%s", s->c->site, rows[i].file);
        if (cert_load(path, &der, &cert, NULL) == CE_OK)
            check_end(s, rows[i].file, cert.not_after, rows[i].then);
    }
    CLEANUP(buf_free) struct buf list = BUF_INIT(1u << 20);
    struct crl crl;
    path_join(path, "%s/pub/crl/root/0.crl", s->c->site);
    if (s->c->site[0] && file_read(path, &list) == CE_OK && crl_parse(buf_span(&list), &crl, NULL) == CE_OK)
        check_end(s, "the root's CRL", crl.next_update, "make a new one: cradle root crl");
}

/* The newest good certificate of each operator, station, auditor, edge and backend. */
static void check_holder(struct status *s, const char *name)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    char path[160], what[96];
    size_t i;
    json_t *cert;
    int64_t end_ms = 0, at_ms;
    snprintf(path, sizeof path, "/api/v1/certs?device=%.64s&state=good&limit=10", name);
    if (cli_call(s->c, "GET", path, (struct span){ 0 }, &r, NULL) || cli_json(&r, &o, NULL))
        return;
    json_array_foreach(json_object_get(o, "items"), i, cert) {
        bool device = strcmp(json_path_str(cert, "holder_kind", ""), "device") == 0;
        if (!device && clock_parse_ms(span_str(json_path_str(cert, "not_after", "")), &at_ms) == CE_OK && at_ms > end_ms)
            end_ms = at_ms;
    }
    snprintf(what, sizeof what, "the certificate of %.64s", name);
    if (end_ms)
        check_end(s, what, end_ms / 1000, "renew it there: cradle operator renew");
}

static void check_holders(struct status *s)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    size_t i;
    json_t *op;
    if (cli_call(s->c, "GET", "/api/v1/operators?limit=200", (struct span){ 0 }, &r, NULL) || cli_json(&r, &o, NULL))
        return;
    json_array_foreach(json_object_get(o, "items"), i, op)
        if (strcmp(json_path_str(op, "state", ""), "active") == 0)
            check_holder(s, json_path_str(op, "name", ""));
}

/* -- the page --------------------------------------------------------------------------------------------------------------- */
static void print_devices(const struct status *s)
{
    const char *state;
    json_t *v;
    int64_t all = 0;
    bool any = false;
    json_object_foreach(json_object_get(s->o, "devices"), state, v)
        all += (int64_t)json_integer_value(v);
    printf("Devices    %lld", (long long)all);
    json_object_foreach(json_object_get(s->o, "devices"), state, v) {
        if (!json_integer_value(v))
            continue;
        enum cli_tint t = tint_state(state);
        printf("%s %lld %s%s%s", any ? "," : ":", (long long)json_integer_value(v), t ? cli_tint(s->c, t) : "", state, t ? cli_tint(s->c, TINT_NONE) : "");
        any = true;
    }
    putchar('\n');
}

/* What the brokers of an edge have counted. */
static void print_broker(const json_t *edge)
{
    const json_t *b = json_object_get(edge, "broker");
    const char *name;
    json_t *v;
    int64_t refused = 0;
    json_object_foreach((json_t *)b, name, v)
        refused += strncmp(name, "refused.", 8) == 0 ? (int64_t)json_integer_value(v) : 0;
    if (json_path_int(b, "connects", 0) || refused)
        printf("%-10s %lld connected; since the beginning %lld logins, %lld refused, %lld cut\n", "", (long long)json_path_int(b, "online", 0),
               (long long)json_path_int(b, "connects", 0), (long long)refused, (long long)json_path_int(b, "cuts", 0));
}

static void print_edges(const struct status *s)
{
    size_t i;
    json_t *e;
    char a[32], b[32];
    json_array_foreach(json_object_get(s->o, "edges"), i, e) {
        int64_t seen = cli_ago_ms(e, "seen_at", s->now_ms), acked = cli_ago_ms(e, "acked_at", s->now_ms);
        bool stale = json_is_true(json_object_get(e, "stale"));
        printf("%-10s %s: %s%s%s, heard of %s ago, last acknowledged a change %s ago\n", i ? "" : "Edges", json_path_str(e, "name", "?"),
               cli_tint(s->c, stale ? TINT_BAD : TINT_GOOD), stale ? "stale" : "fresh", cli_tint(s->c, TINT_NONE),
               seen < 0 ? "never" : cli_ms_text(seen, a, sizeof a), acked < 0 ? "never" : cli_ms_text(acked, b, sizeof b));
        print_broker(e);
    }
    if (!json_array_size(json_object_get(s->o, "edges")))
        puts("Edges      none has reported yet");
}

static void print_refusals(const struct status *s)
{
    const char *reason;
    json_t *v;
    const char *sep = "Refused    ";
    json_object_foreach(json_object_get(s->o, "refused"), reason, v) {
        printf("%s%s %lld", sep, reason, (long long)json_integer_value(v));
        sep = ", ";
    }
    puts(sep[0] == ',' ? " (since the start)" : "Refused    nothing since the start");
}

static void print_page(const struct status *s)
{
    char t[32];
    const struct cli *c = s->c;
    bool bad = s->nalarms > 0;
    printf("%s%s%s  %s\n", cli_tint(c, bad ? TINT_BAD : TINT_GOOD), bad ? "ALARM" : s->nfound ? "WARNING" : "OK", cli_tint(c, TINT_NONE), c->net_cfg.base);
    for (int pass = 1; pass >= 0; pass--)
        for (int i = 0; i < s->nfound; i++)
            if (s->found[i].alarm == (pass == 1))
                printf("  %s%s%s %s\n", cli_tint(c, pass ? TINT_BAD : TINT_WARN), pass ? "alarm:" : "warning:", cli_tint(c, TINT_NONE), s->found[i].text);
    int64_t waiting = json_path_int(s->o, "counters.queue_depth", 0);
    waiting -= waiting > 0; /* this question itself */
    printf("Service    version %s, up for %s, %lld requests waiting\n", json_path_str(s->o, "version", "?"),
           cli_ms_text(json_path_int(s->o, "uptime_s", 0) * 1000, t, sizeof t), (long long)waiting);
    print_devices(s);
    printf("Issued     device certificates %lld (of these, renewals %lld); revoked or held %lld, since the start\n",
           (long long)json_path_int(s->o, "counters.certs_issued_device_total", 0), (long long)json_path_int(s->o, "counters.certs_renewed_total", 0),
           (long long)json_path_int(s->o, "counters.certs_revoked_total", 0));
    printf("Blocked    certificates %lld, identities %lld, lines %lld in the snapshot that brokers hold; in quarantine %lld\n", (long long)json_path_int(s->o, "counters.stream_certs", 0),
           (long long)json_path_int(s->o, "counters.stream_identities", 0), (long long)json_path_int(s->o, "counters.stream_lines", 0),
           (long long)json_path_int(s->o, "counters.stream_quarantined", 0));
    printf("Evidence   %lld leaves, the published checkpoint covers %lld\n", (long long)json_path_int(s->o, "counters.log_size", 0),
           (long long)json_path_int(s->o, "counters.log_published_size", 0));
    print_edges(s);
    print_refusals(s);
}

static void print_json(const struct status *s)
{
    CLEANUP(json_decref_p) json_t *found = json_array();
    for (int i = 0; i < s->nfound; i++)
        json_array_append_new(found, json_pack("{s:b,s:s}", "alarm", s->found[i].alarm, "text", s->found[i].text));
    json_object_set(s->o, "findings", found);
    cli_print_json(s->o);
}

static const char *first_alarm(const struct status *s)
{
    for (int i = 0; i < s->nfound; i++)
        if (s->found[i].alarm)
            return s->found[i].text;
    return "";
}

static enum err status_run(struct cli *c, struct fault *f)
{
    struct status s = { .c = c, .now_ms = clock_now_ms() };
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    enum err e = cli_call(c, "GET", "/api/v1/status", (struct span){ 0 }, &r, f);
    if (e || (e = cli_json(&r, &o, f)))
        return e;
    s.o = o;
    status_judge(o, s.now_ms, on_found, &s);
    check_certificates(&s);
    check_holders(&s);
    if (c->json)
        print_json(&s);
    else if (!c->quiet)
        print_page(&s);
    if (cli_flag(c, "--check") && s.nalarms)
        return fault_set(f, CE_STALE, "%d alarm%s: %s", s.nalarms, s.nalarms > 1 ? "s" : "", first_alarm(&s));
    return CE_OK;
}
static const struct verb_opt status_opts[] = { { "--check", NULL, "exit code 7 when there is an alarm, for monitoring", false } };
const struct verb verb_status = {
    .name = "status", .args = "", .help = "is everything well? alarms first", .example = "cradle status\ncradle status --check --quiet || mail -s cradle ops < /dev/null",
    VERB_OPTS(status_opts), .run = status_run,
};

static enum err metrics_run(struct cli *c, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = cli_call(c, "GET", "/metrics", (struct span){ 0 }, &r, f);
    if (!e)
        cli_print_text(c, "metrics", &r);
    return e;
}
const struct verb verb_metrics = { .name = "metrics", .args = "", .help = "print the counters for Prometheus", .run = metrics_run };
