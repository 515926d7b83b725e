/* mass.c: the work of mass changes: counting, changing, forgetting, a piece of each a batch. See mass.h; what people do is mass_ops.c. */
#include "core/mass.h"

#include <stdlib.h>

#include "base/log.h"
#include "core/engine.h"
#include "core/registry.h"
#include "store/registry.h"

#define LOOK_MS 60000     /* between two looks for jobs that nobody confirmed */

/* -- rows and events ----------------------------------------------------------------------------------------------------------- */
static void saved(void *data, bool committed)
{
    (void)committed; /* also what was undone was remembered perhaps */
    ((struct mass *)data)->stale = true;
}

enum err mass_save(struct batch *b, struct mass_row *r, struct fault *f)
{
    batch_then(b, saved, core_part(b->core, CORE_PART_MASS));
    return store_mass_put(b->db, r, f);
}

enum err mass_move_state(struct batch *b, struct mass_row *r, const char *to, const char *why, struct span note, struct span by, struct fault *f)
{
    struct json_out *j = event_begin(b, EVENT_MASS_STATE, (struct span){ 0 }, 0);
    json_int(j, "id", r->id);
    json_str(j, "from", r->state);
    json_cstr(j, "to", to);
    json_cstr(j, "why", why);
    json_str(j, "note", note);
    json_str(j, "by", by);
    event_end(b);
    r->state = span_str(to);
    r->why = span_str(why);
    r->changed_at = b->now_ms;
    return mass_save(b, r, f);
}

enum err mass_end(struct batch *b, struct mass_row *r, const char *to, const char *why, struct span note, struct span by, struct fault *f)
{
    struct json_out *j = event_begin(b, EVENT_MASS_ENDED, (struct span){ 0 }, 0);
    json_int(j, "id", r->id);
    json_str(j, "from", r->state);
    json_cstr(j, "to", to);
    json_cstr(j, "why", why);
    json_int(j, "done", r->done);
    json_int(j, "already", r->already);
    json_int(j, "refused", r->refused);
    json_str(j, "first", r->first);
    json_str(j, "last", r->last);
    json_time_ms(j, "last_at", r->last_at);
    json_int(j, "took_ms", r->last_at > r->confirmed_at ? r->last_at - r->confirmed_at : 0);
    json_str(j, "note", note);
    json_str(j, "by", by);
    event_end(b);
    r->state = span_str(to);
    r->why = span_str(why);
    r->changed_at = b->now_ms;
    return mass_save(b, r, f);
}

/* -- who wanted it, as the register has it now ---------------------------------------------------------------------------------- */
struct maker { struct msg_caller none; struct caller c; };

/* *why: it may not go on. */
static enum err maker_get(struct batch *b, const struct mass_row *r, struct maker *out, const char **why, struct fault *f)
{
    struct operator_row o;
    enum err e = store_operator_get(b->db, b->arena, r->created_by, &o, f);
    if (e && e != CE_NOT_FOUND)
        return e;
    if (e || !span_eq_str(o.state, "active"))
        *why = "who wanted it was removed from the operators";
    *out = (struct maker){ .c = { .name = r->created_by, .lines = e ? (struct span){ 0 } : o.lines } };
    out->c.m = &out->none;
    return CE_OK;
}

static enum err maker_gone(struct batch *b, struct mass_row *r, const char *why, struct fault *f)
{
    return span_eq_str(r->state, "counting") ? mass_end(b, r, "cancelled", why, (struct span){ 0 }, (struct span){ 0 }, f)
                                             : mass_move_state(b, r, "paused", why, (struct span){ 0 }, (struct span){ 0 }, f);
}

/* -- counting -------------------------------------------------------------------------------------------------------------------- */
static enum err counted(struct batch *b, struct mass_row *r, struct fault *f)
{
    struct json_out *j = event_begin(b, EVENT_MASS_COUNTED, (struct span){ 0 }, 0);
    json_int(j, "id", r->id);
    json_int(j, "matched", r->matched);
    event_end(b);
    r->state = SPAN_LIT("waiting");
    r->changed_at = b->now_ms;
    return r->matched ? mass_save(b, r, f) : mass_end(b, r, "cancelled", "no device matches", (struct span){ 0 }, (struct span){ 0 }, f);
}

/* The list is evidence as what is confirmed by its number. */
static void listed_event(struct batch *b, const struct mass_row *r, struct buf *uids)
{
    if (!uids->len)
        return;
    struct json_out *j = event_begin(b, EVENT_MASS_LISTED, (struct span){ 0 }, 0);
    json_int(j, "id", r->id);
    json_str(j, "uids", buf_span(uids));
    event_end(b);
    buf_reset(uids);
}

static enum err list_one(struct batch *b, struct mass_row *r, struct span uid, struct buf *uids, struct fault *f)
{
    enum err e = store_mass_device_add(b->db, r->id, uid, f);
    buf_put_span(uids, uid);
    buf_put_u8(uids, '\n');
    if (++r->matched % MASS_PIECE == 0)
        listed_event(b, r, uids);
    return e;
}

static enum err count_piece(struct batch *b, struct mass_row *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf uids = BUF_INIT(0);
    struct mass_candidate *c;
    struct maker maker;
    struct fault none;
    const char *why = NULL;
    size_t n = 0;
    enum err e = maker_get(b, r, &maker, &why, f);
    if (e || why)
        return e ? e : maker_gone(b, r, why, f);
    e = store_mass_candidates(b->db, b->arena, &r->q, r->after, MASS_LOOK, &c, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        if (mass_matches(&r->q, &c[i]) && !authz_line(&maker.c, c[i].line, &none))
            e = list_one(b, r, c[i].uid, &uids, f);
    if (e)
        return e;
    listed_event(b, r, &uids);
    r->looked += (int64_t)n;
    if (n)
        r->after = c[n - 1].uid;
    return n < MASS_LOOK ? counted(b, r, f) : mass_save(b, r, f);
}

/* -- changing -------------------------------------------------------------------------------------------------------------------- */
struct piece {
    struct batch *b;
    struct mass_row *r;
    struct maker maker;
    struct device_ask ask;
};

static void device_event(const struct piece *p, struct span uid, const char *result, const char *reason, const char *detail)
{
    struct json_out *j = event_begin(p->b, EVENT_MASS_DEVICE, uid, 0);
    json_int(j, "id", p->r->id);
    json_cstr(j, "result", result);
    json_cstr(j, "reason", reason);
    json_cstr(j, "detail", detail);
    event_end(p->b);
}

static enum err one_refused(struct piece *p, struct span uid, enum err why, const struct fault *text, struct fault *f)
{
    refusal_note(p->b, why, text->text, p->maker.c.name, (struct span){ 0 }, uid, "mass");
    p->r->refused++;
    device_event(p, uid, "refused", err_reason(why), text->text);
    return store_mass_device_refused(p->b->db, p->r->id, uid, err_reason(why), text->text, f);
}

static enum err one_do(struct piece *p, struct span uid, struct fault *f)
{
    struct device d = { 0 };
    struct fault why = { 0 };
    struct span decided;
    enum err e = device_ask_judge(p->b, &p->maker.c, &p->ask, uid, &d, &why);
    bool already = e == CE_STATE_CHANGE && d.state == p->ask.to;
    if (e && db_err_fatal(e)) {
        *f = why;
        return e;
    }
    if (e && !already)
        return one_refused(p, uid, e, &why, f);
    if (already) {
        device_event(p, uid, "already", "", "");
    } else {
        e = device_ask_do(p->b, &p->maker.c, &p->ask, &d, &decided, f);
        if (e)
            return e;
        p->r->first = p->r->first.n ? p->r->first : decided;
        p->r->last = decided;
        p->r->last_at = p->b->now_ms;
    }
    p->r->done += !already;
    p->r->already += already;
    return store_mass_device_done(p->b->db, p->r->id, uid, f);
}

/* Every device's evidence names the job. */
static enum err piece_ask(struct piece *p, struct fault *f)
{
    struct span note = span_str(arena_printf(p->b->arena, "mass %lld%s" SPAN_FMT, (long long)p->r->id, p->r->note.n ? ": " : "", SPAN_ARG(p->r->note)));
    enum err e = device_ask_parse(p->r->to_state, p->r->reason, note, &p->ask, f);
    p->ask.job = p->r->id;
    return e;
}

static enum err change_piece(struct batch *b, struct mass_row *r, struct fault *f)
{
    struct piece p = { .b = b, .r = r };
    struct mass_device_row *rows;
    const char *why = NULL;
    size_t n = 0;
    enum err e = maker_get(b, r, &p.maker, &why, f);
    if (e || why)
        return e ? e : maker_gone(b, r, why, f);
    e = piece_ask(&p, f);
    e = e ? e : store_mass_devices_open(b->db, b->arena, r->id, MASS_PIECE, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        e = one_do(&p, rows[i].uid, f);
    if (e)
        return e;
    return n < MASS_PIECE ? mass_end(b, r, "done", "", (struct span){ 0 }, (struct span){ 0 }, f) : mass_save(b, r, f);
}

/* -- what is left of jobs that were cancelled, and jobs that nobody confirmed --------------------------------------------------------- */
static enum err forget_piece(struct batch *b, struct mass *u, struct fault *f)
{
    int64_t id = 0, n = 0;
    enum err e = store_mass_left(b->db, &id, f);
    e = e || !id ? e : store_mass_devices_forget(b->db, id, MASS_LOOK, &n, f);
    u->forgetting = id != 0;
    return e;
}

static enum err waiting_end(struct batch *b, struct fault *f)
{
    struct mass_row *rows;
    size_t n;
    enum err e = store_mass_in_state(b->db, b->arena, "waiting", MASS_OPEN_MAX, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        if (rows[i].changed_at + MASS_WAIT_MS <= b->now_ms)
            e = mass_end(b, &rows[i], "cancelled", "nobody confirmed it in time", (struct span){ 0 }, (struct span){ 0 }, f);
    return e;
}

/* -- the part ---------------------------------------------------------------------------------------------------------------------- */
static enum err jobs_look(struct batch *b, struct mass *u, struct fault *f)
{
    struct mass_row *r;
    size_t counting = 0, waiting = 0, running = 0;
    int64_t left = 0;
    enum err e = store_mass_in_state(b->db, b->arena, "counting", 1, &r, &counting, f);
    e = e ? e : store_mass_in_state(b->db, b->arena, "running", 1, &r, &running, f);
    e = e ? e : store_mass_in_state(b->db, b->arena, "waiting", 1, &r, &waiting, f);
    e = e ? e : store_mass_left(b->db, &left, f);
    u->counting = counting > 0;
    u->running = running > 0;
    u->waiting = waiting > 0;
    u->forgetting = left != 0;
    u->stale = e != CE_OK;
    return e;
}

static bool mass_tick(struct batch *b, void *state, int64_t *next_ms)
{
    struct mass *u = state;
    struct fault f = { 0 };
    if (u->stale && jobs_look(b, u, &f))
        log_warn(0, "mass changes could not be read: %s", f.text);
    bool look = u->waiting && u->look_ms <= b->mono_ms;
    *next_ms = u->look_ms > b->mono_ms ? u->look_ms : b->mono_ms + LOOK_MS;
    return look || u->counting || u->running || u->forgetting;
}

/* A piece of the oldest of each kind, so that neither a long count nor a long change holds the other up. */
static enum err mass_work(struct batch *b, void *state, struct fault *f)
{
    struct mass *u = state;
    struct mass_row *r;
    size_t n = 0;
    enum err e = CE_OK;
    if (u->waiting && u->look_ms <= b->mono_ms) {
        u->look_ms = b->mono_ms + LOOK_MS;
        e = waiting_end(b, f);
    }
    if (!e && u->running && !(e = store_mass_in_state(b->db, b->arena, "running", 1, &r, &n, f)) && n)
        e = change_piece(b, r, f);
    if (!e && u->counting && !(e = store_mass_in_state(b->db, b->arena, "counting", 1, &r, &n, f)) && n)
        e = count_piece(b, r, f);
    return e || !u->forgetting ? e : forget_piece(b, u, f);
}

static enum err mass_open(struct core *core, void **state, struct fault *f)
{
    struct mass *u = mem_calloc(1, sizeof *u);
    (void)core;
    (void)f;
    u->stale = true;
    *state = u;
    return CE_OK;
}

static void mass_close(void *state)
{
    mass_pace_free(((struct mass *)state)->pace);
    free(state);
}

const struct core_part mass_part = { .name = "mass", .open = mass_open, .close = mass_close, .tick = mass_tick, .work = mass_work };
