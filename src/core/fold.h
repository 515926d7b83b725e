/* fold.h: the inside of fold.c: how one event changes the tables. core_fold_check is in core.h. */
#ifndef CRADLE_CORE_FOLD_H
#define CRADLE_CORE_FOLD_H

#include <jansson.h>

#include "core/core.h"
#include "store/node.h"

/* Applies one event to the tables of `to`. Kinds that change no table are fine; an unknown kind, a missing field or a row that is not
 * as the event says is CE_LOG_INCONSISTENT, CE_NOT_FOUND or CE_EXISTS. */
MUST_USE enum err fold_apply(struct db *to, const struct event_row *ev, const json_t *payload, struct fault *f);

#endif
