/* query_rows.h: the read-only listings behind the query role: SQL and rows, nothing else. Every listing is driven by one index from a
 * lower bound on, in key order, and reads at most `limit` rows; what the index does not select the caller filters, so that no
 * combination of filters can cost more than its limit.
 *
 * Lower bounds are inclusive ("" or 0: from the start): the smallest text after X is X followed by byte 1.
 * Spans in rows are borrowed until the next db_next.
 */
#ifndef CRADLE_STORE_QUERY_ROWS_H
#define CRADLE_STORE_QUERY_ROWS_H

#include "store/db.h"

struct device_item {
    struct span uid, serial, model, line, batch, country, state;
    int64_t rev, created_at, changed_at, last_seen; /* ms */
    struct {
        struct span edge, addr, tls; /* edge empty: it has never been seen at a broker */
        int64_t online, resumed, since, at;
    } presence;
};
enum device_order { DEVICE_BY_UID, DEVICE_BY_SERIAL, DEVICE_BY_LINE, DEVICE_BY_MODEL, DEVICE_BY_BATCH, DEVICE_BY_TAG, DEVICE_BY_STATE, DEVICE_ORDERS };
/* BY_UID, BY_SERIAL: from <= key < below (below "" for no end), by that key. Others: rows with this value, from <= uid, by uid. */
void query_devices(struct db *db, enum device_order o, struct span value, struct span from, struct span below, int64_t limit,
                   struct db_rows *out);
void query_device(struct db *db, struct span uid, struct db_rows *out);
void query_device_item(const struct db_rows *r, struct device_item *out);

struct cert_item {
    struct span kid, serial, holder, profile, spki, der, line; /* line: of the device that holds it; der: single certificate only */
    int64_t holder_kind, not_before, not_after, issued_at, status, revoked_at, reason, first_used_at;
};
/* Serials in [from, below); below empty: no end. */
void query_certs(struct db *db, struct span from, struct span below, int64_t limit, struct db_rows *out);
/* Of one holder, oldest first, issued at from_ms or later. kind 0: any holder of that name. */
void query_certs_of(struct db *db, int64_t kind, struct span holder, int64_t from_ms, int64_t limit, struct db_rows *out);
void query_cert(struct db *db, struct span serial, struct db_rows *out);
void query_cert_item(const struct db_rows *r, struct cert_item *out);

struct operator_item {
    struct span name, role, lines, state;
    int64_t rev, added_at, changed_at;
};
void query_operators(struct db *db, struct span from, int64_t limit, struct db_rows *out);
void query_operator_item(const struct db_rows *r, struct operator_item *out);

struct line_item {
    struct span name, title, clone_policy;
    int64_t validity_s, suspended, added_at;
    struct span write, read, repair; /* wire/text_list.h; empty: the default */
    int64_t approvals, enroll_approval, grace_s, any_key;
    struct span service_until;       /* YYYY-MM-DD; empty: not said */
    int64_t secrets;
    struct span key_home;                /* empty: any */
};
void query_lines(struct db *db, struct span from, int64_t limit, struct db_rows *out);
void query_line_item(const struct db_rows *r, struct line_item *out);

/* Backends, removed ones too. */
struct backend_item { struct span name, state, write, read; };
void query_backends(struct db *db, struct span from, int64_t limit, struct db_rows *out);
void query_backend_item(const struct db_rows *r, struct backend_item *out);

struct model_item {
    struct span name, line, title, hw_rev;
    int64_t added_at;
};
void query_models(struct db *db, struct span from, int64_t limit, struct db_rows *out);
void query_model_item(const struct db_rows *r, struct model_item *out);

struct event_item {
    int64_t slot, nseq, at, rev;
    struct span kind, device, line, salt, payload, leaf; /* line: of the device */
};
/* Slots and how far each goes, ascending: slot, nseq. */
void query_streams(struct db *db, struct db_rows *out);
/* Events of a slot after nseq, in order. */
void query_events(struct db *db, int64_t slot, int64_t after, int64_t limit, struct db_rows *out);
/* Events of one device in a slot after nseq, in order. */
void query_device_events(struct db *db, struct span uid, int64_t slot, int64_t after, int64_t limit, struct db_rows *out);
/* One event; no row: it is not there. */
void query_event(struct db *db, int64_t slot, int64_t nseq, struct db_rows *out);
/* Cuts after (at, slot, nseq), the oldest first; device empty: of all. */
struct event_place { int64_t at, slot, nseq; };
void query_cuts(struct db *db, struct span device, const struct event_place *after, int64_t limit, struct db_rows *out);
/* Drills before it, the newest first. */
void query_drills(struct db *db, const struct event_place *before, int64_t limit, struct db_rows *out);
/* What decided about one device, and its cuts: the newest first. */
void query_decisions(struct db *db, struct span uid, int64_t limit, struct db_rows *out);
void query_event_item(const struct db_rows *r, struct event_item *out);
/* Leaf index of an event; -1 while it is not in the log. */
MUST_USE enum err query_leaf_index(struct db *db, int64_t slot, int64_t nseq, int64_t *index, struct fault *f);

/* Devices in a state, from uid on, each with the host where it is online (empty: nowhere), and how far that host follows. */
struct online_item {
    struct span uid, line, host, addr, vector;
    int64_t changed_at, since; /* ms: since when it is in this state, and online */
};
void query_online(struct db *db, const char *state, struct span from, int64_t limit, struct db_rows *out);
void query_online_item(const struct db_rows *r, struct online_item *out);

/* Certificate authority names by key id. */
void query_cas(struct db *db, struct db_rows *out); /* name, kid */

#endif
