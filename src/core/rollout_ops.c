/* core/rollout_ops.c: what people do with rollouts. See core/rollout.h. */
#include "core/rollout.h"

#include "base/name.h"
#include "core/line.h"
#include "core/registry.h"
#include "store/registry.h"
#include "wire/waves.h"

#define TIMEOUT_MAX_S (90 * 86400)

static void rollout_reply(struct batch *b, const struct rollout_row *r, int64_t have, int64_t need, struct msg_reply *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out j = JSON_OUT(&body);
    json_obj(&j, NULL);
    json_str(&j, "name", r->name);
    json_str(&j, "state", r->state);
    json_int(&j, "approvals", have);
    json_int(&j, "approvals_needed", need);
    json_obj_end(&j);
    reply_json(b, &body, out);
    out->rev = r->rev;
}

/* -- making one ------------------------------------------------------------------------------------------------------------------ */
static enum err add_check(struct batch *b, const struct caller *c, const struct msg_rollout_add *m, struct fault *f)
{
    struct line line;
    struct release_row r;
    struct rollout_row old;
    struct fault none;
    enum err e = name_check_label("name", m->name, f);
    e = e ? e : name_check_label("line", m->line, f);
    e = e ? e : line_get(b, m->line, &line, f);
    if (e == CE_NOT_FOUND)
        e = fault_set(f, CE_LINE_UNKNOWN, "there is no product line '" SPAN_FMT "'", SPAN_ARG(m->line));
    e = e ? e : authz_line(c, m->line, f);
    e = e ? e : store_release_get(b->db, b->arena, m->line, m->release, &r, f);
    if (!e && r.withdrawn)
        e = fault_set(f, CE_BAD_FIELD, "release '" SPAN_FMT "' was withdrawn", SPAN_ARG(m->release));
    if (!e && !store_rollout_get(b->db, b->arena, m->name, &old, &none))
        e = fault_set(f, CE_EXISTS, "there is a rollout '" SPAN_FMT "' already", SPAN_ARG(m->name));
    if (!e && (m->timeout_s < 0 || m->timeout_s > TIMEOUT_MAX_S || m->max_active < 0))
        e = fault_set(f, CE_BAD_FIELD, "timeout_s is at most %d, max_active not negative", TIMEOUT_MAX_S);
    if (!e && (m->from_min < 0 || m->from_min >= 1440 || m->to_min < 0 || m->to_min >= 1440))
        e = fault_set(f, CE_BAD_FIELD, "the maintenance window begins and ends at minutes of a day");
    return e;
}

static void created_event(struct batch *b, const struct rollout_row *r, struct span waves)
{
    struct json_out *j = event_begin(b, EVENT_ROLLOUT_CREATED, span_str(""), 0);
    json_str(j, "name", r->name);
    json_str(j, "line", r->line);
    json_str(j, "release", r->release);
    json_str(j, "of", r->of);
    json_str(j, "model", r->model);
    json_str(j, "batch", r->batch);
    json_str(j, "country", r->country);
    json_str(j, "version", r->version);
    json_str(j, "tag", r->tag);
    json_str(j, "waves", waves);
    json_int(j, "timeout_s", r->timeout_s);
    json_int(j, "from_min", r->from_min);
    json_int(j, "to_min", r->to_min);
    json_bool(j, "forced", r->forced != 0);
    json_int(j, "max_active", r->max_active);
    json_str(j, "note", r->note);
    json_str(j, "by", r->created_by);
    event_end(b);
}

static enum err rollout_create(struct batch *b, struct rollout_row *r, struct span waves, struct fault *f)
{
    struct wave list[WAVES_MAX];
    size_t n;
    enum err e = waves_read(waves, list, &n, f);
    r->state = SPAN_LIT("draft");
    r->created_at = b->now_ms;
    e = e ? e : rollout_save(b, r, f);
    for (size_t i = 0; !e && i < n; i++) {
        const struct wave_row w = { .wave = (int64_t)i + 1, .percent = list[i].percent, .devices = list[i].devices, .tag = list[i].tag,
                                    .success_percent = list[i].success_percent, .error_percent = list[i].error_percent, .soak_s = list[i].soak_s };
        e = store_wave_put(b->db, r->name, &w, f);
    }
    if (!e)
        created_event(b, r, waves);
    return e;
}

enum err rollout_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_rollout_add *m = msg;
    struct rollout r = { .row = { .name = m->name, .line = m->line, .release = m->release, .model = m->model, .batch = m->batch, .country = m->country,
                                  .version = m->version, .tag = m->tag, .timeout_s = m->timeout_s ? m->timeout_s : ROLLOUT_TIMEOUT_S, .from_min = m->from_min,
                                  .to_min = m->to_min, .forced = m->forced, .max_active = m->max_active, .note = m->note, .created_by = c->name } };
    bool enough;
    int64_t have, need;
    enum err e = add_check(b, c, m, f);
    e = e ? e : rollout_create(b, &r.row, m->waves, f);
    e = e ? e : rollout_approved(b, &r, &enough, &have, &need, f);
    if (e)
        return e;
    rollout_reply(b, &r.row, have, need, out);
    out->http = 201;
    return CE_OK;
}

/* -- moves ------------------------------------------------------------------------------------------------------------------------ */
struct moving {
    struct batch *b;
    const struct caller *c;
    const struct msg_rollout_move *m;
    struct rollout r;
    struct msg_reply *out;
    struct fault *f;
};

static enum err state_wrong(const struct moving *x)
{
    return fault_set(x->f, CE_STATE_CHANGE, "rollout '" SPAN_FMT "' is " SPAN_FMT ": '" SPAN_FMT "' is not possible", SPAN_ARG(x->r.row.name),
                     SPAN_ARG(x->r.row.state), SPAN_ARG(x->m->move));
}

static enum err to_state(struct moving *x, enum rollout_state to, const char *why)
{
    return rollout_move(x->b, &x->r, to, span_str(why), x->m->note, x->c->name, x->f);
}

static enum err move_approve(struct moving *x)
{
    bool enough = false;
    int64_t have, need;
    if (x->r.state != ROLLOUT_DRAFT && x->r.state != ROLLOUT_APPROVED)
        return state_wrong(x);
    if (span_eq(x->c->name, x->r.row.created_by))
        return fault_set(x->f, CE_SELF_APPROVAL, "'" SPAN_FMT "' made this rollout: somebody else approves it", SPAN_ARG(x->c->name));
    enum err e = store_approval_add(x->b->db, x->r.row.name, x->c->name, x->b->now_ms, x->f);
    if (e)
        return e;
    struct json_out *j = event_begin(x->b, EVENT_ROLLOUT_APPROVED, span_str(""), 0);
    json_str(j, "name", x->r.row.name);
    json_str(j, "note", x->m->note);
    json_str(j, "by", x->c->name);
    event_end(x->b);
    e = rollout_save(x->b, &x->r.row, x->f);
    e = e ? e : rollout_approved(x->b, &x->r, &enough, &have, &need, x->f);
    return !e && enough && x->r.state == ROLLOUT_DRAFT ? to_state(x, ROLLOUT_APPROVED, "approved") : e;
}

static enum err move_start(struct moving *x)
{
    bool passed = false;
    struct span why;
    if (x->r.state != ROLLOUT_DRAFT && x->r.state != ROLLOUT_APPROVED)
        return state_wrong(x);
    enum err e = gate_judge(x->b, &x->r, x->c->name, &passed, &why, x->f);
    if (!e && !passed) { /* the evidence of the refusal stays, so this is no error of the operation */
        *x->out = (struct msg_reply){ .code = CE_GATE, .text = span_str(arena_printf(x->b->arena, "the gate refuses the start: " SPAN_FMT, SPAN_ARG(why))) };
        return CE_OK;
    }
    e = e ? e : to_state(x, ROLLOUT_RUNNING, "started");
    return e ? e : rollout_open_wave(x->b, &x->r, x->f);
}

static enum err move_pause(struct moving *x)
{
    return x->r.state == ROLLOUT_RUNNING || x->r.state == ROLLOUT_DONE ? to_state(x, ROLLOUT_PAUSED, "paused") : state_wrong(x);
}

static enum err wave_excuse(struct moving *x, struct wave_row *w)
{
    struct tally t;
    enum err e = member_tally(x->b, &x->r, w->wave, &t, x->f);
    int64_t bad = t.failed + t.silent + (x->r.row.forced ? t.declined : 0);
    if (e || bad == w->excused)
        return e;
    w->excused = bad;
    struct json_out *j = event_begin(x->b, EVENT_WAVE_EXCUSED, span_str(""), 0);
    json_str(j, "name", x->r.row.name);
    json_int(j, "wave", w->wave);
    json_int(j, "failures", w->excused);
    json_str(j, "by", x->c->name);
    event_end(x->b);
    return store_wave_put(x->b->db, x->r.row.name, w, x->f);
}

/* What has failed until now is accepted by whoever resumes: only more of it pauses it again. */
static enum err move_resume(struct moving *x)
{
    if (x->r.state != ROLLOUT_PAUSED)
        return state_wrong(x);
    enum err e = CE_OK;
    for (int64_t i = 0; !e && i < x->r.row.wave; i++)
        e = wave_excuse(x, &x->r.waves[i]);
    e = e ? e : rollout_save(x->b, &x->r.row, x->f);
    return e ? e : to_state(x, ROLLOUT_RUNNING, "resumed");
}

static enum err move_cancel(struct moving *x)
{
    return x->r.state == ROLLOUT_CANCELLED ? state_wrong(x) : to_state(x, ROLLOUT_CANCELLED, "cancelled");
}

/* A rollout of its own that takes this one back, to be approved like any other. */
static enum err move_rollback(struct moving *x)
{
    struct rollout_row old, back = { .line = x->r.row.line, .of = x->r.row.name, .timeout_s = x->r.row.timeout_s, .forced = x->r.row.forced, .note = x->m->note,
                                     .created_by = x->c->name };
    struct fault none;
    if (x->r.row.of.n || x->r.state == ROLLOUT_DRAFT || x->r.state == ROLLOUT_APPROVED)
        return state_wrong(x);
    back.name = span_str(arena_printf(x->b->arena, SPAN_FMT "-back", SPAN_ARG(x->r.row.name)));
    if (back.name.n > LABEL_MAX)
        return fault_set(x->f, CE_BAD_NAME, "the name of the rollout is too long for one that takes it back");
    if (!store_rollout_get(x->b->db, x->b->arena, back.name, &old, &none))
        return fault_set(x->f, CE_EXISTS, "there is a rollout '" SPAN_FMT "' already", SPAN_ARG(back.name));
    enum err e = x->r.state == ROLLOUT_RUNNING || x->r.state == ROLLOUT_DONE ? to_state(x, ROLLOUT_PAUSED, "taken back") : CE_OK;
    e = e ? e : rollout_create(x->b, &back, SPAN_LIT("percent 100 90 20 0\n"), x->f);
    x->r = (struct rollout){ .row = back };
    return e;
}

static const struct { const char *name; enum err (*fn)(struct moving *x); } moves[] = {
    { "approve", move_approve }, { "start", move_start },   { "pause", move_pause },
    { "resume", move_resume },   { "cancel", move_cancel }, { "rollback", move_rollback },
};

enum err rollout_op_move(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    struct moving x = { .b = b, .c = c, .m = msg, .out = out, .f = f };
    bool enough;
    int64_t have, need;
    size_t i = 0;
    enum err e = rollout_get(b, x.m->name, &x.r, f);
    e = e ? e : authz_line(c, x.r.row.line, f);
    while (i < ARRAY_LEN(moves) && !span_eq_str(x.m->move, moves[i].name))
        i++;
    if (!e && i == ARRAY_LEN(moves))
        e = fault_set(f, CE_BAD_FIELD, "a rollout is approved, started, paused, resumed, cancelled or taken back");
    e = e ? e : moves[i].fn(&x);
    e = e || out->code ? e : rollout_approved(b, &x.r, &enough, &have, &need, f);
    if (!e && !out->code)
        rollout_reply(b, &x.r.row, have, need, out);
    return e;
}
