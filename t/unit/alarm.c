/* alarm.c: alarms: configuration, conditions, windows and gathering, what a restart must not change, and bodies. */
#include <jansson.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/cli.h"
#include "t/tap.h"

#define CHANNELS "[channel hook]\ntype = webhook\nurl = https://alarms.example.com/x?y=1\n[channel cmd]\ntype = command\ncommand = /bin/true a b\n"
static struct alarm_conf conf;
static struct fault f;

static bool parses(const char *text)
{
    f = (struct fault){ 0 };
    return alarm_conf_parse("alarm.conf", span_str(text), &conf, &f) == CE_OK;
}
static bool refuses(const char *text, const char *why)
{
    if (!parses(text) && strstr(f.text, why))
        return true;
    printf("# said: %s\n", f.text);
    return false;
}

static void test_conf(void)
{
    ok(parses("name = plant\nqueue_max = 5000000\n" CHANNELS "[rule r]\nkinds = refused stale\nwhen = reason=a*|b count>=2\nchannels = cmd\nseverity = critical\n"),
       "a configuration: %s", f.text);
    ok(conf.nchannels == 2 && conf.nrules == 1 && conf.rule[0].channels == 2 && conf.self_channels == 3 && conf.rule[0].nconds == 2, "is what it says");
    CLEANUP(buf_free) struct buf dump = BUF_INIT(0), again = BUF_INIT(0);
    alarm_conf_dump(&conf, true, &dump);
    ok(parses(buf_cstr(&dump)), "its dump is read: %s", f.text);
    alarm_conf_dump(&conf, true, &again);
    ok(span_eq(buf_span(&dump), buf_span(&again)), "and is the same");
    ok(refuses("name = plant\n", "no [channel NAME]"), "nobody to tell");
    ok(refuses("x = 1\n" CHANNELS, "alarm.conf:1: unknown key 'x'"), "an unknown key has its line");
    ok(refuses(CHANNELS "[rule r]\nkinds = refused\nwat = 1\n", "alarm.conf:9: unknown key 'wat'"), "in a section too");
    ok(refuses(CHANNELS "[rule r]\nkinds = refusde\n", "no kind of event 'refusde'"), "a kind that does not exist");
    ok(refuses(CHANNELS "[rule r]\n", "kinds is missing"), "no kind");
    ok(refuses(CHANNELS "[rule r]\nkinds = refused\nwhen = resaon=x\n", "no field 'resaon'"), "a field that does not exist");
    ok(refuses(CHANNELS "[rule r]\nkinds = refused\nwhen = reason>=2\n", "no field 'reason' that is a number"), "text compared as a number");
    ok(refuses(CHANNELS "[rule r]\nkinds = refused\nwhen = reason\n", "is not field=value"), "no condition");
    ok(refuses(CHANNELS "[rule r]\nkinds = refused\nby = door\n", "by: these events have no field 'door'"), "by a field that does not exist");
    ok(refuses(CHANNELS "[rule r]\nkinds = refused\nsum = text\n", "sum: "), "the sum of texts");
    ok(refuses(CHANNELS "[rule r]\nkinds = refused\nchannels = pager\n", "no [channel pager]"), "a channel that does not exist");
    ok(refuses(CHANNELS "[rule r]\nkinds = refused\nseverity = loud\n", "severity must be"), "a severity that does not exist");
    ok(refuses(CHANNELS "[rule r]\nkinds = cut\n[rule r]\nkinds = cut\n", "second time"), "a rule twice");
    ok(refuses(CHANNELS "[rule self]\nkinds = cut\n", "belong to this service"), "our own name");
    ok(refuses(CHANNELS "[door x]\n", "a section is [rule NAME]"), "another section");
    ok(refuses(CHANNELS "[rule a/b]\n", "alarm.conf:7:"), "a bad name");
    ok(refuses("[channel x]\ntype = webhook\nurl = http://alarms.example.com/\n", "http:// is for this host only"), "plain http to another host");
    ok(refuses("[channel x]\ntype = webhook\nurl = http://localhost.example.com/\n", "http:// is for this host only"), "also when it looks like this one");
    ok(refuses("[channel x]\ntype = webhook\nurl = http://127.0.0.1.example.com/\n", "http:// is for this host only"), "or like its address");
    ok(refuses("[channel x]\ntype = webhook\nurl = https://user:pass@host/\n", "no user"), "a password in a URL");
    ok(refuses("[channel x]\ntype = mail\nto = a@b.example\nfrom = a@b.example,c@d\n", "from must be an address"), "two senders");
    ok(refuses("[channel x]\ntype = mail\nto = -oQ/tmp@x\nfrom = a@b.example\n", "is not an address"), "an option as an address");
    ok(refuses("[channel x]\ntype = command\ncommand = true\n", "must begin with the path"), "a command without its path");
    ok(parses("[channel x]\ntype = webhook\nurl = http://127.0.0.1:80/\n"), "plain http to this host");
}

/* -- events ------------------------------------------------------------------------------------------------------------------------- */
static json_t *event(int64_t nseq, int64_t at_ms, const char *kind, const char *device, const char *payload)
{
    char at[CLOCK_TEXT_MAX];
    clock_text_ms(at_ms, at);
    json_t *p = json_loads(payload, 0, NULL);
    INVARIANT(p);
    return json_pack("{s:i,s:I,s:s,s:s,s:s,s:i,s:o}", "slot", 1, "nseq", (json_int_t)nseq, "at", at, "kind", kind, "device", device, "rev", 0, "payload", p);
}
static bool matches(const char *when, const char *payload)
{
    CLEANUP(json_decref_p) json_t *ev = event(1, 1000, "clone-suspected", "pump-1", payload);
    char text[1024];
    snprintf(text, sizeof text, CHANNELS "[rule r]\nkinds = cut clone-suspected\nwhen = %s\n", when);
    if (!parses(text)) {
        printf("# %s\n", f.text);
        return false;
    }
    return alarm_when_match(&conf.rule[0], ev);
}

static void test_when(void)
{
    const char *p = "{\"edge\":\"b1\",\"reason\":\"two holders\",\"count\":7,\"text\":\"\"}";
    ok(matches("", p) && matches("edge=b1", p) && !matches("edge=b2", p), "a field is a value");
    ok(matches("edge=b2|b1", p) && matches("edge=b*", p) && matches("reason=*hold*s", p) && !matches("reason=*hold", p), "one of several, with stars");
    ok(matches("edge!=b2", p) && !matches("edge!=b*", p), "or it is not");
    ok(matches("count>=7", p) && !matches("count>=8", p) && matches("count<=7", p) && !matches("count<=6", p), "numbers are compared");
    ok(matches("edge=b1 count>=7 device=pump-*", p) && !matches("edge=b1 count>=8", p), "all of them must hold");
    ok(matches("text=", p) && !matches("edge=", p) && matches("addr=", p), "an empty value means empty, or absent");
    ok(!matches("count>=1", "{}"), "what is absent is no number");
    CLEANUP(json_decref_p) json_t *other = event(1, 1, "stale", "", "{\"stale\":true}");
    ok(!alarm_when_match(&conf.rule[0], other), "another kind is not meant");
    ok(parses(CHANNELS "[rule r]\nkinds = *\nwhen = stale=yes\n") && alarm_when_match(&conf.rule[0], other), "every kind is; true is yes");
}

static void judge(struct alarm_judge *j, json_t *ev, int64_t mono_ms, json_t *raised)
{
    alarm_judge_event(j, ev, mono_ms, raised);
    json_decref(ev);
}
static const json_t *body_of(const json_t *raised, size_t i) { return json_object_get(json_array_get(raised, i), "body"); }

static void test_window(void)
{
    CLEANUP(json_decref_p) json_t *raised = json_array();
    parses(CHANNELS "[rule r]\nkinds = refused\nsum = count\ncount = 10\nwindow = 80s\nby = addr\n");
    struct alarm_judge *j = alarm_judge_new(&conf);
    for (int i = 0; i < 9; i++)
        judge(j, event(i, 1000000 + i * 1000, "refused", "", "{\"addr\":\"a\",\"count\":1}"), 0, raised);
    judge(j, event(20, 1010000, "refused", "", "{\"addr\":\"b\",\"count\":9}"), 0, raised);
    ok(json_array_size(raised) == 0, "nine of each are not ten");
    judge(j, event(21, 1011000, "refused", "", "{\"addr\":\"a\",\"count\":1}"), 0, raised);
    ok(json_array_size(raised) == 1 && json_path_int(body_of(raised, 0), "count", 0) == 10, "the tenth is told, with the number");
    ok(strcmp(json_string_value(json_array_get(json_object_get(body_of(raised, 0), "subjects"), 0)), "a") == 0, "about the address that is counted");
    judge(j, event(22, 1012000, "refused", "", "{\"addr\":\"a\",\"count\":9}"), 0, raised);
    ok(json_array_size(raised) == 1, "then counting begins anew");
    judge(j, event(23, 1012000 + 95000, "refused", "", "{\"addr\":\"a\",\"count\":5}"), 0, raised);
    ok(json_array_size(raised) == 1, "what is older than the window does not count");
    judge(j, event(24, 1012000 + 96000, "refused", "", "{\"addr\":\"a\",\"count\":5}"), 0, raised);
    ok(json_array_size(raised) == 2, "what is not does");
    for (int i = 0; i < ALARM_KEYS_MAX + 50; i++) {
        char p[64];
        snprintf(p, sizeof p, "{\"addr\":\"x%d\",\"count\":1}", i);
        judge(j, event(100 + i, 1200000, "refused", "", p), 0, raised);
    }
    ok(alarm_judge_evicted(j) >= 49, "values beyond the bound make room, and are counted");
    judge(j, event(2000, 1200001, "refused", "", "{\"addr\":\"z\",\"count\":9223372036854775807}"), 0, raised);
    ok(json_array_size(raised) == 3, "a number as large as can be");
    alarm_judge_free(j);
}

static void test_group(void)
{
    CLEANUP(json_decref_p) json_t *raised = json_array();
    parses("name = plant\n" CHANNELS "[rule r]\nkinds = cut\ngroup = 10s\n");
    struct alarm_judge *j = alarm_judge_new(&conf);
    judge(j, event(7, 1000, "cut", "d0", "{}"), 1000, raised);
    ok(json_array_size(raised) == 1 && strcmp(json_path_str(body_of(raised, 0), "id", ""), "plant.r.1-7") == 0, "the first goes out at once");
    for (int i = 1; i <= 60; i++) {
        char d[16];
        snprintf(d, sizeof d, "d%d", i % 40);
        judge(j, event(7 + i, 1000, "cut", d, "{\"edge\":\"e\"}"), 2000, raised);
    }
    alarm_judge_tick(j, 10999, raised);
    ok(json_array_size(raised) == 1, "what follows is gathered");
    alarm_judge_tick(j, 11000, raised);
    const json_t *b = body_of(raised, 1);
    ok(json_array_size(raised) == 2 && json_path_int(b, "count", 0) == 60 && strcmp(json_path_str(b, "id", ""), "plant.r.1-8") == 0 &&
           strcmp(json_path_str(b, "last", ""), "1:67") == 0, "and told as one");
    ok(json_array_size(json_object_get(b, "subjects")) == ALARM_SUBJECTS_MAX && json_path_int(b, "subjects_more", 0) > 0 &&
           json_array_size(json_object_get(b, "events")) == ALARM_EVENTS_MAX, "of bounded size");
    judge(j, event(90, 1000, "cut", "d", "{}"), 12000, raised);
    ok(json_array_size(raised) == 2, "as long as they come, they are gathered on");
    alarm_judge_tick(j, 21000, raised);
    alarm_judge_tick(j, 31000, raised);
    judge(j, event(91, 1000, "cut", "d", "{}"), 32000, raised);
    ok(json_array_size(raised) == 4, "after a quiet time the next goes out at once again");
    alarm_judge_free(j);
}

/* -- restarts ---------------------------------------------------------------------------------------------------------------------- */
static uint32_t seed;
static uint32_t rnd(void) { return seed = seed * 1664525u + 1013904223u; }
static void random_event(struct alarm_judge *j, int i, json_t *raised)
{
    static const char *const kinds[] = { "refused", "cut", "stale" };
    char p[96], d[16];
    snprintf(p, sizeof p, "{\"addr\":\"a%u\",\"count\":%u,\"stale\":true}", rnd() >> 30, 1 + (rnd() >> 29));
    snprintf(d, sizeof d, "d%u", rnd() >> 29);
    judge(j, event(i, 1000000 + i * 700, kinds[(rnd() >> 16) % 3], d, p), i * 700, raised);
    alarm_judge_tick(j, i * 700, raised);
}
/* A judge that was saved into a journal of records and loaded again, as after a kill. */
static struct alarm_judge *reborn(struct alarm_judge *j, json_t *records, int64_t mono_ms)
{
    struct alarm_judge *n = alarm_judge_new(&conf);
    size_t i;
    json_t *r;
    alarm_judge_free(j);
    json_array_foreach(records, i, r)
        alarm_judge_load(n, r, mono_ms);
    return n;
}

static void test_restart(void)
{
    parses(CHANNELS "[rule a]\nkinds = refused\nsum = count\ncount = 20\nwindow = 30s\nby = addr\n[rule b]\nkinds = cut\n[rule c]\nkinds = stale\ncount = 3\nwindow = 5s\n");
    int same = 0;
    for (uint32_t run = 1; run <= 20; run++) {
        CLEANUP(json_decref_p) json_t *plain = json_array(), *killed = json_array(), *records = json_array();
        struct alarm_judge *j = alarm_judge_new(&conf);
        seed = run;
        for (int i = 1; i < 300; i++)
            random_event(j, i, plain);
        alarm_judge_free(j);
        j = alarm_judge_new(&conf);
        seed = run;
        for (int i = 1; i < 300; i++) {
            random_event(j, i, killed);
            json_t *r = json_object();
            alarm_judge_save(j, i % 50 == 0, r);
            if (i % 50 == 0)
                json_array_clear(records);
            json_array_append_new(records, r);
            if (i % 7 == (int)(run % 7))
                j = reborn(j, records, i * 700);
        }
        alarm_judge_free(j);
        same += json_equal(plain, killed) && json_array_size(plain) > 50;
    }
    ok(same == 20, "restarts after any event change no alarm (%d of 20 histories)", same);

    CLEANUP(json_decref_p) json_t *raised = json_array(), *records = json_array(), *r = json_object(), *later = json_object();
    parses(CHANNELS "[rule gone]\nkinds = cut\ngroup = 10s\n");
    struct alarm_judge *j = alarm_judge_new(&conf);
    judge(j, event(1, 1000, "cut", "d0", "{}"), 0, raised);
    judge(j, event(2, 1000, "cut", "d1", "{}"), 0, raised);
    alarm_judge_save(j, false, r);
    json_array_append(records, r);
    parses(CHANNELS "[rule other]\nkinds = stale\n");
    alarm_judge_free(j);
    j = reborn(alarm_judge_new(&conf), records, 0);
    alarm_judge_tick(j, 0, raised);
    ok(json_array_size(raised) == 2 && strcmp(json_path_str(body_of(raised, 1), "rule", ""), "gone") == 0, "what a rule gathered that is gone is told");
    alarm_judge_save(j, false, later);
    json_array_append(records, later);
    j = reborn(j, records, 0);
    alarm_judge_tick(j, 0, raised);
    ok(json_array_size(raised) == 2, "once");
    alarm_judge_free(j);
}

static void test_body(void)
{
    CLEANUP(json_decref_p) json_t *raised = json_array();
    parses(CHANNELS "[rule r]\nkinds = *\n");
    struct alarm_judge *j = alarm_judge_new(&conf);
    alarm_judge_era(j, 2);
    CLEANUP(buf_free) struct buf big = BUF_INIT(0);
    buf_put_str(&big, "{\"text\":\"");
    for (int i = 0; i < 6000; i++)
        buf_put_str(&big, "\xc3\xa4");
    buf_put_str(&big, "\"}");
    judge(j, event(9, 1000, "refused", "d\\u001b", buf_cstr(&big)), 0, raised);
    const json_t *b = body_of(raised, 0);
    CLEANUP(mem_free_p) char *text = json_dumps(b, JSON_COMPACT);
    ok(strlen(text) < 2000, "a huge event makes no huge alarm (%zu bytes)", strlen(text));
    ok(strcmp(json_path_str(b, "id", ""), "cradle.r.1-9-2") == 0, "a stream that has gone back gives other ids");
    alarm_judge_free(j);
}

int main(void)
{
    test_conf();
    test_when();
    test_window();
    test_group();
    test_restart();
    test_body();
    return done();
}
