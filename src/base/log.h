/* log.h: the one logger. Lines on stderr, "level role rid text"; journald or the caller adds time.
 * It is not evidence: what must be proved goes into the event stream. errno is preserved.
 */
#ifndef CRADLE_BASE_LOG_H
#define CRADLE_BASE_LOG_H

#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_setup(const char *role, enum log_level max); /* role is borrowed for ever (a literal) */
/* rid: request id, 0 for none (printed "-"). Control bytes in the text become '?'. */
void log_at(enum log_level level, uint64_t rid, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define log_error(rid, ...) log_at(LOG_LEVEL_ERROR, rid, __VA_ARGS__)
#define log_warn(rid, ...) log_at(LOG_LEVEL_WARN, rid, __VA_ARGS__)
#define log_info(rid, ...) log_at(LOG_LEVEL_INFO, rid, __VA_ARGS__)
#define log_debug(rid, ...) log_at(LOG_LEVEL_DEBUG, rid, __VA_ARGS__)

/* A broken invariant: says where, then aborts. Always on. */
#define INVARIANT(cond) ((cond) ? (void)0 : log_invariant(#cond, __FILE__, __LINE__))
_Noreturn void log_invariant(const char *cond, const char *file, int line);

#endif
