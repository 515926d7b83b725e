/* alarm_journal.c: see alarm_journal.h. */
#include "cli/alarm_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypt/hash.h"
#include "wire/msg.h"

#define CHECK_BYTES 8
#define CHECK_TEXT (2 * CHECK_BYTES)

static void line_check(struct span json, struct buf *out)
{
    uint8_t hash[SHA256_LEN];
    sha256(json, hash);
    buf_put_hex(out, span_of(hash, CHECK_BYTES));
}

void journal_line(const json_t *record, struct buf *out)
{
    CLEANUP(mem_free_p) char *text = json_dumps(record, JSON_COMPACT);
    INVARIANT(text);
    line_check(span_str(text), out);
    buf_put_u8(out, ' ');
    buf_put_str(out, text);
    buf_put_u8(out, '\n');
}

json_t *journal_line_read(struct span line)
{
    CLEANUP(buf_free) struct buf check = BUF_INIT(64);
    json_t *record = NULL;
    if (line.n < CHECK_TEXT + 1 || line.p[CHECK_TEXT] != ' ')
        return NULL;
    struct span json = span_of(line.p + CHECK_TEXT + 1, line.n - CHECK_TEXT - 1);
    line_check(json, &check);
    if (!span_eq(buf_span(&check), span_of(line.p, CHECK_TEXT)) || json_parse(json, &record, NULL))
        return NULL;
    if (json_is_object(record))
        return record;
    json_decref(record);
    return NULL;
}

/* Reads every line; j->bytes is where the whole ones end. */
static enum err lines_read(struct alarm_journal *j, FILE *in, void (*take)(void *arg, const json_t *record), void *arg, struct fault *f)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    enum err e = CE_OK;
    int64_t no = 0;
    while (!e && (n = getline(&line, &cap, in)) > 0) {
        json_t *record = line[n - 1] == '\n' ? journal_line_read(span_of(line, (size_t)n - 1)) : NULL;
        no++;
        if (!record) {
            if (getc(in) != EOF)
                e = fault_set(f, CE_STORE_DAMAGED, "%s: line %lld is damaged; move the file away to begin anew with the events from now on", j->path,
                              (long long)no);
            break;
        }
        take(arg, record);
        json_decref(record);
        j->bytes += n;
    }
    free(line);
    return !e && ferror(in) ? fault_set(f, CE_IO, "%s: cannot be read", j->path) : e;
}

enum err journal_open(struct alarm_journal *j, const char *path, void (*take)(void *arg, const json_t *record), void *arg, struct fault *f)
{
    *j = (struct alarm_journal){ .fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600) };
    path_join(j->path, "%s", path);
    if (j->fd < 0)
        return fault_set(f, CE_IO, "%s: %s", path, strerror(errno));
    FILE *in = fopen(path, "re");
    if (!in)
        return fault_set(f, CE_IO, "%s: %s", path, strerror(errno));
    enum err e = lines_read(j, in, take, arg, f);
    fclose(in);
    if (!e && ftruncate(j->fd, (off_t)j->bytes))
        e = fault_set(f, CE_IO, "%s: cannot be cut: %s", path, strerror(errno));
    return e;
}

enum err journal_append(struct alarm_journal *j, struct span lines, struct fault *f)
{
    enum err e = file_write_all(j->fd, lines);
    if (!e && fdatasync(j->fd))
        e = err_from_errno(errno);
    if (!e) {
        j->bytes += (int64_t)lines.n;
        return CE_OK;
    }
    fault_set(f, e, "%s: %s", j->path, strerror(errno));
    if (ftruncate(j->fd, (off_t)j->bytes))
        log_warn(0, "%s: cannot be cut back: %s", j->path, strerror(errno));
    return e;
}

enum err journal_replace(struct alarm_journal *j, struct span lines, struct fault *f)
{
    enum err e = file_write_atomic(j->path, lines, 0600);
    if (e)
        return fault_set(f, e, "%s: %s", j->path, strerror(errno));
    int fd = open(j->path, O_RDWR | O_APPEND | O_CLOEXEC);
    INVARIANT(fd >= 0); /* the old file is no more: nothing may be noted in it */
    close(j->fd);
    j->fd = fd;
    j->bytes = j->started = (int64_t)lines.n;
    return CE_OK;
}

void journal_close(struct alarm_journal *j) { fd_close_p(&j->fd); }
