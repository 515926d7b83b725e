/* report.h: one report line between a consumer of the revocation snapshot, cradle-edge and cradled. Pure codecs.
 * Consumer -> edge: one datagram = one packed msg_report (wire/msg.h) with an empty id, on edge's report socket.
 * Edge -> spool file: u32 length, packed msg_report with its id. Edge -> cradled: JSON array at POST /edge/v1/report.
 *
 * A broker names its run (a random name, made at its start) in what it says about sessions:
 *   connected     session N of the run is open, over which TLS; sync: in which telling of all live sessions (below)
 *   disconnected  session N has ended; older sessions of the identity say nothing about newer ones
 *   counts        its counters, cumulative (broker_counts.h): every second while they change, else every 15 s
 *   synced        every live session has been told with this sync, or a later one: others of the run have ended
 *   ended         the run is over, so all its sessions have ended; the broker says so, or its edge, when it has died or is silent
 * It is not the evidence: core makes events of what it accepts.
 */
#ifndef CRADLE_WIRE_REPORT_H
#define CRADLE_WIRE_REPORT_H

#include "base/json.h"
#include "wire/msg.h"

#define REPORT_DATAGRAM_MAX 4096 /* bytes of one packed report; every field at its maximum fits */
#define REPORT_ID_MAX 40
#define REPORT_BATCH_MAX 1000    /* reports in one POST */

/* Appends r as one JSON object with the fields that are set. */
void report_json(struct json_out *j, const struct msg_report *r);
/* A stranger's datagram: CE_TRUNCATED, CE_TRAILING, CE_TOO_LARGE, CE_BAD_FIELD (unknown kind, text that is not UTF-8). Spans
 * point into in. */
MUST_USE enum err report_unpack(struct span in, struct msg_report *r);
/* Kinds that stay when the spool is full. Of the others nothing is lost for good: counts are cumulative, sessions are told again. */
bool report_kind_vital(struct span kind);

#endif
