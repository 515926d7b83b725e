/* batch.c: what an operation does inside a batch: events, effects, undo. The running of batches is step.c. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "core/answers.h"
#include "core/engine.h"

static const char *const event_names[] = {
#define EVENT(UPPER, name, fields, text) name,
#include "wire/event.def"
#undef EVENT
};
const char *event_name(enum event_kind k) { return event_names[k]; }

void batch_open(struct core *core, struct batch *b, struct batch_work *w, bool writing)
{
    int64_t wall = core->ports.wall_ms ? core->ports.wall_ms(core->ports.ctx) : clock_now_ms();
    int64_t behind = core->last_at - wall;
    if ((behind > 5000) != core->clock_behind) {
        core->clock_behind = behind > 5000;
        if (core->clock_behind)
            log_error(0, "the clock is %lld s behind the last recorded event: nothing is issued or signed until it is set right",
                      (long long)(behind / 1000));
        else
            log_info(0, "the clock is right again: issuing goes on");
    }
    core->stats.clock_behind_ms = core->clock_behind ? behind : 0;
    *w = (struct batch_work){ .payload = BUF_INIT(0) };
    /* what is written down never goes back in time, even while the clock does */
    *b = (struct batch){ .core = core, .db = core->db, .arena = &w->arena, .now_ms = behind > 0 ? core->last_at : wall,
                         .mono_ms = clock_mono_ms(), .writing = writing, .work = w };
}

void batch_close(struct batch *b)
{
    struct batch_work *w = b->work;
    INVARIANT(!w->is_building && !w->neffects);
    buf_free(&w->payload);
    free(w->effects);
    free(w->events);
    arena_free(&w->arena);
}

enum err batch_clock_check(struct batch *b, struct fault *f)
{
    if (!b->core->clock_behind)
        return CE_OK;
    return fault_set(f, CE_CLOCK_BACK, "the server's clock is %lld s behind the last recorded event; set it right, then try again",
                     (long long)(b->core->stats.clock_behind_ms / 1000));
}

/* -- events ------------------------------------------------------------------------------------------------------------- */
struct json_out *event_begin(struct batch *b, enum event_kind k, struct span device, int64_t rev)
{
    struct batch_work *w = b->work;
    INVARIANT(b->writing && !w->is_building);
    w->is_building = true;
    w->building = (struct pending_event){ .kind = k, .rev = rev, .device = arena_copy(&w->arena, device) };
    buf_reset(&w->payload);
    w->json = JSON_OUT(&w->payload);
    json_obj(&w->json, NULL);
    json_time_ms(&w->json, "at", b->now_ms);
    json_cstr(&w->json, "kind", event_name(k));
    if (device.n) {
        json_str(&w->json, "device", device);
        json_int(&w->json, "rev", rev);
    }
    return &w->json;
}

void event_end(struct batch *b)
{
    struct batch_work *w = b->work;
    INVARIANT(w->is_building);
    json_obj_end(&w->json);
    INVARIANT(!buf_err(&w->payload));
    w->is_building = false;
    w->building.payload = arena_copy(&w->arena, buf_span(&w->payload));
    if (w->nevents == w->events_cap) {
        w->events_cap = w->events_cap ? w->events_cap * 2 : 64;
        w->events = mem_realloc(w->events, w->events_cap * sizeof *w->events);
    }
    w->events[w->nevents++] = w->building;
}

struct span batch_event_last(struct batch *b)
{
    const struct node *n = &b->core->node;
    INVARIANT(b->work->nevents);
    return span_str(arena_printf(b->arena, "%lld:%lld", (long long)n->slot, (long long)(n->nseq + (int64_t)b->work->nevents)));
}

enum err batch_write_events(struct batch *b, struct fault *f)
{
    struct batch_work *w = b->work;
    struct core *core = b->core;
    if (w->late.code) {
        *f = w->late;
        return f->code;
    }
    if (!w->nevents)
        return CE_OK;
    uint8_t *salts = arena_alloc(&w->arena, w->nevents * 32);
    enum err e = random_bytes(salts, w->nevents * 32);
    e = e ? fault_set(f, CE_STORE, "no random numbers for the salts of events") : node_advance(b->db, &core->node, (int64_t)w->nevents, f);
    for (size_t i = 0; !e && i < w->nevents; i++) {
        const struct pending_event *p = &w->events[i];
        const struct event_row row = { .slot = core->node.slot, .nseq = core->node.nseq + 1 + (int64_t)i, .at = b->now_ms,
                                       .kind = span_str(event_name(p->kind)), .device = p->device, .rev = p->rev,
                                       .salt = span_of(salts + i * 32, 32), .payload = p->payload };
        e = event_insert(b->db, &row, f);
    }
    return e;
}

/* -- effects --------------------------------------------------------------------------------------------------------------- */
static struct effect *effect_add(struct batch *b, enum effect_kind kind)
{
    struct batch_work *w = b->work;
    if (w->neffects == w->effects_cap) {
        w->effects_cap = w->effects_cap ? w->effects_cap * 2 : 64;
        w->effects = mem_realloc(w->effects, w->effects_cap * sizeof *w->effects);
    }
    struct effect *e = &w->effects[w->neffects++];
    *e = (struct effect){ .kind = kind };
    return e;
}

static void copy_text(char *out, size_t cap, struct span s)
{
    size_t n = s.n < cap - 1 ? s.n : cap - 1;
    if (n)
        memcpy(out, s.p, n);
    out[n] = 0;
}

void batch_defer(struct batch *b, struct reply_to *to)
{
    struct batch_work *w = b->work;
    INVARIANT(w->item && !w->deferred);
    w->deferred = true;
    *to = (struct reply_to){ .peer = w->item->peer, .generation = w->item->generation, .rid = w->item->rid, .type = w->item->type };
    copy_text(to->who, sizeof to->who, w->caller ? w->caller->name : (struct span){ 0 });
    copy_text(to->addr, sizeof to->addr, w->from->addr);
    copy_text(to->idem, sizeof to->idem, w->from->idem);
    if (w->from->digest.n == sizeof to->digest)
        memcpy(to->digest, w->from->digest.p, sizeof to->digest);
}

void batch_reply(struct batch *b, const struct reply_to *to, const struct msg_reply *r)
{
    struct effect *e = effect_add(b, EFFECT_REPLY);
    e->peer = to->peer;
    e->generation = to->generation;
    e->rid = to->rid;
    e->reply = *r;
    if (to->idem[0] && b->writing && !b->work->late.code)
        b->work->late.code = answer_keep(b, span_str(to->who), span_str(to->idem), span_of(to->digest, sizeof to->digest), r, &b->work->late);
}

void batch_refuse(struct batch *b, const struct reply_to *to, const struct fault *f, struct span uid)
{
    const struct op *op = op_find(to->type);
    refusal_note(b, f->code, f->text, span_str(to->who), span_str(to->addr), uid, op ? op->desc->name : "");
    const struct msg_reply r = { .code = f->code, .text = arena_copy(b->arena, span_str(f->text)),
                                 .retry_s = err_class(f->code) == ERRC_BUSY ? 5 : 0 };
    batch_reply(b, to, &r);
}

void batch_push(struct batch *b, int peer, uint16_t type, struct span body)
{
    struct effect *e = effect_add(b, EFFECT_PUSH);
    e->peer = peer;
    e->type = type;
    e->body = body;
}

static struct span packed(struct batch *b, const struct msg_desc *d, const void *m)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    msg_pack(d, m, &out);
    INVARIANT(!buf_err(&out));
    return arena_copy(b->arena, buf_span(&out));
}

void batch_push_msg(struct batch *b, int peer, const struct msg_desc *d, const void *m) { batch_push(b, peer, (uint16_t)d->type, packed(b, d, m)); }

void batch_sign(struct batch *b, uint16_t type, struct span body, struct sign_done done)
{
    struct effect *e = effect_add(b, EFFECT_SIGN);
    e->type = type;
    e->body = body;
    e->done = done;
}

void batch_sign_msg(struct batch *b, const struct msg_desc *d, const void *m, struct sign_done done)
{
    batch_sign(b, (uint16_t)d->type, packed(b, d, m), done);
}

void batch_then(struct batch *b, void (*fn)(void *data, bool committed), void *data)
{
    struct effect *e = effect_add(b, EFFECT_THEN);
    e->then = fn;
    e->data = data;
}

struct batch_mark batch_mark(const struct batch *b)
{
    struct batch_mark m = { .neffects = b->work->neffects, .nevents = b->work->nevents };
    memcpy(m.states, b->work->states, sizeof m.states);
    return m;
}

static void effect_drop(struct effect *e)
{
    if (e->kind == EFFECT_SIGN && e->done.drop)
        e->done.drop(e->done.data);
    if (e->kind == EFFECT_THEN)
        e->then(e->data, false);
}

void batch_undo(struct batch *b, struct batch_mark m)
{
    struct batch_work *w = b->work;
    w->is_building = false;
    while (w->neffects > m.neffects)
        effect_drop(&w->effects[--w->neffects]);
    w->nevents = m.nevents;
    memcpy(w->states, m.states, sizeof w->states);
}

static bool peer_is_open(const struct core *core, int peer, uint32_t generation)
{
    for (size_t i = 0; i < core->npeers; i++)
        if (core->peers[i].id == peer)
            return core->peers[i].open && core->peers[i].generation == generation;
    return false;
}

void batch_reply_error(struct core *core, int peer, uint32_t generation, uint64_t rid, const struct fault *f)
{
    const struct msg_reply r = { .code = f->code, .text = span_str(f->text), .retry_s = err_class(f->code) == ERRC_BUSY ? 2 : 0 };
    if (peer_is_open(core, peer, generation))
        core->ports.reply(core->ports.ctx, peer, rid, &r);
}

/* Tokens count up; a slot is free again when every older one is. Answers of the signer come in order; those of tokens need not. */
static uint64_t sign_slot_take(struct core *core, struct sign_done done, bool in_token, bool ahead)
{
    if (core->token_next - core->token_first == core->nslots) {
        size_t n = core->nslots ? core->nslots * 2 : 256;
        struct sign_slot *slots = mem_calloc(n, sizeof *slots);
        for (uint64_t t = core->token_first; t < core->token_next; t++)
            slots[t & (n - 1)] = core->slots[t & (core->nslots - 1)];
        free(core->slots);
        core->slots = slots;
        core->nslots = n;
    }
    uint64_t t = core->token_next++;
    core->slots[t & (core->nslots - 1)] = (struct sign_slot){ .done = done, .open = true, .in_token = in_token, .ahead = ahead, .asked_us = clock_mono_us(),
                                                             .due_ms = clock_mono_ms() + (in_token ? core->cfg.token_timeout_ms : core->cfg.sign_timeout_ms) };
    core->token_asked += in_token;
    core->token_ahead += ahead;
    core->stats.signer_asked++;
    core->stats.signer_waiting++;
    return t;
}

static void sign_leave(struct core *core, const struct effect *e)
{
    bool in_token = core->ports.sign_in_token && token_of_request(core, e->type, e->body);
    uint64_t token = sign_slot_take(core, e->done, in_token, in_token && !token_keeps_apart(e->type));
    (in_token ? core->ports.sign_in_token : core->ports.sign)(core->ports.ctx, e->type, token, e->body);
}

void batch_leave(struct batch *b)
{
    struct batch_work *w = b->work;
    struct core *core = b->core;
    for (size_t i = 0; i < w->neffects; i++) {
        struct effect *e = &w->effects[i];
        switch (e->kind) {
        case EFFECT_REPLY:
            if (peer_is_open(core, e->peer, e->generation))
                core->ports.reply(core->ports.ctx, e->peer, e->rid, &e->reply);
            break;
        case EFFECT_SIGN: sign_leave(core, e); break;
        case EFFECT_PUSH: core->ports.push(core->ports.ctx, e->peer, e->type, e->body); break;
        case EFFECT_THEN: e->then(e->data, true); break;
        }
    }
    w->neffects = 0;
}

void batch_fail(struct batch *b, const struct fault *f)
{
    struct batch_work *w = b->work;
    for (size_t i = 0; i < w->neffects; i++)
        if (w->effects[i].kind == EFFECT_REPLY && !w->effects[i].of_item)
            batch_reply_error(b->core, w->effects[i].peer, w->effects[i].generation, w->effects[i].rid, f);
    batch_undo(b, (struct batch_mark){ 0 });
}
