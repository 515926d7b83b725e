/* crl.c: the board of CRL shards. See core/crl.h.
 *
 * A shard's way: due -> (ticks) entries read page by page, so that a large shard holds nobody up -> (write batch) number claimed by
 * compare-and-set, signer asked -> (write batch) parsed, signature and number checked, file replaced, row and evidence written. What
 * changes after the reading began leaves the shard dirty. A crash in between leaves a claimed number unused and the shard due.
 */
#include "core/crl.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "core/ca.h"
#include "crypt/ca.h"
#include "crypt/crl.h"
#include "crypt/hash.h"
#include "store/cert.h"
#include "store/crl.h"

enum crl_slot_state { CRL_IDLE, CRL_READING, CRL_READ, CRL_ASKED };
struct crl_slot {
    struct crl_board *board;
    struct core_ca ca;
    int64_t shard;
    bool dirty;           /* a committed change is in no CRL yet */
    enum crl_slot_state state;
    int64_t due_ms;       /* monotonic */
    /* the CRL in the making */
    int64_t number, this_update, next_update, dirty_seen;
    struct buf packed;    /* owned; its entries */
    uint8_t last[20];     /* serial of the last entry read */
    size_t last_n, entries;
    bool failed, still_dirty;
    struct ca_signature signature;
};

struct crl_board {
    struct core *core;
    struct crl_slot *slots; /* owned; n_shards of the first CA, then of the next */
    size_t n, busy;         /* slots; those not idle */
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
    path_join(out, "%s/pub/crl/" SPAN_FMT "/%lld.crl", core_config(s->board->core)->site, SPAN_ARG(s->ca.name), (long long)s->shard);
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

enum err crl_mark(struct batch *b, struct span kid, int64_t shard, struct fault *f)
{
    struct crl_board *c = core_part(b->core, CORE_PART_CRL);
    struct crl_slot *s = slot_find(c, kid, shard);
    if (!s)
        return CE_OK; /* a CA that has no CRL here */
    batch_then(b, mark_end, s);
    return store_crl_mark(b->db, kid, shard, f);
}

/* -- what the signer made ------------------------------------------------------------------------------------------------------------- */
/* The batch that asked, or that stores the answer, is over. */
static void slot_settle(struct crl_slot *s, bool good)
{
    int64_t now = clock_mono_ms(), refresh_ms = core_config(s->board->core)->crl_refresh_s * 1000;
    s->state = CRL_IDLE;
    s->board->busy--;
    buf_free(&s->packed);
    s->dirty |= !good || s->still_dirty;
    s->due_ms = now + (!good ? CRL_RETRY_MS : s->dirty ? CRL_SETTLE_MS : refresh_ms);
    core_wake(s->board->core);
}

static void ask_drop(void *data) { slot_settle(data, false); }

static void publish_end(void *data, bool committed)
{
    struct crl_slot *s = data;
    if (!committed || s->failed)
        ca_signature_unused(s->board->core, &s->signature, "crl-not-published");
    slot_settle(s, committed && !s->failed);
}

static enum err crl_judge(const struct crl_slot *s, struct span der, struct crl *crl, struct fault *f)
{
    struct cert issuer;
    enum err e = cert_parse(s->ca.der, &issuer, f);
    e = e ? e : crl_parse(der, crl, f);
    if (e)
        return e;
    if (crl->number != (uint64_t)s->number || crl->n_entries != s->entries || crl->next_update != s->next_update)
        return fault_set(f, CE_SIGNER, "the signer's CRL is not the one that was asked for");
    e = crl_verify(crl, &issuer);
    return e ? fault_set(f, e, "the signer's CRL: %s", err_text(e)) : CE_OK;
}

static void published_event(struct batch *b, const struct crl_slot *s, struct span der)
{
    uint8_t digest[SHA256_LEN];
    sha256(der, digest);
    struct json_out *j = event_begin(b, EVENT_CRL_PUBLISHED, span_of(NULL, 0), 0);
    json_hex(j, "kid", s->ca.kid);
    json_str(j, "ca", s->ca.name);
    json_int(j, "shard", s->shard);
    json_int(j, "number", s->number);
    json_int(j, "this_update", s->this_update);
    json_int(j, "next_update", s->next_update);
    json_int(j, "entries", (int64_t)s->entries);
    json_hex(j, "sha256", span_of(digest, sizeof digest));
    ca_signature_put(j, &s->signature);
    event_end(b);
    core_stats(b->core)->crl_published++;
}

static enum err crl_publish(struct batch *b, struct crl_slot *s, struct span der, struct fault *f)
{
    struct crl_shard_row row;
    struct crl crl;
    char path[PATH_MAX_LEN];
    enum err e = crl_judge(s, der, &crl, f);
    e = e ? e : store_crl_get(b->db, s->ca.kid, s->shard, &row, f);
    if (!e && row.number != s->number)
        e = fault_set(f, CE_CRYPTO, "another CRL with a higher number was claimed meanwhile");
    slot_path(s, path);
    if (!e && (e = file_write_atomic(path, der, 0644)) != CE_OK)
        fault_set(f, e, "%s cannot be written", path);
    if (e)
        return e;
    s->still_dirty = row.dirty != s->dirty_seen;
    row.this_update = s->this_update;
    row.next_update = s->next_update;
    e = store_crl_done(b->db, &row, s->dirty_seen, f);
    if (!e)
        published_event(b, s, der);
    return e;
}

static enum err crl_signed(struct batch *b, void *data, const struct msg_signed *m)
{
    struct crl_slot *s = data;
    struct fault f = { 0 };
    s->signature = ca_signature_of(m);
    batch_then(b, publish_end, s);
    enum err e = m->code ? fault_set(&f, (enum err)m->code, SPAN_FMT, SPAN_ARG(m->text)) : crl_publish(b, s, m->body, &f);
    s->failed = e != CE_OK;
    if (e && m->code != CE_TOKEN_LOST) /* of a token that is gone the hsm role tells once */
        log_error(0, "CRL shard %lld of CA " SPAN_FMT " is not published: %s; tried again soon", (long long)s->shard, SPAN_ARG(s->ca.name), f.text);
    return db_err_fatal(e) ? e : CE_OK;
}

/* -- reading ------------------------------------------------------------------------------------------------------------------------- */
static void slot_fail(struct crl_slot *s, const struct fault *f)
{
    log_error(0, "CRL shard %lld of CA " SPAN_FMT " is not made: %s; tried again soon", (long long)s->shard, SPAN_ARG(s->ca.name), f->text);
    slot_settle(s, false);
}

static void reading_begin(struct batch *b, struct crl_slot *s)
{
    struct crl_shard_row row;
    struct fault f;
    s->state = CRL_READING;
    s->board->busy++;
    s->packed = BUF_INIT(CRL_ENTRIES_MAX);
    s->last_n = s->entries = 0;
    s->still_dirty = s->dirty = false;
    enum err e = batch_clock_check(b, &f);
    e = e ? e : store_crl_get(b->db, s->ca.kid, s->shard, &row, &f);
    if (e)
        slot_fail(s, &f);
    else
        s->dirty_seen = row.dirty;
}

static bool entry_put(void *ctx, struct span kid, struct span serial, const struct cert_state *st)
{
    struct crl_slot *s = ctx;
    (void)kid;
    crl_entry_put(&s->packed, serial, st->revoked_at, (unsigned)st->reason);
    s->last_n = serial.n < sizeof s->last ? serial.n : sizeof s->last;
    memcpy(s->last, serial.p, s->last_n);
    return true;
}

/* What ended stays listed for one full period. */
static void reading_page(struct batch *b, struct crl_slot *s)
{
    struct fault f;
    size_t n;
    int64_t ended_after_s = b->now_ms / 1000 - core_config(b->core)->crl_validity_s;
    enum err e = store_cert_shard_each(b->db, s->ca.kid, s->shard, ended_after_s, span_of(s->last, s->last_n), CRL_PAGE, entry_put, s, &n, &f);
    if (!e && s->packed.err)
        e = fault_set(&f, CE_TOO_LARGE, "it is too large: more shards are needed");
    if (e) {
        slot_fail(s, &f);
        return;
    }
    s->entries += n;
    if (n < CRL_PAGE)
        s->state = CRL_READ;
    else
        core_wake(b->core);
}

static bool board_tick(struct batch *b, void *state, int64_t *next_ms)
{
    struct crl_board *c = state;
    bool read = false, paged = false;
    *next_ms = b->mono_ms + 60000;
    for (size_t i = 0; i < c->n; i++) {
        struct crl_slot *s = &c->slots[i];
        if (s->state == CRL_IDLE && s->due_ms <= b->mono_ms && c->busy < CRL_BUSY_MAX)
            reading_begin(b, s);
        if (s->state == CRL_READING && !paged) {
            reading_page(b, s);
            paged = s->state == CRL_READING; /* one full page a tick */
        }
        read |= s->state == CRL_READ;
        int64_t due = s->state == CRL_READING ? b->mono_ms : s->state == CRL_IDLE ? s->due_ms : *next_ms;
        if (due < *next_ms)
            *next_ms = due > b->mono_ms || s->state == CRL_READING ? due : b->mono_ms + CRL_SETTLE_MS;
    }
    return read;
}

/* -- asking ---------------------------------------------------------------------------------------------------------------------------- */
/* Claims the next number and asks the signer. */
static enum err shard_ask(struct batch *b, struct crl_slot *s, struct fault *f)
{
    struct crl_shard_row row;
    enum err e = store_crl_get(b->db, s->ca.kid, s->shard, &row, f);
    e = e ? e : store_crl_claim(b->db, s->ca.kid, s->shard, row.number, row.number + 1, f);
    if (e)
        return e;
    s->number = row.number + 1;
    s->this_update = b->now_ms / 1000;
    s->next_update = s->this_update + core_config(b->core)->crl_validity_s;
    struct msg_sign_crl m = { .ca = s->ca.name, .shard = s->shard, .number = s->number, .this_update = s->this_update,
                              .next_update = s->next_update, .entries = span_of(s->packed.data, s->packed.len) };
    s->state = CRL_ASKED;
    batch_sign_msg(b, &msg_desc_sign_crl, &m, (struct sign_done){ .fn = crl_signed, .drop = ask_drop, .data = s });
    return CE_OK;
}

static enum err board_work(struct batch *b, void *state, struct fault *f)
{
    struct crl_board *c = state;
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < c->n; i++) {
        struct crl_slot *s = &c->slots[i];
        if (s->state == CRL_READ && (e = shard_ask(b, s, f)) != CE_OK)
            slot_fail(s, f);
    }
    return e;
}

/* -- the part ------------------------------------------------------------------------------------------------------------------------------ */
static void board_close(void *state)
{
    struct crl_board *c = state;
    for (size_t i = 0; i < c->n; i++)
        buf_free(&c->slots[i].packed);
    free(c->slots);
    free(c);
}

static enum err folders_make(const struct crl_board *c, struct fault *f)
{
    for (size_t i = 0; i < c->n; i += (size_t)core_config(c->core)->n_shards) {
        char path[PATH_MAX_LEN];
        path_join(path, "%s/pub/crl/" SPAN_FMT, core_config(c->core)->site, SPAN_ARG(c->slots[i].ca.name));
        enum err e = file_mkdirs(path, 0755);
        if (e)
            return fault_set(f, e, "folder %s cannot be made", path);
    }
    return CE_OK;
}

static enum err board_open(struct core *core, void **state, struct fault *f)
{
    struct crl_board *c = mem_calloc(1, sizeof *c);
    size_t n_shards = (size_t)core_config(core)->n_shards;
    c->core = core;
    c->slots = mem_calloc(core_cas(core) * n_shards + 1, sizeof *c->slots);
    for (size_t i = 0; i < core_cas(core); i++) {
        const struct core_ca *ca = core_ca_at(core, i);
        for (size_t k = 0; ca_use_issues(ca->use) && k < n_shards; k++)
            c->slots[c->n++] = (struct crl_slot){ .board = c, .ca = *ca, .shard = (int64_t)k };
    }
    enum err e = folders_make(c, f);
    if (e)
        board_close(c);
    else
        *state = c;
    return e;
}

/* The rows say what is dirty and how old each CRL is; a file that is not there is made again. */
static enum err board_start(struct batch *b, void *state, struct fault *f)
{
    struct crl_board *c = state;
    struct crl_shard_row *rows;
    size_t n;
    int64_t n_shards = core_config(c->core)->n_shards, refresh_s = core_config(c->core)->crl_refresh_s;
    enum err e = CE_OK;
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
        s->dirty = rows[i].dirty || !file_exists(path);
        s->due_ms = s->dirty || age_s >= refresh_s ? b->mono_ms : b->mono_ms + (refresh_s - age_s) * 1000;
    }
    return e;
}

const struct core_part crl_part = {
    .name = "crl", .open = board_open, .close = board_close, .start = board_start, .tick = board_tick, .work = board_work,
};
