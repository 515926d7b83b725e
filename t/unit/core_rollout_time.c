/* core_rollout_time.c: rollouts and time: silence and late words, devices that appear late, maintenance windows, users who put it off, cancelling, and a
 * factory reset.
 */
#define FLEET 12
#include "t/unit/rollout_site.h"

#define HOUR 3600000LL
static const struct msg_rollout_add any;

static void silence(void)
{
    ok(reply_is(create("quiet", "r6", "percent 100 90 60 0\n", (struct msg_rollout_add){ .timeout_s = 3600 }), CE_OK) && start("quiet"), "a rollout with an hour's patience");
    int64_t first = turn(0, NULL, NULL), second = turn(1, NULL, NULL);
    ok(first == 1 && second == 1 && count("quiet", "offered") == 2 && count("quiet", "waiting") == FLEET - 2, "two devices come");
    pass(HOUR + 2000);
    ok(count("quiet", "silent") == 2 && count("quiet", "absent") == FLEET - 2, "and are silent after it, as are those who never came");
    ok(state_is("quiet", "paused"), "which is too much silence");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'firmware-silent'") == 2, "whoever had an order is in the evidence");
    ok(reply_is(site_report(&s, &fleet[0], first, "confirmed", "1.6.0"), CE_OK) && count("quiet", "silent") == 1 && count("quiet", "confirmed") == 1, "a late word counts");
    ok(poll_is(&s, &fleet[1], "waiting"), "while it is paused a silent device waits");
    ok(reply_is(move(&ann, "quiet", "resume"), CE_OK) && turn(1, "confirmed", "1.6.0") == second, "then it goes on with its order");
    ok(turn(2, "confirmed", "1.6.0") == 1 && count("quiet", "absent") == FLEET - 3, "and one that was away gets one");
    ok(site_fold_good(&s), "fold(events) = tables");
    (void)all("confirmed", "1.6.0");
    pass(2000);
    ok(state_is("quiet", "done"), "it is done");
}

static void late(void)
{
    struct who w = { 0 };
    site_enroll(&s, &station, "late-1", "pump", &w);
    json_t *j = site_poll(&s, &w);
    ok(word_is(j, "state", "ready") && word_is(j, "release", "r6"), "a device that appears later gets what its group has");
    json_decref(j);
    ok(reply_is(site_report(&s, &w, 1, "confirmed", "1.6.0"), CE_OK), "and does it");
    ok(reply_is(create("canary", "r7", "devices 2 90 5 0\npercent 100 90 5 0\n", any), CE_OK) && start("canary") && count("canary", "waiting") == 2, "a canary of two");
    struct who x = { 0 };
    site_enroll(&s, &station, "late-2", "pump", &x);
    j = site_poll(&s, &x);
    ok(word_is(j, "release", "r6"), "a new device is no canary: it gets what is done");
    json_decref(j);
    ok(reply_is(move(&ann, "canary", "cancel"), CE_OK), "cancelled");
    ok(reply_is(site_report(&s, &x, 1, "confirmed", "1.6.0"), CE_OK), "the order of the other one goes on");
    buf_free(&w.der);
    buf_free(&x.der);
    ok(site_fold_good(&s), "fold(events) = tables");
}

static void window(void)
{
    int64_t minute = (clock_now_ms() + s.wall_skew_ms) / 60000 % 1440;
    const struct msg_rollout_add m = { .from_min = (minute + 120) % 1440, .to_min = (minute + 240) % 1440 };
    ok(reply_is(create("night", "r7", "percent 100 90 5 0\n", m), CE_OK) && start("night"), "a rollout with a window that opens in two hours");
    json_t *j = site_poll(&s, &fleet[0]);
    ok(word_is(j, "state", "waiting") && json_number(j, "wait_s") > 7000 && json_number(j, "wait_s") <= 7200 && json_is_null(json_object_get(j, "directive")), "the device waits");
    json_decref(j);
    j = site_poll_as(&s, &fleet[1], "", 3 * 3600);
    ok(word_is(j, "state", "ready"), "one whose day is three hours ahead does not");
    json_decref(j);
    j = site_poll_as(&s, &fleet[1], "", 0);
    ok(word_is(j, "state", "waiting"), "nor is a directive shown outside of the window");
    json_decref(j);
    ok(reply_is(site_report(&s, &fleet[1], 2, "downloading", ""), CE_OK) && poll_is(&s, &fleet[1], "ready"), "what has begun goes on");
    pass(2 * HOUR + 60000);
    ok(poll_is(&s, &fleet[0], "ready"), "two hours later it is open");
    ok(reply_is(move(&ann, "night", "cancel"), CE_OK), "cancelled");
    pass(2000);
    ok(count("night", "cancelled") == 2 && poll_is(&s, &fleet[0], "idle"), "the orders are taken back, also the one that was being loaded");
    ok(reply_is(site_report(&s, &fleet[0], 2, "installed", ""), CE_OK) && count("night", "cancelled") == 2, "what is reported about them changes nothing");
    ok(site_fold_good(&s), "fold(events) = tables");
}

static const struct msg_reply *put_off(int i, int64_t sequence, const char *word, int64_t ms)
{
    const struct msg_update_report m = { .sequence = sequence, .state = span_str(word), .until = clock_now_ms() + s.wall_skew_ms + ms };
    return site_do(&s, &fleet[i], &msg_desc_update_report, &m);
}

static void users(void)
{
    ok(reply_is(create("free", "r7", "percent 100 90 50 0\n", any), CE_OK) && start("free"), "a rollout that users may put off");
    int64_t a = turn(2, NULL, NULL), b = turn(3, NULL, NULL);
    ok(reply_is(put_off(2, a, "postponed", 2 * HOUR), CE_OK) && poll_is(&s, &fleet[2], "waiting"), "one puts it off");
    ok(reply_is(put_off(3, b, "declined", 0), CE_OK) && poll_is(&s, &fleet[3], "idle") && count("free", "declined") == 1, "one declines");
    pass(2 * HOUR + 1000);
    ok(turn(2, "confirmed", "1.7.0") == a, "when the time has come it is told again");
    ok(reply_is(move(&ann, "free", "cancel"), CE_OK), "cancelled");
    ok(reply_is(create("must", "r7", "percent 100 90 50 0\n", (struct msg_rollout_add){ .forced = 1, .timeout_s = 10 * 86400 }), CE_OK) && start("must"), "one that they must take");
    a = turn(4, NULL, NULL);
    ok(reply_is(put_off(4, a, "declined", 0), CE_OK) && count("must", "postponed") == 1, "to decline it is to put it off");
    ok(site_count(&s, "SELECT max(until_at) - max(offered_at) FROM device_order WHERE uid = 'dev-004'") <= 24 * HOUR, "for a day at most");
    ok(site_fold_good(&s), "fold(events) = tables");
}

static void reset(void)
{
    const struct msg_device_reset m = { .uid = SPAN_LIT("dev-005"), .note = SPAN_LIT("sold") };
    struct arena arena = { 0 };
    struct directive d;
    struct key *k = site_new_key();
    struct msg_enroll again = enroll_msg("dev-005", k, false);
    (void)turn(5, NULL, NULL);
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_device_reset, &m), CE_OK), "a factory reset is ordered");
    json_t *j = site_poll(&s, &fleet[5]);
    ok(word_is(j, "action", "reset") && poll_directive(j, &arena, &d) && d.action == DIRECTIVE_RESET, "the directive says so");
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &again), CE_ALREADY_ENROLLED), "before the receipt nobody else gets its identity");
    ok(reply_is(site_report(&s, &fleet[5], json_number(j, "sequence"), "reset", ""), CE_OK), "the device gives its receipt");
    json_decref(j);
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'device-reset' AND device = 'dev-005'") == 1 &&
           site_count(&s, "SELECT count(*) FROM device_state WHERE uid = 'dev-005' AND state = 'provisioned'") == 1,
       "which is evidence, and makes it a device that may be enrolled");
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &again), CE_OK), "with another key");
    ok(site_fold_good(&s), "fold(events) = tables");
    key_free(k);
    arena_free(&arena);
}

int main(void)
{
    rollout_site_open();
    silence();
    late();
    window();
    users();
    reset();
    rollout_site_close();
    return done();
}
