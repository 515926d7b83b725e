/* store/line_more.h: table line_more, the settings of a product line beside its row (store/registry.h): one row a line, made when one of them is first set; a
 * line without a row has the defaults, which are all zero. SQL only: who may set what is core's.
 */
#ifndef CRADLE_STORE_LINE_MORE_H
#define CRADLE_STORE_LINE_MORE_H

#include "base/mem.h"
#include "store/db.h"

struct line_more {
    int64_t approvals;          /* of a rollout, at least; 0: what the site says */
    bool enroll_approval;       /* first enrollments wait for an approval */
    bool cmp_secret;            /* devices may enroll by a one-time secret */
    int64_t grace_s;            /* a certificate may be renewed so long after its end; 0: not at all */
    bool grace_any_key;         /* then with another key too */
    struct span service_until;  /* day, YYYY-MM-DD; empty: not said */
    struct span ca;             /* name of its own issuing CA; empty: that of the profile's use */
    struct span key_home;       /* "tpm"; empty: any */
};
/* Zeroed when there is no row. Spans are in the arena. Errors of class STORE, as db.h says. */
MUST_USE enum err store_line_more_get(struct db *db, struct arena *a, struct span line, struct line_more *out, struct fault *f);
MUST_USE enum err store_line_more_put(struct db *db, struct span line, const struct line_more *m, struct fault *f);
/* Lines that name this CA. */
MUST_USE enum err store_line_ca_count(struct db *db, struct span ca, int64_t *n, struct fault *f);

#endif
