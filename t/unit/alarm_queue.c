/* alarm_queue.c: what waits: through restarts, torn writes, a full disk and full queues; retries that do not hold up others. */
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/alarm_queue.h"
#include "cli/cli.h"
#include "t/tap.h"

static char dir[] = "/tmp/cradle-alarm-XXXXXX";
static char journal[PATH_MAX_LEN];
static struct alarm_conf conf;
static struct alarm_judge *judge;
static struct alarm_queue *q;
static struct alarm_saved saved;
static struct fault f;

static void conf_set(const char *text)
{
    INVARIANT(alarm_conf_parse("t", span_str(text), &conf, &f) == CE_OK);
}
static bool reopen(void)
{
    alarm_queue_close(q);
    alarm_judge_free(judge);
    alarm_saved_free(&saved);
    q = NULL;
    judge = alarm_judge_new(&conf);
    return alarm_queue_open(dir, &conf, judge, &q, &saved, &f) == CE_OK;
}
/* One step that raises alarms for the channels. */
static enum err put(const char *id, uint32_t to, const char *after)
{
    CLEANUP(json_decref_p) json_t *record = json_pack("{s:s}", "after", after);
    CLEANUP(json_decref_p) json_t *raised = json_pack("[{s:i,s:{s:s,s:s}}]", "to", (int)to, "body", "id", id, "rule", "r");
    buf_reset(&saved.after);
    buf_put_str(&saved.after, after);
    return alarm_queue_commit(q, record, raised, &saved, &f);
}
static bool next_is(int ch, const char *id, int64_t *seq)
{
    CLEANUP(mem_free_p) char *body = NULL;
    *seq = alarm_queue_next(q, ch, 0, &body);
    CLEANUP(json_decref_p) json_t *o = body ? json_loads(body, 0, NULL) : NULL;
    if (!id)
        return *seq == 0;
    return o && strcmp(json_path_str(o, "id", ""), id) == 0;
}
static bool done_with(int ch, int64_t seq, enum alarm_outcome o)
{
    struct alarm_result r = { .outcome = o, .text = "why" };
    return alarm_queue_done(q, ch, seq, &r, &f) == CE_OK;
}
static struct alarm_lane lane(int ch)
{
    struct alarm_lane l;
    alarm_queue_lane(q, ch, &l);
    return l;
}

#define TWO "[channel a]\ntype = command\ncommand = /bin/true\n[channel b]\ntype = command\ncommand = /bin/true\n"

static void test_restart(void)
{
    int64_t seq;
    ok(reopen() && saved.after.len == 0, "a new journal");
    ok(!put("x1", 3, "1:1") && !put("x2", 1, "1:2") && !put("x3", 3, "1:3"), "three alarms");
    ok(next_is(0, "x1", &seq) && done_with(0, seq, ALARM_TAKEN) && next_is(0, "x2", &seq) && done_with(0, seq, ALARM_REFUSED) && next_is(1, "x1", &seq),
       "go out in order, to each channel by itself");
    ok(reopen() && span_eq_str(buf_span(&saved.after), "1:3") && lane(0).waiting == 1 && lane(1).waiting == 2, "a restart forgets nothing");
    ok(next_is(0, "x3", &seq) && next_is(1, "x1", &seq) && done_with(1, seq, ALARM_TAKEN) && next_is(1, "x3", &seq) && done_with(1, seq, ALARM_TAKEN), "and repeats nothing");
    ok(reopen() && lane(0).waiting == 1 && lane(1).waiting == 0 && next_is(0, "x3", &seq) && done_with(0, seq, ALARM_TAKEN), "also after a snapshot");
    ok(!put("x4", 1, "1:4") && reopen() && next_is(0, "x4", &seq) && next_is(1, NULL, &seq), "numbers go on after a snapshot");
    conf_set("[channel c]\ntype = command\ncommand = /bin/true\n");
    ok(reopen() && saved.lost == 1 && lane(0).waiting == 0, "a channel that is gone is told, with what waited for it");
    conf_set(TWO);
    ok(reopen() && lane(0).waiting == 0, "once");
}

/* Every prefix of the journal is a state that was: what a kill in the middle of a write leaves. */
static void test_torn(void)
{
    CLEANUP(buf_free) struct buf whole = BUF_INIT(0);
    int64_t seq;
    unlink(journal);
    ok(reopen() && !put("t1", 3, "1:1") && next_is(0, "t1", &seq) && done_with(0, seq, ALARM_TAKEN) && !put("t2", 3, "1:2"), "a journal of several records");
    ok(!file_read(journal, &whole), "of %zu bytes", whole.len);
    int bad = 0, seen[3] = { 0 };
    for (size_t n = 0; n <= whole.len; n++) {
        INVARIANT(file_write_atomic(journal, span_of(whole.data, n), 0600) == CE_OK);
        if (!reopen()) {
            bad++;
            continue;
        }
        int64_t a = lane(0).waiting, b = lane(1).waiting;
        bool state0 = !a && !b, state1 = a == 1 && b == 1, state2 = !a && b == 1, state3 = a == 1 && b == 2;
        const char *after = saved.after.len ? buf_cstr(&saved.after) : "";
        bad += !((state0 && !*after) || ((state1 || state2) && !strcmp(after, "1:1")) || (state3 && !strcmp(after, "1:2")));
        seen[0] += state1, seen[1] += state2, seen[2] += state3;
    }
    ok(!bad && seen[0] > 10 && seen[1] > 10 && seen[2] == 1, "each cut of it is a state that was (%d are not)", bad);
    buf_reset(&whole);
    INVARIANT(!reopen() || !file_read(journal, &whole));
    whole.data[30] ^= 1;
    ok(!file_write_atomic(journal, buf_span(&whole), 0600) && !reopen() && f.code == CE_STORE_DAMAGED && strstr(f.text, "line 1 is damaged"), "damage is told: %s", f.text);
    unlink(journal);
    ok(reopen(), "and begins anew without the file");
}

static void test_full(void)
{
    int64_t seq;
    char id[700];
    int n = 0;
    conf.head.queue_max = 65536;
    unlink(journal);
    reopen();
    for (; n < 1000 && !lane(0).dropped; n++) {
        snprintf(id, sizeof id, "f%d-%0600d", n, n);
        INVARIANT(put(id, n < 20 ? 1 : 3, "1:1") == CE_OK);
    }
    ok(n > 50 && n < 150 && lane(0).waiting == n - 1 && lane(0).dropped == 1, "a full queue drops and counts");
    ok(lane(1).waiting == n - 20 && !lane(1).dropped, "the other channel gets it all the same");
    ok(reopen() && lane(0).dropped == 1 && lane(0).waiting == n - 1, "a restart keeps the count");
    CLEANUP(json_decref_p) json_t *record = json_pack("{s:[[s,i]]}", "lane", "a", 0);
    CLEANUP(json_decref_p) json_t *raised = json_pack("[{s:i,s:{s:s,s:s}}]", "to", 3, "body", "id", "self1", "rule", "self");
    ok(!alarm_queue_commit(q, record, raised, &saved, &f) && lane(0).dropped == 0 && lane(0).waiting == n, "an alarm about it finds room");
    for (int i = 0; i < n; i++) {
        CLEANUP(mem_free_p) char *body = NULL;
        seq = alarm_queue_next(q, 0, 0, &body);
        INVARIANT(seq && done_with(0, seq, ALARM_TAKEN));
    }
    ok(lane(0).waiting == 0 && lane(0).bytes == 0, "it empties");
}

static void test_retry(void)
{
    int64_t seq, other;
    unlink(journal);
    reopen();
    put("p", 3, "1:1");
    ok(next_is(0, "p", &seq) && done_with(0, seq, ALARM_AGAIN) && next_is(0, NULL, &other), "what failed waits");
    ok(next_is(1, "p", &other) && done_with(1, other, ALARM_TAKEN), "without holding up the other channel");
    struct alarm_lane l = lane(0);
    ok(l.failed == 1 && l.failing_mono_ms && strcmp(l.error, "why") == 0, "and is known to fail");
    CLEANUP(mem_free_p) char *body = NULL;
    int64_t began = clock_mono_ms();
    ok((seq = alarm_queue_next(q, 0, 5000, &body)) > 0 && clock_mono_ms() - began >= 500, "it comes again after a while");
    done_with(0, seq, ALARM_AGAIN);
    put("fresh", 1, "1:2");
    CLEANUP(mem_free_p) char *body2 = NULL;
    seq = alarm_queue_next(q, 0, 15000, &body2);
    ok(seq && strstr(body2, "fresh"), "what was never tried goes before what has failed");
    ok(done_with(0, seq, ALARM_TAKEN) && next_is(0, "p", &seq) && !lane(0).failing_mono_ms, "a success ends the wait of the others");
    struct alarm_result r = { .outcome = ALARM_AGAIN, .wait_s = 3600 };
    ok(!alarm_queue_done(q, 0, seq, &r, &f) && !put("late", 1, "1:3") && next_is(0, NULL, &seq), "a receiver that asks for time gets it");
}

/* A disk that takes nothing more: RLIMIT_FSIZE makes write fail as ENOSPC would. */
static void test_disk(void)
{
    struct rlimit was, now;
    int64_t seq;
    CLEANUP(json_decref_p) json_t *raised = json_pack("[{s:i,s:{s:s,s:s}}]", "to", 1, "body", "id", "v", "rule", "self");
    unlink(journal);
    reopen();
    put("d1", 1, "1:1");
    getrlimit(RLIMIT_FSIZE, &was);
    now = was;
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(0), after = BUF_INIT(0);
    INVARIANT(!file_read(journal, &bytes));
    now.rlim_cur = bytes.len + 10;
    setrlimit(RLIMIT_FSIZE, &now);
    enum err e = put("d2", 1, "1:2");
    bool noted = next_is(0, "d1", &seq) && done_with(0, seq, ALARM_TAKEN);
    alarm_queue_volatile(q, raised);
    setrlimit(RLIMIT_FSIZE, &was);
    ok(e && lane(0).waiting == 2, "a full disk: nothing has happened (%s)", f.text);
    ok(!noted, "nor is a delivery taken for noted");
    INVARIANT(!file_read(journal, &after));
    ok(span_eq(buf_span(&bytes), buf_span(&after)), "and the journal is as before");
    ok(!put("d2", 1, "1:2") && done_with(0, seq, ALARM_TAKEN) && lane(0).waiting == 2, "with room it goes on");
    ok(next_is(0, "v", &seq) && done_with(0, seq, ALARM_TAKEN), "what was told meanwhile went out without it");
    ok(reopen() && next_is(0, "d2", &seq) && lane(0).waiting == 1, "a restart finds what it should");
}

/* -- threads: one puts, two take, as in the service ---------------------------------------------------------------------------------- */
#define TAKES 50
static void *taker(void *arg)
{
    int ch = *(int *)arg, n = 0;
    while (n < TAKES) {
        char *body = NULL;
        int64_t seq = alarm_queue_next(q, ch, 1000, &body);
        n += seq && done_with(ch, seq, ALARM_TAKEN);
        free(body);
    }
    return NULL;
}
static void test_threads(void)
{
    pthread_t t[2];
    int ch[2] = { 0, 1 };
    unlink(journal);
    reopen();
    for (int i = 0; i < 2; i++)
        INVARIANT(pthread_create(&t[i], NULL, taker, &ch[i]) == 0);
    for (int i = 0; i < TAKES; i++) {
        char id[16];
        snprintf(id, sizeof id, "n%d", i);
        INVARIANT(put(id, 3, "1:1") == CE_OK);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    ok(lane(0).taken == TAKES && lane(1).taken == TAKES && !lane(0).waiting && !lane(1).waiting, "two channels take at once");
}

int main(void)
{
    signal(SIGXFSZ, SIG_IGN);
    INVARIANT(mkdtemp(dir));
    path_join(journal, "%s/alarm.journal", dir);
    conf_set(TWO);
    test_restart();
    test_torn();
    test_full();
    test_retry();
    test_disk();
    test_threads();
    alarm_queue_close(q);
    alarm_judge_free(judge);
    alarm_saved_free(&saved);
    unlink(journal);
    rmdir(dir);
    return done();
}
