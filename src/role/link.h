/* link.h: the parent's link to a role: SOCK_SEQPACKET, one wire/ipc frame a packet, sometimes with a descriptor. Both ends use
 * it; traffic is rare and small. For work between roles there is role/channel.h.
 */
#ifndef CRADLE_ROLE_LINK_H
#define CRADLE_ROLE_LINK_H

#include "role/role.h"
#include "wire/ipc.h"
#include "wire/msg.h"

#define LINK_PACKET_MAX 70000u

/* Sends one message; pass >= 0 goes along as a descriptor (the caller still closes its own). CE_IO: the other end is gone or
 * does not read. */
MUST_USE enum err link_send(int fd, const struct msg_desc *d, const void *m, int pass);
/* Receives one packet into in (reset first; out->body points into it). *passed is -1 or a descriptor that is the caller's.
 * CE_NOT_FOUND: the other end is closed. CE_BUSY: nothing there (non-blocking). CE_BAD_FRAME. */
MUST_USE enum err link_recv(int fd, struct buf *in, struct ipc_frame *out, int *passed);

/* Blocks until ROLE_GO and fills in c (site, peers, role, index) and s. The process that failed here is of no use: CE_*. */
MUST_USE enum err role_receive(int fd, struct role_context *c, struct settings *s, struct fault *f);
/* Makes every library open what it opens lazily (time zone, OpenSSL's configuration and algorithms) before the jail. */
void role_warm(void);

#endif
