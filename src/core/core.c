/* core.c: opening and closing of the engine, peers, the queue. Batches: step.c. See core.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "core/birth.h"
#include "core/ca.h"
#include "core/engine.h"
#include "core/registry.h"
#include "store/registry.h"
#include "store/schema.h"
#include "wire/route.h"

static int64_t or_default(int64_t v, int64_t def) { return v > 0 ? v : def; }

static void config_copy(struct core *core, const struct core_config *c)
{
    core->cfg = (struct core_config){
        .site = arena_str(&core->arena, span_str(c->site)),
        .why = arena_str(&core->arena, span_str(c->why)),
        .slot = or_default(c->slot, 1),
        .n_shards = or_default(c->n_shards, 16),
        .queue_max = or_default(c->queue_max, 8192),
        .batch_max = or_default(c->batch_max, 512),
        .renew_at_pct = or_default(c->renew_at_pct, 66),
        .device_validity_s = or_default(c->device_validity_s, 365 * 86400),
        .infra_validity_s = or_default(c->infra_validity_s, 365 * 86400),
        .backdate_s = or_default(c->backdate_s, 300),
        .crl_validity_s = or_default(c->crl_validity_s, 7 * 86400),
        .crl_refresh_s = or_default(c->crl_refresh_s, 86400),
        .ocsp_validity_s = or_default(c->ocsp_validity_s, 300),
        .directive_s = or_default(c->directive_s, 7 * 86400),
        .poll_s = or_default(c->poll_s, 300),
        .approvals = or_default(c->approvals, 1),
        .approvals_all = or_default(c->approvals_all, 2),
        .enroll_wait_s = or_default(c->enroll_wait_s, 7 * 86400),
        .enroll_waiting = or_default(c->enroll_waiting, 1000),
        .cmp_confirm_s = or_default(c->cmp_confirm_s, 300),
        .cmp_keep_unconfirmed = c->cmp_keep_unconfirmed,
        .mass_confirm = or_default(c->mass_confirm, 100),
        .drill_every_s = c->drill_every_s,
        .log_quiet_ms = or_default(c->log_quiet_ms, 1000),
        .refusal_window_ms = or_default(c->refusal_window_ms, 60000),
        .check_max_mb = or_default(c->check_max_mb, 128),
        .sign_timeout_ms = or_default(c->sign_timeout_ms, 10000),
        .linger_ms = c->linger_ms,
        .token_timeout_ms = or_default(c->token_timeout_ms, 40000),
        .token_queue = or_default(c->token_queue, 64),
        .clone_overlap_ms = or_default(c->clone_overlap_ms, 1800000),
        .clone_look_ms = or_default(c->clone_look_ms, 5000),
    };
}

/* -- opening ------------------------------------------------------------------------------------------------------------------- */
static enum err database_open(struct core *core, struct fault *f)
{
    char path[PATH_MAX_LEN], checkpoint[PATH_MAX_LEN], dir[PATH_MAX_LEN];
    path_join(dir, "%s/db", core->cfg.site);
    path_join(path, "%s/db/cradle.db", core->cfg.site);
    path_join(checkpoint, "%s/log/checkpoint", core->cfg.site);
    if (!file_exists(path) && file_exists(checkpoint))
        return fault_set(f, CE_ROLLBACK, "%s is missing, but the log was published up to the head in %s: restore the newest backup of the database",
                         path, checkpoint);
    enum err e = file_mkdirs(dir, 0700);
    if (e)
        return fault_set(f, e, "%s: cannot make the folder", dir);
    struct stat st;
    bool check = stat(path, &st) == 0 && st.st_size <= core->cfg.check_max_mb << 20;
    e = db_open(path, DB_CREATE | (check ? DB_CHECK : 0u), &core->db, f);
    e = e ? e : schema_check(core->db, f);
    if (e == CE_NOT_FOUND) { /* a new one */
        *f = (struct fault){ .code = CE_OK };
        e = schema_create(core->db, f);
    }
    return e;
}

/* In the first write batch of this process. */
static enum err first_batch(struct batch *b, void *ctx, struct fault *f)
{
    const struct span *birth = ctx;
    struct core *core = b->core;
    if (birth->p)
        return birth_import(b, *birth, f);
    struct json_out *j = event_begin(b, EVENT_ROLE_RESTARTED, (struct span){ 0 }, 0);
    json_cstr(j, "role", "core:0");
    json_int(j, "epoch", core->node.epoch);
    json_cstr(j, "why", core->cfg.why);
    event_end(b);
    return CE_OK;
}

static enum err birth_or_restart(struct core *core, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(BIRTH_MAX), site = BUF_INIT(0);
    struct span birth = { 0 };
    enum err e = meta_get(core->db, "site", &site, NULL);
    if (e == CE_NOT_FOUND) {
        char path[PATH_MAX_LEN];
        path_join(path, "%s/birth.json", core->cfg.site);
        e = file_read(path, &text);
        if (e || !text.len)
            return fault_set(f, CE_BAD_CONFIG, "%s cannot be read: make the site with cradle init", path);
        birth = buf_span(&text);
    }
    return e ? e : core_write(core, NULL, first_batch, &birth, f);
}

static enum err memory_load(struct core *core, struct fault *f)
{
    struct span *states;
    int64_t *counts;
    size_t n = 0;
    enum err e = ca_set_load(core, f);
    e = e ? e : store_device_counts(core->db, &core->arena, &states, &counts, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        enum device_state s;
        if (!device_state_parse(states[i], &s))
            return fault_set(f, CE_STORE_DAMAGED, "the database has devices in the unknown state '" SPAN_FMT "'", SPAN_ARG(states[i]));
        core->devices[s] = counts[i];
    }
    return e;
}

static enum err parts_open(struct core *core, struct fault *f)
{
    for (int i = 0; i < CORE_PARTS; i++) {
        const struct core_part *p = part_find((enum core_part_id)i);
        enum err e = p && p->open ? p->open(core, &core->parts[i], f) : CE_OK;
        if (e)
            return e;
    }
    return CE_OK;
}

static enum err parts_start(struct batch *b, void *ctx, struct fault *f)
{
    (void)ctx;
    for (int i = 0; i < CORE_PARTS; i++) {
        const struct core_part *p = part_find((enum core_part_id)i);
        enum err e = p && p->start ? p->start(b, b->core->parts[i], f) : CE_OK;
        if (e)
            return e;
    }
    return CE_OK;
}

enum err core_open(const struct core_config *c, const struct core_ports *ports, struct core **out, struct fault *f)
{
    struct core *core = mem_calloc(1, sizeof *core);
    core->ports = *ports;
    config_copy(core, c);
    queue_init(&core->reads);
    queue_init(&core->writes);
    core->refusals = refusals_new();
    core->started_ms = clock_mono_ms();
    core->tidy_ms = core->started_ms + 60000;
    core->token_first = core->token_next = 1;
    core->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum err e = core->wake_fd < 0 ? fault_set(f, CE_IO, "no eventfd: %s", strerror(errno)) : database_open(core, f);
    e = e ? e : node_take(core->db, core->cfg.slot, &core->node, f);
    e = e ? e : event_last_at(core->db, core->cfg.slot, &core->last_at, f);
    e = e ? e : birth_or_restart(core, f);
    if (!e) { /* the first batch counted what memory_load counts again */
        memset(core->devices, 0, sizeof core->devices);
        e = memory_load(core, f);
    }
    e = e ? e : drill_load(core->db, &core->drill, f);
    e = e ? e : event_first_at(core->db, core->cfg.slot, &core->site_at, f);
    e = e ? e : parts_open(core, f);
    e = e ? e : core_write(core, NULL, parts_start, NULL, f);
    if (e) {
        core_close(core);
        return e;
    }
    core->blocks[core->next_block++] = core->node.nseq; /* what an edge acknowledges first after a start covers the cuts before it */
    core->wake = true;
    *out = core;
    return CE_OK;
}

enum err core_threads(struct core *core, struct fault *f)
{
    for (int i = 0; i < CORE_PARTS; i++) {
        const struct core_part *p = part_find((enum core_part_id)i);
        enum err e = core->parts[i] && p && p->threads ? p->threads(core->parts[i], f) : CE_OK;
        if (e)
            return e;
    }
    return CE_OK;
}

int core_wake_fd(const struct core *core) { return core->wake_fd; }

static void list_free(struct item_list *l)
{
    while (l->head) {
        struct item *next = l->head->next;
        if (l->head->is_signed && l->head->done.drop)
            l->head->done.drop(l->head->done.data);
        free(l->head);
        l->head = next;
    }
}

void core_close(struct core *core)
{
    if (!core)
        return;
    for (uint64_t t = core->token_first; t < core->token_next; t++) {
        struct sign_slot *s = &core->slots[t & (core->nslots - 1)];
        if (s->open && s->done.drop)
            s->done.drop(s->done.data);
    }
    list_free(&core->reads);
    list_free(&core->writes);
    for (int i = CORE_PARTS - 1; i >= 0; i--) {
        const struct core_part *p = part_find((enum core_part_id)i);
        if (core->parts[i] && p && p->close)
            p->close(core->parts[i]);
    }
    fd_close_p(&core->wake_fd);
    refusals_free(core->refusals);
    db_close(core->db);
    free(core->unused);
    tokens_free(core);
    free(core->slots);
    for (size_t i = 0; i < core->npeers; i++)
        free(core->peers[i].counts);
    free(core->peers);
    lines_forget(core);
    arena_free(&core->arena);
    free(core);
}

/* -- peers ---------------------------------------------------------------------------------------------------------------------- */
static struct peer *peer_find(struct core *core, int id)
{
    for (size_t i = 0; i < core->npeers; i++)
        if (core->peers[i].id == id)
            return &core->peers[i];
    core->peers = mem_realloc(core->peers, (core->npeers + 1) * sizeof *core->peers);
    core->peers[core->npeers] = (struct peer){ .id = id };
    return &core->peers[core->npeers++];
}

void core_peer_open(struct core *core, int id)
{
    struct batch b;
    struct batch_work w;
    struct operator_row *ops = NULL;
    struct fault f = { 0 };
    size_t n = 0;
    struct peer *p = peer_find(core, id);
    p->open = true;
    p->generation = ++core->generation;
    batch_open(core, &b, &w, false);
    if (store_operator_list(core->db, b.arena, &ops, &n, &f))
        log_error(0, "a front opened, but the operators cannot be read: %s", f.text);
    for (size_t i = 0; i < n; i++) {
        const struct msg_push_ident m = { .name = ops[i].name, .role = ops[i].role, .lines = ops[i].lines,
                                          .removed = !span_eq_str(ops[i].state, "active") };
        batch_push_msg(&b, id, &msg_desc_push_ident, &m);
    }
    if (!f.code && registry_lines_push(&b, id, &f))
        log_error(0, "a front opened, but the product lines cannot be read: %s", f.text);
    for (int i = 0; i < CORE_PARTS; i++) {
        const struct core_part *part = part_find((enum core_part_id)i);
        if (core->parts[i] && part->peer)
            part->peer(&b, core->parts[i], id);
    }
    if (!f.code) { /* without the pushes before it, front must not open for business */
        const struct msg_push_ready ready = { .idents = (int64_t)n };
        batch_push_msg(&b, id, &msg_desc_push_ready, &ready);
    }
    if (core->ntokens)
        tokens_push(core, id);
    batch_leave(&b);
    batch_close(&b);
}

void core_peer_gone(struct core *core, int id) { peer_find(core, id)->open = false; }

/* -- queue ----------------------------------------------------------------------------------------------------------------------- */
static void refuse_now(struct core *core, int peer, uint64_t rid, enum err e)
{
    const struct msg_reply r = { .code = e, .text = span_str(err_text(e)), .retry_s = err_class(e) == ERRC_BUSY ? 2 : 0 };
    core->stats.refused[e]++;
    core->ports.reply(core->ports.ctx, peer, rid, &r);
}

void core_request(struct core *core, int peer, const struct ipc_frame *frame)
{
    const struct op *op = op_find(frame->type);
    bool silent = op && (op->flags & OP_SILENT);
    enum err e = !op ? CE_UNSUPPORTED : core->draining ? CE_DRAINING : core->reads.n + core->writes.n >= (size_t)core->cfg.queue_max ? CE_BUSY : CE_OK;
    core->stats.requests += !silent;
    if (e) {
        if (!silent)
            refuse_now(core, peer, frame->rid, e);
        return;
    }
    struct item *it = mem_alloc(sizeof *it + frame->body.n);
    *it = (struct item){ .patient = (op->flags & OP_PATIENT) != 0, .peer = peer, .generation = peer_find(core, peer)->generation, .rid = frame->rid, .type = frame->type,
                         .queued_us = clock_mono_us(), .body = span_of(it->bytes, frame->body.n) };
    if (frame->body.n)
        memcpy(it->bytes, frame->body.p, frame->body.n);
    queue_put(op->flags & OP_READ ? &core->reads : &core->writes, it);
    core->stats.queue_depth = (int64_t)(core->reads.n + core->writes.n);
}

void core_signed(struct core *core, uint64_t token, const struct msg_signed *m)
{
    bool known = token >= core->token_first && token < core->token_next;
    struct sign_slot *s = known ? &core->slots[token & (core->nslots - 1)] : NULL;
    if (!s || !s->open) { /* nobody waits any more */
        const struct ca_signature late = ca_signature_of(m);
        ca_signature_unused(core, &late, "late");
        return;
    }
    struct item *it = mem_alloc(sizeof *it + m->text.n + m->body.n);
    *it = (struct item){ .is_signed = true, .patient = s->done.patient, .queued_us = clock_mono_us(), .done = s->done, .answer = *m };
    it->answer.text = span_of(it->bytes, m->text.n);
    it->answer.body = span_of(it->bytes + m->text.n, m->body.n);
    it->signature = ca_signature_of(m);
    it->answer.kid = span_of(it->signature.kid, m->kid.n ? sizeof it->signature.kid : 0);
    it->answer.run = span_of(it->signature.run, m->run.n ? sizeof it->signature.run : 0);
    if (m->text.n)
        memcpy(it->bytes, m->text.p, m->text.n);
    if (m->body.n)
        memcpy(it->bytes + m->text.n, m->body.p, m->body.n);
    stats_observe(&core->stats.sign, clock_mono_us() - s->asked_us);
    core->stats.signer_failed += m->code != CE_OK && m->code != CE_TOKEN_LOST; /* that has an event of its own */
    core->stats.signer_waiting--;
    core->token_asked -= s->in_token;
    core->token_ahead -= s->ahead;
    s->open = false;
    while (core->token_first < core->token_next && !core->slots[core->token_first & (core->nslots - 1)].open)
        core->token_first++;
    queue_put(it->done.read_only ? &core->reads : &core->writes, it);
}

/* Everything that one of the two owes fails. */
static void signs_fail(struct core *core, bool in_token, enum err e, const char *text)
{
    const struct msg_signed m = { .code = e, .text = span_str(text) };
    for (uint64_t t = core->token_first; t < core->token_next; t++) {
        const struct sign_slot *s = &core->slots[t & (core->nslots - 1)];
        if (s->open && s->in_token == in_token)
            core_signed(core, t, &m);
    }
}

void core_signer_gone(struct core *core) { signs_fail(core, false, CE_SIGNER, "the signer stopped"); }

void core_hsm_gone(struct core *core)
{
    tokens_gone(core);
    signs_fail(core, true, CE_TOKEN_LOST, "the hsm role stopped");
}

void core_drain(struct core *core)
{
    core->draining = true;
    refusals_close(core->refusals);
}

bool core_idle(const struct core *core)
{
    for (uint64_t t = core->token_first; t < core->token_next; t++) {
        const struct sign_slot *s = &core->slots[t & (core->nslots - 1)];
        if (s->open && !s->done.read_only)
            return false;
    }
    return !core->reads.head && !core->writes.head && !refusals_due(core->refusals, 0);
}

/* -- for code inside -------------------------------------------------------------------------------------------------------------- */
const struct core_config *core_config(const struct core *core) { return &core->cfg; }
struct db *core_db(const struct core *core) { return core->db; }
struct core_stats *core_stats(struct core *core) { return &core->stats; }
void core_wake(struct core *core) { core->wake = true; }
int64_t core_epoch(const struct core *core) { return core->node.epoch; }
int64_t core_nseq(const struct core *core) { return core->node.nseq; }
void *core_part(const struct core *core, enum core_part_id id) { return core->parts[id]; }

enum err core_vector(struct core *core, struct arena *a, struct span *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(1024);
    enum err e = node_vector(core->db, &b, f);
    *out = arena_copy(a, buf_span(&b));
    return e;
}

