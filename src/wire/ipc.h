/* ipc.h: the frame around a message on a socketpair between roles. Pure codec; reading and writing sockets is role/channel.
 * Header, big-endian: u32 length of what follows, u16 IPC_VERSION, u16 type (msg.def), u64 rid. A malformed internal
 * frame is a defect of ours: the receiver stops (role/channel says "bad internal framing").
 */
#ifndef CRADLE_WIRE_IPC_H
#define CRADLE_WIRE_IPC_H

#include "base/span.h"

#define IPC_VERSION 15
#define IPC_HEADER 16
#define IPC_MAX (40u << 20) /* bytes of one frame */

struct ipc_frame {
    uint16_t type;
    uint64_t rid;     /* request id; a reply carries its request's; 0 in pushes */
    struct span body; /* borrowed */
};

void ipc_frame_put(struct buf *out, uint16_t type, uint64_t rid, struct span body);
/* Takes one frame from the front of *in. CE_TRUNCATED: need more bytes (*in untouched). CE_TOO_LARGE, CE_BAD_FRAME: stop. */
MUST_USE enum err ipc_frame_get(struct span *in, struct ipc_frame *f);

#endif
