/* alarm_serve.h: what alarm_serve.c and alarm_watch.c share: the service while it runs. Not for others. */
#ifndef CRADLE_CLI_ALARM_SERVE_H
#define CRADLE_CLI_ALARM_SERVE_H

#include "cli/alarm_queue.h"
#include "cli/cli.h"

struct alarm_serve {
    struct cli *c;               /* its net_cfg and net are ours */
    struct alarm_conf *conf;
    struct alarm_judge *judge;
    struct alarm_queue *queue;
    struct alarm_saved saved;    /* where we are; ahead of the journal by what did nothing */
    json_t *record, *raised;     /* the step in progress; both owned */
    bool due;                    /* the step must become durable */
    unsigned url, n_urls;        /* attempts that moved on to the next of the URLs, and how many there are */
    /* monotonic */
    int64_t good_ms;             /* when the service answered last */
    int64_t cursor_ms;           /* when the vector was noted last */
    int64_t check_ms, status_ms, renew_ms;
    int64_t journal_bad_ms;      /* since when the journal takes nothing; 0: well */
    bool connected, told;        /* told: in the log, that the service does not answer */
    int behind;                  /* checks in a row that saw the service behind us */
    int64_t refused[ALARM_CHANNELS_MAX]; /* refusals for good that are told */
    uint64_t events, raised_n, evicted;
    char trouble[256];           /* why the service does not answer */
};

/* The connection of the moment to one of cradled's URLs; another one after alarm_net_drop. */
MUST_USE enum err alarm_net(struct alarm_serve *s, struct fault *f);
void alarm_net_drop(struct alarm_serve *s);

/* Looks at everything that may be wrong with us and around us; what is new becomes part of the step. */
void alarm_watch(struct alarm_serve *s);
void alarm_watch_journal(struct alarm_serve *s, const struct fault *why); /* the journal takes nothing: what can be told all the same */
/* alarm.status, made anew each second. */
void alarm_status_write(struct alarm_serve *s);
#define ALARM_STATUS_FILE "alarm.status"

#endif
