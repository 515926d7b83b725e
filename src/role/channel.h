/* channel.h: frames (wire/ipc.h) over a socketpair end, by a libevent bufferevent. One channel an edge.
 * Every frame is checked against role/edges.h; a malformed or forbidden one is a defect of ours or an attack and stops the
 * process ("bad internal framing"): the parent restarts it. Not for the parent's own link (role/link.h).
 */
#ifndef CRADLE_ROLE_CHANNEL_H
#define CRADLE_ROLE_CHANNEL_H

#include <event2/event.h>

#include "role/edges.h"
#include "wire/ipc.h"
#include "wire/msg.h"

struct channel;

/* f->body is borrowed for the time of the call. The callee may channel_free(ch) and may send. */
typedef void channel_frame_fn(void *ctx, struct channel *ch, const struct ipc_frame *f);
/* The peer closed or died. The callee must channel_free(ch), then answer what was open with CE_ROLE_GONE; a new descriptor
 * comes through struct role_events.peer. */
typedef void channel_gone_fn(void *ctx, struct channel *ch);

struct channel_config {
    struct event_base *base;   /* borrowed */
    int fd;                    /* becomes the channel's */
    enum role self, peer;
    unsigned peer_index;
    channel_frame_fn *on_frame;
    channel_gone_fn *on_gone;
    void *ctx;
};

#define CHANNEL_HIGH_WATER (8u << 20)   /* unsent bytes from which channel_full() is true */
#define CHANNEL_HARD_LIMIT (256u << 20) /* unsent bytes from which the peer counts as hung and the channel is closed */

struct channel *channel_new(const struct channel_config *c);
void channel_free(struct channel *ch);  /* closes the descriptor; NULL is legal; unsent bytes are lost */
enum role channel_peer(const struct channel *ch);
unsigned channel_peer_index(const struct channel *ch);
/* Backpressure: while true, a polite sender takes no new work for this peer (front: 503 busy). */
bool channel_full(const struct channel *ch);
/* Queues one frame. Never fails: a peer that does not read until CHANNEL_HARD_LIMIT is reported by on_gone (from the loop). */
void channel_send(struct channel *ch, uint16_t type, uint64_t rid, struct span body);
void channel_send_msg(struct channel *ch, const struct msg_desc *d, uint64_t rid, const void *m);
/* For front: msg_caller, then the request's message (m may be NULL when there is none). */
void channel_send_call(struct channel *ch, uint64_t rid, const struct msg_caller *who, const struct msg_desc *d, const void *m);
/* For handlers: the body is not what its type says. Logs "bad internal framing" with the peer's name and stops the process. */
_Noreturn void channel_bad(const struct channel *ch, uint16_t type, const char *what);

#define EXIT_BAD_FRAMING 71

#endif
