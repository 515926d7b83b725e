/* query_priv.h: what the query_*.c files of the query role share. Not for others. */
#ifndef CRADLE_ROLE_QUERY_PRIV_H
#define CRADLE_ROLE_QUERY_PRIV_H

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "core/tiles.h"
#include "role/query.h"
#include "store/query_rows.h"
#include "wire/msg.h"

#define QUERY_SCAN 4000 /* most rows that one page looks at; a page may be short, or empty, and still have a next one */
#define QUERY_CAS 16

struct query {
    struct db *db; /* owned, read-only */
    char log_dir[PATH_MAX_LEN];
    struct tiles *tiles; /* owned */
    int64_t budget_us;
    int64_t deadline_us, asked_us; /* of the statement that runs */
    bool cancelled;
    bool (*gone)(void *ctx, uint64_t rid);
    void *gone_ctx;
    uint64_t rid;
    size_t ncas;
    struct query_ca {
        char name[64];
        uint8_t kid[20];
        size_t kid_n;
    } ca[QUERY_CAS];
};

/* One request. */
struct query_job {
    struct query *q;
    const struct msg_query *m;
    int64_t limit; /* 1..500 */
    struct arena arena;
    struct buf body; /* the answer's JSON, or the bytes of body_kind */
    enum body_kind body_kind;
    int64_t rev;
};

/* Called before each statement: its budget starts. */
void query_budget(struct query *q);

/* -- a page {"items":[…],"next":…}: page_begin, then rows, then page_end with the key to go on from (NULL: this was the end) */
struct query_page {
    struct json_out j;
    int64_t n;
};
void page_begin(struct query_job *job, struct query_page *p);
void page_end(struct query_job *job, struct query_page *p, const struct span *next);

/* Cursors: hex of a check over the kind of list, and up to three parts. Opaque to clients. */
#define CURSOR_PARTS 3
#define CURSOR_PART_MAX 255
struct span cursor_put(struct query_job *job, const struct span *parts, size_t n);
/* False parts mean the first page: *there. CE_BAD_CURSOR. */
MUST_USE enum err cursor_get(struct query_job *job, struct span *parts, size_t n, bool *there, struct fault *f);

/* Filters in C: empty filter lets all pass. */
static inline bool pass(struct span filter, struct span value)
{
    return !filter.n || span_eq(filter, value);
}
bool in_scope(const struct query_job *job, struct span line); /* scope: comma-separated lines, empty: all */
/* The smallest text after s, and the end of the texts that begin with s. In the arena. */
struct span text_after(struct arena *a, struct span s);
struct span text_below(struct arena *a, struct span prefix);

void put_time_ms(struct json_out *j, const char *key, int64_t at_ms); /* null for 0 */
void put_time_s(struct json_out *j, const char *key, int64_t at_s);
/* Inside an object: an event without its payload; its payload, null when erased. */
void put_event_head(struct json_out *j, const struct event_item *ev);
void put_event_payload(struct json_out *j, const struct event_item *ev);
const char *cert_status_text(const struct cert_item *c, int64_t now_s);

/* query_rollout.c, query_update.c: for each other */
struct rollout_item;
struct release_row;
MUST_USE enum err query_put_rollout(struct query_job *job, struct json_out *j, const struct rollout_item *item, struct fault *f);
MUST_USE enum err query_put_approvals(struct query_job *job, struct json_out *j, struct span rollout, struct fault *f);
MUST_USE enum err query_put_idevid(struct query_job *job, struct json_out *j, struct span uid, struct fault *f); /* query_anchor.c: the member of a device */
void query_put_release(struct json_out *j, const struct release_row *r); /* members of an object */

typedef enum err query_fn(struct query_job *job, struct fault *f);
query_fn query_do_devices, query_do_device, query_do_device_count, query_do_certs, query_do_cert, query_do_operators, query_do_lines, query_do_models,
    query_do_events, query_do_timeline, query_do_export, query_do_proof, query_do_cuts, query_do_uncut, query_do_drills,
    query_do_rollouts, query_do_rollout, query_do_rollout_devices, query_do_release, query_do_release_devices, query_do_firmware,
    query_do_metadata, query_do_tuf, query_do_ek_cas, query_do_releases, query_do_artifacts,
    query_do_backends, query_do_policy, query_do_enrollments, query_do_enrollment, query_do_anchors, query_do_keys,
    query_do_crypto, query_do_crypto_devices, query_do_mass_jobs, query_do_mass_job, query_do_mass_refused;

#endif
