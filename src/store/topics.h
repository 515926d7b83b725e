/* store/topics.h: table topics: which topics lines give their devices, and which backends have. SQL only: what a default is, is core's
 * (core/policy.h). Lists as wire/text_list.h writes them; an empty one: nothing is set.
 */
#ifndef CRADLE_STORE_TOPICS_H
#define CRADLE_STORE_TOPICS_H

#include "base/mem.h"
#include "store/db.h"

enum topics_of { TOPICS_LINE = 1, TOPICS_BACKEND = 2 };
struct topics_row {
    struct span name;                /* of the line or backend */
    struct span write, read, repair; /* backends have no repair */
};

MUST_USE enum err store_topics_put(struct db *db, enum topics_of of, const struct topics_row *t, struct fault *f);
/* No row: empty lists. Spans in the arena. */
MUST_USE enum err store_topics_get(struct db *db, struct arena *a, enum topics_of of, struct span name, struct topics_row *out, struct fault *f);

/* Every line, and every backend that is not removed, in ascending order of name; clone_policy is a line's. Spans live as long as the
 * call. fn returns false to end it. */
typedef bool store_topics_fn(void *ctx, const struct topics_row *t, struct span clone_policy);
MUST_USE enum err store_topics_each(struct db *db, enum topics_of of, store_topics_fn *fn, void *ctx, struct fault *f);

#endif
