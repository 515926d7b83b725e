/* crl.c: the board of CRL shards. See core/crl.h.
 *
 * A shard's way: due -> (thread) its entries gathered into a file -> (write batch) number claimed by compare-and-set, the signer asked, to whom the
 * entries go in pieces -> (write batch) signed, which is evidence -> (thread) the file made, read again, verified, durable -> (write batch) row and
 * evidence written -> the file renamed. What changes after the reading leaves the shard dirty. Nothing of a CRL is visible before its evidence is
 * committed. A crash leaves a claimed number unused and the shard due; one between commit and renaming leaves the new file behind, by which the next
 * start knows, and makes another.
 */
#include "core/crl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "core/ca.h"
#include "core/crl_make.h"
#include "core/job_thread.h"
#include "crypt/ca.h"
#include "store/crl.h"
#include "store/crl_block.h"

/* In the order of a shard's way. GATHER and FINISH wait for the thread, GATHERED and FINISHED for a write batch. */
enum crl_slot_state { CRL_IDLE, CRL_GATHER, CRL_GATHERED, CRL_ASKED, CRL_FINISH, CRL_FINISHED };
struct crl_slot {
    struct crl_board *board;
    struct core_ca ca;
    bool dirty;           /* a committed change is in no CRL yet */
    enum crl_slot_state state;
    int64_t due_ms;       /* monotonic */
    /* the CRL in the making */
    struct crl_job job;
    uint64_t sent;        /* bytes of entries that went to the signer */
    unsigned open;        /* requests at the signer */
    bool failed, still_dirty;
    struct ca_signature signature;
};

struct crl_board {
    struct core *core;
    struct db *db;        /* owned; the thread's */
    struct job_thread *thread; /* owned */
    bool threaded;        /* otherwise jobs are done as they are given */
    struct crl_slot *in_hand; /* the thread's; NULL: it rests */
    struct buf piece;     /* owned */
    struct crl_slot *slots; /* owned; n_shards of the first CA, then of the next */
    size_t n, busy;       /* slots; those not idle */
};

int64_t crl_shard(const struct core *core, struct span serial) { return crl_shard_of(serial, (unsigned)core_config(core)->n_shards); }

static struct crl_slot *slot_find(struct crl_board *c, struct span kid, int64_t shard)
{
    for (size_t i = 0; i < c->n; i += (size_t)core_config(c->core)->n_shards)
        if (span_eq(c->slots[i].ca.kid, kid))
            return &c->slots[i + (size_t)shard];
    return NULL;
}

static void slot_path(const struct crl_slot *s, char *out)
{
    path_join(out, "%s/pub/crl/" SPAN_FMT "/%lld.crl", core_config(s->board->core)->site, SPAN_ARG(s->ca.name), (long long)s->job.shard);
}

/* Where it is made: beside what is served, and not served. */
static void slot_temp(const struct crl_slot *s, char *out)
{
    path_join(out, "%s/pub/.crl/" SPAN_FMT ".%lld", core_config(s->board->core)->site, SPAN_ARG(s->ca.name), (long long)s->job.shard);
}

/* -- marks ------------------------------------------------------------------------------------------------------------------------ */
static void mark_end(void *data, bool committed)
{
    struct crl_slot *s = data;
    if (!committed)
        return;
    int64_t due = clock_mono_ms() + CRL_SETTLE_MS;
    if (!s->dirty && due < s->due_ms)
        s->due_ms = due;
    s->dirty = true;
}

enum err crl_change(struct batch *b, struct span kid, struct span serial, const struct cert_state *st, struct fault *f)
{
    struct crl_board *c = core_part(b->core, CORE_PART_CRL);
    const struct crl_listed one = { serial, st->revoked_at, st->not_after, st->reason };
    bool listed = st->status == CERT_REVOKED || st->status == CERT_HELD;
    enum err e = listed ? store_crl_list_put(b->db, kid, st->shard, &one, f) : store_crl_list_drop(b->db, kid, st->shard, serial, f);
    struct crl_slot *s = e ? NULL : slot_find(c, kid, st->shard);
    if (!s)
        return e; /* a CA that has no CRL here */
    batch_then(b, mark_end, s);
    return store_crl_mark(b->db, kid, st->shard, f);
}

/* -- the end of one ------------------------------------------------------------------------------------------------------------- */
/* The CRL is published, or given up. */
static void slot_settle(struct crl_slot *s, bool good)
{
    int64_t now = clock_mono_ms(), refresh_ms = core_config(s->board->core)->crl_refresh_s * 1000;
    s->state = CRL_IDLE;
    s->board->busy--;
    crl_job_end(&s->job);
    s->dirty |= !good || s->still_dirty;
    s->due_ms = now + (!good ? CRL_RETRY_MS : s->dirty ? CRL_SETTLE_MS : refresh_ms);
    core_wake(s->board->core);
}

static void slot_fail(struct crl_slot *s, const struct fault *f)
{
    if (f->code != CE_TOKEN_LOST) /* of a token that is gone the hsm role tells once */
        log_error(0, "CRL shard %lld of CA " SPAN_FMT " is not published: %s; tried again soon", (long long)s->job.shard, SPAN_ARG(s->ca.name), f->text);
    slot_settle(s, false);
}

static void publish_end(void *data, bool committed)
{
    struct crl_slot *s = data;
    char path[PATH_MAX_LEN];
    slot_path(s, path);
    if (committed && rename(s->job.temp, path)) {
        log_error(0, "%s cannot be replaced: %s; tried again soon", path, strerror(errno));
        committed = false;
    }
    slot_settle(s, committed && !s->failed);
}

/* An event that names a CRL by its CA, shard and number. */
static struct json_out *crl_event_begin(struct batch *b, enum event_kind kind, const struct crl_slot *s)
{
    struct json_out *j = event_begin(b, kind, span_of(NULL, 0), 0);
    json_hex(j, "kid", s->ca.kid);
    json_str(j, "ca", s->ca.name);
    json_int(j, "shard", s->job.shard);
    json_int(j, "number", s->job.number);
    return j;
}

static void published_event(struct batch *b, const struct crl_slot *s)
{
    struct json_out *j = crl_event_begin(b, EVENT_CRL_PUBLISHED, s);
    json_int(j, "this_update", s->job.this_update);
    json_int(j, "next_update", s->job.next_update);
    json_int(j, "entries", (int64_t)s->job.entries);
    json_hex(j, "sha256", span_of(s->job.sha256, sizeof s->job.sha256));
    event_end(b);
    core_stats(b->core)->crl_published++;
}

static enum err slot_publish(struct batch *b, struct crl_slot *s, struct fault *f)
{
    struct crl_shard_row row;
    enum err e = store_crl_get(b->db, s->ca.kid, s->job.shard, &row, f);
    if (!e && row.number != s->job.number)
        e = fault_set(f, CE_CRYPTO, "another CRL with a higher number was claimed meanwhile");
    if (e)
        return e;
    s->still_dirty = row.dirty != s->job.dirty;
    row.this_update = s->job.this_update;
    row.next_update = s->job.next_update;
    e = store_crl_done(b->db, &row, s->job.dirty, f);
    if (e)
        return e;
    published_event(b, s);
    batch_then(b, publish_end, s);
    return CE_OK;
}

/* -- at the signer ---------------------------------------------------------------------------------------------------------------- */
static void answer_note(struct crl_slot *s, const struct msg_signed *m)
{
    s->open--;
    if (m->code && !s->failed) {
        s->failed = true;
        fault_set(&s->job.why, (enum err)m->code, SPAN_FMT, SPAN_ARG(m->text));
    }
    if (s->failed && !s->open)
        slot_fail(s, &s->job.why);
}

/* The batch that asked is undone, or the process ends. */
static void ask_drop(void *data)
{
    struct crl_slot *s = data;
    s->failed = true;
    if (--s->open == 0)
        slot_settle(s, false);
}

static void signed_event(struct batch *b, const struct crl_slot *s)
{
    struct json_out *j = crl_event_begin(b, EVENT_CRL_SIGNED, s);
    ca_signature_put(j, &s->signature);
    event_end(b);
}

static void signed_end(void *data, bool committed)
{
    struct crl_slot *s = data;
    s->open--;
    s->state = CRL_FINISH;
    if (!committed) {
        ca_signature_unused(s->board->core, &s->signature, "crl-not-published");
        slot_settle(s, false);
    }
    core_wake(s->board->core);
}

/* The number of the signature is evidence at once: the file takes a while. */
static enum err crl_signed(struct batch *b, void *data, const struct msg_signed *m)
{
    struct crl_slot *s = data;
    s->signature = ca_signature_of(m);
    if (m->code || s->failed) {
        ca_signature_unused(b->core, &s->signature, "crl-not-published");
        answer_note(s, m);
        return CE_OK;
    }
    s->job.list = BUF_INIT(0);
    buf_put_span(&s->job.list, m->body);
    signed_event(b, s);
    batch_then(b, signed_end, s);
    return CE_OK;
}

static void ask_more(struct batch *b, struct crl_slot *s);

static enum err piece_taken(struct batch *b, void *data, const struct msg_signed *m)
{
    struct crl_slot *s = data;
    answer_note(s, m);
    if (!s->failed)
        ask_more(b, s);
    return CE_OK;
}

/* At most CRL_WINDOW pieces are on their way; behind the last one comes the end. */
static void ask_more(struct batch *b, struct crl_slot *s)
{
    struct crl_board *c = s->board;
    const struct sign_done taken = { .fn = piece_taken, .drop = ask_drop, .data = s, .read_only = true };
    while (s->open < CRL_WINDOW && s->sent < s->job.bytes) {
        if (crl_piece(&s->job, &s->sent, &c->piece)) {
            s->failed = true;
            fault_set(&s->job.why, CE_IO, "its entries cannot be read again");
            if (!s->open)
                slot_fail(s, &s->job.why);
            return;
        }
        const struct msg_sign_crl_part m = { .ca = s->ca.name, .shard = s->job.shard, .entries = buf_span(&c->piece) };
        s->open++;
        batch_sign_msg(b, &msg_desc_sign_crl_part, &m, taken);
    }
    if (s->open >= CRL_WINDOW || s->sent < s->job.bytes || s->sent == UINT64_MAX)
        return;
    const struct msg_sign_crl_end m = { .ca = s->ca.name, .shard = s->job.shard };
    s->open++;
    s->sent = UINT64_MAX; /* nothing more is asked */
    batch_sign_msg(b, &msg_desc_sign_crl_end, &m, (struct sign_done){ .fn = crl_signed, .drop = ask_drop, .data = s });
}

/* Claims the next number and asks the signer. */
static enum err slot_ask(struct batch *b, struct crl_slot *s, struct fault *f)
{
    struct crl_shard_row row;
    enum err e = store_crl_get(b->db, s->ca.kid, s->job.shard, &row, f);
    e = e ? e : store_crl_claim(b->db, s->ca.kid, s->job.shard, row.number, row.number + 1, f);
    if (e)
        return e;
    s->job.number = row.number + 1;
    s->job.this_update = b->now_ms / 1000;
    s->job.next_update = s->job.this_update + core_config(b->core)->crl_validity_s;
    const struct msg_sign_crl_begin m = { .ca = s->ca.name, .shard = s->job.shard, .number = s->job.number, .this_update = s->job.this_update,
                                          .next_update = s->job.next_update, .entries = (int64_t)s->job.entries, .bytes = (int64_t)s->job.bytes };
    s->state = CRL_ASKED;
    s->open = 1;
    s->sent = 0;
    s->failed = false;
    batch_sign_msg(b, &msg_desc_sign_crl_begin, &m, (struct sign_done){ .fn = piece_taken, .drop = ask_drop, .data = s, .read_only = true });
    return CE_OK;
}

static enum err board_work(struct batch *b, void *state, struct fault *f)
{
    struct crl_board *c = state;
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < c->n; i++) {
        struct crl_slot *s = &c->slots[i];
        if (s->state != CRL_GATHERED && s->state != CRL_FINISHED)
            continue;
        e = s->state == CRL_GATHERED ? slot_ask(b, s, f) : slot_publish(b, s, f);
        if (e)
            slot_fail(s, f);
    }
    return e;
}

/* -- the thread ------------------------------------------------------------------------------------------------------------------- */
static void slot_begin(struct batch *b, struct crl_slot *s)
{
    struct fault f;
    s->still_dirty = s->dirty = s->failed = false;
    s->board->busy++;
    s->state = CRL_GATHER;
    s->job.ended_after_s = b->now_ms / 1000 - core_config(b->core)->crl_validity_s; /* what ended stays listed for one full period */
    if (batch_clock_check(b, &f))
        slot_fail(s, &f);
}

/* What the thread has done; then its next job, the end of a CRL before the beginning of another. */
static void thread_turn(struct crl_board *c)
{
    enum err e;
    if (c->in_hand && job_thread_take(c->thread, &e)) {
        struct crl_slot *s = c->in_hand;
        c->in_hand = NULL;
        if (e)
            slot_fail(s, &s->job.why);
        else
            s->state = s->state == CRL_GATHER ? CRL_GATHERED : CRL_FINISHED;
    }
    for (int want = CRL_FINISH; !c->in_hand && want >= CRL_GATHER; want -= CRL_FINISH - CRL_GATHER)
        for (size_t i = 0; !c->in_hand && i < c->n; i++)
            if (c->slots[i].state == (enum crl_slot_state)want) {
                c->in_hand = &c->slots[i];
                job_thread_give(c->thread, want == CRL_GATHER ? crl_gather : crl_finish, &c->in_hand->job);
            }
}

static bool board_tick(struct batch *b, void *state, int64_t *next_ms)
{
    struct crl_board *c = state;
    bool due = false;
    *next_ms = b->mono_ms + 60000;
    for (size_t i = 0; i < c->n; i++)
        if (c->slots[i].state == CRL_IDLE && c->slots[i].due_ms <= b->mono_ms && c->busy < CRL_BUSY_MAX)
            slot_begin(b, &c->slots[i]);
    thread_turn(c);
    if (c->in_hand && !c->threaded) /* its job is done already */
        core_wake(b->core);
    for (size_t i = 0; i < c->n; i++) {
        struct crl_slot *s = &c->slots[i];
        due |= s->state == CRL_GATHERED || s->state == CRL_FINISHED;
        if (s->state == CRL_IDLE && s->due_ms < *next_ms)
            *next_ms = s->due_ms > b->mono_ms ? s->due_ms : b->mono_ms + CRL_SETTLE_MS;
    }
    return due;
}

static enum err board_threads(void *state, struct fault *f)
{
    struct crl_board *c = state;
    INVARIANT(!c->in_hand);
    c->threaded = true;
    return job_thread_start(c->thread, f);
}

/* -- the part ------------------------------------------------------------------------------------------------------------------------------ */
static void board_close(void *state)
{
    struct crl_board *c = state;
    if (!job_thread_stop(c->thread, CRL_CLOSE_MS)) {
        log_warn(0, "the disk does not answer: a CRL is made at the next start");
        return; /* the thread has it still, and the process can only exit */
    }
    for (size_t i = 0; i < c->n; i++)
        crl_job_end(&c->slots[i].job);
    buf_free(&c->piece);
    db_close(c->db);
    free(c->slots);
    free(c);
}

static enum err folder_make(const struct crl_board *c, const char *name, struct span ca, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/pub/%s/" SPAN_FMT, core_config(c->core)->site, name, SPAN_ARG(ca));
    enum err e = file_mkdirs(path, 0755);
    return e ? fault_set(f, e, "folder %s cannot be made", path) : CE_OK;
}

static enum err folders_make(const struct crl_board *c, struct fault *f)
{
    enum err e = folder_make(c, ".crl", span_of(NULL, 0), f);
    for (size_t i = 0; !e && i < c->n; i += (size_t)core_config(c->core)->n_shards)
        e = folder_make(c, "crl", c->slots[i].ca.name, f);
    return e;
}

static enum err board_open(struct core *core, void **state, struct fault *f)
{
    struct crl_board *c = mem_calloc(1, sizeof *c);
    size_t n_shards = (size_t)core_config(core)->n_shards;
    char path[PATH_MAX_LEN];
    c->core = core;
    c->piece = BUF_INIT(CRL_PIECE);
    c->slots = mem_calloc(core_cas(core) * n_shards + 1, sizeof *c->slots);
    c->thread = job_thread_new(core_wake_fd(core));
    path_join(path, "%s/db/cradle.db", core_config(core)->site);
    enum err e = db_open(path, DB_READONLY | DB_SMALL, &c->db, f);
    for (size_t i = 0; !e && i < core_cas(core); i++) {
        const struct core_ca *ca = core_ca_at(core, i);
        for (size_t k = 0; ca_use_issues(ca->use) && k < n_shards; k++)
            c->slots[c->n++] = (struct crl_slot){ .board = c, .ca = *ca, .job = { .db = c->db, .kid = ca->kid, .ca_der = ca->der, .shard = (int64_t)k, .fd = -1 } };
    }
    for (size_t i = 0; i < c->n; i++)
        slot_temp(&c->slots[i], c->slots[i].job.temp);
    e = e ? e : folders_make(c, f);
    if (e)
        board_close(c);
    else
        *state = c;
    return e;
}

static enum err lists_make(struct batch *b, struct fault *f)
{
    int64_t made;
    enum err e = store_crl_list_make(b->db, &made, f);
    if (!e && made > 0)
        log_info(0, "%lld revoked certificates are packed for CRLs", (long long)made);
    return e;
}

/* The rows say what is dirty and how old each CRL is; a file that is not there, or whose successor was not put in its place, is made again. */
static enum err board_start(struct batch *b, void *state, struct fault *f)
{
    struct crl_board *c = state;
    struct crl_shard_row *rows;
    size_t n;
    int64_t n_shards = core_config(c->core)->n_shards, refresh_s = core_config(c->core)->crl_refresh_s;
    enum err e = lists_make(b, f);
    for (size_t i = 0; !e && i < c->n; i += (size_t)n_shards)
        e = store_crl_ensure(b->db, c->slots[i].ca.kid, n_shards, f);
    e = e ? e : store_crl_list(b->db, b->arena, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        char path[PATH_MAX_LEN];
        struct crl_slot *s = rows[i].shard < n_shards ? slot_find(c, rows[i].kid, rows[i].shard) : NULL;
        if (!s)
            continue;
        slot_path(s, path);
        int64_t age_s = b->now_ms / 1000 - rows[i].this_update;
        s->dirty = rows[i].dirty || !file_exists(path) || file_exists(s->job.temp);
        s->due_ms = s->dirty || age_s >= refresh_s ? b->mono_ms : b->mono_ms + (refresh_s - age_s) * 1000;
    }
    return e;
}

const struct core_part crl_part = {
    .name = "crl", .open = board_open, .close = board_close, .threads = board_threads, .start = board_start, .tick = board_tick, .work = board_work,
};
