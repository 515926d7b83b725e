/* step.c: the running of batches: fence, requests in savepoints, events, commit, effects. See core.h and batch.h. */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/answers.h"
#include "core/cert.h"
#include "core/clone.h"
#include "core/cmp.h"
#include "core/crl.h"
#include "core/engine.h"
#include "core/attest.h"
#include "core/enroll.h"
#include "core/crypto_fill.h"
#include "core/mass.h"
#include "core/evlog.h"
#include "core/presence.h"
#include "core/rollout.h"
#include "core/update.h"
#include "core/stream.h"

#define RETRY_MS 1000          /* pause of our own work after the database failed */
#define TIDY_MS 600000         /* old answers and reports are removed this often */
#define TIDY_REPORTS_MS (7 * 86400000LL)

/* -- reads ------------------------------------------------------------------------------------------------------------------- */
static void core_read(struct core *core)
{
    struct batch b;
    struct batch_work w;
    struct item *it;
    batch_open(core, &b, &w, false);
    struct item *done = NULL;
    for (int64_t i = 0; i < core->cfg.batch_max && (it = queue_pop(&core->reads)); i++) {
        struct fault f;
        if (item_run(&b, it, &f)) /* a read batch has no error that ends it */
            log_invariant("a read ended its batch", __FILE__, __LINE__);
        it->next = done;
        done = it;
    }
    batch_leave(&b);
    while (done) {
        it = done;
        done = it->next;
        free(it);
    }
    batch_close(&b);
}

/* -- parts --------------------------------------------------------------------------------------------------------------------- */
static const struct {
    enum core_part_id id;
    const struct core_part *part;
} part_rows[] = {
#define PART(ID, variable) { CORE_PART_##ID, &variable },
#include "core/parts.def"
#undef PART
    { CORE_PARTS, NULL },
};

const struct core_part *part_find(enum core_part_id id)
{
    for (size_t i = 0; i + 1 < ARRAY_LEN(part_rows); i++)
        if (part_rows[i].id == id)
            return part_rows[i].part;
    return NULL;
}

static bool parts_due(const struct core *core, int64_t mono_ms)
{
    for (int i = 0; i < CORE_PARTS; i++)
        if (core->parts[i] && core->part_next_ms[i] <= mono_ms)
            return true;
    return false;
}

static void parts_tick(struct core *core)
{
    struct batch b;
    struct batch_work w;
    core->wake = false;
    batch_open(core, &b, &w, false);
    for (int i = 0; i < CORE_PARTS; i++) {
        const struct core_part *p = core->parts[i] ? part_find((enum core_part_id)i) : NULL;
        core->part_next_ms[i] = b.mono_ms + 60000; /* of one without a tick too: it would be due for ever */
        if (!p || !p->tick)
            continue;
        if (p->tick(&b, core->parts[i], &core->part_next_ms[i]))
            core->part_wants[i] = true;
    }
    batch_leave(&b);
    batch_close(&b);
}

static enum err parts_work(struct batch *b, struct fault *f)
{
    struct core *core = b->core;
    for (int i = 0; i < CORE_PARTS; i++) {
        if (!core->part_wants[i])
            continue;
        core->part_wants[i] = false;
        core->wake = true;
        struct batch_mark mark = batch_mark(b);
        enum err e = db_save(b->db, f);
        if (e)
            return e;
        e = part_find((enum core_part_id)i)->work(b, core->parts[i], f);
        if (e && db_err_fatal(e))
            return e;
        if (e) {
            log_error(0, "%s: %s", part_find((enum core_part_id)i)->name, f->text);
            batch_undo(b, mark);
        }
        e = e ? db_save_undo(b->db, f) : db_save_keep(b->db, f);
        if (e)
            return e;
    }
    return CE_OK;
}

/* -- writes ---------------------------------------------------------------------------------------------------------------------- */
bool core_wants_write(const struct core *core, int64_t mono_ms)
{
    if (core->retry_ms > mono_ms)
        return false;
    for (int i = 0; i < CORE_PARTS; i++)
        if (core->part_wants[i])
            return true;
    return core->n_unused || refusals_due(core->refusals, mono_ms) || core->tidy_ms <= mono_ms;
}

/* Our own work at the end of a batch of requests, or alone. */
static enum err batch_house_work(struct batch *b, struct fault *f)
{
    struct core *core = b->core;
    if (!core_wants_write(core, b->mono_ms))
        return CE_OK;
    enum err e = parts_work(b, f);
    if (!e && core->tidy_ms <= b->mono_ms) {
        e = answers_forget(b, f);
        e = e ? e : store_report_forget(b->db, b->now_ms - TIDY_REPORTS_MS, f);
        core->tidy_ms = b->mono_ms + TIDY_MS;
    }
    if (!e) {
        refusals_write(b);
        ca_signatures_write(b);
    }
    return e;
}

static enum err batch_fence(struct core *core, struct fault *f)
{
    enum err e = node_fence(core->db, &core->node, f);
    if (e != CE_EPOCH)
        return e;
    bool committed = false;
    e = node_judge(core->db, &core->node, core->unknown_events, &committed, f);
    if (e)
        return e;
    if (!committed)
        return fault_set(f, CE_STORE, "the node's row could not be updated");
    log_warn(0, "the last batch (%lld events) had been committed although the database reported an error", (long long)core->unknown_events);
    core->node.nseq += core->unknown_events;
    core->unknown_events = 0;
    return node_fence(core->db, &core->node, f);
}

static enum err batch_body(struct batch *b, struct item_list *items, struct item **done, enum err (*fn)(struct batch *, void *, struct fault *),
                           void *ctx, struct fault *f)
{
    struct core *core = b->core;
    enum err e = fn ? fn(b, ctx, f) : CE_OK;
    struct item *it;
    for (int64_t i = 0; !e && items && i < core->cfg.batch_max && (it = queue_pop(items)); i++) {
        it->next = *done;
        *done = it;
        e = item_run(b, it, f);
    }
    e = e ? e : batch_house_work(b, f);
    return e ? e : batch_write_events(b, f);
}

/* COMMIT failed: it may be durable all the same. */
static enum err commit_judge(struct core *core, int64_t events, struct fault *f)
{
    struct fault why = *f;
    bool committed = false;
    db_rollback(core->db);
    enum err e = node_judge(core->db, &core->node, events, &committed, f);
    if (!e && committed)
        return CE_OK;
    if (e && db_err_fatal(e) && e != CE_EPOCH)
        core->unknown_events = events;
    if (e == CE_EPOCH || e == CE_ROLLBACK)
        return e;
    *f = why;
    return why.code;
}

static bool event_cuts(enum event_kind k)
{
    return k == EVENT_DEVICE_STATE || k == EVENT_CERT_REVOKED || k == EVENT_CERT_ORPHAN || k == EVENT_OPERATOR_REMOVED ||
           k == EVENT_LINE_STATE || k == EVENT_LINE_CHANGED || k == EVENT_BACKEND_SCOPES;
}

static void batch_committed(struct batch *b)
{
    struct core *core = b->core;
    struct batch_work *w = b->work;
    int64_t block = 0;
    for (size_t i = 0; i < w->nevents; i++)
        if (event_cuts(w->events[i].kind))
            block = core->node.nseq + 1 + (int64_t)i;
    if (block)
        core->blocks[core->next_block++ % CORE_BLOCKS] = block;
    core->node.nseq += (int64_t)w->nevents;
    core->unknown_events = 0;
    core->stats.events += w->nevents;
    core->stats.batches++;
    if (w->nevents && b->now_ms > core->last_at)
        core->last_at = b->now_ms;
    for (int i = 0; i < DEVICE_STATES; i++)
        core->devices[i] += w->states[i];
    core->wake = true;
    batch_leave(b);
}

static void items_end(struct core *core, struct item *done, struct item_list *rest, const struct fault *f)
{
    struct item *it;
    if (f && rest) /* nobody in the queue waits for a database that fails; what the signer made stays for the next batch */
        for (size_t n = rest->n; n && (it = queue_pop(rest)); n--) {
            if (it->is_signed) {
                queue_put(rest, it);
                continue;
            }
            it->next = done;
            done = it;
        }
    while (done) {
        it = done;
        done = it->next;
        if (f && !it->is_signed && !(op_find(it->type)->flags & OP_SILENT))
            batch_reply_error(core, it->peer, it->generation, it->rid, f);
        free(it);
    }
}

enum err core_write(struct core *core, struct item_list *items, enum err (*fn)(struct batch *b, void *ctx, struct fault *f), void *ctx,
                    struct fault *f)
{
    struct batch b;
    struct batch_work w;
    struct item *done = NULL;
    batch_open(core, &b, &w, true);
    enum err e = db_begin(core->db, f);
    e = e ? e : batch_fence(core, f);
    uint64_t touched = db_touched(core->db);
    e = e ? e : batch_body(&b, items, &done, fn, ctx, f);
    if (!e && (w.nevents || db_touched(core->db) != touched)) {
        int64_t from_us = clock_mono_us();
        e = db_commit(core->db, f);
        if (e)
            e = commit_judge(core, (int64_t)w.nevents, f);
        stats_observe(&core->stats.commit, clock_mono_us() - from_us);
    } else
        db_rollback(core->db); /* only refusals: nothing to make durable */
    if (!e)
        batch_committed(&b);
    else {
        core->stats.batches_failed++;
        core->retry_ms = b.mono_ms + RETRY_MS;
        log_error(0, "a batch was undone: %s", f->text);
        if (e == CE_EPOCH || e == CE_ROLLBACK || e == CE_STORE_DAMAGED)
            core->dead = *f;
        batch_fail(&b, f);
    }
    items_end(core, done, items, e ? f : NULL);
    batch_close(&b);
    return e;
}

/* -- what the process around calls ---------------------------------------------------------------------------------------------- */
static void signs_expire(struct core *core, int64_t mono_ms)
{
    bool young[2] = { false, false }; /* of the signer, of tokens: each time out in order */
    for (uint64_t t = core->token_first; t < core->token_next; t++) {
        const struct sign_slot *s = &core->slots[t & (core->nslots - 1)];
        if (s->open && s->due_ms > mono_ms) {
            young[s->in_token] = true;
            if (young[0] && (young[1] || !core->token_asked))
                break;
        } else if (s->open) {
            log_warn(0, "the signer did not answer request %llu in time", (unsigned long long)t);
            core_signed(core, t, &(struct msg_signed){ .code = CE_SIGNER, .text = SPAN_LIT("the signer did not answer in time") });
        }
    }
}

static bool writes_ripe(const struct core *core)
{
    int64_t mono_us = clock_mono_us();
    return core->writes.head && queue_ripe_us(core, mono_us) <= mono_us;
}

bool core_has_work(const struct core *core)
{
    return core->reads.head || writes_ripe(core) || core->wake || (!core->dead.code && core_wants_write(core, clock_mono_ms()));
}

/* Has a thread of a part done its work? */
static void wake_take(struct core *core)
{
    uint64_t n;
    if (read(core->wake_fd, &n, sizeof n) == sizeof n)
        core->wake = true;
}

enum err core_step(struct core *core, struct fault *f)
{
    wake_take(core);
    if (core->reads.head)
        core_read(core);
    if (!core->dead.code && (writes_ripe(core) || core_wants_write(core, clock_mono_ms())))
        if (core_write(core, &core->writes, NULL, NULL, f))
            core->wake = true; /* its requests have the answer; what ends the process is in dead */
    if (core->wake)
        parts_tick(core);
    core->stats.queue_depth = (int64_t)(core->reads.n + core->writes.n);
    if (core->dead.code)
        *f = core->dead;
    return core->dead.code;
}

enum err core_tick(struct core *core, int64_t mono_ms, struct fault *f)
{
    signs_expire(core, mono_ms);
    wake_take(core);
    if (core->wake || parts_due(core, mono_ms))
        parts_tick(core);
    if (core->dead.code)
        *f = core->dead;
    return core->dead.code;
}

int64_t core_next_wake_ms(const struct core *core, int64_t mono_ms)
{
    if (core_has_work(core))
        return mono_ms;
    int64_t next = core->writes.head ? queue_ripe_us(core, mono_ms * 1000) / 1000 + 1 : mono_ms + 60000;
    for (int i = 0; i < CORE_PARTS; i++)
        if (core->parts[i] && core->part_next_ms[i] < next)
            next = core->part_next_ms[i];
    for (uint64_t t = core->token_first; t < core->token_next; t++) {
        const struct sign_slot *s = &core->slots[t & (core->nslots - 1)];
        if (s->open && s->due_ms < next)
            next = s->due_ms;
        if (s->open && !s->in_token)
            break;
    }
    int64_t own = refusals_next_ms(core->refusals);
    if (core->tidy_ms < own)
        own = core->tidy_ms;
    if (core->n_unused)
        own = mono_ms;
    if (own < core->retry_ms)
        own = core->retry_ms;
    if (own < next)
        next = own;
    return next < mono_ms ? mono_ms : next;
}
