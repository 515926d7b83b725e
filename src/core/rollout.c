/* core/rollout.c: rollouts as a part of the core: what is remembered of them, their states, waves that open, thresholds, silence. See
 * core/rollout.h.
 */
#include <stdlib.h>

#include "base/log.h"
#include "core/rollout.h"

#define LOOK_MS 1000 /* between two looks for silence */

struct rollouts {
    struct core *core;
    bool stale, metadata_stale;
    struct arena arena, metadata_arena;
    struct rollout *list;
    size_t n;
    struct tuf_row *metadata;
    size_t n_metadata;
    int64_t look_at;             /* wall clock, ms */
    bool more;                   /* the last look left something over */
    struct rollout_walk *walk;
};

static const char *const names[ROLLOUT_STATES] = { "draft", "approved", "running", "paused", "done", "cancelled" };

static struct rollouts *part_of(const struct batch *b) { return core_part(b->core, CORE_PART_ROLLOUT); }

/* -- reading ------------------------------------------------------------------------------------------------------------------ */
static enum err rollout_fill(struct db *db, struct arena *a, struct rollout *r, struct fault *f)
{
    int s = 0;
    while (s < ROLLOUT_STATES && !span_eq_str(r->row.state, names[s]))
        s++;
    if (s == ROLLOUT_STATES)
        return fault_set(f, CE_STORE_DAMAGED, "rollout '" SPAN_FMT "' has an unknown state in the database", SPAN_ARG(r->row.name));
    r->state = (enum rollout_state)s;
    enum err e = store_wave_list(db, a, r->row.name, &r->waves, &r->n_waves, f);
    return e || !r->row.release.n ? e : store_release_get(db, a, r->row.line, r->row.release, &r->release, f);
}

enum err rollout_get(struct batch *b, struct span name, struct rollout *out, struct fault *f)
{
    *out = (struct rollout){ 0 };
    enum err e = store_rollout_get(b->db, b->arena, name, &out->row, f);
    return e ? e : rollout_fill(b->db, b->arena, out, f);
}

enum err rollout_live(struct batch *b, struct rollout **out, size_t *n, struct fault *f)
{
    struct rollouts *u = part_of(b);
    struct rollout_row *rows = NULL;
    enum err e = CE_OK;
    if (u->stale) {
        arena_free(&u->arena);
        u->arena = (struct arena){ 0 };
        u->n = 0;
        e = store_rollout_live(b->db, &u->arena, ROLLOUT_LIVE, &rows, &u->n, f);
        u->list = arena_alloc(&u->arena, (u->n + 1) * sizeof *u->list);
        for (size_t i = 0; !e && i < u->n; i++) {
            u->list[i] = (struct rollout){ .row = rows[i] };
            e = rollout_fill(b->db, &u->arena, &u->list[i], f);
        }
        u->stale = e != CE_OK;
    }
    *out = u->list;
    *n = e ? 0 : u->n;
    return e;
}

enum err rollout_metadata(struct batch *b, struct tuf_row **out, size_t *n, struct fault *f)
{
    struct rollouts *u = part_of(b);
    enum err e = CE_OK;
    if (u->metadata_stale) {
        arena_free(&u->metadata_arena);
        u->metadata_arena = (struct arena){ 0 };
        e = store_tuf_list(b->db, &u->metadata_arena, &u->metadata, &u->n_metadata, f);
        u->metadata_stale = e != CE_OK;
    }
    *out = u->metadata;
    *n = e ? 0 : u->n_metadata;
    return e;
}

/* -- changes -------------------------------------------------------------------------------------------------------------------- */
/* After the commit, or the undoing: what was read in between is not kept. */
static void changed_then(void *data, bool committed)
{
    struct rollouts *u = data;
    (void)committed;
    u->stale = u->metadata_stale = true;
    core_wake(u->core);
}

void rollout_changed(struct batch *b, struct span uid)
{
    struct rollouts *u = part_of(b);
    const struct msg_push_update m = { .uid = uid };
    batch_push_msg(b, -1, &msg_desc_push_update, &m);
    if (uid.n)
        return;
    u->stale = u->metadata_stale = true;
    batch_then(b, changed_then, u);
}

enum err rollout_save(struct batch *b, struct rollout_row *r, struct fault *f)
{
    r->rev++;
    r->changed_at = b->now_ms;
    rollout_changed(b, span_str(""));
    return store_rollout_put(b->db, r, f);
}

enum err rollout_move(struct batch *b, struct rollout *r, enum rollout_state to, struct span why, struct span note, struct span by, struct fault *f)
{
    struct json_out *j = event_begin(b, EVENT_ROLLOUT_STATE, span_str(""), 0);
    json_str(j, "name", r->row.name);
    json_str(j, "from", r->row.state);
    json_cstr(j, "to", names[to]);
    json_str(j, "why", why);
    json_str(j, "note", note);
    json_str(j, "by", by);
    event_end(b);
    r->row.state = span_str(names[to]);
    r->row.why = why;
    r->state = to;
    if (to == ROLLOUT_RUNNING && !r->row.started_at)
        r->row.started_at = b->now_ms;
    return rollout_save(b, &r->row, f);
}

enum err rollout_open_wave(struct batch *b, struct rollout *r, struct fault *f)
{
    struct wave_row w = r->waves[r->row.wave++];
    w.opened_at = b->now_ms;
    struct json_out *j = event_begin(b, EVENT_WAVE_OPENED, span_str(""), 0);
    json_str(j, "name", r->row.name);
    json_int(j, "wave", w.wave);
    event_end(b);
    enum err e = store_wave_put(b->db, r->row.name, &w, f);
    return e ? e : rollout_save(b, &r->row, f);
}

/* -- judging a wave ------------------------------------------------------------------------------------------------------------- */
static enum err wave_reached(struct batch *b, struct rollout *r, const struct tally *t, struct fault *f)
{
    struct wave_row w = r->waves[r->row.wave - 1];
    w.reached_at = b->now_ms;
    struct json_out *j = event_begin(b, EVENT_WAVE_REACHED, span_str(""), 0);
    json_str(j, "name", r->row.name);
    json_int(j, "wave", w.wave);
    json_int(j, "confirmed", t->confirmed);
    json_int(j, "members", t->members);
    event_end(b);
    enum err e = store_wave_put(b->db, r->row.name, &w, f);
    return e ? e : rollout_save(b, &r->row, f);
}

enum wave_due { WAVE_NOTHING, WAVE_FILL, WAVE_PAUSE, WAVE_STUCK, WAVE_REACH, WAVE_NEXT, WAVE_DONE };

static int64_t wave_bad(const struct rollout *r, const struct tally *t) { return t->failed + t->silent + (r->row.forced ? t->declined : 0); }

/* The earlier waves as well: who fails after its wave has reached success has failed all the same. */
static enum err wave_errors(struct batch *b, const struct rollout *r, enum wave_due *due, struct tally *t, struct fault *f)
{
    enum err e = CE_OK;
    for (int64_t i = 0; !e && !*due && i < r->row.wave; i++) {
        const struct wave_row *w = &r->waves[i];
        int64_t bad;
        e = member_tally(b, r, w->wave, t, f);
        if (!e && (bad = wave_bad(r, t)) > w->excused && bad * 100 >= w->error_percent * t->members)
            *due = WAVE_PAUSE;
    }
    return e;
}

static enum err wave_judge(struct batch *b, const struct rollout *r, enum wave_due *due, struct tally *t, struct fault *f)
{
    const struct wave_row *w = &r->waves[r->row.wave - 1];
    struct tally all;
    *due = w->filled_at ? WAVE_NOTHING : WAVE_FILL;
    enum err e = *due ? CE_OK : wave_errors(b, r, due, t, f);
    if (e || *due)
        return e;
    if (!w->reached_at && t->confirmed * 100 >= w->success_percent * (t->members - w->excused)) /* who resumed did not want to wait for those */
        *due = WAVE_REACH;
    else if (!w->reached_at && wave_bad(r, t) > w->excused && !t->open)
        *due = WAVE_STUCK;
    else if (w->reached_at && b->now_ms >= w->reached_at + w->soak_s * 1000)
        *due = r->row.wave < (int64_t)r->n_waves ? WAVE_NEXT : WAVE_DONE;
    if (*due == WAVE_DONE && !(e = member_tally(b, r, 0, &all, f)) && all.open)
        *due = WAVE_NOTHING;
    return e;
}

static enum err wave_do(struct batch *b, struct rollouts *u, struct rollout *live, enum wave_due due, const struct tally *t, struct fault *f)
{
    struct rollout r = *live;
    bool done;
    switch (due) {
    case WAVE_FILL: return rollout_walk_piece(b, u->walk, &r, &done, f);
    case WAVE_REACH: return wave_reached(b, &r, t, f);
    case WAVE_NEXT: return rollout_open_wave(b, &r, f);
    case WAVE_DONE: return rollout_move(b, &r, ROLLOUT_DONE, SPAN_LIT("every wave has reached its threshold"), span_str(""), span_str(""), f);
    case WAVE_PAUSE:
    case WAVE_STUCK:
        return rollout_move(b, &r, ROLLOUT_PAUSED,
                            span_str(arena_printf(b->arena, "%s threshold of wave %lld%s: of %lld members %lld failed and %lld are silent; %lld confirmed",
                                                  due == WAVE_PAUSE ? "error" : "success", (long long)t->wave,
                                                  due == WAVE_PAUSE ? "" : " is out of reach", (long long)t->members, (long long)t->failed, (long long)t->silent,
                                                  (long long)t->confirmed)),
                            span_str(""), span_str(""), f);
    default: return CE_OK;
    }
}

/* -- silence, and what a cancelled rollout leaves behind --------------------------------------------------------------------------- */
static enum err orders_end(struct batch *b, const struct rollout *r, const char *state, int64_t before, enum order_state to, size_t *left, struct fault *f)
{
    struct member_row *m;
    size_t n;
    enum err e = *left ? store_member_old(b->db, b->arena, r->row.name, state, before, (int64_t)*left, &m, &n, f) : CE_OK;
    for (size_t i = 0; !e && *left && i < n; i++, (*left)--) {
        const struct order_word w = { .reason = to == ORDER_SILENT ? SPAN_LIT("no-report") : SPAN_LIT("rollout-cancelled") };
        struct order o;
        e = order_get(b, m[i].uid, &o, f);
        bool same = !e && o.row.sequence == m[i].sequence && span_eq(o.row.rollout, r->row.name);
        if (same && order_state_allowed(o.state, to))
            e = order_move(b, &o, to, &w, f);
        else if (!e)
            e = member_set(b, r->row.name, &m[i], span_str(order_state_name(to)), b->now_ms, f);
        if (!e && to == ORDER_CANCELLED)
            rollout_changed(b, m[i].uid);
    }
    return e;
}

static enum err waiting_end(struct batch *b, const struct rollout *r, int64_t before, size_t *left, struct fault *f)
{
    struct member_row *m;
    size_t n;
    enum err e = store_member_old(b->db, b->arena, r->row.name, "waiting", before, (int64_t)*left, &m, &n, f);
    for (size_t i = 0; !e && i < n; i++, (*left)--)
        e = member_set(b, r->row.name, &m[i], SPAN_LIT("absent"), b->now_ms, f);
    return e;
}

static enum err rollout_look(struct batch *b, struct rollouts *u, const struct rollout *r, struct fault *f)
{
    static const char *const working[] = { "ordered", "offered", "downloading", "installed", "postponed" }, *const cancels[] = { "ordered", "offered", "downloading", "postponed", "silent" };
    size_t left = ROLLOUT_PIECE;
    bool cancelled = r->state == ROLLOUT_CANCELLED;
    int64_t before = cancelled ? INT64_MAX : b->now_ms - r->row.timeout_s * 1000;
    enum err e = r->state == ROLLOUT_RUNNING || r->state == ROLLOUT_DONE ? waiting_end(b, r, before, &left, f) : CE_OK;
    for (size_t i = 0; !e && i < ARRAY_LEN(working); i++)
        e = orders_end(b, r, cancelled ? cancels[i] : working[i], before, cancelled ? ORDER_CANCELLED : ORDER_SILENT, &left, f);
    u->more |= left == 0;
    return e;
}

/* -- the part -------------------------------------------------------------------------------------------------------------------- */
static bool rollout_tick(struct batch *b, void *state, int64_t *next_ms)
{
    struct rollouts *u = state;
    struct rollout *list;
    struct tally t;
    struct fault f = { 0 };
    size_t n;
    enum wave_due due;
    if (rollout_live(b, &list, &n, &f))
        log_warn(0, "rollouts could not be read: %s", f.text);
    *next_ms = b->mono_ms + (n ? LOOK_MS : 60000);
    if (n && (u->more || b->now_ms >= u->look_at))
        return true;
    for (size_t i = 0; i < n; i++)
        if (list[i].state == ROLLOUT_RUNNING && !wave_judge(b, &list[i], &due, &t, &f) && due)
            return true;
    return false;
}

static enum err rollout_work(struct batch *b, void *state, struct fault *f)
{
    struct rollouts *u = state;
    struct rollout *list, *own = NULL;
    struct tally t;
    size_t n;
    bool look = u->more || b->now_ms >= u->look_at, walking = false;
    enum wave_due due;
    enum err e = rollout_live(b, &list, &n, f);
    if (!e && n) { /* the list changes under what follows */
        own = arena_alloc(b->arena, n * sizeof *own);
        memcpy(own, list, n * sizeof *own);
    }
    if (look) {
        u->look_at = b->now_ms + LOOK_MS;
        u->more = false;
    }
    for (size_t i = 0; !e && i < n; i++) {
        struct rollout r;
        e = rollout_get(b, arena_copy(b->arena, own[i].row.name), &r, f);
        if (!e && look)
            e = rollout_look(b, u, &r, f);
        if (e || r.state != ROLLOUT_RUNNING || (e = wave_judge(b, &r, &due, &t, f)) || (due == WAVE_FILL && walking))
            continue;
        walking |= due == WAVE_FILL;
        e = wave_do(b, u, &r, due, &t, f);
    }
    return e;
}

static void rollout_close(void *state)
{
    struct rollouts *u = state;
    arena_free(&u->arena);
    arena_free(&u->metadata_arena);
    rollout_walk_free(u->walk);
    free(u);
}

static enum err rollout_open(struct core *core, void **state, struct fault *f)
{
    struct rollouts *u = mem_calloc(1, sizeof *u);
    (void)f;
    *u = (struct rollouts){ .core = core, .stale = true, .metadata_stale = true, .walk = rollout_walk_new() };
    *state = u;
    return CE_OK;
}

const struct core_part rollout_part = { .name = "rollout", .open = rollout_open, .close = rollout_close, .tick = rollout_tick, .work = rollout_work };
