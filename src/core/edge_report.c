/* edge_report.c: what edges report becomes evidence and presence. Each id is taken once, so an edge may send again what it is not sure
 * of. The edge is a caller of its own; its words are recorded as its words (field edge). What it cannot know is not taken: names that
 * are not in the register, times that have not come, vectors that were never signed. */
#include "base/name.h"
#include "core/clone.h"
#include "core/decision.h"
#include "core/engine.h"
#include "core/presence.h"
#include "core/registry.h"
#include "store/edge.h"
#include "store/registry.h"
#include "wire/report.h"

#define REPORT_COUNT_MAX 1000000000 /* more repeats than a broker can see between two reports */

struct report_kind {
    const char *name;
    bool registered; /* it is about an identity of the register, or it is not taken */
    enum err (*take)(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f);
};

/* Who decided that it is put out? Nobody, when its certificate ended, or the like. */
static enum err cut_decision(struct batch *b, const struct msg_report *r, struct decision *out, struct fault *f)
{
    *out = (struct decision){ 0 };
    if (span_starts(r->reason, "line-"))
        return decision_line(b, r->uid, r->frame_at, out, f);
    if (span_eq_str(r->reason, "certificate-revoked"))
        return decision_newest(b, r->uid, r->serial, r->frame_at, out, f);
    return span_starts(r->reason, "device-") ? decision_newest(b, r->uid, (struct span){ 0 }, r->frame_at, out, f) : CE_OK;
}

static enum err take_cut(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f)
{
    struct decision why;
    enum err e = cut_decision(b, r, &why, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_CUT, r->uid, 0);
    json_str(j, "edge", c->name);
    json_hex(j, "serial", r->serial);
    json_str(j, "reason", r->reason);
    json_str(j, "addr", r->addr);
    json_time_ms(j, "cut_at", r->at);
    json_int(j, "latency_us", r->latency_us);
    decision_put(j, b, &why);
    if (r->frame_at)
        json_time_ms(j, "frame_at", r->frame_at);
    else
        json_cstr(j, "frame_at", "");
    event_end(b);
    return CE_OK;
}

static int64_t vector_component(struct span vector, int64_t slot)
{
    struct span one, name;
    int64_t s = 0, n = 0;
    while (span_cut(&vector, ',', &one))
        if (span_cut(&one, ':', &name) && span_to_i64(name, &s) && s == slot && span_to_i64(one, &n))
            return n;
    return 0;
}

enum err report_ignore(struct batch *b, const struct caller *c, enum err why, const char *text, struct span uid)
{
    refusal_note(b, why, text, c->name, c->m->addr, uid, "edge_report");
    return CE_OK;
}

static bool covers_block(const struct core *core, int64_t before, int64_t now)
{
    for (size_t i = 0; i < CORE_BLOCKS; i++)
        if (core->blocks[i] > before && core->blocks[i] <= now)
            return true;
    return false;
}

/* An acknowledgement is evidence when it covers something that had to be cut; one of mere heartbeats would make an event, which
 * moves the vector, which is acknowledged … */
static enum err take_ack(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f)
{
    struct core *core = b->core;
    struct edge_row *rows;
    size_t n;
    int64_t before = 0, now = vector_component(r->vector, core->node.slot);
    if (now < 0 || now > core->node.nseq)
        return report_ignore(b, c, CE_BAD_FIELD, "the edge acknowledges a vector that was never signed", r->uid);
    enum err e = store_edge_list(b->db, b->arena, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        if (span_eq(rows[i].name, c->name))
            before = vector_component(rows[i].vector, core->node.slot);
    e = e ? e : store_edge_put(b->db, c->name, r->vector, -1, b->now_ms, f);
    if (e || !covers_block(core, before, now))
        return e;
    struct json_out *j = event_begin(b, EVENT_EDGE_ACK, (struct span){ 0 }, 0);
    json_str(j, "edge", c->name);
    json_str(j, "vector", r->vector);
    json_time_ms(j, "ack_at", r->at);
    json_int(j, "latency_us", r->latency_us);
    event_end(b);
    return CE_OK;
}

static enum err take_refused(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f)
{
    (void)f;
    refusal_reported(b, c->name, r);
    return CE_OK;
}

static enum err take_stale(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f)
{
    bool stale = span_eq_str(r->kind, "stale");
    enum err e = store_edge_put(b->db, c->name, (struct span){ 0 }, stale, b->now_ms, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_STALE, (struct span){ 0 }, 0);
    json_str(j, "edge", c->name);
    json_bool(j, "stale", stale);
    json_time_ms(j, "seen_at", r->at);
    json_str(j, "text", r->text);
    event_end(b);
    return CE_OK;
}

static const struct report_kind kinds[] = {
    { "cut", true, take_cut },
    { "ack", false, take_ack },
    { "refused", false, take_refused },
    { "clone-suspected", true, clone_reported },
    { "connected", true, presence_take },
    { "disconnected", true, presence_take },
    { "counts", false, broker_counts_take },
    { "synced", false, broker_synced_take },
    { "ended", false, broker_ended_take },
    { "stale", false, take_stale },
    { "fresh", false, take_stale },
};

static enum err name_known(struct batch *b, struct span name, bool *known, struct fault *f)
{
    struct device_row d;
    struct operator_row op;
    enum err e = store_device_get(b->db, b->arena, name, &d, f);
    e = e == CE_NOT_FOUND ? store_operator_get(b->db, b->arena, name, &op, f) : e;
    *known = !e;
    return e == CE_NOT_FOUND ? CE_OK : e;
}

static enum err report_take(struct batch *b, const struct caller *c, const struct msg_report *r, bool *fresh, struct fault *f)
{
    struct fault ignored;
    struct msg_report one = *r;
    bool known = true;
    const struct report_kind *k = NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (span_eq_str(r->kind, kinds[i].name))
            k = &kinds[i];
    if (!k)
        return fault_set(f, CE_BAD_FIELD, "kind '" SPAN_FMT "' is not known", SPAN_ARG(r->kind));
    if (!r->id.n)
        return fault_set(f, CE_BAD_FIELD, "a report needs an id");
    enum err e = store_report_take(b->db, c->name, r->id, b->now_ms, fresh, f);
    if (e || !*fresh)
        return e;
    if (name_check_uid(one.uid, &ignored)) {
        one.uid.n = 0; /* what is not a UID belongs to no device */
        if (k->registered)
            return CE_OK;
    }
    if (k->registered)
        e = name_known(b, one.uid, &known, f);
    if (e)
        return e;
    if (!known)
        return report_ignore(b, c, CE_UID_UNKNOWN, "an edge reports about an identity that is not in the register", one.uid);
    one.at = one.at < b->now_ms ? one.at : b->now_ms;
    one.frame_at = one.frame_at < b->now_ms ? one.frame_at : b->now_ms;
    one.count = one.count < REPORT_COUNT_MAX ? one.count : REPORT_COUNT_MAX;
    return k->take(b, c, &one, f);
}

enum err edge_report_op(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_edge_report *m = msg;
    struct span in = m->items;
    int64_t taken = 0, known = 0;
    for (size_t i = 0; in.n; i++) {
        struct msg_report r;
        bool fresh = false;
        enum err e = i < REPORT_BATCH_MAX ? msg_unpack(&msg_desc_report, &in, &r) : CE_TOO_LARGE;
        if (e)
            return fault_set(f, e, "report %zu cannot be read; at most %d in one request", i + 1, REPORT_BATCH_MAX);
        e = report_take(b, c, &r, &fresh, f);
        if (e)
            return e;
        *(fresh ? &taken : &known) += 1;
    }
    out->body_kind = BODY_JSON;
    out->body = span_str(arena_printf(b->arena, "{\"taken\":%lld,\"known\":%lld}", (long long)taken, (long long)known));
    return CE_OK;
}
