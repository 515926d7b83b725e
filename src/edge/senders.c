/* senders.c: see senders.h. A pidfd becomes readable when its process has ended, and never means another one (pidfd_open(2)). */
#include "edge/senders.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

static size_t sender_find(const struct senders *s, struct span run)
{
    size_t i = 0;
    while (i < s->n && !span_eq_str(run, s->at[i].run))
        i++;
    return i;
}

static void sender_drop(struct senders *s, size_t i)
{
    fd_close_p(&s->at[i].pidfd);
    s->at[i] = s->at[--s->n];
}

void senders_note(struct senders *s, struct span run, pid_t pid)
{
    if (pid <= 0 || !run.n || s->n == SENDERS_MAX || sender_find(s, run) < s->n || span_to_cstr(run, s->at[s->n].run, sizeof s->at[0].run))
        return;
    s->at[s->n].pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (s->at[s->n].pidfd >= 0)
        s->n++;
}

void senders_forget(struct senders *s, struct span run)
{
    size_t i = sender_find(s, run);
    if (i < s->n)
        sender_drop(s, i);
}

void senders_look(struct senders *s, void (*dead)(void *arg, const char *run), void *arg)
{
    for (size_t i = s->n; i-- > 0;) {
        struct pollfd p = { s->at[i].pidfd, POLLIN, 0 };
        if (poll(&p, 1, 0) != 1)
            continue;
        dead(arg, s->at[i].run);
        sender_drop(s, i);
    }
}

void senders_close(struct senders *s)
{
    while (s->n)
        sender_drop(s, s->n - 1);
}
