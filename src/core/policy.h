/* policy.h: the policy document: who may publish and receive what at a broker, made from the tables for the revocation stream
 * (include/cradle/snapshot.h carries it, wire/policy.h reads it). Core writes it and never reads it. It decides nothing.
 */
#ifndef CRADLE_CORE_POLICY_H
#define CRADLE_CORE_POLICY_H

#include "core/batch.h"
#include "store/topics.h"

/* Appends the document to out: the same tables give the same bytes. scope: lines, comma-separated, to leave others and backends out;
 * empty: the whole, as brokers get it. CE_TOO_LARGE when brokers would not take it. */
MUST_USE enum err policy_build(struct db *db, struct span scope, struct buf *out, struct fault *f);
/* What the document says has changed in this batch: it is made anew and is in force from the commit on. CE_TOO_LARGE: refuse the change. */
MUST_USE enum err policy_changed(struct batch *b, struct fault *f);

/* Lists of topics as they come with a request; empty is legal. CE_BAD_FIELD: f names the list, the topic and the rule of MQTT 3.1.1 4.7. */
MUST_USE enum err policy_check_topics(enum topics_of of, const struct topics_row *t, struct fault *f);
/* Lists that are not set become the defaults of a line; backends have none. */
void policy_defaults(enum topics_of of, struct topics_row *t);

#endif
