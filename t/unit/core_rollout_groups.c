/* core_rollout_groups.c: whom a rollout reaches: waves of tagged devices and of so many, groups that are empty, devices that appear when it is done,
 * taking back where the security counter allows it, for all or for some, and how many approve it in a line that wants more than the site.
 */
#define FLEET 24
#include "t/unit/rollout_site.h"

static const struct msg_rollout_add any;

static bool tag(int i, const char *name)
{
    char uid[16], list[40];
    snprintf(uid, sizeof uid, "dev-%03d", i);
    snprintf(list, sizeof list, "%s\n", name);
    const struct msg_device_tags m = { .uid = span_str(uid), .add = span_str(list) };
    return reply_is(site_do(&s, &s.admin, &msg_desc_device_tags, &m), CE_OK);
}

static void settle(void)
{
    for (int i = 0; i < 5; i++)
        pass(1000);
}

static bool poll_release(const struct who *w, const char *state, const char *release)
{
    json_t *j = site_poll(&s, w);
    bool good = word_is(j, "state", state) && word_is(j, "release", release);
    json_decref(j);
    return good;
}

static int64_t in_wave(const char *rollout, int wave)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM rollout_device WHERE rollout = '%s' AND wave = %d", rollout, wave);
    return site_count(&s, sql);
}

/* -- whom a wave takes -------------------------------------------------------------------------------------------------------------- */
static void empty(void)
{
    ok(reply_is(create("nobody", "r6", "percent 10 90 5 0\npercent 100 90 5 0\n", (struct msg_rollout_add){ .batch = SPAN_LIT("none-such") }), CE_OK) && start("nobody"),
       "a rollout to a group that has no devices");
    settle();
    ok(state_is("nobody", "done") && in_wave("nobody", 1) + in_wave("nobody", 2) == 0, "goes through its waves and is done, not held for ever");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'wave-filled' AND payload LIKE '%\"members\":0%'") == 2, "the evidence says that both had no members");
    ok(all(NULL, NULL) == 0, "nobody is told anything");
    ok(site_fold_good(&s), "fold(events) = tables");
}

static void tags(void)
{
    ok(tag(3, "lab") && tag(5, "lab") && tag(7, "lab") && tag(7, "west") && tag(8, "west"), "three devices are tagged lab, two west");
    ok(reply_is(create("tagged", "r6", "tag lab 100 10 60\ndevices 4 100 10 60\npercent 100 90 10 0\n", any), CE_OK) && start("tagged"),
       "a rollout: the lab, then four devices, then all");
    ok(count("tagged", "waiting") == 3 && turn(0, NULL, NULL) == 0 && turn(3, "confirmed", "1.6.0") == 1, "the first wave is the lab");
    ok(site_count(&s, "SELECT count(*) FROM rollout_device WHERE rollout = 'tagged' AND uid IN ('dev-003', 'dev-005', 'dev-007')") == 3, "and only the lab");
    ok(all("confirmed", "1.6.0") == 2, "the others of it do it too");
    pass(61000);
    ok(in_wave("tagged", 2) == 4 && in_wave("tagged", 1) == 3, "then exactly four of those who are left");
    ok(site_count(&s, "SELECT count(*) FROM rollout_device WHERE rollout = 'tagged' AND wave = 2 AND uid IN ('dev-003', 'dev-005', 'dev-007')") == 0, "who was in a wave is in no other");
    ok(all("confirmed", "1.6.0") == 4, "they do it");
    pass(61000);
    ok(in_wave("tagged", 3) == FLEET - 7 && all("confirmed", "1.6.0") == FLEET - 7, "then the rest");
    settle();
    ok(state_is("tagged", "done") && count("tagged", "confirmed") == FLEET, "and it is done");
    ok(site_fold_good(&s), "fold(events) = tables");
}

static void more_than_there_are(void)
{
    ok(reply_is(create("west", "r7", "devices 100 100 10 0\n", (struct msg_rollout_add){ .tag = SPAN_LIT("west") }), CE_OK) && start("west"), "a hundred devices of two that are tagged west");
    ok(count("west", "waiting") == 2 && all("confirmed", "1.7.0") == 2, "are the two");
    settle();
    ok(state_is("west", "done"), "with which it is done");
    ok(tag(9, "west") && turn(9, NULL, NULL) == 0, "who is tagged later does not belong to a wave of so many");
}

static void after_done(struct who *w)
{
    site_enroll(&s, &station, "new-1", "pump", w);
    ok(poll_release(w, "ready", "r6"), "a device that appears when a rollout is done gets its release");
    ok(reply_is(site_report(&s, w, 1, "confirmed", "1.6.0"), CE_OK) && poll_is(&s, w, "idle"), "does it, and has nothing more to do");
    settle();
    ok(state_is("tagged", "done") && count("tagged", "confirmed") == FLEET + 1, "it is counted, and the rollout stays done");
    ok(site_fold_good(&s), "fold(events) = tables");
}

/* -- taking back -------------------------------------------------------------------------------------------------------------------- */
/* Of FLEET + 1 devices two run r7 (tagged west) and 23 run r6; r8 raises the counter of one. */
static void back_some(const struct who *late)
{
    ok(reply_is(create("seven", "r7", "percent 100 80 50 0\n", any), CE_OK) && start("seven"), "r7 for everybody: its counter is that of r6");
    ok(count("seven", "current") == 2, "two run it already");
    ok(all("confirmed", "1.7.0") == FLEET - 3 + 1, "who is told does it");
    ok(poll_release(late, "ready", "r7"), "only one device is late");
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_device_order, &(struct msg_device_order){ .uid = SPAN_LIT("dev-002"), .release = SPAN_LIT("r8") }), CE_OK) && turn(2, "confirmed", "1.8.0") > 0,
       "one device goes on to r8, whose counter is higher");
    ok(reply_is(move(&s.admin, "seven", "rollback"), CE_OK) && state_is("seven", "paused") && start("seven-back"), "seven is taken back");
    ok(count("seven-back", "waiting") == FLEET - 3 && count("seven-back", "cannot") == 1, "those can go back who confirmed it, but not the one with the raised counter");
    ok(in_wave("seven-back", 1) == FLEET - 2, "who ran it before is not asked to");
    ok(poll_release(&fleet[0], "ready", "r6"), "a device is told the release that it ran before");
    struct arena arena = { 0 };
    struct directive d;
    json_t *j = site_poll(&s, &fleet[0]);
    ok(poll_directive(j, &arena, &d) && d.n_approvals == 2, "and its directive names who approved that");
    json_decref(j);
    arena_free(&arena);
    ok(turn(2, NULL, NULL) == 0, "the one that cannot is told nothing");
    ok(all("confirmed", "1.6.0") == FLEET - 3, "the others do it");
    settle();
    ok(state_is("seven-back", "done") && count("seven-back", "confirmed") == FLEET - 3, "and it is done, who cannot does not hold it up");
    ok(site_count(&s, "SELECT count(*) FROM device_version WHERE version = '1.6.0' AND release = 'r6'") == FLEET - 3 + 1, "they run r6 again");
    ok(all(NULL, NULL) == 0, "nobody is sent forward to r7 again");
    ok(reply_is(move(&s.admin, "seven-back", "rollback"), CE_STATE_CHANGE), "what takes back is not taken back: that is a rollout of the release");
    ok(site_fold_good(&s), "fold(events) = tables");
}

static void after_back(void)
{
    struct who w = { 0 };
    site_enroll(&s, &station, "new-2", "pump", &w);
    ok(poll_release(&w, "ready", "r6"), "a device that appears after that gets what the others went back to");
    ok(reply_is(site_report(&s, &w, 1, "confirmed", "1.6.0"), CE_OK) && poll_is(&s, &w, "idle"), "and does it");
    ok(site_fold_good(&s), "fold(events) = tables");
    buf_free(&w.der);
}

/* -- approvals of a line ------------------------------------------------------------------------------------------------------------ */
static bool line_approvals(const struct who *w, int64_t n, enum err want)
{
    return reply_is(site_do(&s, w, &msg_desc_line_set, &(struct msg_line_set){ .name = SPAN_LIT("pump"), .approvals = n, .note = SPAN_LIT("audit") }), want);
}

static void more_approvals(void)
{
    struct who otto = { 0 };
    site_operator(&s, "otto", "operator", "pump", &otto);
    struct msg_rollout_add part = { .batch = SPAN_LIT("b9") };
    ok(line_approvals(&olga, 1, CE_ROLE_FORBIDDEN) && line_approvals(&s.admin, 9, CE_BAD_FIELD), "only an administrator says how many approve rollouts of a line, eight at most");
    ok(reply_is(create("early", "r8", "percent 100 90 5 0\n", part), CE_OK) && reply_is(move(&ann, "early", "approve"), CE_OK) && state_is("early", "approved"), "one approval is enough for a part of a line");
    ok(line_approvals(&s.admin, 3, CE_OK), "the line is to have three");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'line-approvals' AND payload LIKE '%\"approvals\":3%'") == 1, "which is evidence");
    ok(reply_is(move(&s.admin, "early", "start"), CE_GATE), "what was approved under the old rule does not start any more");
    ok(reply_is(move(&olga, "early", "approve"), CE_OK) && reply_is(move(&s.admin, "early", "start"), CE_GATE), "nor with two");
    ok(reply_is(move(&otto, "early", "approve"), CE_OK) && reply_is(move(&s.admin, "early", "start"), CE_OK), "with the third it does");
    ok(line_approvals(&s.admin, 1, CE_OK) && reply_is(create("whole", "r8", "percent 100 90 5 0\n", any), CE_OK) && reply_is(move(&ann, "whole", "approve"), CE_OK) && state_is("whole", "draft"),
       "one approval for a line does not take back that the site wants two for all of it");
    ok(reply_is(move(&olga, "whole", "approve"), CE_OK) && state_is("whole", "approved"), "two are enough again");
    ok(site_fold_good(&s), "fold(events) = tables");
    buf_free(&otto.der);
}

int main(void)
{
    struct who late = { 0 };
    rollout_site_open();
    empty();
    tags();
    more_than_there_are();
    after_done(&late);
    back_some(&late);
    after_back();
    more_approvals();
    rollout_site_close();
    buf_free(&late.der);
    return done();
}
