/* outbox.h: reports on their way to cradle-edge: a bounded ring that the broker's thread fills without waiting and the plugin's thread
 * empties into edge's datagram socket. It is not durable: edge's spool is.
 *
 * What may be lost, and how it becomes right again: a report that finds no room, and what edge had taken and not spooled when it died.
 * Counters are kept here, cumulative over this run of the broker, and sent whole, so the next report of them is right. Sessions are
 * told again: outbox_sync_wanted says when (the ring had no room, or edge has come back). Refusals wait in a tally until there is room.
 */
#ifndef CRADLE_PLUGIN_OUTBOX_H
#define CRADLE_PLUGIN_OUTBOX_H

#include "base/span.h"
#include "base/tally.h"
#include "plugin/judge.h"
#include "wire/broker_counts.h"

#define OUTBOX_MAX 8192           /* reports waiting */
#define OUTBOX_ROOM (OUTBOX_MAX / 4 * 3) /* of them, for sessions and refusals; the rest is for cuts, alarms and the like */
#define OUTBOX_COUNTS_MS 1000     /* counters that change are sent so often, */
#define OUTBOX_ALIVE_MS 15000     /* others so often: silence means that the broker has died */

struct outbox_report {
    const char *kind, *reason;   /* literals; reason may be NULL */
    char uid[UID_MAX + 1], addr[64], text[200];
    char tls[64];
    uint8_t serial[JUDGE_SERIAL], serial_n;
    bool resumed;
    int64_t at_ms, count, latency_us, sources;
    int64_t frame_at_ms;         /* cut: when the frame that said so was signed; 0: none did */
    int64_t session, sync;       /* of a session; 0: not about one */
    int64_t keepalive_s, heard_ms, score;
    char other[64];              /* clone-suspected: the other address */
};

struct outbox; /* opaque; every function may be called in any thread */
MUST_USE enum err outbox_new(const char *socket_path, struct outbox **out, struct fault *f); /* path copied; CE_IO: no random numbers */
void outbox_free(struct outbox *b);
void outbox_put(struct outbox *b, const struct outbox_report *r);
void outbox_refused(struct outbox *b, const struct tally_item *item); /* counted, told as the tally says */

void outbox_count(struct outbox *b, enum broker_count n, int64_t add); /* a gauge too: by the difference */

bool outbox_sync_wanted(struct outbox *b);   /* sessions are to be told again, there is somebody to tell, and room for some */
bool outbox_sync_broken(struct outbox *b);   /* something was lost since the telling began, or none has begun */
void outbox_sync_begin(struct outbox *b);    /* a telling with a number of its own, which goes into the reports from now on */
void outbox_sync_end(struct outbox *b);      /* every live session has been told */

enum outbox_state { OUTBOX_EMPTY, OUTBOX_FULL, OUTBOX_AWAY }; /* FULL: edge's socket is, try again soon; AWAY: there is none */
/* Sends what it can without blocking (the plugin's thread). *dropped gets and resets the number dropped since the last call. */
enum outbox_state outbox_flush(struct outbox *b, int64_t mono_ms, uint64_t *dropped);
/* The broker ends: last counters and the end of the run, as far as edge takes them in wait_ms. No other thread may be using b. */
void outbox_end(struct outbox *b, int64_t wait_ms);

#endif
