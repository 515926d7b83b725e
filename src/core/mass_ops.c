/* mass_ops.c: what people do with mass changes. See mass.h. */
#include "base/clock.h"
#include "base/name.h"
#include "core/device.h"
#include "core/mass.h"
#include "core/registry.h"
#include "store/registry.h"

static void mass_reply(struct batch *b, const struct mass_row *r, struct msg_reply *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out j = JSON_OUT(&body);
    json_obj(&j, NULL);
    json_int(&j, "id", r->id);
    json_str(&j, "state", r->state);
    json_str(&j, "to", r->to_state);
    if (r->confirmed_at || span_eq_str(r->state, "waiting"))
        json_int(&j, "matched", r->matched);
    else
        json_none(&j, "matched");
    json_obj_end(&j);
    reply_json(b, &body, out);
}

/* -- making one ------------------------------------------------------------------------------------------------------------------ */
static enum err time_read(const char *field, struct span text, int64_t *out, struct fault *f)
{
    *out = 0;
    if (text.n && clock_parse_ms(text, out))
        return fault_set(f, CE_BAD_FIELD, "%s must be an RFC 3339 time in UTC, such as 2026-11-20T22:57:00Z", field);
    return CE_OK;
}

static enum err query_read(const struct msg_mass_add *m, struct mass_query *q, struct fault *f)
{
    const struct { const char *name; struct span text; } labels[] = { { "line", m->line }, { "model", m->model }, { "batch", m->batch }, { "tag", m->tag } };
    enum device_state state;
    enum err e = CE_OK;
    *q = (struct mass_query){ m->line, m->model, m->batch, m->country, m->in_state, m->tag, m->prefix, m->key_alg, 0, 0 };
    for (size_t i = 0; !e && i < ARRAY_LEN(labels); i++)
        e = labels[i].text.n ? name_check_label(labels[i].name, labels[i].text, f) : CE_OK;
    e = e ? e : name_check_text("prefix", m->prefix, 64, f);
    e = e ? e : name_check_text("key_alg", m->key_alg, 32, f);
    if (!e && m->in_state.n && !device_state_parse(m->in_state, &state))
        e = fault_set(f, CE_BAD_FIELD, "in_state: there is no state '" SPAN_FMT "'", SPAN_ARG(m->in_state));
    e = e ? e : time_read("enrolled_from", m->enrolled_from, &q->enrolled_from, f);
    e = e ? e : time_read("enrolled_to", m->enrolled_to, &q->enrolled_to, f);
    if (!e && q->enrolled_to && q->enrolled_to <= q->enrolled_from)
        e = fault_set(f, CE_BAD_FIELD, "enrolled_to is not later than enrolled_from");
    if (!e && !(m->line.n || m->model.n || m->batch.n || m->country.n || m->in_state.n || m->tag.n || m->prefix.n || m->key_alg.n || q->enrolled_from || q->enrolled_to))
        e = fault_set(f, CE_BAD_FIELD, "the query names nothing: all devices there are can only be meant line by line");
    return e;
}

static enum err room_judge(struct batch *b, struct fault *f)
{
    static const char *const open[] = { "counting", "waiting", "running", "paused" };
    struct mass_row *rows;
    size_t sum = 0, n = 0;
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < ARRAY_LEN(open); i++, sum += n)
        e = store_mass_in_state(b->db, b->arena, open[i], MASS_OPEN_MAX, &rows, &n, f);
    if (!e && sum >= MASS_OPEN_MAX)
        e = fault_set(f, CE_RATE, "%zu mass changes have not ended: confirm or cancel them first (cradle revocation list)", sum);
    return e;
}

static void created_event(struct batch *b, const struct mass_row *r)
{
    struct json_out *j = event_begin(b, EVENT_MASS_CREATED, (struct span){ 0 }, 0);
    json_int(j, "id", r->id);
    json_str(j, "state", r->to_state);
    json_str(j, "reason", r->reason);
    json_str(j, "line", r->q.line);
    json_str(j, "model", r->q.model);
    json_str(j, "batch", r->q.batch);
    json_str(j, "country", r->q.country);
    json_str(j, "in_state", r->q.state);
    json_str(j, "tag", r->q.tag);
    json_str(j, "prefix", r->q.prefix);
    json_str(j, "key_alg", r->q.key_alg);
    json_int(j, "enrolled_from", r->q.enrolled_from);
    json_int(j, "enrolled_to", r->q.enrolled_to);
    json_str(j, "note", r->note);
    json_str(j, "by", r->created_by);
    event_end(b);
}

enum err mass_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_mass_add *m = msg;
    struct mass_row r = { .state = SPAN_LIT("counting"), .to_state = m->state, .reason = m->reason, .note = m->note, .created_by = c->name,
                          .created_at = b->now_ms, .changed_at = b->now_ms };
    struct device_ask ask;
    enum err e = device_ask_parse(m->state, m->reason, m->note, &ask, f);
    e = e ? e : query_read(m, &r.q, f);
    if (!e && c->lines.n && !m->line.n)
        e = fault_set(f, CE_LINE_FORBIDDEN, "'" SPAN_FMT "' is limited to product lines: name one of them (line)", SPAN_ARG(c->name));
    e = e || !m->line.n ? e : authz_line(c, m->line, f);
    e = e ? e : room_judge(b, f);
    e = e ? e : store_mass_next_id(b->db, &r.id, f);
    e = e ? e : mass_save(b, &r, f);
    if (e)
        return e;
    created_event(b, &r);
    mass_reply(b, &r, out);
    out->http = 201;
    return CE_OK;
}

/* -- moves ------------------------------------------------------------------------------------------------------------------------ */
struct moving {
    struct batch *b;
    const struct caller *c;
    const struct msg_mass_move *m;
    struct mass_row r;
    struct fault *f;
};

static bool in_state(const struct moving *x, const char *state) { return span_eq_str(x->r.state, state); }

static enum err state_wrong(const struct moving *x)
{
    return fault_set(x->f, CE_STATE_CHANGE, "mass change %lld is " SPAN_FMT ": '" SPAN_FMT "' is not possible", (long long)x->r.id, SPAN_ARG(x->r.state), SPAN_ARG(x->m->move));
}

/* Somebody else is needed; is there anybody? */
static enum err second_missing(const struct moving *x)
{
    struct operator_row *ops;
    size_t n = 0, others = 0;
    long long id = (long long)x->r.id, matched = (long long)x->r.matched, most = (long long)core_config(x->b->core)->mass_confirm;
    enum err e = store_operator_list(x->b->db, x->b->arena, &ops, &n, x->f);
    for (size_t i = 0; !e && i < n; i++)
        others += span_eq_str(ops[i].state, "active") && (span_eq_str(ops[i].role, "admin") || span_eq_str(ops[i].role, "operator")) && !span_eq(ops[i].name, x->c->name);
    if (e)
        return e;
    if (others)
        return fault_set(x->f, CE_SELF_APPROVAL, "%lld devices are more than %lld (mass_revoke_confirm): somebody else confirms: cradle revocation confirm %lld --expect %lld",
                         matched, most, id, matched);
    return fault_set(x->f, CE_SELF_APPROVAL, "%lld devices are more than %lld (mass_revoke_confirm), and there is no second person to confirm: cradle operator add NAME "
                     "--role operator, or set mass_revoke_confirm in cradled.conf and reload", matched, most);
}

static enum err move_confirm(struct moving *x)
{
    struct mass_row *r = &x->r;
    if (in_state(x, "counting"))
        return fault_set(x->f, CE_STATE_CHANGE, "mass change %lld is still being counted: ask again", (long long)r->id);
    if (!in_state(x, "waiting"))
        return state_wrong(x);
    if (x->m->expect != r->matched)
        return fault_set(x->f, CE_BAD_FIELD, "expect: %lld devices match, not %lld; nothing was changed", (long long)r->matched, (long long)x->m->expect);
    bool second = !span_eq(x->c->name, r->created_by);
    if (!second && r->matched > core_config(x->b->core)->mass_confirm)
        return second_missing(x);
    struct json_out *j = event_begin(x->b, EVENT_MASS_CONFIRMED, (struct span){ 0 }, 0);
    json_int(j, "id", r->id);
    json_int(j, "matched", r->matched);
    json_bool(j, "second", second);
    json_int(j, "limit", core_config(x->b->core)->mass_confirm);
    json_str(j, "note", x->m->note);
    json_str(j, "by", x->c->name);
    event_end(x->b);
    r->state = SPAN_LIT("running");
    r->confirmed_by = x->c->name;
    r->confirmed_at = r->changed_at = x->b->now_ms;
    return mass_save(x->b, r, x->f);
}

static enum err move_pause(struct moving *x)
{
    return in_state(x, "running") ? mass_move_state(x->b, &x->r, "paused", "", x->m->note, x->c->name, x->f) : state_wrong(x);
}

static enum err move_resume(struct moving *x)
{
    return in_state(x, "paused") ? mass_move_state(x->b, &x->r, "running", "", x->m->note, x->c->name, x->f) : state_wrong(x);
}

static enum err move_cancel(struct moving *x)
{
    if (in_state(x, "done") || in_state(x, "cancelled"))
        return state_wrong(x);
    return mass_end(x->b, &x->r, "cancelled", "cancelled", x->m->note, x->c->name, x->f);
}

/* Whoever is limited to lines has a say in jobs of one of them. */
static enum err move_allowed(const struct moving *x)
{
    if (!x->c->lines.n)
        return CE_OK;
    if (x->r.q.line.n)
        return authz_line(x->c, x->r.q.line, x->f);
    return fault_set(x->f, CE_LINE_FORBIDDEN, "mass change %lld names no product line, and '" SPAN_FMT "' is limited to some", (long long)x->r.id, SPAN_ARG(x->c->name));
}

enum err mass_op_move(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    static const struct { const char *name; enum err (*fn)(struct moving *x); } moves[] = {
        { "confirm", move_confirm }, { "pause", move_pause }, { "resume", move_resume }, { "cancel", move_cancel },
    };
    struct moving x = { .b = b, .c = c, .m = msg, .f = f };
    size_t i = 0;
    enum err e = name_check_text("note", x.m->note, TEXT_MAX, f);
    e = e ? e : store_mass_get(b->db, b->arena, x.m->id, &x.r, f);
    e = e ? e : move_allowed(&x);
    while (i < ARRAY_LEN(moves) && !span_eq_str(x.m->move, moves[i].name))
        i++;
    if (!e && i == ARRAY_LEN(moves))
        e = fault_set(f, CE_BAD_FIELD, "a mass change is confirmed, paused, resumed or cancelled");
    e = e ? e : moves[i].fn(&x);
    if (!e)
        mass_reply(b, &x.r, out);
    return e;
}
