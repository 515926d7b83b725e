/* store/presence.h: tables presence (where an identity was last connected), broker_run (the runs of brokers that report, and what each
 * has counted) and broker_total (the same summed up per edge). Observations, no state: no event is needed to explain them. Errors of
 * class STORE.
 */
#ifndef CRADLE_STORE_PRESENCE_H
#define CRADLE_STORE_PRESENCE_H

#include "base/mem.h"
#include "store/db.h"

struct presence_row {
    struct span host, run, addr, tls; /* host: name of the edge; run: of the broker, empty: it names none */
    int64_t session, sync;            /* number of the session in the run; telling of all sessions in which it was last told */
    int64_t resumed, online;          /* 0, 1 */
    int64_t since, at;                /* ms: begin of the session (0: not known), last change */
    int64_t keepalive_s;
    struct span serial;               /* of its certificate */
};
MUST_USE enum err store_presence_get(struct db *db, struct arena *a, struct span uid, struct presence_row *out, bool *there, struct fault *f);
MUST_USE enum err store_presence_put(struct db *db, struct span uid, const struct presence_row *r, struct fault *f);
/* Who may not connect any more (a device suspended, revoked or decommissioned, or a removed operator) and has an open session of the run
 * that was last told before sync: at most max of them. */
struct presence_open { struct span uid, addr, tls, serial; };
MUST_USE enum err store_presence_barred(struct db *db, struct arena *a, struct span host, struct span run, int64_t sync, int64_t max,
                                        struct presence_open **out, size_t *n, struct fault *f);
MUST_USE enum err store_presence_is_barred(struct db *db, struct span uid, bool *barred, struct fault *f);
MUST_USE enum err store_presence_close(struct db *db, struct span uid, int64_t at_ms, struct fault *f); /* its session has ended */
/* Sets at most max open sessions of the run that were last told before sync to ended at at_ms. *n: how many. */
MUST_USE enum err store_presence_end(struct db *db, struct span host, struct span run, int64_t sync, int64_t at_ms, int64_t max, int64_t *n,
                                     struct fault *f);

struct broker_run_row {
    struct span edge, run, counts; /* counts: text of wire/broker_counts.h */
    int64_t at, ended;             /* ms: last report; when it ended, 0: it goes on */
    int64_t end_below, end_at;     /* open sessions told before this sync are still to be set to ended at end_at; 0: none are */
};
/* Of one edge; edge empty: of all. Ordered by edge and run. */
MUST_USE enum err store_broker_runs(struct db *db, struct arena *a, struct span edge, struct broker_run_row **out, size_t *n, struct fault *f);
MUST_USE enum err store_broker_run_put(struct db *db, const struct broker_run_row *r, struct fault *f);
MUST_USE enum err store_broker_run_drop(struct db *db, struct span edge, struct span run, struct fault *f);

struct broker_total_row { struct span edge, name; int64_t n; };
MUST_USE enum err store_broker_totals(struct db *db, struct arena *a, struct broker_total_row **out, size_t *n, struct fault *f);
/* Adds add (> 0) and stays at or below max. */
MUST_USE enum err store_broker_total_add(struct db *db, struct span edge, struct span name, int64_t add, int64_t max, struct fault *f);

#endif
