/* alarm_watch.c: the alarms' own troubles: each is told when it begins and when it is over, once, and never to the channel it is about. */
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/alarm_serve.h"
#include "t/tap.h"

static char dir[] = "/tmp/cradle-watch-XXXXXX";
static struct alarm_conf conf;
static struct cli cli;
static struct alarm_serve s;
static struct fault f;
static char told[400]; /* text of the last alarm */

/* Looks, and makes the step durable; "what:over to" of what is new, separated by blanks. */
static const char *look(void)
{
    static char text[400];
    size_t i, n = 0;
    json_t *one;
    text[0] = 0;
    alarm_watch(&s);
    json_array_foreach(s.raised, i, one) {
        json_t *body = json_object_get(one, "body");
        snprintf(told, sizeof told, "%s", json_path_str(body, "text", ""));
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s:%d>%d", n ? " " : "", json_path_str(body, "trouble", "?"),
                              json_is_true(json_object_get(body, "over")), (int)json_path_int(one, "to", 0));
    }
    INVARIANT(alarm_queue_commit(s.queue, s.record, s.raised, &s.saved, &f) == CE_OK);
    json_object_clear(s.record);
    json_array_clear(s.raised);
    return text;
}
#define SAYS(want, ...) do { const char *got_ = look(); ok(strcmp(got_, want) == 0, __VA_ARGS__); if (strcmp(got_, want)) printf("# said: %s\n", got_); } while (0)

static void put(const char *id, int to)
{
    CLEANUP(json_decref_p) json_t *record = json_object(), *raised = json_pack("[{s:i,s:{s:s,s:s}}]", "to", to, "body", "id", id, "rule", "r");
    INVARIANT(alarm_queue_commit(s.queue, record, raised, &s.saved, &f) == CE_OK);
}
static void deliver(int ch, enum alarm_outcome o)
{
    CLEANUP(mem_free_p) char *body = NULL;
    struct alarm_result r = { .outcome = o, .text = "why" };
    int64_t seq = alarm_queue_next(s.queue, ch, 3000, &body);
    INVARIANT(seq && alarm_queue_done(s.queue, ch, seq, &r, &f) == CE_OK);
}
static void drain(int ch)
{
    struct alarm_lane l;
    for (alarm_queue_lane(s.queue, ch, &l); l.waiting; alarm_queue_lane(s.queue, ch, &l))
        deliver(ch, ALARM_TAKEN);
}
static void serve_open(void)
{
    s = (struct alarm_serve){ .c = &cli, .conf = &conf, .connected = true, .record = json_object(), .raised = json_array() };
    s.judge = alarm_judge_new(&conf);
    s.check_ms = s.good_ms = clock_mono_ms();
    INVARIANT(alarm_queue_open(dir, &conf, s.judge, &s.queue, &s.saved, &f) == CE_OK);
}
static void serve_close(void)
{
    alarm_queue_close(s.queue);
    alarm_judge_free(s.judge);
    alarm_saved_free(&s.saved);
    json_decref(s.record);
    json_decref(s.raised);
}

static void test_away(void)
{
    SAYS("", "all is well");
    s.connected = false;
    SAYS("", "a moment without cradled is none");
    s.good_ms -= 61000;
    SAYS("away:0>3", "a minute is");
    SAYS("", "told once");
    serve_close();
    serve_open();
    s.connected = false;
    s.good_ms -= 61000;
    SAYS("", "also over a restart");
    s.connected = true;
    SAYS("away:1>3", "its end is told");
    SAYS("", "once");
    drain(0);
    drain(1);
}

static void test_channels(void)
{
    put("x", 1);
    deliver(0, ALARM_AGAIN);
    SAYS("", "a channel that fails once is none");
    conf.head.failing_after = 0;
    usleep(5000);
    SAYS("failing:0>2", "one that goes on failing is, and the other one is told");
    SAYS("", "once");
    deliver(0, ALARM_TAKEN);
    SAYS("failing:1>2", "and that it takes alarms again");
    conf.head.failing_after = 600;
    put("y", 1);
    deliver(0, ALARM_REFUSED);
    SAYS("refused:0>2", "a refusal for good is told to the other one");
    put("z", 1);
    deliver(0, ALARM_REFUSED);
    SAYS("", "once, as long as it takes nothing");
    put("z2", 1);
    deliver(0, ALARM_TAKEN);
    SAYS("refused:1>2", "until it does");
    drain(1);
}

static void test_full(void)
{
    char id[700];
    conf.head.queue_max = 20000;
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "f%d-%0600d", i, i);
        put(id, 1);
    }
    struct alarm_lane l;
    alarm_queue_lane(s.queue, 0, &l);
    ok(l.dropped > 5 && l.waiting + l.dropped == 40, "%lld of 40 found no room", (long long)l.dropped);
    SAYS("overflow:0>3", "a full queue is told to all");
    SAYS("", "once");
    serve_close();
    serve_open();
    SAYS("", "also over a restart");
    drain(0);
    SAYS("overflow:1>3", "its end is told");
    char want[64];
    snprintf(want, sizeof want, "%lld alarms for it were dropped", (long long)l.dropped);
    ok(strstr(told, want) != NULL, "with the number: %s", told);
    alarm_queue_lane(s.queue, 0, &l);
    ok(l.dropped == 0, "the count begins anew");
    drain(0);
    drain(1);
}

static void test_journal(void)
{
    struct fault why = { .code = CE_DISK_FULL, .text = "no space" };
    struct alarm_lane l;
    alarm_watch_journal(&s, &why);
    alarm_watch_journal(&s, &why);
    alarm_queue_lane(s.queue, 0, &l);
    ok(l.waiting == 1 && s.journal_bad_ms, "a journal that takes nothing is told all the same, once");
}

int main(void)
{
    char path[PATH_MAX_LEN];
    INVARIANT(mkdtemp(dir));
    log_setup("watch", LOG_LEVEL_ERROR);
    INVARIANT(alarm_conf_parse("t", SPAN_LIT("[channel a]\ntype = command\ncommand = /bin/true\n[channel b]\ntype = command\ncommand = /bin/true\n"), &conf, &f) == CE_OK);
    serve_open();
    test_away();
    test_channels();
    test_full();
    test_journal();
    serve_close();
    path_join(path, "%s/alarm.journal", dir);
    unlink(path);
    rmdir(dir);
    return done();
}
