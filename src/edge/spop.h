/* spop.h: codec of HAProxy's Stream Processing Offload Protocol 2.0 (SPOE.txt section 3), the part that an agent for one question needs:
 * HELLO, NOTIFY, ACK, DISCONNECT, pipelining, no fragments, no async. Pure: no sockets. A frame on the wire is u32 length, then the bytes
 * that these functions read and write.
 */
#ifndef CRADLE_EDGE_SPOP_H
#define CRADLE_EDGE_SPOP_H

#include "base/span.h"

#define SPOP_FRAME_MAX 16380 /* HAProxy's tune.bufsize - 4 */
#define SPOP_FRAME_MIN 256
#define SPOP_ARG_CERT "cert"     /* binary: the client's certificate, DER (ssl_c_der) */
#define SPOP_ARG_ADDR "addr"     /* the client's address (src) */

enum spop_frame_type {
    SPOP_HAPROXY_HELLO = 1, SPOP_HAPROXY_DISCONNECT = 2, SPOP_NOTIFY = 3,
    SPOP_AGENT_HELLO = 101, SPOP_AGENT_DISCONNECT = 102, SPOP_ACK = 103
};
enum spop_status { SPOP_NORMAL = 0, SPOP_TOO_BIG = 3, SPOP_INVALID = 4, SPOP_NO_VERSION = 5, SPOP_NO_FRAME_SIZE = 6, SPOP_BAD_VERSION = 8,
                   SPOP_BAD_FRAME_SIZE = 9, SPOP_FRAGMENTS = 10 };
enum spop_value_type { SPOP_NULL, SPOP_BOOL, SPOP_INT32, SPOP_UINT32, SPOP_INT64, SPOP_UINT64, SPOP_IPV4, SPOP_IPV6, SPOP_STRING, SPOP_BINARY };

struct spop_frame { /* spans into the bytes given */
    uint8_t type;
    bool fin, abort;
    uint64_t stream_id, frame_id;
    struct span payload;
};
struct spop_value {
    enum spop_value_type type;
    bool yes;            /* BOOL */
    uint64_t number;     /* integers */
    struct span bytes;   /* addresses, STRING, BINARY */
};
struct spop_hello {
    bool version_2, healthcheck;
    uint32_t max_frame;  /* 0: not said */
};
struct spop_check { /* the arguments of the NOTIFY's messages */
    struct span cert;    /* empty: none was shown */
    struct spop_value addr;
};

/* in: one frame without its length. CE_TRUNCATED, CE_BAD_INPUT. */
MUST_USE enum err spop_frame_parse(struct span in, struct spop_frame *out);
/* Payloads. Unknown keys and arguments are passed over; CE_TRUNCATED, CE_BAD_INPUT (a known one of another type, or twice). */
MUST_USE enum err spop_hello_parse(struct span payload, struct spop_hello *out);
MUST_USE enum err spop_notify_parse(struct span payload, struct spop_check *out);

/* Writers append a whole frame, with its length in front. */
void spop_put_hello(struct buf *out, uint32_t max_frame);
void spop_put_disconnect(struct buf *out, enum spop_status status, const char *message);
/* An ACK is begun, variables of the transaction are set, and it is ended; at is what begin returned. */
size_t spop_ack_begin(struct buf *out, uint64_t stream_id, uint64_t frame_id);
void spop_ack_bool(struct buf *out, const char *name, bool yes);
void spop_ack_str(struct buf *out, const char *name, struct span text);
void spop_ack_end(struct buf *out, size_t at);
void spop_put_varint(struct buf *out, uint64_t v);
bool spop_varint_take(struct span *rest, uint64_t *v);

#endif
