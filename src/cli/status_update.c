/* status_update.c: what is wrong with updates by the service's own status, and what to do about it. Part of status_judge; pure. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"

#define SOON_MS (30 * 86400000LL)
#define RENEWAL_LATE_MS (20 * 60000LL) /* the site renews its own after half of their life, and tries again each few seconds */

struct found { status_found *fn; void *arg; };

static void say(const struct found *to, bool alarm, const char *key, const char *text) { to->fn(to->arg, alarm, key, text); }

/* Snapshot and timestamp: made by the site, for a week and a day. */
static void judge_online(const json_t *m, int64_t now_ms, int64_t end_ms, const struct found *to)
{
    const char *role = json_path_str(m, "role", "?");
    char t[32], text[200], key[80];
    int64_t made_ago = cli_ago_ms(m, "added_at", now_ms), left = end_ms - now_ms;
    snprintf(key, sizeof key, "metadata-%.64s", role);
    if (left < 0)
        snprintf(text, sizeof text, "the %.20s of the update metadata ended %s ago: devices take no update; see cradled's log for why it is not renewed", role,
                 cli_ms_text(-left, t, sizeof t));
    else if (made_ago >= 0 && left + RENEWAL_LATE_MS < made_ago)
        snprintf(text, sizeof text, "the %.20s of the update metadata was not renewed in time and ends in %s; see cradled's log for why", role, cli_ms_text(left, t, sizeof t));
    else
        return;
    say(to, left < 0, key, text);
}

/* What people sign. */
static void judge_signed(const json_t *m, int64_t now_ms, int64_t end_ms, const struct found *to)
{
    const char *role = json_path_str(m, "role", "?");
    char t[32], text[200], key[80];
    int64_t left = end_ms - now_ms;
    snprintf(key, sizeof key, "metadata-%.64s", role);
    if (left < 0)
        snprintf(text, sizeof text, "update metadata of %.48s ended %s ago: devices take no update; cradle tuf rotate DIR %.48s, sign, publish", role,
                 cli_ms_text(-left, t, sizeof t), role);
    else if (left < SOON_MS)
        snprintf(text, sizeof text, "update metadata of %.48s ends in %s; cradle tuf rotate DIR %.48s, sign, publish", role, cli_ms_text(left, t, sizeof t), role);
    else
        return;
    say(to, left < 0, key, text);
}

static void judge_metadata(const json_t *u, int64_t now_ms, const struct found *to)
{
    size_t i;
    json_t *m;
    int64_t end_ms;
    json_array_foreach(json_object_get(u, "metadata"), i, m) {
        const char *role = json_path_str(m, "role", "");
        if (clock_parse_ms(span_str(json_path_str(m, "expires_at", "")), &end_ms))
            continue;
        if (strcmp(role, "snapshot") == 0 || strcmp(role, "timestamp") == 0)
            judge_online(m, now_ms, end_ms, to);
        else
            judge_signed(m, now_ms, end_ms, to);
    }
}

static void judge_paused(const json_t *u, int64_t now_ms, const struct found *to)
{
    size_t i;
    json_t *r;
    char t[32], text[260], key[80];
    json_array_foreach(json_object_get(u, "paused"), i, r) {
        const char *name = json_path_str(r, "name", "?"), *why = json_path_str(r, "why", "");
        snprintf(key, sizeof key, "rollout-%.64s", name);
        snprintf(text, sizeof text, "rollout %.48s is paused for %s%s%.80s; cradle rollout show %.48s", name, cli_ms_text(cli_ago_ms(r, "since", now_ms), t, sizeof t),
                 *why ? ": " : "", why, name);
        say(to, false, key, text);
    }
}

static void judge_support(const json_t *u, int64_t now_ms, const struct found *to)
{
    size_t i;
    json_t *r;
    int64_t end_ms;
    char t[32], text[200], key[128], at[40];
    json_array_foreach(json_object_get(u, "support_ending"), i, r) {
        const char *line = json_path_str(r, "line", "?"), *release = json_path_str(r, "release", "?");
        snprintf(at, sizeof at, "%.10sT23:59:59Z", json_path_str(r, "support_end", ""));
        if (clock_parse_ms(span_str(at), &end_ms))
            continue;
        bool ended = end_ms < now_ms;
        snprintf(key, sizeof key, "support-%.48s-%.48s", line, release);
        snprintf(text, sizeof text, "support of release %.40s of line %.40s %s %s%s, and %lld of the devices run it; roll out a newer one", release, line,
                 ended ? "ended" : "ends in", cli_ms_text(ended ? now_ms - end_ms : end_ms - now_ms, t, sizeof t), ended ? " ago" : "",
                 (long long)json_path_int(r, "devices", 0));
        say(to, false, key, text);
    }
}

static void judge_depot(const json_t *u, const struct found *to)
{
    char text[200];
    int64_t without = json_path_int(u, "depot.fronts_without", 0), failures = json_path_int(u, "depot.failures", 0);
    snprintf(text, sizeof text, "%lld of %lld fronts have no depot: uploads and URLs with tokens fail; see cradled's log", (long long)without,
             (long long)json_path_int(u, "depot.fronts", 0));
    if (without)
        say(to, true, "depot", text);
    snprintf(text, sizeof text, "the depot failed %lld requests since the start: look for space in the site's artifact/ and in cradled's log", (long long)failures);
    if (failures)
        say(to, false, "depot-failures", text);
}

void status_judge_updates(const json_t *o, int64_t now_ms, status_found *fn, void *arg)
{
    const json_t *u = json_object_get(o, "updates");
    const struct found to = { fn, arg };
    judge_metadata(u, now_ms, &to);
    judge_paused(u, now_ms, &to);
    judge_support(u, now_ms, &to);
    judge_depot(u, &to);
}
