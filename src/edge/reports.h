/* reports.h: the socket on which consumers on this host report, and which brokers are behind it. Main thread only.
 *
 * Consumers send datagrams and get no answer. To ask brokers to tell all their sessions again, the socket is made anew: they notice that
 * theirs leads nowhere, come back, and know that what they sent before may be lost (plugin/outbox.h).
 */
#ifndef CRADLE_EDGE_REPORTS_H
#define CRADLE_EDGE_REPORTS_H

#include "edge/edge.h"
#include "edge/senders.h"

#define REPORTS_RUNS 16             /* brokers on one host, the dead of the last hour included */
#define REPORTS_SILENT_MS 60000     /* a broker says something every 15 s; one that is silent for so long has ended */
#define REPORTS_CROWDED 1000        /* reports waiting, from which a broker's counters are kept once in so long: */
#define REPORTS_COUNTS_MS 60000

struct reports {
    struct edge *edge;
    int fd;
    uint64_t malformed;             /* datagrams */
    struct report_run {
        char name[17];              /* "": free */
        bool silent;                /* we have said that it has ended */
        int64_t heard_ms, counts_ms; /* monotonic: last report of any kind; last counters that were kept */
        int64_t heard_at_ms;        /* wall clock */
    } runs[REPORTS_RUNS];
    struct senders senders;         /* processes of those that can be seen from here */
    bool deaf;                      /* the socket could not be made anew; that is tried again */
    bool lost;                      /* something about sessions was not kept: brokers must tell again, when there is room */
};

/* Listens on edge.conf's report_socket. CE_BAD_CONFIG, CE_IO. */
MUST_USE enum err reports_open(struct reports *r, struct edge *e, struct fault *f);
void reports_close(struct reports *r);
void reports_take(struct reports *r);                    /* what has come */
void reports_look(struct reports *r, int64_t mono_ms);   /* now and then: brokers that died or are silent, and sessions to be told again */

#endif
