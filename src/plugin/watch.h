/* watch.h: the plugin's own thread: follows the snapshot (inotify, and once a second anyway), verifies, queues what the broker's
 * thread must do, and wakes it. It calls no function of the broker.
 *
 * Waking: the broker's loop sleeps in epoll for up to 100 ms (2.0) or for seconds (2.1, whose ticks are no clock). A signal with an
 * empty handler (SIGURG) interrupts it; one signal can fall between two calls, so pulses go on every 10 ms until the queue is drained.
 */
#ifndef CRADLE_PLUGIN_WATCH_H
#define CRADLE_PLUGIN_WATCH_H

#include <pthread.h>

#include "plugin/outbox.h"
#include "snap/snapfile.h"

#define WATCH_JOBS 1024 /* more at once than this: everybody is judged again instead */
#define WATCH_NOTES 16

struct watch_job { /* an entry that may put somebody out */
    unsigned set;  /* enum snapshot_set */
    uint8_t key[SNAPSHOT_KEY];
    int64_t at_ms;   /* of its frame */
    int64_t seen_us; /* monotonic, when it was verified here */
};
struct watch_note { /* a line for the broker's log */
    enum watch_level { WATCH_INFO, WATCH_WARN, WATCH_ERROR } level;
    char text[300];
};
struct watch_work { /* all that is due, moved out of the queue */
    struct watch_job jobs[WATCH_JOBS];
    size_t n_jobs;
    bool judge_all;
    int64_t all_at_ms, all_seen_us;
    struct watch_note notes[WATCH_NOTES];
    size_t n_notes;
};

struct watch; /* opaque */
struct watch_config {
    const char *dir;         /* copied */
    struct snap *snap;       /* borrowed until watch_stop */
    struct outbox *outbox;   /* borrowed until watch_stop */
    pthread_t main;          /* the broker's thread, which gets SIGURG */
    int64_t alarm_ms, refuse_ms;
};
/* Installs the empty SIGURG handler and starts the thread. CE_IO. */
MUST_USE enum err watch_start(const struct watch_config *cfg, struct watch **out, struct fault *f);
void watch_stop(struct watch *w); /* joins the thread; NULL is legal */

/* Broker's thread: */
bool watch_due(struct watch *w);  /* cheap: is there anything to take? */
void watch_take(struct watch *w, struct watch_work *out);
void watch_busy(struct watch *w, bool busy);              /* more work is left over: keep pulsing */
void watch_next_end(struct watch *w, int64_t not_after);  /* s since 1970: pulse when it has passed; INT64_MAX none */
void watch_nudge(struct watch *w);                        /* the outbox has something */

#endif
