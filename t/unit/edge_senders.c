/* edge_senders.c: brokers that report are watched by their process: one that dies is told once, one that said so itself is not. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "edge/senders.h"
#include "t/tap.h"

static char told[256];

static void dead(void *arg, const char *run)
{
    (void)arg;
    strncat(told, run, sizeof told - strlen(told) - 2);
    strcat(told, " ");
}

static pid_t process(void)
{
    pid_t p = fork();
    while (!p)
        pause();
    return p;
}

static void process_end(pid_t p)
{
    kill(p, SIGKILL);
    waitpid(p, NULL, 0);
}

static const char *look(struct senders *s)
{
    told[0] = 0;
    senders_look(s, dead, NULL);
    return told;
}

int main(void)
{
    static struct senders s;
    pid_t a = process(), b = process(), c = process();
    senders_note(&s, span_str("0123456789abcdef"), a);
    senders_note(&s, span_str("0123456789abcdef"), a);
    senders_note(&s, span_str("bb"), b);
    senders_note(&s, span_str("cc"), c);
    senders_note(&s, span_str("dd"), 0);
    senders_note(&s, span_str(""), c);
    senders_note(&s, span_str("0123456789abcdef0"), c);
    ok(s.n == 3, "three brokers are watched: a process that cannot be seen, no name and a name too long are not");
    ok(!strcmp(look(&s), ""), "all of them live");
    process_end(a);
    ok(!strcmp(look(&s), "0123456789abcdef "), "one is killed, and told");
    ok(!strcmp(look(&s), ""), "once");
    senders_forget(&s, span_str("bb"));
    senders_forget(&s, span_str("none"));
    process_end(b);
    ok(!strcmp(look(&s), ""), "one that said itself that it ended is not told");
    process_end(c);
    senders_note(&s, span_str("cc"), c);
    ok(!strcmp(look(&s), "cc ") && s.n == 0, "the last one is told");
    senders_note(&s, span_str("late"), c);
    ok(s.n == 0, "a process that is gone already cannot be watched");
    pid_t d = process();
    for (int i = 0; i < SENDERS_MAX + 3; i++) {
        char run[SENDER_RUN + 1];
        snprintf(run, sizeof run, "%x", i);
        senders_note(&s, span_str(run), d);
    }
    ok(s.n == SENDERS_MAX, "no more than %d are watched", SENDERS_MAX);
    process_end(d);
    senders_close(&s);
    ok(s.n == 0, "and let go");
    return done();
}
