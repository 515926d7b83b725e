/* policy.h: the policy document: who may publish and receive what at a broker, made from the tables for the revocation stream
 * (include/cradle/snapshot.h carries it, docs/broker.md describes it). Core writes it and never reads it. It decides nothing.
 */
#ifndef CRADLE_CORE_POLICY_H
#define CRADLE_CORE_POLICY_H

#include "core/batch.h"

/* Appends the document to out: the same tables give the same bytes. CE_TOO_LARGE when brokers would not take it. */
MUST_USE enum err policy_build(struct db *db, struct buf *out, struct fault *f);
/* What the document says has changed in this batch: it is made anew and is in force from the commit on. CE_TOO_LARGE: refuse the change. */
MUST_USE enum err policy_changed(struct batch *b, struct fault *f);

#endif
