/* query.h: the query role: lists, searches and timelines over a read-only database connection. Each statement has a budget;
 * core is never involved, so a bad search costs nobody but its caller. It decides nothing and writes nothing.
 */
#ifndef CRADLE_ROLE_QUERY_H
#define CRADLE_ROLE_QUERY_H

#include "wire/ipc.h"

#define QUERY_BUDGET_MS 50 /* one statement; over it: CE_BUDGET */

struct query;

/* db_path: DIR/db/cradle.db, opened SQLITE_OPEN_READONLY with query_only; log_dir: DIR/log. */
MUST_USE enum err query_open(const char *db_path, const char *log_dir, struct query **out, struct fault *f);
void query_close(struct query *q); /* NULL is fine */
/* Asked about every 10 ms inside a long statement; true ends it with CE_TIMEOUT (the client has gone). May be NULL. */
void query_set_gone(struct query *q, bool (*gone)(void *ctx, uint64_t rid), void *ctx);
void query_set_budget(struct query *q, int64_t budget_ms); /* instead of QUERY_BUDGET_MS */
/* f: MSG_QUERY, body = msg_caller then msg_query. Appends one whole MSG_REPLY frame with the same rid to out, always.
 * CE_BAD_FRAME: the frame is not one of ours (stop the role). */
MUST_USE enum err query_handle(struct query *q, const struct ipc_frame *f, struct buf *out);

#endif
