/* log.c: see log.h. One write(2) a line, so that lines of several processes do not mix. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *log_role = "cradle";
static enum log_level log_max = LOG_LEVEL_INFO;

void log_setup(const char *role, enum log_level max)
{
    log_role = role;
    log_max = max;
}

void log_at(enum log_level level, uint64_t rid, const char *fmt, ...)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    if (level > log_max)
        return;
    int eno = errno;
    char line[1024];
    int n = rid ? snprintf(line, sizeof line, "%s %s %016llx ", names[level], log_role, (unsigned long long)rid)
                : snprintf(line, sizeof line, "%s %s - ", names[level], log_role);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    size_t len = (size_t)n + (m < 0 ? 0 : (size_t)m);
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    for (size_t i = (size_t)n; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[len] = '\n';
    ssize_t ignored = write(2, line, len + 1);
    (void)ignored;
    errno = eno;
}

void log_invariant(const char *cond, const char *file, int line)
{
    log_error(0, "broken invariant: %s at %s:%d", cond, file, line);
    abort();
}
