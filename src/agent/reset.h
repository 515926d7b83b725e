/* reset.h: the factory reset: erases what belongs to the user, leaves a receipt signed by the operational key, destroys that key, and enrolls anew.
 *
 *   UPDATE_DIR/reset     how far it is; while it is there, every start of the agent goes on with it
 *   UPDATE_DIR/receipt   "cradle-reset 1 UID SEQUENCE AT_S SIGNATURE", the signature (base64) over everything before the last space
 *
 * Kept are the certificate that the factory gave (enroll_cert, enroll_key) and the state of updates: a reset must not bring an old firmware's
 * rights back. */
#ifndef CRADLE_AGENT_RESET_H
#define CRADLE_AGENT_RESET_H

#include "agent/run.h"

/* Notes durably that a reset was ordered (sequence of the directive; 0: by somebody at the device). */
MUST_USE enum err reset_order(const struct agent_config *cfg, int64_t sequence, struct fault *f);
bool reset_pending(const struct agent_config *cfg);
/* Goes on until the key is destroyed; then, once there is a new identity, tells the receipt if that has not worked before. Ends the broker's connection and
 * the update client first. CE_OK when nothing more can be done now. */
MUST_USE enum err reset_step(struct agent *a, struct fault *f);

#endif
