/* status_judge.c: what is wrong by the service's own status, for `cradle status` and for alarms. Pure. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"

const char *cli_ms_text(int64_t ms, char *out, size_t cap)
{
    int64_t s = ms < 0 ? 0 : ms / 1000;
    if (s < 120)
        snprintf(out, cap, "%lld s", (long long)s);
    else if (s < 7200)
        snprintf(out, cap, "%lld min", (long long)(s / 60));
    else if (s < 2 * 86400)
        snprintf(out, cap, "%lld h", (long long)(s / 3600));
    else
        snprintf(out, cap, "%lld days", (long long)(s / 86400));
    return out;
}

int64_t cli_ago_ms(const json_t *o, const char *key, int64_t now_ms)
{
    int64_t at;
    return clock_parse_ms(span_str(json_path_str(o, key, "")), &at) == CE_OK ? now_ms - at : -1;
}

static void judge_counters(const json_t *o, status_found *found, void *arg)
{
    static const struct { const char *key; int64_t above; bool alarm; const char *text; } rows[] = {
        { "clock_behind_ms", 0, true, "the clock is behind the last event by %lld ms: nothing is issued; set the clock" },
        { "batches_failed_total", 0, true, "the database did not take %lld batches since the start; look at cradled's log" },
        { "signer_failures_total", 0, false, "the signer failed %lld requests since the start; look at cradled's log" },
        { "queue_depth", 1000, false, "%lld requests wait for the core" },
        { "idevids_by_device_ca_total", 0, false, "%lld IDevIDs since the start were issued by a CA for devices, which ends long before them: cradle ca create NAME --use idevid" },
        { "idevid_stale_crl_total", 0, false, "%lld IDevIDs since the start were judged by a revocation list of their maker that is not good any more: cradle anchor crl" },
        { "cert_orphans_total", 0, false, "%lld certificates were never finished and are closed (a crash while signing)" },
    };
    const json_t *counters = json_object_get(o, "counters");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t v = json_path_int(counters, rows[i].key, 0);
        char text[200];
        if (v <= rows[i].above)
            continue;
        const char *at = strstr(rows[i].text, "%lld");
        snprintf(text, sizeof text, "%.*s%lld%s", (int)(at - rows[i].text), rows[i].text, (long long)v, at + 4);
        found(arg, rows[i].alarm, rows[i].key, text);
    }
    int64_t behind = json_path_int(counters, "log_size", 0) - json_path_int(counters, "log_published_size", 0);
    char text[200];
    snprintf(text, sizeof text, "the published checkpoint is %lld leaves behind", (long long)behind);
    if (behind > 100000)
        found(arg, false, "log_behind", text);
}

static void judge_tokens(const json_t *o, int64_t now_ms, status_found *found, void *arg)
{
    const json_t *t;
    size_t i;
    json_array_foreach(json_object_get(o, "tokens"), i, t) {
        char ago[32], text[600], key[48];
        if (!json_is_true(json_object_get(t, "lost")))
            continue;
        if (json_is_true(json_object_get(t, "one_key"))) {
            snprintf(text, sizeof text, "the key %.64s in the token %s (HSM) has not been usable for %s: %s", json_path_str(t, "keys", "?"), json_path_str(t, "token", "?"),
                     cli_ms_text(cli_ago_ms(t, "since", now_ms), ago, sizeof ago), json_path_str(t, "why", ""));
            snprintf(key, sizeof key, "key-%.40s", json_path_str(t, "keys", "?"));
            found(arg, true, key, text);
            continue;
        }
        snprintf(text, sizeof text, "the token %s (HSM) has not answered for %s: %s; its keys: %.200s", json_path_str(t, "token", "?"),
                 cli_ms_text(cli_ago_ms(t, "since", now_ms), ago, sizeof ago), json_path_str(t, "why", ""), json_path_str(t, "keys", ""));
        snprintf(key, sizeof key, "token-%.32s", json_path_str(t, "token", "?"));
        found(arg, true, key, text);
    }
}

/* Due since a drill last passed, or since the site was made; only where there are hosts to exercise. */
static void judge_drill(const json_t *o, int64_t now_ms, status_found *found, void *arg)
{
    const json_t *d = json_object_get(o, "drill");
    int64_t late = cli_ago_ms(d, "due_at", now_ms);
    char t[32], text[200];
    if (late < 0 || !json_array_size(json_object_get(o, "edges")))
        return;
    int64_t since = late + json_path_int(d, "every_s", 0) * 1000;
    snprintf(text, sizeof text, "no drill of a revocation has passed for %s%s: cradle drill revoke --device UID", cli_ms_text(since, t, sizeof t),
             strcmp(json_path_str(d, "last_result", ""), "failed") == 0 ? " (the last one failed)" : "");
    found(arg, false, "drill", text);
}

static void judge_enrollments(const json_t *o, int64_t now_ms, status_found *found, void *arg)
{
    char t[32], text[200];
    int64_t n = json_path_int(o, "enrollments.waiting", 0);
    if (!n)
        return;
    snprintf(text, sizeof text, "%lld enrollments wait for an approval, the oldest for %s: cradle enroll list", (long long)n,
             cli_ms_text(cli_ago_ms(json_object_get(o, "enrollments"), "oldest_at", now_ms), t, sizeof t));
    found(arg, false, "enrollments", text);
}

void status_judge(const json_t *o, int64_t now_ms, status_found *found, void *arg)
{
    size_t i;
    json_t *e;
    char t[32], text[200], key[80];
    judge_counters(o, found, arg);
    judge_tokens(o, now_ms, found, arg);
    judge_drill(o, now_ms, found, arg);
    judge_enrollments(o, now_ms, found, arg);
    status_judge_updates(o, now_ms, found, arg);
    json_array_foreach(json_object_get(o, "edges"), i, e) {
        if (!json_is_true(json_object_get(e, "stale")))
            continue;
        snprintf(key, sizeof key, "edge-%.64s", json_path_str(e, "name", "?"));
        snprintf(text, sizeof text, "edge %.64s: its snapshot is stale (heard of %s ago); it will refuse new logins", json_path_str(e, "name", "?"),
                 cli_ms_text(cli_ago_ms(e, "seen_at", now_ms), t, sizeof t));
        found(arg, true, key, text);
    }
}
