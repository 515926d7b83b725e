/* stream.c: the thread that follows cradled's revocation stream: connects to one URL after the other with back-off, verifies what comes
 * through the hold, and acknowledges each change by a report. What does not verify never replaces what is held.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "edge/edge.h"
#include "edge/feed.h"

#define RETRY_MIN_MS 100
#define ALARM_AGAIN_MS 60000

struct stream {
    struct edge *e;
    struct feed feed;
    char url[NET_URL_MAX];  /* of this connection */
    struct fault why;       /* of the callback that ended it */
    bool want_snapshot;     /* the tail is long, or the state on disk is damaged: ask from nothing */
    int64_t snapshot_us;    /* when the first bytes of the snapshot that comes came, monotonic */
    bool good;              /* something that verified came on this connection */
    enum err alarm;
    int64_t alarm_ms;       /* monotonic */
};

static void view_update(struct stream *s)
{
    struct edge *e = s->e;
    const struct hold *h = &e->hold;
    CLEANUP(buf_free) struct buf policy = BUF_INIT(2 * SNAPSHOT_KEY + 1);
    buf_put_hex(&policy, span_of(h->policy, SNAPSHOT_KEY));
    pthread_mutex_lock(&e->lock);
    struct edge_view *v = &e->view;
    memcpy(v->vector, h->vector, sizeof v->vector);
    v->at_ms = h->at_ms;
    v->seen_mono_ms = h->seen_mono_ms;
    v->made_ms = h->made_ms;
    v->tail_bytes = h->tail_len;
    memcpy(v->n, h->n, sizeof v->n);
    snprintf(v->policy, sizeof v->policy, "%s", h->vector[0] ? buf_cstr(&policy) : "");
    v->policy_stored_ms = h->policy_stored_ms;
    pthread_mutex_unlock(&e->lock);
}

/* began_us: when it came in here, monotonic: what the report says is by one clock. The status also shows the time since the frame was
 * signed, which is by two. */
static void ack(struct stream *s, int64_t at_ms, int64_t began_us, int64_t entries)
{
    int64_t now = clock_now_ms(), signed_us = (now - at_ms) * 1000, us = clock_mono_us() - began_us;
    struct span vector = span_str(s->e->hold.vector);
    struct msg_report r = { .kind = SPAN_LIT("ack"), .at = now, .count = entries, .latency_us = us > 0 ? us : 1 };
    if (vector.n <= 256)
        r.vector = vector;
    pthread_mutex_lock(&s->e->lock);
    s->e->view.last_latency_us = signed_us > 0 ? signed_us : 1;
    pthread_mutex_unlock(&s->e->lock);
    edge_report(s->e, &r);
}

/* -- what the feed finds ----------------------------------------------------------------------------------------------------- */
static enum err on_snapshot(void *arg, const struct snapshot_header *h)
{
    struct stream *s = arg;
    s->snapshot_us = clock_mono_us();
    return hold_snapshot(&s->e->hold, h, &s->why);
}

static enum err on_body(void *arg, struct span bytes, bool last)
{
    struct stream *s = arg;
    enum err e = hold_body(&s->e->hold, bytes, last, &s->why);
    if (e || !last)
        return e;
    s->want_snapshot = false;
    s->good = true;
    pthread_mutex_lock(&s->e->lock);
    s->e->view.snapshots++;
    pthread_mutex_unlock(&s->e->lock);
    view_update(s);
    ack(s, s->e->hold.made_ms, s->snapshot_us, 0);
    const uint32_t *n = s->e->hold.n;
    log_info(0, "snapshot at %s: %u certificates, %u identities, %u lines, %u in quarantine", s->e->hold.vector, n[SNAPSHOT_SET_CERT - 1],
             n[SNAPSHOT_SET_IDENT - 1], n[SNAPSHOT_SET_LINE - 1], n[SNAPSHOT_SET_REPAIR - 1]);
    return CE_OK;
}

/* A document that we do not understand is kept all the same: the plugin of this host may be newer than we are, and revocations must go on. */
static enum err on_policy(void *arg, struct span document)
{
    struct stream *s = arg;
    struct policy *p = NULL;
    struct fault f;
    if (policy_parse(document, &p, &f))
        log_error(0, "ALARM %s: the policy document from cradled cannot be understood, is it newer than this program? %s", err_reason(f.code), f.text);
    else
        log_info(0, "policy for brokers: %zu lines, %zu backends", policy_lines(p), policy_backends(p));
    policy_free(p);
    return hold_policy(&s->e->hold, document, &s->why);
}

static enum err on_frame(void *arg, const struct snapshot_frame *fr)
{
    struct stream *s = arg;
    int64_t began_us = clock_mono_us();
    enum err e = hold_frame(&s->e->hold, fr, &s->why);
    s->want_snapshot |= e == CE_NOT_FOUND; /* it names a document that we do not hold: from nothing */
    if (e)
        return e;
    s->good = true;
    pthread_mutex_lock(&s->e->lock);
    s->e->view.frames++;
    pthread_mutex_unlock(&s->e->lock);
    view_update(s);
    if (fr->n_entries)
        ack(s, fr->at_ms, began_us, fr->n_entries);
    if (s->e->hold.tail_len > s->e->cfg.tail_max)
        s->want_snapshot = true;
    return CE_OK;
}

/* -- what the connection brings ------------------------------------------------------------------------------------------------ */
static bool on_open(void *arg)
{
    struct stream *s = arg;
    pthread_mutex_lock(&s->e->lock);
    s->e->view.connected = true;
    s->e->view.connects++;
    pthread_mutex_unlock(&s->e->lock);
    edge_trouble(s->e, "");
    log_info(0, "connected to %s, following from %s", s->url, s->want_snapshot || !s->e->hold.vector[0] ? "nothing" : s->e->hold.vector);
    return true;
}

static bool on_bytes(void *arg, struct span bytes)
{
    struct stream *s = arg;
    bool wanted = s->want_snapshot;
    const struct feed_calls calls = { on_policy, on_snapshot, on_body, on_frame, s };
    enum err e = feed_put(&s->feed, bytes, &calls);
    if (e && !s->why.code)
        fault_set(&s->why, e, "%s sent what is neither a policy document, a snapshot nor a frame", s->url);
    return !e && !atomic_load(&s->e->stop) && (wanted || !s->want_snapshot);
}

static bool on_tick(void *arg)
{
    struct stream *s = arg;
    return !atomic_load(&s->e->stop) && !atomic_load(&s->e->reopen);
}

static void alarm_tell(struct stream *s)
{
    int64_t now = clock_mono_ms();
    if (s->why.code != CE_BAD_SIGNATURE && s->why.code != CE_VECTOR_LOWER)
        return;
    if (s->alarm == s->why.code && now - s->alarm_ms < ALARM_AGAIN_MS)
        return;
    s->alarm = s->why.code;
    s->alarm_ms = now;
    log_error(0, "ALARM %s: %s", err_reason(s->why.code), s->why.text);
    struct msg_report r = { .kind = SPAN_LIT("stale"), .reason = span_str(err_reason(s->why.code)), .at = clock_now_ms() };
    r.text = span_str(s->why.text);
    if (r.text.n > 200)
        r.text.n = 200;
    edge_report(s->e, &r);
}

/* One connection, from asking to its end. s->why says how it ended. */
static void stream_once(struct stream *s, unsigned nth)
{
    struct edge *e = s->e;
    CLEANUP(net_close_p) struct net *net = NULL;
    CLEANUP(buf_free) struct buf path = BUF_INIT(8192);
    s->why = (struct fault){ 0 };
    s->good = false;
    enum err err = edge_net_open(e, nth, &net, s->url, &s->why);
    pthread_mutex_lock(&e->lock);
    memcpy(e->view.url, s->url, sizeof s->url);
    pthread_mutex_unlock(&e->lock);
    if (err)
        return;
    buf_put_str(&path, "/edge/v1/stream?since=");
    if (!s->want_snapshot)
        net_escape(&path, span_str(e->hold.vector));
    feed_init(&s->feed);
    struct net_stream_calls calls = { on_open, on_bytes, on_tick, e->stop_fd, e->cfg.watchdog * 1000, s };
    struct fault f = { 0 };
    err = net_stream(net, buf_cstr(&path), &calls, &f);
    if (err && !s->why.code)
        s->why = f;
    feed_free(&s->feed);
    hold_abandon(&e->hold);
    pthread_mutex_lock(&e->lock);
    e->view.connected = false;
    pthread_mutex_unlock(&e->lock);
}

void *edge_stream_run(void *arg)
{
    struct edge *e = arg;
    struct stream s = { .e = e };
    int64_t wait_ms = RETRY_MIN_MS, max_ms = e->cfg.retry_max * 1000;
    unsigned nth = 0;
    view_update(&s);
    while (!atomic_load(&e->stop)) {
        atomic_store(&e->reopen, false);
        bool wanted = s.want_snapshot;
        stream_once(&s, nth);
        if (s.good)
            wait_ms = RETRY_MIN_MS;
        if (!s.why.code && (!wanted || s.good)) /* asked for: a snapshot is due, or the certificates are new */
            continue;
        nth++;
        edge_trouble(e, s.why.text);
        if (!atomic_load(&e->stop))
            log_warn(0, "stream: %s: %s", err_reason(s.why.code), s.why.text);
        alarm_tell(&s);
        if (!edge_wait(e, wait_ms))
            break;
        wait_ms = wait_ms * 2 < max_ms ? wait_ms * 2 : max_ms;
    }
    return NULL;
}
