/* evlog_part.c: the evidence log as a part of the engine: when to integrate, when to ask for a signature, when to publish. */
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "core/evlog.h"

#define RETRY_MS 1000             /* after a failed write or signature */
#define BACKLOG (EVLOG_BATCH / 2) /* events of this node from which the quiet time is not waited for */

struct evlog_state {
    struct core *core;
    struct evlog *log;
    int64_t quiet_ms;
    int64_t seen_nseq; /* of this node at the last integration */
    int64_t next_ms;   /* next integration, monotonic */
    int64_t head_ms;   /* next head, monotonic */
    bool prepared;     /* rows are to be written */
    bool more;         /* the last integration left events over */
    bool asked;        /* a head is at the signer */
};

static enum err part_open(struct core *core, void **state, struct fault *f)
{
    char dir[PATH_MAX_LEN], vkey[PATH_MAX_LEN];
    const struct core_config *cc = core_config(core);
    struct evlog_state *st = mem_calloc(1, sizeof *st);
    path_join(dir, "%.400s/log", cc->site);
    path_join(vkey, "%.400s/trust/log.pub", cc->site);
    struct evlog_config c = {core_db(core), dir, vkey};
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
static void publish(void *data, bool committed)
{
    struct evlog_state *st = data;
    struct fault f = {0};
    st->asked = false;
    if (committed && evlog_head_publish(st->log, &f))
        log_error(0, "%s; trying again", f.text);
}

static enum err head_signed(struct batch *b, void *data, const struct msg_signed *m)
{
    struct evlog_state *st = data;
    struct fault f = {0};
    enum err e =
        m->code ? fault_set(&f, (enum err)m->code, SPAN_FMT, SPAN_ARG(m->text)) : evlog_head_write(st->log, m->body, b->now_ms, &f);
    if (!e) {
        batch_then(b, publish, st);
        return CE_OK;
    }
    st->asked = false;
    st->head_ms = b->mono_ms + RETRY_MS;
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
    batch_sign_msg(b, &msg_desc_sign_head, &m, (struct sign_done){.fn = head_signed, .drop = head_dropped, .data = st});
}

/* -- integration ---------------------------------------------------------------------------------------------------------------- */
static void integrated(void *data, bool committed)
{
    struct evlog_state *st = data;
    st->prepared = false;
    evlog_done(st->log, committed);
}

static void integrate(struct batch *b, struct evlog_state *st)
{
    struct fault f = {0};
    size_t n = 0;
    int64_t nseq = core_nseq(st->core);
    if (b->mono_ms < st->next_ms && nseq - st->seen_nseq < BACKLOG && !st->more)
        return;
    enum err e = evlog_prepare(st->log, EVLOG_BATCH, &n, &f);
    st->next_ms = b->mono_ms + (e ? RETRY_MS : st->quiet_ms);
    st->seen_nseq = nseq;
    st->more = n == EVLOG_BATCH;
    st->prepared = n > 0;
    if (e)
        log_error(0, "the evidence log does not grow: %s", f.text);
}

static bool part_tick(struct batch *b, void *state, int64_t *next_ms)
{
    struct evlog_state *st = state;
    if (!st->prepared)
        integrate(b, st);
    if (!st->prepared)
        ask_head(b, st);
    *next_ms = st->next_ms;
    return st->prepared;
}

static enum err part_work(struct batch *b, void *state, struct fault *f)
{
    struct evlog_state *st = state;
    if (!st->prepared)
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
    .start = part_start,
    .tick = part_tick,
    .work = part_work,
    .metrics = part_metrics,
};
