/* line.h: a product line as it is now: its row and its settings, in memory from the first question on. What it is not: the operations that change one
 * (registry.h), which write through here; the fold, which writes by itself.
 *
 * What is read goes into memory only while nothing about lines was written in the batch, and every write empties it. So memory never holds what a batch
 * wrote and did not commit.
 */
#ifndef CRADLE_CORE_LINE_H
#define CRADLE_CORE_LINE_H

#include "core/batch.h"
#include "store/line_more.h"
#include "store/registry.h"

struct line { struct line_row row; struct line_more more; };

/* Spans are in the batch's arena. CE_NOT_FOUND: there is no such line. */
MUST_USE enum err line_get(struct batch *b, struct span name, struct line *out, struct fault *f);
MUST_USE enum err line_row_add(struct batch *b, const struct line_row *row, struct fault *f); /* CE_EXISTS */
MUST_USE enum err line_row_put(struct batch *b, const struct line_row *row, struct fault *f);
MUST_USE enum err line_more_put(struct batch *b, struct span name, const struct line_more *more, struct fault *f);

#endif
