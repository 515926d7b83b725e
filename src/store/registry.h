/* store/registry.h: tables line, model, operator, device and device_state. SQL only: which change is allowed is core's.
 * Spans in rows read are in the arena. Adding a name that is taken: CE_EXISTS; nothing there: CE_NOT_FOUND; else class STORE.
 */
#ifndef CRADLE_STORE_REGISTRY_H
#define CRADLE_STORE_REGISTRY_H

#include "base/mem.h"
#include "store/db.h"

struct line_row { struct span name, title; int64_t validity_s; struct span clone_policy; int64_t suspended, added_at; };
MUST_USE enum err store_line_add(struct db *db, const struct line_row *l, struct fault *f);
MUST_USE enum err store_line_get(struct db *db, struct arena *a, struct span name, struct line_row *out, struct fault *f);

MUST_USE enum err store_line_set(struct db *db, const struct line_row *l, struct fault *f); /* all but name and added_at */

struct model_row { struct span name, line, title, hw_rev; int64_t added_at; };
MUST_USE enum err store_model_add(struct db *db, const struct model_row *m, struct fault *f);
MUST_USE enum err store_model_get(struct db *db, struct arena *a, struct span name, struct model_row *out, struct fault *f);

struct operator_row { struct span name, role, lines, state; int64_t rev, added_at, changed_at; };
MUST_USE enum err store_operator_add(struct db *db, const struct operator_row *o, struct fault *f);
MUST_USE enum err store_operator_get(struct db *db, struct arena *a, struct span name, struct operator_row *out, struct fault *f);
/* State by compare-and-set on rev; CE_NOT_FOUND when rev is not the one in the table. */
MUST_USE enum err store_operator_set(struct db *db, struct span name, int64_t rev, const char *state, int64_t at_ms, struct fault *f);
MUST_USE enum err store_operator_list(struct db *db, struct arena *a, struct operator_row **out, size_t *n, struct fault *f);
/* Active operators of a role, for "the last administrator". */
MUST_USE enum err store_operator_count(struct db *db, const char *role, int64_t *n, struct fault *f);

struct device_row {
    struct span uid, serial, model, line, batch, country, created_by;
    int64_t created_at;
    struct span state;
    int64_t rev, changed_at, last_seen;
};
/* Inserts device and device_state (rev 1). */
MUST_USE enum err store_device_add(struct db *db, const struct device_row *d, struct fault *f);
MUST_USE enum err store_device_get(struct db *db, struct arena *a, struct span uid, struct device_row *out, struct fault *f);
/* State and rev + 1 by compare-and-set on rev; CE_NOT_FOUND when rev is not the one in the table. changed_at moves with the state. */
MUST_USE enum err store_device_set(struct db *db, struct span uid, int64_t rev, struct span state, int64_t at_ms, struct fault *f);
MUST_USE enum err store_device_touch(struct db *db, struct span uid, int64_t rev, struct fault *f);
MUST_USE enum err store_device_seen(struct db *db, struct span uid, int64_t at_ms, struct fault *f);
MUST_USE enum err store_device_counts(struct db *db, struct arena *a, struct span **states, int64_t **counts, size_t *n, struct fault *f);

/* Who holds the certificate (kid, serial), in one statement: its row, its state and, for infrastructure, its operator's row. */
struct holder_row {
    int64_t holder_kind;               /* enum cert_holder */
    struct span holder, spki, profile;
    int64_t not_before, not_after;     /* s */
    int64_t status;                    /* enum cert_status */
    bool has_operator;
    struct span op_role, op_lines, op_state;
    bool has_device;
    struct span dev_state, dev_line;
};
MUST_USE enum err store_holder_get(struct db *db, struct arena *a, struct span kid, struct span serial, struct holder_row *out, struct fault *f);

#endif
