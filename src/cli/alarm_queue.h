/* alarm_queue.h: what waits to go out, and where the service is in the stream, in one journal that a kill at any moment leaves whole.
 *
 * The journal is a file of lines: 16 hex digits of SHA-256, a blank, a JSON record. A line is appended and flushed before anything acts
 * on it; a torn last line never happened. Records:
 *   after  vector of the stream up to which everything is in the journal      era    see alarm_raise
 *   count, group  state of the rules (alarm_judge_save)                       cond   troubles of this service that are told: key -> ms
 *   alarm  [[seq, [channel…], body]…] new ones                                drop   [[channel, n]…] that found no room
 *   done   [seq, channel, taken|refused] one delivery                         lane   [[channel, dropped]…] in place of what drop added up to
 * Grown, it is replaced by a snapshot of what still counts. queue_commit belongs to one thread; the other calls to any.
 */
#ifndef CRADLE_CLI_ALARM_QUEUE_H
#define CRADLE_CLI_ALARM_QUEUE_H

#include "cli/alarm.h"

struct alarm_queue; /* opaque */

struct alarm_saved { /* what the journal holds beside alarms and rules; owned by the caller of alarm_queue_open */
    struct buf after;    /* vector, "" at the first start */
    json_t *cond;
    int64_t era;
    int64_t lost;        /* deliveries to channels that are not configured any more */
};
void alarm_saved_free(struct alarm_saved *s);

/* Opens or makes DIR/alarm.journal and gives the rules their state back. judge and conf are borrowed until alarm_queue_close.
 * CE_IO, CE_STORE_DAMAGED. */
MUST_USE enum err alarm_queue_open(const char *dir, const struct alarm_conf *c, struct alarm_judge *judge, struct alarm_queue **out,
                                   struct alarm_saved *saved, struct fault *f);
void alarm_queue_close(struct alarm_queue *q); /* NULL is legal */

/* Makes one step durable: record (members as above; "alarm" and "drop" are made here) and the alarms raised with it. On an error nothing
 * has happened, and the same call may be made again. saved: what a snapshot says of where we are. */
MUST_USE enum err alarm_queue_commit(struct alarm_queue *q, json_t *record, const json_t *raised, const struct alarm_saved *saved, struct fault *f);
/* Lets alarms out that the journal cannot take: they are gone with this process. */
void alarm_queue_volatile(struct alarm_queue *q, const json_t *raised);

/* The next delivery of a channel: seq > 0 and a copy of its body (the caller's, free), or 0 after at most max_wait_ms. */
int64_t alarm_queue_next(struct alarm_queue *q, int channel, int64_t max_wait_ms, char **body);
/* What came of it. On an error the note is not durable yet: call again. */
MUST_USE enum err alarm_queue_done(struct alarm_queue *q, int channel, int64_t seq, const struct alarm_result *r, struct fault *f);
void alarm_queue_stop(struct alarm_queue *q); /* alarm_queue_next returns 0 from now on, at once */

struct alarm_lane { /* one channel, for the status */
    int64_t waiting, bytes;         /* of alarms */
    int64_t taken, refused, failed; /* since the start: deliveries, refusals for good, attempts that failed */
    int64_t dropped;                /* found no room, since it was last told */
    int64_t failing_mono_ms;        /* since when nothing was taken; 0: well */
    int64_t taken_at_ms;            /* wall clock, 0 never */
    char error[256];                /* of the last attempt that failed, "" after one that did not */
    char refused_id[256];           /* the last alarm that was refused for good */
};
void alarm_queue_lane(struct alarm_queue *q, int channel, struct alarm_lane *out);

#endif
