/* outbox.h: reports on their way to cradle-edge: a bounded ring that the broker's thread fills without waiting and the plugin's thread
 * empties into edge's datagram socket. Repeated refusals become one report with a count. When the ring is full, reports are dropped
 * and counted. It is not durable: edge's spool is.
 */
#ifndef CRADLE_PLUGIN_OUTBOX_H
#define CRADLE_PLUGIN_OUTBOX_H

#include "base/span.h"
#include "plugin/judge.h"

#define OUTBOX_MAX 8192          /* reports waiting */
#define OUTBOX_REFUSALS 256      /* kinds of refusal counted at a time */
#define OUTBOX_REFUSAL_MS 10000  /* repeats of one refusal within this are counted, not told */

struct outbox_report {
    const char *kind, *reason;   /* literals; reason may be NULL */
    char uid[UID_MAX + 1], addr[64], text[200];
    uint8_t serial[JUDGE_SERIAL], serial_n;
    int64_t at_ms, count, latency_us, frame_at_ms; /* frame_at_ms: cut: when the frame that said so was signed; 0: none did */
};

struct outbox; /* opaque; every function may be called in any thread */
struct outbox *outbox_new(const char *socket_path); /* never NULL; path copied */
void outbox_free(struct outbox *b);
void outbox_put(struct outbox *b, const struct outbox_report *r);
void outbox_refused(struct outbox *b, const struct outbox_report *r); /* kind "refused", counted */

enum outbox_state { OUTBOX_EMPTY, OUTBOX_FULL, OUTBOX_AWAY }; /* FULL: edge's socket is, try again soon; AWAY: there is none */
/* Sends what it can without blocking (the plugin's thread). *dropped gets and resets the number dropped since the last call. */
enum outbox_state outbox_flush(struct outbox *b, int64_t mono_ms, uint64_t *dropped);

#endif
