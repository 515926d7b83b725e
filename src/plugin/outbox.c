/* outbox.c: see outbox.h. The lock is held for copies only, never across a system call. */
#include "plugin/outbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/report.h"

struct refusal {
    struct outbox_report r; /* the last one; r.count = repeats not told yet */
    int64_t since_ms;       /* monotonic; 0: empty */
};

struct outbox {
    pthread_mutex_t lock;
    struct outbox_report *ring; /* OUTBOX_MAX */
    size_t head, n;
    uint64_t dropped;
    struct refusal refusals[OUTBOX_REFUSALS];
    struct sockaddr_un to;
    int fd;               /* flush only */
    int64_t retry_at_ms;  /* flush only */
};

struct outbox *outbox_new(const char *socket_path)
{
    struct outbox *b = mem_calloc(1, sizeof *b);
    b->ring = mem_calloc(OUTBOX_MAX, sizeof *b->ring);
    pthread_mutex_init(&b->lock, NULL);
    b->fd = -1;
    b->to.sun_family = AF_UNIX;
    size_t n = strlen(socket_path);
    INVARIANT(n < sizeof b->to.sun_path);
    memcpy(b->to.sun_path, socket_path, n);
    return b;
}

void outbox_free(struct outbox *b)
{
    if (!b)
        return;
    fd_close_p(&b->fd);
    pthread_mutex_destroy(&b->lock);
    free(b->ring);
    free(b);
}

static void ring_put(struct outbox *b, const struct outbox_report *r) /* locked */
{
    if (b->n == OUTBOX_MAX) {
        b->dropped++;
        return;
    }
    b->ring[(b->head + b->n++) % OUTBOX_MAX] = *r;
}

void outbox_put(struct outbox *b, const struct outbox_report *r)
{
    pthread_mutex_lock(&b->lock);
    ring_put(b, r);
    pthread_mutex_unlock(&b->lock);
}

static void refusal_tell(struct outbox *b, struct refusal *x) /* locked */
{
    if (x->r.count)
        ring_put(b, &x->r);
    x->r.count = 0;
    x->since_ms = 0;
}

void outbox_refused(struct outbox *b, const struct outbox_report *r)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&b->lock);
    struct refusal *at = &b->refusals[0];
    for (size_t i = 0; i < OUTBOX_REFUSALS; i++) {
        struct refusal *x = &b->refusals[i];
        if (x->since_ms && x->r.reason == r->reason && !strcmp(x->r.uid, r->uid) && !strcmp(x->r.addr, r->addr)) {
            int64_t count = x->r.count + 1;
            x->r = *r;
            x->r.count = count;
            pthread_mutex_unlock(&b->lock);
            return;
        }
        if (x->since_ms < at->since_ms)
            at = x;
    }
    refusal_tell(b, at);
    at->r = *r;
    at->r.count = 0; /* the first is told at once */
    at->since_ms = now ? now : 1;
    ring_put(b, r);
    pthread_mutex_unlock(&b->lock);
}

static void refusals_age(struct outbox *b, int64_t now) /* locked */
{
    for (size_t i = 0; i < OUTBOX_REFUSALS; i++)
        if (b->refusals[i].since_ms && now - b->refusals[i].since_ms >= OUTBOX_REFUSAL_MS)
            refusal_tell(b, &b->refusals[i]);
}

static bool connected(struct outbox *b, int64_t mono_ms)
{
    if (b->fd >= 0)
        return true;
    if (mono_ms < b->retry_at_ms)
        return false;
    b->retry_at_ms = mono_ms + 1000;
    b->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (b->fd >= 0 && connect(b->fd, (const struct sockaddr *)&b->to, sizeof b->to))
        fd_close_p(&b->fd);
    return b->fd >= 0;
}

static void report_pack(const struct outbox_report *r, struct buf *out)
{
    struct msg_report m = { .kind = span_str(r->kind), .uid = span_str(r->uid), .serial = span_of(r->serial, r->serial_n),
                            .reason = span_str(r->reason), .addr = span_str(r->addr), .at = r->at_ms, .count = r->count,
                            .latency_us = r->latency_us, .frame_at = r->frame_at_ms, .text = span_str(r->text) };
    out->len = 0;
    msg_pack(&msg_desc_report, &m, out);
}

/* One report out of the ring's head; false: it stays. */
static bool send_one(struct outbox *b, const struct outbox_report *r, struct buf *bytes)
{
    report_pack(r, bytes);
    if (send(b->fd, bytes->data, bytes->len, MSG_NOSIGNAL) >= 0)
        return true;
    if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
        fd_close_p(&b->fd); /* edge has gone; a new socket of the same name is met in a second */
    return false;
}

enum outbox_state outbox_flush(struct outbox *b, int64_t mono_ms, uint64_t *dropped)
{
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(REPORT_DATAGRAM_MAX);
    struct outbox_report r;
    pthread_mutex_lock(&b->lock);
    refusals_age(b, mono_ms);
    *dropped = b->dropped;
    b->dropped = 0;
    while (b->n) {
        r = b->ring[b->head];
        pthread_mutex_unlock(&b->lock);
        bool sent = connected(b, mono_ms) && send_one(b, &r, &bytes);
        pthread_mutex_lock(&b->lock);
        if (!sent)
            break;
        b->head = (b->head + 1) % OUTBOX_MAX;
        b->n--;
    }
    enum outbox_state st = !b->n ? OUTBOX_EMPTY : b->fd >= 0 ? OUTBOX_FULL : OUTBOX_AWAY;
    pthread_mutex_unlock(&b->lock);
    return st;
}
