/* spool.c: see spool.h. The file is a queue: head moves as reports are acknowledged; empty, it is cut to nothing. */
#include "edge/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

#define BATCH_BYTES 900000
#define RECORD_HEAD 4
#define MOVE_CHUNK 65536

struct spool {
    pthread_mutex_t lock;
    int fd;
    int64_t head, tail, max; /* bytes */
    int64_t waiting;
    uint64_t dropped, next_id;
    char prefix[20];
};

static bool read_at(int fd, void *p, size_t n, int64_t at) { return pread(fd, p, n, (off_t)at) == (ssize_t)n; }

/* One record at `at`: its length with head, 0 when there is no whole one. */
static size_t record_at(struct spool *s, int64_t at, uint8_t *body)
{
    uint8_t head[RECORD_HEAD];
    uint32_t n;
    struct span in = span_of(head, sizeof head);
    struct msg_report r;
    if (at + RECORD_HEAD > s->tail || !read_at(s->fd, head, sizeof head, at) || !span_get_u32(&in, &n))
        return 0;
    if (n == 0 || n > REPORT_DATAGRAM_MAX || at + RECORD_HEAD + n > s->tail || !read_at(s->fd, body, n, at + RECORD_HEAD))
        return 0;
    return report_unpack(span_of(body, n), &r) ? 0 : RECORD_HEAD + n;
}

enum err spool_open(const char *path, int64_t max_bytes, const char *prefix, struct spool **out, struct fault *f)
{
    uint8_t body[REPORT_DATAGRAM_MAX];
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fault_set(f, CE_IO, "%s: %s", path, strerror(errno));
    struct spool *s = mem_calloc(1, sizeof *s);
    s->fd = fd;
    s->max = max_bytes;
    s->next_id = 1;
    snprintf(s->prefix, sizeof s->prefix, "%s", prefix);
    pthread_mutex_init(&s->lock, NULL);
    s->tail = (int64_t)lseek(fd, 0, SEEK_END);
    int64_t at = 0;
    for (size_t n; (n = record_at(s, at, body)) > 0; at += (int64_t)n)
        s->waiting++;
    s->tail = at;
    if (ftruncate(fd, (off_t)at)) {
        spool_close(s);
        return fault_set(f, CE_IO, "%s: cannot be cut: %s", path, strerror(errno));
    }
    *out = s;
    return CE_OK;
}

void spool_close(struct spool *s)
{
    if (!s)
        return;
    fd_close_p(&s->fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* Moves what waits to the front of the file, when the head has left enough room. Locked. */
static void spool_compact(struct spool *s)
{
    uint8_t *chunk = mem_alloc(MOVE_CHUNK);
    int64_t from = s->head, to = 0;
    while (from < s->tail) {
        size_t n = s->tail - from < MOVE_CHUNK ? (size_t)(s->tail - from) : MOVE_CHUNK;
        if (!read_at(s->fd, chunk, n, from) || pwrite(s->fd, chunk, n, (off_t)to) != (ssize_t)n)
            break;
        from += (int64_t)n;
        to += (int64_t)n;
    }
    free(chunk);
    if (from < s->tail) { /* half moved: head still stands before everything that waits, so nothing is lost if nothing was overwritten */
        INVARIANT(to <= s->head);
        return;
    }
    s->head = 0;
    s->tail = to;
    if (ftruncate(s->fd, (off_t)to))
        log_warn(0, "reports.spool cannot be cut: %s", strerror(errno));
}

static enum err spool_append(struct spool *s, struct span rec)
{
    ssize_t n = pwrite(s->fd, rec.p, rec.n, (off_t)s->tail);
    if (n != (ssize_t)rec.n) {
        s->dropped++;
        return n < 0 ? err_from_errno(errno) : CE_DISK_FULL;
    }
    s->tail += (int64_t)n;
    s->waiting++;
    return CE_OK;
}

enum err spool_put(struct spool *s, const struct msg_report *r)
{
    CLEANUP(buf_free) struct buf rec = BUF_INIT(2 * REPORT_DATAGRAM_MAX);
    struct msg_report m = *r;
    char id[REPORT_ID_MAX];
    enum err e = CE_RATE;
    pthread_mutex_lock(&s->lock);
    m.id = span_of(id, (size_t)snprintf(id, sizeof id, "%s-%llu", s->prefix, (unsigned long long)s->next_id++));
    buf_put_u32(&rec, 0);
    msg_pack(&msg_desc_report, &m, &rec);
    if (rec.len - RECORD_HEAD > REPORT_DATAGRAM_MAX) { /* cannot be read back */
        s->dropped++;
        pthread_mutex_unlock(&s->lock);
        return CE_TOO_LARGE;
    }
    uint32_t n = (uint32_t)(rec.len - RECORD_HEAD);
    const uint8_t head[RECORD_HEAD] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
    memcpy(rec.data, head, sizeof head);
    int64_t limit = report_kind_vital(m.kind) ? 2 * s->max : s->max;
    if (s->tail + (int64_t)rec.len > limit && s->head >= s->tail / 2)
        spool_compact(s);
    if (s->tail + (int64_t)rec.len <= limit)
        e = spool_append(s, buf_span(&rec));
    else
        s->dropped++;
    pthread_mutex_unlock(&s->lock);
    return e;
}

int spool_peek(struct spool *s, int max, struct buf *json)
{
    uint8_t body[REPORT_DATAGRAM_MAX];
    struct json_out j = JSON_OUT(json);
    size_t from = json->len;
    int n = 0;
    pthread_mutex_lock(&s->lock);
    int64_t at = s->head;
    json_arr(&j, NULL);
    for (size_t len; n < max && json->len - from < BATCH_BYTES && (len = record_at(s, at, body)) > 0; at += (int64_t)len, n++) {
        struct msg_report r;
        if (!report_unpack(span_of(body, len - RECORD_HEAD), &r))
            report_json(&j, &r);
    }
    json_arr_end(&j);
    if (n == 0 && s->head < s->tail) { /* damaged on disk: nothing after this point can be told apart */
        log_error(0, "reports.spool is damaged at byte %lld; %lld reports are lost", (long long)s->head, (long long)s->waiting);
        s->dropped += (uint64_t)s->waiting;
        s->waiting = 0;
        s->head = s->tail;
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

void spool_drop(struct spool *s, int n)
{
    uint8_t body[REPORT_DATAGRAM_MAX];
    pthread_mutex_lock(&s->lock);
    for (; n > 0; n--) {
        size_t len = record_at(s, s->head, body);
        if (!len)
            break;
        s->head += (int64_t)len;
        s->waiting--;
    }
    if (s->head >= s->tail) {
        s->head = s->tail = 0;
        s->waiting = 0;
        if (ftruncate(s->fd, 0))
            log_warn(0, "reports.spool cannot be cut: %s", strerror(errno));
    }
    pthread_mutex_unlock(&s->lock);
}

void spool_info(struct spool *s, struct spool_info *out)
{
    pthread_mutex_lock(&s->lock);
    *out = (struct spool_info){ s->waiting, s->dropped, s->tail - s->head };
    pthread_mutex_unlock(&s->lock);
}
