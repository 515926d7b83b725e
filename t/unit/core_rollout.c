/* core_rollout.c: rollouts in simulated time: approvals, the gate, waves and their thresholds, pauses, taking back; and that the events say
 * it all, across restarts. Silence, windows and users: core_rollout_time.c.
 */
#define FLEET 120
#include "t/unit/rollout_site.h"

static void approvals(void)
{
    struct msg_rollout_add m = { 0 };
    ok(reply_is(create("first", "none", "percent 100 90 5 0\n", m), CE_NOT_FOUND), "a release that nobody signed cannot be rolled out");
    ok(reply_is(create("first", "r6", "percent 10 90 5 0\npercent 5 90 5 0\n", m), CE_BAD_FIELD), "percentages rise");
    ok(reply_is(create("first", "r6", "percent 100 90 5 0\n", m), CE_OK), "a rollout is made");
    ok(reply_is(create("first", "r6", "percent 100 90 5 0\n", m), CE_EXISTS), "its name is taken");
    ok(reply_is(move(&s.admin, "first", "start"), CE_GATE), "without approvals the gate refuses it");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'gate-refused' AND payload LIKE '%approvals no%'") == 1, "and the refusal is evidence, with each rule");
    ok(reply_is(move(&s.admin, "first", "approve"), CE_SELF_APPROVAL), "who made it does not approve it");
    ok(reply_is(move(&ann, "first", "approve"), CE_OK) && state_is("first", "draft"), "one approval is not enough for a whole line");
    ok(reply_is(move(&ann, "first", "approve"), CE_EXISTS), "nor the same one twice");
    ok(reply_is(move(&station, "first", "approve"), CE_ROLE_FORBIDDEN), "a station approves nothing");
    ok(reply_is(move(&olga, "first", "approve"), CE_OK) && state_is("first", "approved"), "two are");
    ok(reply_is(create("late", "old", "percent 100 90 5 0\n", (struct msg_rollout_add){ .batch = SPAN_LIT("b1") }), CE_OK) &&
           reply_is(move(&olga, "late", "approve"), CE_OK) && state_is("late", "approved"),
       "a part of a line needs one");
    ok(reply_is(move(&s.admin, "late", "start"), CE_GATE) && site_count(&s, "SELECT count(*) FROM event WHERE kind = 'gate-refused' AND payload LIKE '%support-end no%'") == 1,
       "a release whose support has ended does not pass the gate");
    ok(reply_is(move(&s.admin, "first", "resume"), CE_STATE_CHANGE), "what was not paused is not resumed");
}

static void first(void)
{
    ok(reply_is(move(&s.admin, "first", "start"), CE_OK), "it starts");
    site_wait(&s, 20);
    ok(count("first", "waiting") == FLEET, "every device of the line is a member");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'gate-passed' AND payload LIKE '%findings none-registered%'") == 1, "the gate's rules are in the evidence");
    struct arena arena = { 0 };
    struct directive d;
    json_t *j = site_poll(&s, &fleet[0]);
    ok(poll_directive(j, &arena, &d) && d.n_approvals == 2 && span_eq_str(d.approvals[0].by, "ann"), "the directive names who approved");
    json_decref(j);
    arena_free(&arena);
    ok(all("confirmed", "1.6.0") == FLEET && count("first", "confirmed") == FLEET, "all do it");
    site_wait(&s, 20);
    ok(state_is("first", "done"), "and it is done");
    ok(poll_is(&s, &fleet[1], "idle"), "nothing is left to do");
    ok(site_fold_good(&s), "fold(events) = tables");
}

static void waves(void)
{
    ok(reply_is(create("two", "r7", "devices 10 90 20 60\npercent 50 90 20 3600\npercent 100 90 20 0\n", (struct msg_rollout_add){ 0 }), CE_OK) && start("two"), "a rollout in three waves");
    ok(count("two", "waiting") == 10, "the first has ten devices");
    core_close(s.core);
    site_forget_asks(&s);
    site_core_open(&s);
    site_wait(&s, 20);
    ok(all("confirmed", "1.7.0") == 10, "who is in it is told, nobody else, also after a restart");
    pass(61000);
    int64_t second = site_count(&s, "SELECT count(*) FROM rollout_device WHERE rollout = 'two' AND wave = 2");
    ok(second > FLEET / 4 && second < FLEET * 3 / 4, "its success opens the next, half of the group (%lld)", (long long)second);
    ok(all("confirmed", "1.7.0") == second, "which is told");
    site_wait(&s, 20);
    ok(count("two", "waiting") == 0 && site_count(&s, "SELECT count(*) FROM rollout_wave WHERE rollout = 'two' AND wave = 2 AND reached_at > 0") == 1,
       "after its success it rests");
    pass(3601000);
    ok(count("two", "waiting") == FLEET - 10 - second, "for an hour, then the rest follows");
    int failed = 0;
    for (int i = 0; i < FLEET && failed < 2; i++)
        failed += turn(i, "failed", "") != 0;
    ok(all("confirmed", "1.7.0") > 0 && count("two", "failed") == 2, "two fail, the others do it");
    pass(1000);
    ok(state_is("two", "done"), "it is done all the same: few enough have failed");
    ok(site_fold_good(&s), "fold(events) = tables");
}

static void pausing(void)
{
    ok(reply_is(create("three", "r8", "percent 100 90 5 0\n", (struct msg_rollout_add){ .max_active = 20 }), CE_OK) && start("three"), "a rollout of at most 20 at a time");
    int n = 0;
    for (int i = 0; i < FLEET; i++)
        n += turn(i, NULL, NULL) != 0;
    ok(n == 20 && count("three", "offered") == 20, "twenty are told");
    int failed = 0;
    for (int i = 0; i < FLEET && failed < 7; i++)
        failed += turn(i, "failed", "") != 0;
    site_wait(&s, 20);
    ok(state_is("three", "paused") && site_count(&s, "SELECT count(*) FROM event WHERE kind = 'rollout-state' AND payload LIKE '%120 members 6 failed%'") == 1,
       "at the error threshold it pauses by itself, with the counts in the evidence");
    int64_t offered = count("three", "offered");
    ok(all("confirmed", "1.8.0") == 0 && count("three", "offered") == offered, "while it is paused nobody is told anything");
    ok(reply_is(move(&olga, "three", "resume"), CE_OK), "somebody resumes it");
    site_wait(&s, 20);
    ok(state_is("three", "running"), "what has failed is accepted");
    while (all("confirmed", "1.8.0"))
        ;
    site_wait(&s, 20);
    ok(state_is("three", "done") && count("three", "failed") == failed, "and it comes to its end");
    ok(site_fold_good(&s), "fold(events) = tables");
}

static void taken_back(void)
{
    ok(reply_is(move(&s.admin, "three", "rollback"), CE_OK) && state_is("three", "paused") && state_is("three-back", "draft"), "taking back is a rollout of its own");
    ok(reply_is(move(&s.admin, "three-back", "start"), CE_GATE), "that needs approval");
    ok(reply_is(move(&ann, "three-back", "approve"), CE_OK) && reply_is(move(&s.admin, "three-back", "start"), CE_OK), "and gets it");
    site_wait(&s, 20);
    ok(count("three-back", "cannot") == FLEET - count("three", "failed") && all(NULL, NULL) == 0, "a raised security counter goes back nowhere: those are counted, not told");
    ok(site_fold_good(&s), "fold(events) = tables");
}

static void out_of_reach(void)
{
    ok(reply_is(create("five", "r9", "percent 50 90 40 0\npercent 100 90 40 0\n", (struct msg_rollout_add){ 0 }), CE_OK) && start("five"), "a rollout that lets many fail, but wants most to confirm");
    int64_t members = count("five", "waiting");
    int failed = 0;
    for (int i = 0; i < FLEET && failed * 5 < members; i++)
        failed += turn(i, "failed", "") != 0;
    ok(state_is("five", "running"), "one in five fails, which is below the error threshold");
    ok(all("confirmed", "1.9.0") + failed == members && state_is("five", "paused") &&
           site_count(&s, "SELECT count(*) FROM event WHERE kind = 'rollout-state' AND payload LIKE '%success threshold of wave 1 is out of reach%'") == 1,
       "when nobody is left to reach the other one, it pauses and says so");
    ok(reply_is(move(&olga, "five", "resume"), CE_OK), "somebody resumes it");
    pass(1000);
    ok(state_is("five", "running") && count("five", "waiting") == FLEET - members, "and without those that failed the next wave opens");
    while (all("confirmed", "1.9.0"))
        ;
    ok(state_is("five", "done") && site_fold_good(&s), "to the end; fold(events) = tables");
}

static void late_failures(void)
{
    int told[FLEET], n = 0, failed = 0;
    ok(reply_is(create("six", "r20", "percent 50 50 20 0\npercent 100 90 20 0\n", (struct msg_rollout_add){ 0 }), CE_OK) && start("six"), "a rollout that wants half of a wave to confirm");
    for (int i = 0; i < FLEET; i++)
        if (turn(i, NULL, NULL))
            told[n++] = i;
    for (int i = 0; i < n && i <= n * 6 / 10; i++)
        (void)turn(told[i], "confirmed", "2.0.0");
    pass(1000);
    ok(state_is("six", "running") && count("six", "waiting") == FLEET - n, "its second wave opens while members of the first have not answered");
    for (; failed * 5 < n; failed++)
        (void)turn(told[n - 1 - failed], "failed", "");
    pass(1000);
    ok(state_is("six", "paused") && site_count(&s, "SELECT count(*) FROM event WHERE kind = 'rollout-state' AND payload LIKE '%six%error threshold of wave 1:%'") == 1,
       "one in five of them fails: that pauses it now as well");
    ok(reply_is(move(&olga, "six", "resume"), CE_OK), "and is accepted by whoever resumes");
    pass(1000);
    ok(state_is("six", "running") && site_fold_good(&s), "so that it goes on; fold(events) = tables");
}

int main(void)
{
    rollout_site_open();
    approvals();
    first();
    waves();
    pausing();
    taken_back();
    out_of_reach();
    late_failures();
    rollout_site_close();
    return done();
}
