/* senders.h: the broker processes that report to this edge, each with its run (wire/report.h): one that is killed cannot say that its
 * run has ended, so the edge watches it. A process of another pid namespace cannot be watched; cradled notes its silence in the end.
 * One thread; not durable.
 */
#ifndef CRADLE_EDGE_SENDERS_H
#define CRADLE_EDGE_SENDERS_H

#include <sys/types.h>

#include "base/span.h"

#define SENDERS_MAX 64 /* brokers at once; further ones are not watched */
#define SENDER_RUN 16  /* characters of a run */

struct senders {
    struct { char run[SENDER_RUN + 1]; int pidfd; } at[SENDERS_MAX];
    size_t n;
};

/* A report of the run came from the process pid; 0 or less: it cannot be seen from here. */
void senders_note(struct senders *s, struct span run, pid_t pid);
void senders_forget(struct senders *s, struct span run); /* it has said itself that it ended */
/* Calls dead for each run whose process is gone, once, and forgets it. */
void senders_look(struct senders *s, void (*dead)(void *arg, const char *run), void *arg);
void senders_close(struct senders *s);

#endif
