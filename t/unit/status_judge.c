/* status_judge.c (test): what `cradle status` and alarms make of the status JSON: of updates what ends soon, has ended, was not renewed or is paused, with
 * what to do; and nothing while all is well. */
#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "t/tap.h"

#define NOW 1800000000000LL
#define HOUR 3600000LL
#define DAY (24 * HOUR)

static char said[2000];
static int n_found, n_alarms;

static void on_found(void *arg, bool alarm, const char *key, const char *text)
{
    (void)arg;
    n_found++;
    n_alarms += alarm;
    size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%s|%s\n", key, text);
}

static bool finds(json_t *updates, int found, int alarms, const char *words)
{
    json_t *o = json_pack("{s:o}", "updates", updates);
    n_found = n_alarms = 0;
    said[0] = '\0';
    status_judge(o, NOW, on_found, NULL);
    json_decref(o);
    bool good = n_found == found && n_alarms == alarms && strstr(said, words);
    if (!good)
        printf("# said: %s", said);
    return good;
}

static void enrollments(void)
{
    char at[CLOCK_TEXT_MAX];
    clock_text_ms(NOW - 3 * 3600 * 1000, at);
    json_t *o = json_pack("{s:{s:i,s:s}}", "enrollments", "waiting", 2, "oldest_at", at);
    n_found = n_alarms = 0;
    said[0] = 0;
    status_judge(o, NOW, on_found, NULL);
    json_decref(o);
    ok(n_found == 1 && !n_alarms && strstr(said, "2 enrollments wait for an approval, the oldest for 3 h"), "enrollments that wait: %s", said);
}

static json_t *role(const char *name, int64_t made_ago_ms, int64_t left_ms)
{
    char made[CLOCK_TEXT_MAX], ends[CLOCK_TEXT_MAX];
    clock_text_ms(NOW - made_ago_ms, made);
    clock_text_ms(NOW + left_ms, ends);
    return json_pack("{s:[{s:s,s:i,s:s,s:s}]}", "metadata", "role", name, "version", 3, "added_at", made, "expires_at", ends);
}

static json_t *depot(int fronts, int without, int failures)
{
    return json_pack("{s:{s:i,s:i,s:i}}", "depot", "fronts", fronts, "fronts_without", without, "failures", failures);
}

int main(void)
{
    ok(finds(json_object(), 0, 0, ""), "nothing to say of a site without updates");
    enrollments();
    ok(finds(role("root", 300 * DAY, 65 * DAY), 0, 0, ""), "a root with two months left");
    ok(finds(role("root", 340 * DAY, 25 * DAY), 1, 0, "metadata-root|update metadata of root ends in 25 days; cradle tuf rotate DIR root"), "one that ends in 25 days");
    ok(finds(role("vib", 366 * DAY, -DAY), 1, 1, "metadata-vib|update metadata of vib ended 24 h ago: devices take no update"), "a line that has ended");
    ok(finds(role("timestamp", 12 * HOUR, 12 * HOUR), 0, 0, ""), "a timestamp at half of its life");
    ok(finds(role("timestamp", 13 * HOUR, 11 * HOUR), 1, 0, "the timestamp of the update metadata was not renewed in time and ends in 11 h"), "one that is past it");
    ok(finds(role("timestamp", 25 * HOUR, -HOUR), 1, 1, "ended 60 min ago"), "one that has ended");
    ok(finds(role("snapshot", 3 * DAY, 4 * DAY), 0, 0, "") && finds(role("snapshot", 4 * DAY, 3 * DAY), 1, 0, "not renewed in time"), "a snapshot, for a week");
    ok(finds(json_pack("{s:[{s:s,s:s,s:s,s:s}]}", "paused", "name", "r7-all", "line", "vib", "why", "error threshold of wave 1", "since", "2027-01-15T06:00:00Z"), 1, 0,
             "rollout-r7-all|rollout r7-all is paused for 2 h: error threshold of wave 1; cradle rollout show r7-all"), "a paused rollout, why, and where to look");
    ok(finds(json_pack("{s:[{s:s,s:s,s:s,s:i}]}", "support_ending", "line", "vib", "release", "r1", "support_end", "2027-02-14", "devices", 12), 1, 0,
             "support-vib-r1|support of release r1 of line vib ends in 30 days, and 12 of the devices run it"), "support that ends");
    ok(finds(json_pack("{s:[{s:s,s:s,s:s,s:i}]}", "support_ending", "line", "vib", "release", "r1", "support_end", "2027-01-01", "devices", 12), 1, 0, "ended 13 days ago"),
       "support that has ended");
    ok(finds(depot(2, 0, 0), 0, 0, "") && finds(depot(2, 1, 0), 1, 1, "1 of 2 fronts have no depot") && finds(depot(2, 0, 3), 1, 0, "the depot failed 3 requests"), "the depot");
    return done();
}
