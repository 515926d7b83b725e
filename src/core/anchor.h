/* anchor.h: makers whose initial device identities (IDevIDs, IEEE 802.1AR) may enroll devices of a line, and how long after its end a certificate of a
 * line may still be renewed. Rows of core/ops.def; batch.h says what an operation is. Who may enroll: cert_authz_idevid.c.
 */
#ifndef CRADLE_CORE_ANCHOR_H
#define CRADLE_CORE_ANCHOR_H

#include "core/batch.h"
#include "store/idevid.h"

#define ANCHORS_OF_LINE 16
#define ANCHORS_OF_SITE 256

/* front has judged the certificates as CAs. CE_LINE_UNKNOWN, CE_MODEL_UNKNOWN, CE_BAD_FIELD, CE_EXISTS, CE_TOO_LARGE, CE_CERT_FOREIGN (a CA of this site). */
MUST_USE enum err anchor_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
MUST_USE enum err anchor_op_remove(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f); /* CE_NOT_FOUND */
/* A maker's revocation list, read by front. CE_NOT_FOUND, CE_BAD_FIELD (its dates, stale), CE_STATE_CHANGE (a newer one is here). */
MUST_USE enum err anchor_op_crl(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* Is the IDevID, or a CA above it, on a list of its maker? aki, serial: as in its certificate. CE_CERT_REVOKED, CE_MAKER_CRL. */
MUST_USE enum err anchor_crl_check(struct batch *b, const struct anchor_row *a, struct span aki, struct span serial, struct fault *f);
/* The device may enroll with another IDevID. CE_UID_UNKNOWN, CE_NOT_FOUND. */
MUST_USE enum err idevid_op_forget(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* A front opened: all anchors. Errors: of the database. */
MUST_USE enum err anchors_push(struct batch *b, int peer, struct fault *f);

/* The settings of grace in a LINE_SET: judged, then written with their event. */
MUST_USE enum err grace_check(const struct msg_line_set *m, struct fault *f);
bool grace_given(const struct msg_line_set *m);
struct line_more;
MUST_USE enum err grace_write(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_more *more, struct fault *f);

#endif
