/* ca.h: the CAs of the site: which there are, what each is used for, the state that it is in, and which one issues now. The tables are
 * store/ca.h, the words crypt/ca_set.h.
 *
 *   passive -> active     cradle ca activate; the CA that was active for the use becomes passive in the same transaction
 *   active, passive -> retired, compromised
 *   retired -> compromised
 * A root has the state active until it is retired. Nothing leads back from compromised.
 */
#ifndef CRADLE_CORE_CA_H
#define CRADLE_CORE_CA_H

#include "core/batch.h"

/* Reads the tables into memory, at start. */
MUST_USE enum err ca_set_load(struct core *core, struct fault *f);
/* The same after an operation changed them. When it or its batch is undone, so is this. */
MUST_USE enum err ca_set_changed(struct batch *b, struct fault *f);
size_t core_cas(const struct core *core);
const struct core_ca *core_ca_at(const struct core *core, size_t i); /* i < core_cas */

void ca_push(struct batch *b, int peer, const struct core_ca *ca); /* tells a front (-1: all) */

/* The one answer to "who issues now": the CA that the line names, else the active one of the use (device, infra, idevid; for idevid, when
 * none is active, that of devices). line may be empty.
 * CE_CA_STATE: none issues, and why. */
MUST_USE enum err ca_issuing(struct batch *b, enum ca_use use, struct span line, struct core_ca *out, struct fault *f);

/* May certificates of this CA be used? CE_OK, CE_CA_RETIRED, CE_CA_COMPROMISED. */
enum err ca_judge_holder(const struct core_ca *ca);

/* What `GET /api/v1/cas`, `POST` and `PATCH` do. */
MUST_USE enum err ca_op_list(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
MUST_USE enum err ca_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
MUST_USE enum err ca_op_set(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);

/* The caller holds a certificate of a compromised CA that the register knows, with the key that it knows. May it renew now? Fills role and
 * kind. CE_CA_COMPROMISED: not, or not yet. */
enum err ca_reenroll_judge(const struct core *core, struct caller *c, struct fault *f);

#endif
