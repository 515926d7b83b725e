/* outbox.c: see outbox.h. The lock is held for copies only, never across a system call. */
#include "plugin/outbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/report.h"

#define END_PAUSE_US 10000

struct outbox {
    pthread_mutex_t lock;
    struct outbox_report *ring; /* OUTBOX_MAX */
    size_t head, n;
    uint64_t dropped;
    struct tally *refusals;
    struct broker_counts counts;
    bool counts_changed;        /* since they were sent */
    int64_t counts_sent_ms;     /* monotonic; 0: never */
    char run[BROKER_RUN + 1];
    int64_t sync;               /* number of the last telling of all sessions */
    bool lost, telling, there;  /* something about sessions was lost; they are told again; edge's socket is connected */
    struct sockaddr_un to;
    int fd;                     /* flush only */
    int64_t retry_at_ms;        /* flush only */
    bool been;                  /* flush only: it was connected before */
};

static bool ring_put(struct outbox *b, const struct outbox_report *r) /* locked */
{
    size_t room = report_kind_vital(span_str(r->kind)) ? OUTBOX_MAX : OUTBOX_ROOM;
    if (b->n >= room)
        return false;
    struct outbox_report *at = &b->ring[(b->head + b->n++) % OUTBOX_MAX];
    *at = *r;
    if (r->session)
        at->sync = b->sync;
    return true;
}

static bool refusal_tell(void *ctx, const struct tally_item *x) /* locked */
{
    struct outbox_report r = { .kind = "refused", .reason = err_reason(x->code), .serial_n = x->serial_n, .at_ms = x->at_ms,
                               .count = x->count, .sources = x->sources };
    snprintf(r.uid, sizeof r.uid, "%s", x->uid);
    snprintf(r.addr, sizeof r.addr, "%s", x->addr);
    snprintf(r.text, sizeof r.text, "%.*s", (int)sizeof r.text - 1, x->text);
    memcpy(r.serial, x->serial, sizeof r.serial);
    return ring_put(ctx, &r);
}

enum err outbox_new(const char *socket_path, struct outbox **out, struct fault *f)
{
    uint8_t run[BROKER_RUN / 2];
    size_t n = strlen(socket_path);
    enum err e = random_bytes(run, sizeof run);
    if (e)
        return fault_set(f, e, "no random numbers for the name of this run");
    struct outbox *b = mem_calloc(1, sizeof *b);
    b->ring = mem_calloc(OUTBOX_MAX, sizeof *b->ring);
    b->refusals = tally_new(refusal_tell, b);
    for (size_t i = 0; i < sizeof run; i++)
        snprintf(b->run + 2 * i, 3, "%02x", run[i]);
    pthread_mutex_init(&b->lock, NULL);
    b->fd = -1;
    b->to.sun_family = AF_UNIX;
    INVARIANT(n < sizeof b->to.sun_path);
    memcpy(b->to.sun_path, socket_path, n);
    *out = b;
    return CE_OK;
}

void outbox_free(struct outbox *b)
{
    if (!b)
        return;
    fd_close_p(&b->fd);
    pthread_mutex_destroy(&b->lock);
    tally_free(b->refusals);
    free(b->ring);
    free(b);
}

void outbox_put(struct outbox *b, const struct outbox_report *r)
{
    pthread_mutex_lock(&b->lock);
    if (!ring_put(b, r)) {
        b->dropped++;
        b->counts.n[BROKER_unreported]++;
        b->counts_changed = true;
        b->lost |= r->session != 0;
    }
    pthread_mutex_unlock(&b->lock);
}

void outbox_refused(struct outbox *b, const struct tally_item *item)
{
    pthread_mutex_lock(&b->lock);
    b->counts.n[BROKER_COUNTS + item->code]++;
    b->counts_changed = true;
    tally_put(b->refusals, item, clock_mono_ms());
    pthread_mutex_unlock(&b->lock);
}

/* -- counters, and telling everything again ---------------------------------------------------------------------------------------- */
void outbox_count(struct outbox *b, enum broker_count n, int64_t add)
{
    pthread_mutex_lock(&b->lock);
    b->counts.n[n] += add;
    b->counts_changed = true;
    pthread_mutex_unlock(&b->lock);
}

bool outbox_sync_wanted(struct outbox *b)
{
    pthread_mutex_lock(&b->lock);
    bool yes = (b->lost || b->telling) && b->there && b->n < OUTBOX_ROOM / 2;
    pthread_mutex_unlock(&b->lock);
    return yes;
}

bool outbox_sync_broken(struct outbox *b)
{
    pthread_mutex_lock(&b->lock);
    bool yes = b->lost || !b->telling;
    pthread_mutex_unlock(&b->lock);
    return yes;
}

void outbox_sync_begin(struct outbox *b)
{
    pthread_mutex_lock(&b->lock);
    b->lost = false;
    b->telling = true;
    b->sync++;
    pthread_mutex_unlock(&b->lock);
}

void outbox_sync_end(struct outbox *b)
{
    struct outbox_report done = { .kind = "synced", .at_ms = clock_now_ms() };
    pthread_mutex_lock(&b->lock);
    done.sync = b->sync;
    b->telling = false;
    b->lost |= !ring_put(b, &done);
    pthread_mutex_unlock(&b->lock);
}

/* -- sending --------------------------------------------------------------------------------------------------------------------- */
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
    if (b->fd < 0)
        return false;
    pthread_mutex_lock(&b->lock);
    b->there = true;
    b->lost |= b->been; /* what the edge before had not spooled is gone */
    pthread_mutex_unlock(&b->lock);
    b->been = true;
    return true;
}

static void report_pack(const struct outbox *b, const struct outbox_report *r, struct span counts, struct buf *out)
{
    struct msg_report m = { .kind = span_str(r->kind), .uid = span_str(r->uid), .serial = span_of(r->serial, r->serial_n),
                            .reason = span_str(r->reason), .addr = span_str(r->addr), .at = r->at_ms, .count = r->count,
                            .latency_us = r->latency_us, .frame_at = r->frame_at_ms, .text = span_str(r->text), .run = span_str(b->run), .session = r->session,
                            .sync = r->sync, .tls = span_str(r->tls), .resumed = r->resumed, .counts = counts, .sources = r->sources,
                            .keepalive_s = r->keepalive_s, .heard = r->heard_ms, .other = span_str(r->other), .score = r->score };
    out->len = 0;
    msg_pack(&msg_desc_report, &m, out);
}

/* false: not sent, and nothing is lost by that. */
static bool send_one(struct outbox *b, const struct outbox_report *r, struct span counts, struct buf *bytes)
{
    report_pack(b, r, counts, bytes);
    if (send(b->fd, bytes->data, bytes->len, MSG_NOSIGNAL) >= 0)
        return true;
    if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
        return false;
    fd_close_p(&b->fd); /* edge has gone; a new socket of the same name is met in a second */
    pthread_mutex_lock(&b->lock);
    b->there = false;
    pthread_mutex_unlock(&b->lock);
    return false;
}

static bool counts_due(const struct outbox *b, int64_t mono_ms) /* locked */
{
    int64_t ago = mono_ms - b->counts_sent_ms;
    return !b->counts_sent_ms || ago >= OUTBOX_ALIVE_MS || (b->counts_changed && ago >= OUTBOX_COUNTS_MS);
}

static bool counts_send(struct outbox *b, int64_t mono_ms, struct buf *bytes)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(BROKER_COUNTS_TEXT_MAX);
    const struct outbox_report r = { .kind = "counts", .at_ms = clock_now_ms() };
    pthread_mutex_lock(&b->lock);
    broker_counts_put(&text, &b->counts);
    b->counts_changed = false;
    pthread_mutex_unlock(&b->lock);
    bool sent = send_one(b, &r, buf_span(&text), bytes);
    pthread_mutex_lock(&b->lock);
    b->counts_changed |= !sent;
    b->counts_sent_ms = sent ? mono_ms : b->counts_sent_ms;
    pthread_mutex_unlock(&b->lock);
    return sent;
}

enum outbox_state outbox_flush(struct outbox *b, int64_t mono_ms, uint64_t *dropped)
{
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(REPORT_DATAGRAM_MAX);
    struct outbox_report r;
    bool sent = connected(b, mono_ms);
    pthread_mutex_lock(&b->lock);
    tally_age(b->refusals, mono_ms);
    *dropped = b->dropped;
    b->dropped = 0;
    while (sent && b->n) {
        r = b->ring[b->head];
        pthread_mutex_unlock(&b->lock);
        sent = send_one(b, &r, (struct span){ 0 }, &bytes);
        pthread_mutex_lock(&b->lock);
        if (sent) {
            b->head = --b->n ? (b->head + 1) % OUTBOX_MAX : 0; /* empty: the same memory again */
        }
    }
    bool counts = sent && counts_due(b, mono_ms);
    pthread_mutex_unlock(&b->lock);
    if (counts)
        sent = counts_send(b, mono_ms, &bytes);
    return b->fd < 0 ? OUTBOX_AWAY : sent ? OUTBOX_EMPTY : OUTBOX_FULL;
}

static void flush_all(struct outbox *b, int64_t until_ms)
{
    uint64_t dropped;
    while (outbox_flush(b, clock_mono_ms(), &dropped) == OUTBOX_FULL && clock_mono_ms() < until_ms)
        usleep(END_PAUSE_US);
}

void outbox_end(struct outbox *b, int64_t wait_ms)
{
    int64_t until = clock_mono_ms() + wait_ms;
    tally_age(b->refusals, INT64_MAX);
    b->counts.n[BROKER_disconnects] += b->counts.n[BROKER_online];
    b->counts.n[BROKER_online] = 0;
    b->counts_sent_ms = 0;
    flush_all(b, until); /* counters before the end: after it they would say that the run goes on */
    const struct outbox_report end = { .kind = "ended", .at_ms = clock_now_ms(), .text = "the broker has ended" };
    outbox_put(b, &end);
    flush_all(b, until);
}
