/* decision.h: which change took a device's access away: the event that a cut, an acknowledgement or a drill answers to. Read out of the
 * evidence of this node's stream. It decides nothing.
 */
#ifndef CRADLE_CORE_DECISION_H
#define CRADLE_CORE_DECISION_H

#include "core/batch.h"
#include "core/device.h"

struct decision {
    int64_t slot, nseq, at; /* slot 0: none is known */
    enum device_state to;   /* of a device-state; DEVICE_STATES: it was another kind */
};

/* The newest one about uid that a frame signed at frame_at can have told (0: any): a host that was away learns one after the other, and
 * may act on one that was overtaken. serial (may be empty): a certificate's own revocation counts only when it is this one. Looks at the
 * newest DECISION_SCAN events of the device. Errors: of the database. */
#define DECISION_SCAN 64
MUST_USE enum err decision_newest(struct batch *b, struct span uid, struct span serial, int64_t frame_at, struct decision *out, struct fault *f);
/* The newest suspension of uid's line, if it is suspended. Looks at the newest DECISION_SCAN changes of lines. */
MUST_USE enum err decision_line(struct batch *b, struct span uid, int64_t frame_at, struct decision *out, struct fault *f);
/* "slot:nseq" as a device-state of uid that took access away. CE_BAD_FIELD: it is none. */
MUST_USE enum err decision_named(struct batch *b, struct span uid, struct span name, struct decision *out, struct fault *f);
/* The field decided: "slot:nseq", empty when none is known. */
void decision_put(struct json_out *j, struct batch *b, const struct decision *d);

#endif
