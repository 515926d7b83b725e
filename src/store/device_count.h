/* store/device_count.h: how many devices match, a piece at a time along an index, so that no statement is long. SQL only. */
#ifndef CRADLE_STORE_DEVICE_COUNT_H
#define CRADLE_STORE_DEVICE_COUNT_H

#include "base/mem.h"
#include "store/db.h"

struct device_filter { struct span line, model, batch, country, state, tag, version; }; /* empty: any; version: what it runs */

struct device_count {
    int64_t looked, matched; /* of this piece; fewer looked at than were asked for: it was the last one */
    struct span last;        /* UID to go on after; in the arena */
};
/* At most `rows` devices after the UID `after` ("": from the first), in the order of the index that selects best. */
MUST_USE enum err device_count_piece(struct db *db, struct arena *a, const struct device_filter *by, struct span after, int64_t rows, struct device_count *out,
                                     struct fault *f);
/* The index alone answers: a piece may be larger. */
bool device_count_is_plain(const struct device_filter *by);

#endif
