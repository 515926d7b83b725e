/* stream_set.h: a set of 20-byte keys that is mostly read as one ascending array (the body of a snapshot) and changed by a few
 * keys at a time. Changes collect in a log that is folded into the array when the array is wanted: a change costs O(1), a fold
 * O(n + m log m). Not a general container: no look-up between folds.
 */
#ifndef CRADLE_CORE_STREAM_SET_H
#define CRADLE_CORE_STREAM_SET_H

#include "base/span.h"

#define STREAM_KEY 20 /* SNAPSHOT_KEY */

struct stream_set_change {
    uint8_t key[STREAM_KEY];
    uint8_t op;    /* enum snapshot_op */
    uint32_t order; /* later wins */
};

struct stream_set {
    uint8_t *keys; /* owned, ascending, n of STREAM_KEY bytes */
    size_t n;
    struct stream_set_change *log; /* owned */
    size_t nlog, log_cap;
};

void stream_set_free(struct stream_set *s);
void stream_set_change(struct stream_set *s, int op, const uint8_t key[STREAM_KEY]);
void stream_set_fold(struct stream_set *s);            /* after it n and keys are current */
bool stream_set_has(struct stream_set *s, const uint8_t key[STREAM_KEY]); /* folds first */
struct span stream_set_body(struct stream_set *s);     /* folds first; valid until the next change and fold */

#endif
