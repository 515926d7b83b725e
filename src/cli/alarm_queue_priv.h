/* alarm_queue_priv.h: what the two files of the queue share. Not for others. */
#ifndef CRADLE_CLI_ALARM_QUEUE_PRIV_H
#define CRADLE_CLI_ALARM_QUEUE_PRIV_H

#include <pthread.h>
#include <sys/queue.h>

#include "cli/alarm_journal.h"
#include "cli/alarm_queue.h"

struct item {
    TAILQ_ENTRY(item) link;
    int64_t seq;
    uint32_t waiting;           /* bits: channels that have not taken it */
    bool gone_with_us;          /* not in the journal */
    uint8_t tried[ALARM_CHANNELS_MAX];
    size_t len;
    char body[];
};

struct lane {
    struct alarm_lane info;
    int failures;               /* attempts since one was answered */
    int64_t last_ms, next_ms, hold_ms; /* monotonic */
};

struct alarm_queue {
    pthread_mutex_t lock;       /* of all that follows */
    pthread_cond_t news;
    const struct alarm_conf *conf;
    struct alarm_judge *judge;
    struct alarm_journal journal;
    TAILQ_HEAD(, item) items;   /* oldest first */
    struct lane lane[ALARM_CHANNELS_MAX];
    int64_t next_seq;
    bool stop;
};

/* All with the lock held. */
void queue_item_add(struct alarm_queue *q, int64_t seq, uint32_t channels, const char *body, bool gone_with_us);
struct item *queue_item_find(struct alarm_queue *q, int64_t seq);
void queue_item_done(struct alarm_queue *q, struct item *it, int channel); /* may free it */
/* [[channel, n]…] added to what the lanes dropped, or in its place. */
void queue_lanes_dropped(struct alarm_queue *q, const json_t *rows, bool add);
json_t *queue_names(const struct alarm_queue *q, uint32_t channels);
MUST_USE enum err queue_snapshot(struct alarm_queue *q, const struct alarm_saved *saved, struct fault *f);

#endif
