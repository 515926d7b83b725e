/* presence.h: who is connected where, as the brokers' edges report it. Observations: they decide nothing and no event need explain them.
 *
 * A row is about the newest session of an identity. Within one run of a broker sessions are numbered, so what comes late or twice
 * changes nothing; between runs and hosts the session that began last counts. Every report may be lost on the way: brokers tell all
 * their live sessions again when they know of a loss, and sessions that were not told then have ended (wire/report.h).
 */
#ifndef CRADLE_CORE_PRESENCE_H
#define CRADLE_CORE_PRESENCE_H

#include "core/batch.h"

#define BROKER_RUNS 64            /* kept for one edge; beyond, the oldest that has ended is forgotten */
#define BROKER_SILENT_MS 60000    /* a run that is silent for so long while another of its edge reports has ended */

/* Reports of an edge (edge_report.c has checked id, uid and time): connected and disconnected; counts; synced; ended. */
MUST_USE enum err presence_take(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f);
MUST_USE enum err broker_counts_take(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f);
MUST_USE enum err broker_synced_take(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f);
MUST_USE enum err broker_ended_take(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f);
extern const struct core_part presence_part; /* ends the sessions of runs that are over, some at a time */
struct presence_open;
void presence_event(struct batch *b, struct span edge, bool online, const struct presence_open *p, int64_t at_ms);

/* broker_metrics.c: what all brokers have counted, by edge; never NULL, free with broker_totals_free. */
struct broker_totals;
struct broker_totals *broker_totals_read(struct db *db);
void broker_totals_free(struct broker_totals *t);
void broker_metrics_put(const struct broker_totals *t, struct buf *out);                               /* Prometheus text */
void broker_status_put(const struct broker_totals *t, struct span edge, struct json_out *j);         /* object "broker" of an edge */

/* edge_report.c: refused inside a batch that is taken: an edge would send the whole batch again for ever. */
MUST_USE enum err report_ignore(struct batch *b, const struct caller *c, enum err why, const char *text, struct span uid);

#endif
