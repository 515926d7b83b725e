/* alarm_journal.h: a file of checked lines: appended, flushed, read back. What the records mean is alarm_queue.c. */
#ifndef CRADLE_CLI_ALARM_JOURNAL_H
#define CRADLE_CLI_ALARM_JOURNAL_H

#include <jansson.h>

#include "base/file.h"

struct alarm_journal {
    char path[PATH_MAX_LEN];
    int fd;
    int64_t bytes;   /* of whole lines */
    int64_t started; /* bytes after the last snapshot */
};

/* Appends "CHECK JSON\n" of a record to out. */
void journal_line(const json_t *record, struct buf *out);
/* Decodes one line without its end. Pure. NULL: it is not one; else owned by the caller. */
json_t *journal_line_read(struct span line);

/* Opens or makes the file and hands every record to take. A torn last line is cut off; damage before it: CE_STORE_DAMAGED. */
MUST_USE enum err journal_open(struct alarm_journal *j, const char *path, void (*take)(void *arg, const json_t *record), void *arg, struct fault *f);
/* Appends whole lines and flushes them. On an error the file is as before. */
MUST_USE enum err journal_append(struct alarm_journal *j, struct span lines, struct fault *f);
/* Puts a new file in the place of the old one. */
MUST_USE enum err journal_replace(struct alarm_journal *j, struct span lines, struct fault *f);
void journal_close(struct alarm_journal *j);

#endif
