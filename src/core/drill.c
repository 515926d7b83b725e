/* drill.c: see drill.h. */
#include "core/drill.h"

#include <stdio.h>

#include "core/decision.h"
#include "core/engine.h"
#include "store/edge.h"
#include "store/node.h"
#include "store/registry.h"

#define DRILL_AGE_MS 3600000LL /* a drill is filed when it is done, not long after */
#define DRILL_EVENTS 8192      /* of the stream after the decision that are looked at; more: the edges' rows alone say who has acknowledged */
#define DRILL_LOAD 1000

struct measure { int64_t hosts, acked, cut, slowest_ms; };

static void slower(struct measure *m, const struct decision *d, int64_t at)
{
    if (at - d->at > m->slowest_ms)
        m->slowest_ms = at - d->at;
}

static bool payload_names(const struct event_row *ev, const char *key, const char *value)
{
    CLEANUP(json_decref_p) json_t *payload = NULL;
    struct fault ignored;
    const char *s = ev->payload.n && !json_parse(ev->payload, &payload, &ignored) ? json_string_value(json_object_get(payload, key)) : NULL;
    return s && strcmp(s, value) == 0;
}

/* Closed sessions of the device, and whether this decision was filed before. */
static enum err measure_device(struct batch *b, struct span uid, const struct decision *d, struct measure *m, struct fault *f)
{
    const char *decided = arena_printf(b->arena, "%lld:%lld", (long long)d->slot, (long long)d->nseq);
    struct db_rows r;
    struct event_row ev;
    bool filed = false;
    event_of_device(b->db, uid, d->slot, d->nseq, DRILL_EVENTS, &r);
    while (db_next(&r)) {
        event_read(&r, &ev);
        filed |= span_eq_str(ev.kind, "drill") && payload_names(&ev, "decided", decided);
        if (!span_eq_str(ev.kind, "cut") || !payload_names(&ev, "decided", decided))
            continue;
        m->cut++;
        slower(m, d, ev.at);
    }
    enum err e = db_rows_end(&r, f);
    return !e && filed ? fault_set(f, CE_EXISTS, "the drill of decision %s is filed already", decided) : e;
}

static bool reaches(struct span vector, const struct decision *d)
{
    struct span one, slot_text;
    int64_t slot, nseq;
    while (span_cut(&vector, ',', &one))
        if (span_cut(&one, ':', &slot_text) && span_to_i64(slot_text, &slot) && slot == d->slot && span_to_i64(one, &nseq))
            return nseq >= d->nseq;
    return false;
}

/* When each host's first acknowledgement that reaches the decision came. */
static enum err measure_acks(struct batch *b, const struct decision *d, struct span *seen, size_t n, struct measure *m, struct fault *f)
{
    struct db_rows r;
    struct event_row ev;
    event_after(b->db, d->slot, d->nseq, DRILL_EVENTS, &r);
    while (db_next(&r)) {
        CLEANUP(json_decref_p) json_t *payload = NULL;
        struct fault ignored;
        event_read(&r, &ev);
        if (!span_eq_str(ev.kind, "edge-ack") || json_parse(ev.payload, &payload, &ignored) ||
            !reaches(span_str(json_string_value(json_object_get(payload, "vector"))), d))
            continue;
        for (size_t i = 0; i < n; i++)
            if (seen[i].n && span_eq_str(seen[i], json_string_value(json_object_get(payload, "edge")))) {
                seen[i].n = 0;
                slower(m, d, ev.at);
            }
    }
    return db_rows_end(&r, f);
}

static enum err measure_hosts(struct batch *b, const struct decision *d, struct measure *m, struct fault *f)
{
    struct edge_row *rows = NULL;
    struct operator_row op;
    size_t n = 0, live = 0;
    enum err e = store_operator_count(b->db, "edge", &m->hosts, f);
    e = e ? e : store_edge_list(b->db, b->arena, &rows, &n, f);
    struct span *names = arena_alloc(b->arena, (n + 1) * sizeof *names);
    for (size_t i = 0; !e && i < n; i++) {
        e = store_operator_get(b->db, b->arena, rows[i].name, &op, f);
        if (!e && span_eq_str(op.state, "active") && reaches(rows[i].vector, d))
            names[live++] = rows[i].name;
    }
    m->acked = (int64_t)live;
    return e ? e : measure_acks(b, d, names, live, m, f);
}

static enum err claim_check(const struct msg_drill_add *m, const struct measure *known, struct fault *f)
{
    if (m->acked > known->acked || m->cut > known->cut)
        return fault_set(f, CE_BAD_FIELD, "%lld hosts acknowledged and %lld sessions were closed, as far as is known here; the drill claims %lld and %lld",
                         (long long)known->acked, (long long)known->cut, (long long)m->acked, (long long)m->cut);
    return CE_OK;
}

static bool passed(const struct msg_drill_add *m, const struct measure *k)
{
    return k->hosts > 0 && k->acked == k->hosts && (k->cut > 0 || !m->session) && k->slowest_ms <= m->limit_ms && m->authz_ms <= m->limit_ms &&
           m->ocsp_ms <= m->limit_ms && m->crl_ms <= m->limit_ms;
}

static void drill_json(struct json_out *j, const struct msg_drill_add *m, const struct measure *k, const char *result)
{
    json_str(j, "decided", m->decided);
    json_int(j, "hosts", k->hosts);
    json_int(j, "acked", k->acked);
    json_int(j, "cut", k->cut);
    json_int(j, "slowest_ms", k->slowest_ms);
    json_int(j, "limit_ms", m->limit_ms);
    json_bool(j, "session", m->session);
    json_int(j, "authz_ms", m->authz_ms);
    json_int(j, "ocsp_ms", m->ocsp_ms);
    json_int(j, "crl_ms", m->crl_ms);
    json_cstr(j, "result", result);
}

struct filing { struct core *core; int64_t at; bool good; };

static void last_note(struct drill_last *last, int64_t at, bool good)
{
    if (at >= last->at) {
        last->at = at;
        snprintf(last->result, sizeof last->result, "%s", good ? "passed" : "failed");
    }
    if (good && at > last->passed_at)
        last->passed_at = at;
}

static void filing_done(void *data, bool committed)
{
    const struct filing *x = data;
    if (committed)
        last_note(&x->core->drill, x->at, x->good);
}

static enum err drill_judge(struct batch *b, const struct caller *c, const struct msg_drill_add *m, struct decision *d, struct measure *known,
                            struct fault *f)
{
    struct device dev;
    enum err e = device_get(b, m->device, &dev, f);
    e = e ? e : authz_line(c, dev.line, f);
    e = e ? e : decision_named(b, m->device, m->decided, d, f);
    if (!e && b->now_ms - d->at > DRILL_AGE_MS)
        e = fault_set(f, CE_BAD_FIELD, "the decision is older than an hour: a drill is filed when it is done");
    e = e ? e : measure_device(b, m->device, d, known, f);
    e = e ? e : measure_hosts(b, d, known, f);
    return e ? e : claim_check(m, known, f);
}

enum err drill_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_drill_add *m = msg;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct measure known = { 0 };
    struct decision d;
    enum err e = drill_judge(b, c, m, &d, &known, f);
    if (e)
        return e;
    bool good = passed(m, &known);
    struct json_out *j = event_begin(b, EVENT_DRILL, m->device, 0), o = JSON_OUT(&body);
    json_cstr(j, "how", device_state_name(d.to));
    json_str(j, "by", c->name);
    drill_json(j, m, &known, good ? "passed" : "failed");
    event_end(b);
    struct filing *x = arena_alloc(b->arena, sizeof *x);
    *x = (struct filing){ b->core, b->now_ms, good };
    batch_then(b, filing_done, x);
    json_obj(&o, NULL);
    json_str(&o, "device", m->device);
    json_cstr(&o, "how", device_state_name(d.to));
    drill_json(&o, m, &known, good ? "passed" : "failed");
    json_obj_end(&o);
    out->http = 201;
    out->body_kind = BODY_JSON;
    out->body = arena_copy(b->arena, buf_span(&body));
    return CE_OK;
}

enum err drill_load(struct db *db, struct drill_last *out, struct fault *f)
{
    struct db_rows r;
    struct event_row ev;
    *out = (struct drill_last){ 0 };
    event_drills(db, DRILL_LOAD, &r);
    while (!out->passed_at && db_next(&r)) {
        event_read(&r, &ev);
        last_note(out, ev.at, payload_names(&ev, "result", "passed"));
    }
    return db_rows_end(&r, f);
}
