/* evlog_part.c: the evidence log as a part of the engine: when to integrate, when to ask for a signature, when to publish.
 * One thing at a time is with the log's writer (evlog.h); what it has done is taken by the next tick, which its eventfd brings. */
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "core/evlog.h"

#define RETRY_MS 1000             /* after a failed write or signature */
#define WRITER_MS 1000            /* the writer is looked at so often even without its event */
#define BACKLOG (EVLOG_BATCH / 2) /* events of this node from which the quiet time is not waited for */

struct evlog_state {
    struct core *core;
    struct evlog *log;
    int64_t quiet_ms;
    int64_t seen_nseq; /* of this node at the last integration */
    int64_t next_ms;   /* next integration, monotonic */
    int64_t head_ms;   /* next head asked for, monotonic */
    int64_t publish_ms; /* next attempt at the checkpoint's file, monotonic */
    bool more;         /* the last integration left events over */
    bool failing;      /* the last one could not be written */
    bool asked;        /* a head is at the signer */
};

static enum err part_open(struct core *core, void **state, struct fault *f)
{
    char dir[PATH_MAX_LEN], vkey[PATH_MAX_LEN];
    const struct core_config *cc = core_config(core);
    struct evlog_state *st = mem_calloc(1, sizeof *st);
    path_join(dir, "%.400s/log", cc->site);
    path_join(vkey, "%.400s/trust/log.pub", cc->site);
    struct evlog_config c = {core_db(core), dir, vkey, core_wake_fd(core)};
    st->core = core;
    st->quiet_ms = cc->log_quiet_ms;
    enum err e = evlog_open(&c, &st->log, f);
    if (e) {
        free(st);
        return e;
    }
    *state = st;
    return CE_OK;
}

static void part_close(void *state)
{
    struct evlog_state *st = state;
    evlog_close(st->log);
    free(st);
}

static enum err part_threads(void *state, struct fault *f)
{
    return evlog_threads(((struct evlog_state *)state)->log, f);
}

static enum err part_start(struct batch *b, void *state, struct fault *f)
{
    const struct evlog_state *st = state;
    (void)f;
    if (evlog_repaired(st->log) == 0)
        return CE_OK;
    struct json_out *j = event_begin(b, EVENT_REPAIRED, span_of(NULL, 0), 0);
    json_cstr(j, "what", "log-tiles");
    json_int(j, "count", evlog_repaired(st->log));
    event_end(b);
    return CE_OK;
}

/* -- heads ------------------------------------------------------------------------------------------------------------------ */
static void head_end(void *data, bool committed)
{
    struct evlog_state *st = data;
    st->asked = false;
    evlog_head_done(st->log, committed);
}

static enum err head_signed(struct batch *b, void *data, const struct msg_signed *m)
{
    struct evlog_state *st = data;
    struct fault f = {0};
    enum err e =
        m->code ? fault_set(&f, (enum err)m->code, SPAN_FMT, SPAN_ARG(m->text)) : evlog_head_write(st->log, m->body, b->now_ms, &f);
    if (!e) {
        batch_then(b, head_end, st);
        return CE_OK;
    }
    st->asked = false;
    st->head_ms = b->mono_ms + RETRY_MS;
    if (m->code != CE_TOKEN_LOST) /* of that the hsm role tells once */
        log_error(0, "no new log head: %s", f.text);
    return db_err_fatal(e) || e == CE_EPOCH ? e : CE_OK;
}

static void head_dropped(void *data)
{
    ((struct evlog_state *)data)->asked = false;
}

static void ask_head(struct batch *b, struct evlog_state *st)
{
    struct merkle_hash *root = arena_alloc(b->arena, sizeof *root);
    struct msg_sign_head m = {0};
    if (st->asked || b->mono_ms < st->head_ms || !evlog_head_due(st->log, &m.size, root))
        return;
    m.root = span_of(root->b, MERKLE_HASH);
    st->asked = true;
    st->head_ms = b->mono_ms + st->quiet_ms;
    batch_sign_msg(b, &msg_desc_sign_head, &m, (struct sign_done){.fn = head_signed, .drop = head_dropped, .data = st});
}

/* -- integration ---------------------------------------------------------------------------------------------------------------- */
static void integrated(void *data, bool committed)
{
    evlog_done(((struct evlog_state *)data)->log, committed);
}

static void integrate(struct batch *b, struct evlog_state *st)
{
    struct fault f = {0};
    size_t n = 0;
    int64_t nseq = core_nseq(st->core);
    if (b->mono_ms < st->next_ms && (st->failing || (nseq - st->seen_nseq < BACKLOG && !st->more)))
        return;
    enum err e = evlog_prepare(st->log, EVLOG_BATCH, &n, &f);
    st->next_ms = b->mono_ms + (e ? RETRY_MS : st->quiet_ms);
    st->seen_nseq = nseq;
    st->more = n == EVLOG_BATCH;
    st->failing = e != CE_OK;
    if (e)
        log_error(0, "the evidence log does not grow: %s", f.text);
}

/* Takes what the writer has done. An error is retried after a pause; requests go on meanwhile. */
static void writer_done(struct batch *b, struct evlog_state *st)
{
    struct fault f = {0};
    bool tiles = evlog_stage(st->log) == EVLOG_TILES;
    if (evlog_poll(st->log, &f) == CE_OK)
        return;
    *(tiles ? &st->next_ms : &st->publish_ms) = b->mono_ms + RETRY_MS;
    st->failing |= tiles;
    log_error(0, "%s: %s; tried again in %d ms, revocations go on", tiles ? "the evidence log does not grow" : "no new checkpoint", f.text,
              RETRY_MS);
}

static int64_t next_wake(const struct evlog_state *st, int64_t mono_ms)
{
    struct merkle_hash root;
    int64_t size, next = evlog_stage(st->log) == EVLOG_IDLE ? st->next_ms : mono_ms + WRITER_MS;
    if (evlog_publish_due(st->log) && st->publish_ms > mono_ms && st->publish_ms < next)
        next = st->publish_ms;
    if (!st->asked && evlog_head_due(st->log, &size, &root) && st->head_ms > mono_ms && st->head_ms < next)
        next = st->head_ms;
    return next;
}

static bool part_tick(struct batch *b, void *state, int64_t *next_ms)
{
    struct evlog_state *st = state;
    writer_done(b, st);
    if (evlog_stage(st->log) == EVLOG_IDLE && evlog_publish_due(st->log) && b->mono_ms >= st->publish_ms)
        evlog_publish(st->log);
    if (evlog_stage(st->log) == EVLOG_IDLE)
        integrate(b, st);
    ask_head(b, st);
    writer_done(b, st);
    *next_ms = next_wake(st, b->mono_ms);
    return evlog_stage(st->log) == EVLOG_ROWS;
}

static enum err part_work(struct batch *b, void *state, struct fault *f)
{
    struct evlog_state *st = state;
    if (evlog_stage(st->log) != EVLOG_ROWS)
        return CE_OK;
    batch_then(b, integrated, st);
    return evlog_write(st->log, f);
}

static void part_metrics(void *state, struct core_stats *s)
{
    const struct evlog_state *st = state;
    s->log_size = evlog_size(st->log);
    s->log_published = evlog_published(st->log);
}

const struct core_part evlog_part = {
    .name = "evlog",
    .open = part_open,
    .close = part_close,
    .threads = part_threads,
    .start = part_start,
    .tick = part_tick,
    .work = part_work,
    .metrics = part_metrics,
};
