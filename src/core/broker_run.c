/* broker_run.c: runs of brokers: their counters, summed up per edge, and the end of the sessions of a run that is over. See presence.h.
 * A run's counters are cumulative, so only what they have grown by is added: a report that is lost, late or sent twice counts right.
 */
#include <stdlib.h>

#include "core/clone.h"
#include "core/presence.h"
#include "store/presence.h"
#include "wire/broker_counts.h"

#define END_AT_ONCE 500 /* rows in one batch */

struct presence_state {
    bool due;            /* some run has sessions that are still to be set to ended */
    int64_t not_before_ms; /* monotonic; the database has refused */
};

static void end_due(struct batch *b)
{
    struct presence_state *s = core_part(b->core, CORE_PART_PRESENCE);
    if (s)
        s->due = true;
}

static bool run_name(struct span run)
{
    for (size_t i = 0; i < run.n; i++)
        if (!strchr("0123456789abcdef", run.p[i]))
            return false;
    return run.n > 0;
}

static enum err run_end(struct batch *b, struct broker_run_row *row, int64_t at_ms, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(BROKER_COUNTS_TEXT_MAX);
    struct broker_counts n;
    if (broker_counts_parse(row->counts, &n))
        n = (struct broker_counts){ .n = { 0 } };
    n.n[BROKER_online] = 0;
    broker_counts_put(&text, &n);
    row->counts = buf_span(&text);
    row->ended = at_ms;
    row->end_below = INT64_MAX;
    row->end_at = at_ms;
    end_due(b);
    enum err e = clone_broker_over(b, row->edge, row->run, INT64_MAX, at_ms, f);
    return e ? e : store_broker_run_put(b->db, row, f);
}

/* Runs of the same edge that have been silent while this one reports. */
static enum err silent_end(struct batch *b, const struct msg_report *r, struct broker_run_row *rows, size_t n, struct fault *f)
{
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < n; i++)
        if (!span_eq(rows[i].run, r->run) && !rows[i].ended && rows[i].at < r->at - BROKER_SILENT_MS)
            e = run_end(b, &rows[i], rows[i].at, f);
    return e;
}

/* The oldest run that is over makes room. */
static enum err run_forget(struct batch *b, const struct broker_run_row *rows, size_t n, struct fault *f)
{
    const struct broker_run_row *at = NULL;
    for (size_t i = 0; i < n; i++)
        if (rows[i].ended && !rows[i].end_below && (!at || rows[i].ended < at->ended))
            at = &rows[i];
    if (!at)
        return fault_set(f, CE_RATE, "the edge reports more than %d brokers that run at once", BROKER_RUNS);
    return store_broker_run_drop(b->db, at->edge, at->run, f);
}

/* The row of the report's run, made when there is none; those of its edge in *rows (may be NULL). CE_RATE, CE_BAD_FIELD: not taken. */
static enum err run_find(struct batch *b, const struct caller *c, const struct msg_report *r, struct broker_run_row *out,
                         struct broker_run_row **rows, size_t *n, struct fault *f)
{
    if (!run_name(r->run))
        return fault_set(f, CE_BAD_FIELD, "a report of kind " SPAN_FMT " names no run of a broker", SPAN_ARG(r->kind));
    enum err e = store_broker_runs(b->db, b->arena, c->name, rows, n, f);
    for (size_t i = 0; !e && i < *n; i++)
        if (span_eq((*rows)[i].run, r->run)) {
            *out = (*rows)[i];
            return CE_OK;
        }
    *out = (struct broker_run_row){ .edge = c->name, .run = r->run };
    if (e || *n < BROKER_RUNS)
        return e;
    e = silent_end(b, r, *rows, *n, f);
    return e ? e : run_forget(b, *rows, *n, f);
}

static enum err not_taken(struct batch *b, const struct caller *c, enum err e, const struct fault *f)
{
    return e == CE_RATE || e == CE_BAD_FIELD ? report_ignore(b, c, e, f->text, (struct span){ 0 }) : e;
}

static enum err totals_add(struct batch *b, const struct caller *c, struct broker_counts *was, const struct broker_counts *now, bool newer,
                           struct fault *f)
{
    char name[BROKER_NAME_MAX];
    enum err e = CE_OK;
    for (int i = 0; !e && i < BROKER_NUMBERS; i++) {
        int64_t grown = now->n[i] - was->n[i];
        if (broker_number_gauge(i)) {
            was->n[i] = newer ? now->n[i] : was->n[i];
        } else if (grown > 0) {
            broker_number_name(i, name);
            e = store_broker_total_add(b->db, c->name, span_str(name), grown, BROKER_NUMBER_MAX, f);
            was->n[i] = now->n[i];
        }
    }
    return e;
}

enum err broker_counts_take(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(BROKER_COUNTS_TEXT_MAX);
    struct broker_run_row row, *rows = NULL;
    struct broker_counts now, was;
    size_t n = 0;
    enum err e = broker_counts_parse(r->counts, &now) ? fault_set(f, CE_BAD_FIELD, "the counts of a broker cannot be read") : CE_OK;
    e = e ? e : run_find(b, c, r, &row, &rows, &n, f);
    if (e)
        return not_taken(b, c, e, f);
    if (broker_counts_parse(row.counts, &was))
        was = (struct broker_counts){ .n = { 0 } };
    bool newer = r->at >= row.at;
    e = totals_add(b, c, &was, &now, newer, f);
    if (e)
        return e;
    broker_counts_put(&text, &was);
    row.counts = buf_span(&text);
    row.at = newer ? r->at : row.at;
    clone_broker_alive(b, c, r, now.n[BROKER_unreported]);
    if (row.ended && r->at > row.ended) { /* it lives after all, and will tell its sessions again */
        row.ended = 0;
        row.end_below = 0;
    }
    e = store_broker_run_put(b->db, &row, f);
    return e ? e : silent_end(b, r, rows, n, f);
}

enum err broker_synced_take(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f)
{
    struct broker_run_row row, *rows = NULL;
    size_t n = 0;
    enum err e = run_find(b, c, r, &row, &rows, &n, f);
    if (e)
        return not_taken(b, c, e, f);
    if (row.end_below >= r->sync)
        return CE_OK;
    row.end_below = r->sync;
    row.end_at = r->at;
    row.at = r->at > row.at ? r->at : row.at;
    end_due(b);
    e = clone_broker_over(b, c->name, r->run, r->sync, r->at, f);
    return e ? e : store_broker_run_put(b->db, &row, f);
}

enum err broker_ended_take(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f)
{
    struct broker_run_row row, *rows = NULL;
    size_t n = 0;
    enum err e = run_find(b, c, r, &row, &rows, &n, f);
    if (e)
        return not_taken(b, c, e, f);
    row.at = r->at > row.at ? r->at : row.at;
    return run_end(b, &row, r->at, f);
}

/* -- the part ------------------------------------------------------------------------------------------------------------------ */
static enum err part_open(struct core *core, void **state, struct fault *f)
{
    (void)core;
    (void)f;
    struct presence_state *s = mem_calloc(1, sizeof *s);
    s->due = true; /* what was due before the start */
    *state = s;
    return CE_OK;
}

static bool part_tick(struct batch *b, void *state, int64_t *next_ms)
{
    const struct presence_state *s = state;
    if (!s->due)
        return false;
    if (s->not_before_ms > b->mono_ms)
        *next_ms = s->not_before_ms;
    return s->not_before_ms <= b->mono_ms;
}

/* Sessions of those who were put out first: nobody has told how they ended, so that they did is evidence. */
static enum err run_end_barred(struct batch *b, const struct broker_run_row *row, int64_t max, int64_t *ended, struct fault *f)
{
    struct presence_open *p;
    size_t n;
    enum err e = store_presence_barred(b->db, b->arena, row->edge, row->run, row->end_below, max, &p, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        e = store_presence_close(b->db, p[i].uid, row->end_at, f);
        if (!e)
            presence_event(b, row->edge, false, &p[i], row->end_at);
    }
    *ended = e ? 0 : (int64_t)n;
    return e;
}

static enum err part_work(struct batch *b, void *state, struct fault *f)
{
    struct presence_state *s = state;
    struct broker_run_row *rows = NULL;
    size_t n = 0;
    int64_t left = END_AT_ONCE;
    enum err e = store_broker_runs(b->db, b->arena, (struct span){ 0 }, &rows, &n, f);
    for (size_t i = 0; !e && i < n && left > 0; i++) {
        int64_t ended = 0;
        if (!rows[i].end_below)
            continue;
        e = run_end_barred(b, &rows[i], left, &ended, f);
        left -= ended;
        if (!e && left > 0) {
            e = store_presence_end(b->db, rows[i].edge, rows[i].run, rows[i].end_below, rows[i].end_at, left, &ended, f);
            left -= ended;
        }
        if (e || left <= 0)
            break;
        rows[i].end_below = 0;
        e = store_broker_run_put(b->db, &rows[i], f);
    }
    s->due = e || left <= 0;
    s->not_before_ms = e ? b->mono_ms + 10000 : 0;
    return e;
}

const struct core_part presence_part = { .name = "presence", .open = part_open, .close = free, .tick = part_tick, .work = part_work };
