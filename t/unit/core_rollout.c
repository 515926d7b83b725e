/* core_rollout.c: rollouts in simulated time: approvals, the gate, waves and their thresholds, silence, pauses, devices that appear late,
 * maintenance windows, postponement, cancelling and taking back; and that the events say it all, across restarts.
 */
#include "base/log.h"
#include "t/unit/order_site.h"

#define FLEET 120
static struct site s;
static struct who station, ann, olga, fleet[FLEET];
static const struct site_release r6 = { "r6", "1.6.0", "m-pump\n", NULL, 4 }, r7 = { "r7", "1.7.0", "m-pump\n", NULL, 4 },
                                 r8 = { "r8", "1.8.0", "m-pump\n", NULL, 5 }, old = { "old", "1.0.0", "m-pump\n", "2020-01-01", 1 };

static const struct msg_reply *create(const char *name, const char *release, const char *waves, struct msg_rollout_add m)
{
    m.name = span_str(name);
    m.line = SPAN_LIT("pump");
    m.release = span_str(release);
    m.waves = span_str(waves);
    return site_do(&s, &s.admin, &msg_desc_rollout_add, &m);
}

static const struct msg_reply *move(const struct who *w, const char *name, const char *what)
{
    const struct msg_rollout_move m = { .name = span_str(name), .move = span_str(what) };
    return site_do(&s, w, &msg_desc_rollout_move, &m);
}

/* With the approvals that it needs, and all members of its first wave. */
static bool start(const char *name)
{
    bool good = reply_is(move(&ann, name, "approve"), CE_OK) && reply_is(move(&olga, name, "approve"), CE_OK) && reply_is(move(&s.admin, name, "start"), CE_OK);
    site_wait(&s, 20);
    return good;
}

static void pass(int64_t ms)
{
    struct fault f = { 0 };
    s.wall_skew_ms += ms;
    for (int i = 0; i < 4; i++) {
        site_must(core_tick(s.core, clock_mono_ms() + 2000, &f), &f, "core_tick");
        site_run(&s);
    }
}

static int64_t count(const char *rollout, const char *state)
{
    char sql[300];
    int64_t rows, n;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM rollout_device WHERE rollout = '%s' AND state = '%s'", rollout, state);
    rows = site_count(&s, sql);
    snprintf(sql, sizeof sql, "SELECT coalesce(sum(n), 0) FROM rollout_count WHERE rollout = '%s' AND state = '%s'", rollout, state);
    n = site_count(&s, sql);
    if (rows != n)
        printf("# %s: %s: %lld members, counted %lld\n", rollout, state, (long long)rows, (long long)n);
    return rows == n ? n : -1;
}

static bool state_is(const char *rollout, const char *state)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM rollout WHERE name = '%s' AND state = '%s'", rollout, state);
    return site_count(&s, sql) == 1;
}

/* One device's turn: polls, and does what it is told, or fails. Returns the number of its order, 0: nothing to do. */
static int64_t turn(int i, const char *end, const char *version)
{
    json_t *j = site_poll(&s, &fleet[i]);
    int64_t sequence = strcmp(json_word(j, "state"), "ready") == 0 ? json_number(j, "sequence") : 0;
    json_decref(j);
    if (!sequence)
        return 0;
    if (!end)
        return sequence;
    if (strcmp(end, "confirmed") == 0)
        (void)site_report(&s, &fleet[i], sequence, "installed", version);
    (void)site_report(&s, &fleet[i], sequence, end, version);
    return sequence;
}

static int all(const char *end, const char *version)
{
    int n = 0;
    for (int i = 0; i < FLEET; i++)
        n += turn(i, end, version) != 0;
    site_wait(&s, 10);
    return n;
}

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

int main(void)
{
    static char uid[FLEET][16];
    log_setup("test", LOG_LEVEL_ERROR);
    site_open(&s);
    site_operator(&s, "line-1", "station", "", &station);
    site_operator(&s, "ann", "admin", "", &ann);
    site_operator(&s, "olga", "operator", "pump", &olga);
    for (int i = 0; i < FLEET; i++) {
        snprintf(uid[i], sizeof uid[i], "dev-%03d", i);
        site_enroll(&s, &station, uid[i], "pump", &fleet[i]);
    }
    site_role(&s, "targets", 1, span_str(""));
    site_releases(&s, "pump", 1, (const struct site_release[]){ r6, r7, r8, old }, 4);
    approvals();
    first();
    waves();
    pausing();
    taken_back();
    for (int i = 0; i < FLEET; i++)
        buf_free(&fleet[i].der);
    buf_free(&station.der);
    buf_free(&ann.der);
    buf_free(&olga.der);
    site_close(&s);
    return done();
}
