/* front_polls.c (test): what a front says to idle devices out of its memory, and when it may not: another question, another certificate, a word of core,
 * a revocation, the end of its time, a core that was away. And that its memory has a bound.
 */
#include "t/unit/front_harness.h"

#include "role/front_priv.h"

#define POLL "/update/v1/poll"

static bool told(const char *who, const char *target, const char *want)
{
    struct resp r = request("GET", target, who, NULL, NULL);
    bool good = r.status == 200 && strstr(r.body, want) != NULL;
    if (!good)
        printf("# got %d: %s\n", r.status, r.body ? r.body : "");
    resp_free(&r);
    return good;
}

/* The push and the next poll come to the front on different sockets: until it has read the push, the old answer is right. */
static bool told_soon(const char *who, const char *target, const char *want)
{
    for (int i = 0; i < 250; i++) {
        struct resp r = request("GET", target, who, NULL, NULL);
        bool good = r.status == 200 && strstr(r.body, want) != NULL;
        resp_free(&r);
        if (good)
            return true;
        usleep(20000);
    }
    return false;
}

static bool asked(const char *want)
{
    const char *have = tell("polls");
    if (strcmp(have, want) != 0)
        printf("# core was asked %s times\n", have);
    return strcmp(have, want) == 0;
}

static void memory(void)
{
    ok(told("dev-1", POLL "?version=1.0.0", "{\"poll\":1}"), "core answers a device's first poll");
    ok(told("dev-1", POLL "?version=1.0.0", "{\"poll\":1}") && told("dev-1", POLL "?version=1.0.0", "{\"poll\":1}") && asked("1"), "the front the next ones");
    ok(told("dev-2", POLL "?version=1.0.0", "{\"poll\":2}") && told("dev-2", POLL "?version=1.0.0", "{\"poll\":2}"), "another device is another matter");
    ok(told("dev-1", POLL "?version=1.1.0", "{\"poll\":3}"), "a device that says another version is decided by core");
    ok(told("dev-1", POLL "?version=1.0.0", "{\"poll\":4}"), "and so it is when it says the first one again: one answer a device is remembered");
    ok(answers(request("GET", POLL, NULL, NULL, NULL), 401, "no-client-certificate") && answers(request("GET", POLL "?version=1.0.0", "foreign", NULL, NULL), 401, "certificate-foreign") && asked("4"),
       "nobody without a device's certificate is told what a device was told");
}

static void stale(void)
{
    ok(strcmp(tell("update dev-1"), "done") == 0 && told_soon("dev-1", POLL "?version=1.0.0", "{\"poll\":5}"), "core says that something changed for a device: its next poll is decided");
    ok(told("dev-2", POLL "?version=1.0.0", "{\"poll\":2}"), "the others' not");
    ok(strcmp(tell("update"), "done") == 0 && told_soon("dev-2", POLL "?version=1.0.0", "{\"poll\":6}") && told("dev-1", POLL "?version=1.0.0", "{\"poll\":7}"),
       "core says that something changed for all: all are decided");
    tell("keep 1");
    ok(told("dev-2", POLL, "{\"poll\":8}") && told("dev-2", POLL, "{\"poll\":8}"), "an answer that is good for a second");
    usleep(1100000);
    ok(told("dev-2", POLL, "{\"poll\":9}"), "is not told after it");
    tell("keep 0");
    ok(told("dev-2", POLL "?sequence=1", "{\"poll\":10}") && told("dev-2", POLL "?sequence=1", "{\"poll\":11}"), "a device with an order is always decided");
    tell("keep 900");
}

static void standing(void)
{
    ok(told("dev-1", POLL, "{\"poll\":12}") && told("dev-1", POLL, "{\"poll\":12}"), "a remembered answer");
    tell("block %s/dev-1.pem cert-revoked", T);
    bool refused = false;
    for (int i = 0; i < 250 && !refused; i++) {
        struct resp r = request("GET", POLL, "dev-1", NULL, NULL);
        refused = r.status == 403;
        resp_free(&r);
        usleep(refused ? 0 : 20000);
    }
    ok(refused && asked("12"), "is not for a revoked certificate");
    tell("lift %s/dev-1.pem", T);
    tell("core-off");
    ok(answers(request("GET", POLL, "dev-1", NULL, NULL), 503, "role-restarting"), "without core nothing is told: whatever it would say is not known");
    tell("core-on");
    ok(told_soon("dev-1", POLL, "{\"poll\":13}"), "when it is back it is asked");
}

/* Without a front: a hundred thousand and one devices. */
static void bound(void)
{
    static struct front fr;
    static struct front_req r;
    const struct msg_reply rep = {.body = SPAN_LIT("{\"state\":\"idle\"}"), .retry_s = 900};
    size_t most = 0;
    bool kept = true;
    fr.polls = front_polls_new();
    r.fr = &fr;
    for (int i = 0; i < 250000; i++) {
        snprintf(r.who.cn, sizeof r.who.cn, "dev-%d", i);
        front_poll_keep(&r, &rep);
        size_t n = front_polls_count(fr.polls);
        most = n > most ? n : most;
        kept &= front_poll_told(&r) && span_eq(buf_span(&r.out), rep.body);
        buf_reset(&r.out);
    }
    ok(kept && most == 100000, "of 250000 devices at most 100000 are remembered (%zu), and always the last", most);
    ok(front_polls_count(fr.polls) > 0, "and some of them still");
    buf_free(&r.out);
    front_polls_free(fr.polls);
}

int main(void)
{
    if (harness_start() != 0) {
        ok(false, "the front starts");
        return done();
    }
    ok(told_soon(NULL, "/healthz", ""), "the front is open");
    memory();
    stale();
    standing();
    ok(harness_stop() == 0, "the front ends cleanly");
    bound();
    return done();
}
