/* store/node.h: tables node, event and meta: this node's slot, the fence that every batch begins with, and the dense event stream.
 * Errors of class STORE, as db.h says; CE_EPOCH when the slot is another process's. */
#ifndef CRADLE_STORE_NODE_H
#define CRADLE_STORE_NODE_H

#include "base/mem.h"
#include "store/db.h"

struct node {
    int64_t slot;
    int64_t epoch;  /* ours since node_take */
    int64_t nseq;   /* last committed number of our stream */
};

/* Takes the slot over: epoch + 1, in a transaction of its own. The row is made when it is missing. */
MUST_USE enum err node_take(struct db *db, int64_t slot, struct node *out, struct fault *f);

/* First statement of a batch: beat + 1 where slot, epoch and nseq are as known. CE_OK: the row is locked and ours. Otherwise
 * node_judge says why. */
MUST_USE enum err node_fence(struct db *db, const struct node *n, struct fault *f);
/* After a fence that touched no row, or a commit whose outcome is unknown (rolled back before): reads the row anew.
 * *committed: nseq is known + pending, the batch is durable. CE_OK with *committed false: nothing was written, do it again.
 * CE_EPOCH: another process took the slot, exit. CE_ROLLBACK: nseq is lower than known or off the stream: the wrong database, stop. */
MUST_USE enum err node_judge(struct db *db, const struct node *n, int64_t pending, bool *committed, struct fault *f);
/* Last but the inserts: nseq = known + count. */
MUST_USE enum err node_advance(struct db *db, const struct node *n, int64_t count, struct fault *f);

/* Vector text "slot:nseq,slot:nseq", slots ascending, appended to out. */
MUST_USE enum err node_vector(struct db *db, struct buf *out, struct fault *f);

struct event_row {
    int64_t slot, nseq, at; /* ms */
    struct span kind, device;
    int64_t rev;
    struct span salt, payload, leaf; /* leaf: only of an erased event, whose salt and payload are empty */
};
MUST_USE enum err event_insert(struct db *db, const struct event_row *e, struct fault *f);
/* Greatest `at` of a slot's newest event; 0 when there is none. */
MUST_USE enum err event_last_at(struct db *db, int64_t slot, int64_t *at, struct fault *f);
/* `at` of its first event; 0 when there is none. */
MUST_USE enum err event_first_at(struct db *db, int64_t slot, int64_t *at, struct fault *f);
/* Events of one slot after nseq, in order, at most limit: fills *r for db_next; event_read takes a row out of it. */
void event_after(struct db *db, int64_t slot, int64_t nseq, int64_t limit, struct db_rows *r);
/* One event, without salt and leaf; CE_NOT_FOUND. Spans in the arena. */
MUST_USE enum err event_get(struct db *db, struct arena *a, int64_t slot, int64_t nseq, struct event_row *out, struct fault *f);
/* Events of one device in one slot after nseq, the newest first, at most limit. */
void event_of_device(struct db *db, struct span device, int64_t slot, int64_t nseq, int64_t limit, struct db_rows *r);
/* Suspensions and resumptions of lines, the newest first. */
void event_line_states(struct db *db, int64_t limit, struct db_rows *r);
/* Drills, the newest first. */
void event_drills(struct db *db, int64_t limit, struct db_rows *r);
void event_read(const struct db_rows *r, struct event_row *out); /* spans valid until the next db_next */

/* Named texts of the site: site, org, url, http_url. CE_NOT_FOUND. */
MUST_USE enum err meta_get(struct db *db, const char *name, struct buf *out, struct fault *f);
MUST_USE enum err meta_put(struct db *db, const char *name, struct span value, struct fault *f);

#endif
