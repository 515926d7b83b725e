/* query_cut.c: reports for incidents: every session that was closed, with the decision that it answers to; sessions that should have been
 * closed and are open, as far as is known; and drills.
 */
#include <stdio.h>

#include "role/query_priv.h"

#define SETTLE_MS 2000 /* a cut that a broker makes is known here long before */
#define DECISIONS 16   /* events of one device that are looked at for the one that decided */
#define CHUNK 500      /* devices of one statement, of up to QUERY_SCAN of a page */

static enum err since_read(struct query_job *job, int64_t *since, struct fault *f)
{
    *since = 0;
    if (job->m->since.n && clock_parse_ms(job->m->since, since))
        return fault_set(f, CE_BAD_FIELD, "query parameter 'since' must be an RFC 3339 time in UTC, such as 2026-11-20T22:57:00Z");
    return CE_OK;
}

static struct span number(struct query_job *job, int64_t v) { return span_str(arena_printf(&job->arena, "%lld", (long long)v)); }

static struct span place_put(struct query_job *job, const struct event_place *p)
{
    const struct span parts[3] = { number(job, p->at), number(job, p->slot), number(job, p->nseq) };
    return cursor_put(job, parts, 3);
}

/* *p stays as it is on the first page. */
static enum err place_get(struct query_job *job, struct event_place *p, struct fault *f)
{
    struct span parts[3];
    bool there;
    struct event_place at;
    enum err e = cursor_get(job, parts, 3, &there, f);
    if (e || !there)
        return e;
    if (!span_to_i64(parts[0], &at.at) || !span_to_i64(parts[1], &at.slot) || !span_to_i64(parts[2], &at.nseq))
        return fault_set(f, CE_BAD_CURSOR, "'after' is not a cursor of this list; begin again without it");
    *p = at;
    return CE_OK;
}

/* A text field of an event's payload, as it is written there: for names and numbers, which need no escapes. Without a JSON reader, because a
 * page may look at thousands of rows: the payload is our own compact JSON, in which a bare quote ends or begins a text. Empty: not there. */
static struct span payload_text(const struct event_item *ev, const char *key)
{
    char mark[32];
    int n = snprintf(mark, sizeof mark, "\"%s\":\"", key);
    const uint8_t *at = ev->payload.n ? memmem(ev->payload.p, ev->payload.n, mark, (size_t)n) : NULL;
    if (!at || at == ev->payload.p || (at[-1] != ',' && at[-1] != '{'))
        return (struct span){ 0 };
    at += n;
    const uint8_t *end = memchr(at, '"', (size_t)(ev->payload.p + ev->payload.n - at));
    return span_of(at, end ? (size_t)(end - at) : 0);
}

/* -- what was cut -------------------------------------------------------------------------------------------------------------- */
static enum err put_decision(struct query_job *job, struct json_out *j, struct span decided, int64_t cut_at, struct fault *f)
{
    struct db_rows r;
    struct event_item ev;
    struct span slot_text;
    int64_t slot, nseq;
    bool there = false;
    if (!span_cut(&decided, ':', &slot_text) || !span_to_i64(slot_text, &slot) || !span_to_i64(decided, &nseq)) {
        json_none(j, "decision");
        json_none(j, "total_ms");
        return CE_OK;
    }
    query_budget(job->q);
    query_event(job->q->db, slot, nseq, &r);
    if ((there = db_next(&r))) {
        query_event_item(&r, &ev);
        json_obj(j, "decision");
        put_event_head(j, &ev);
        put_event_payload(j, &ev);
        json_obj_end(j);
        json_int(j, "total_ms", cut_at > ev.at ? cut_at - ev.at : 0);
    }
    if (!there) {
        json_none(j, "decision");
        json_none(j, "total_ms");
    }
    return db_rows_end(&r, f);
}

static enum err put_cut(struct query_job *job, struct query_page *p, const struct event_item *ev, struct fault *f)
{
    json_obj(&p->j, NULL);
    put_event_head(&p->j, ev);
    json_str(&p->j, "line", ev->line);
    put_event_payload(&p->j, ev);
    enum err e = put_decision(job, &p->j, payload_text(ev, "decided"), ev->at, f);
    json_obj_end(&p->j);
    p->n++;
    return e;
}

enum err query_do_cuts(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct db_rows r;
    struct event_item ev;
    struct event_place at = { 0 };
    int64_t rows = 0, since;
    enum err e = since_read(job, &since, f);
    at.at = since ? since - 1 : 0;
    at.slot = at.nseq = INT64_MAX;
    e = e ? e : place_get(job, &at, f);
    if (e)
        return e;
    page_begin(job, &p);
    query_budget(job->q);
    query_cuts(job->q->db, job->m->key, &at, QUERY_SCAN, &r);
    while (!e && p.n < job->limit && db_next(&r)) {
        rows++;
        query_event_item(&r, &ev);
        at = (struct event_place){ ev.at, ev.slot, ev.nseq };
        if (in_scope(job, ev.line) && (!job->m->edge.n || span_eq(payload_text(&ev, "edge"), job->m->edge)))
            e = put_cut(job, &p, &ev, f);
    }
    enum err end = db_rows_end(&r, f);
    bool more = p.n == job->limit || rows == QUERY_SCAN;
    struct span next = more ? place_put(job, &at) : (struct span){ 0 };
    page_end(job, &p, more ? &next : NULL);
    return e ? e : end;
}

/* -- what should have been ------------------------------------------------------------------------------------------------------- */
/* In this order; a quarantined device may come in again, so only a session from before counts. */
static const struct blocked { const char *state; bool may_return; } blocked[] = {
    { "revoked", false }, { "suspended", false }, { "decommissioned", false }, { "quarantined", true },
};

static bool vector_reaches(struct span vector, int64_t slot, int64_t nseq)
{
    struct span one, slot_text;
    int64_t s, n;
    while (span_cut(&vector, ',', &one))
        if (span_cut(&one, ':', &slot_text) && span_to_i64(slot_text, &s) && s == slot && span_to_i64(one, &n))
            return n >= nseq;
    return false;
}

/* The change of state that it is in, unless its host has closed a session since. */
static enum err put_uncut(struct query_job *job, struct query_page *p, const struct online_item *o, const char *state, struct fault *f)
{
    struct db_rows r;
    struct event_item ev;
    bool cut = false, decided = false;
    query_budget(job->q);
    query_decisions(job->q->db, o->uid, DECISIONS, &r);
    while (!decided && db_next(&r)) {
        query_event_item(&r, &ev);
        decided = span_eq_str(ev.kind, "device-state");
        cut |= !decided && span_eq(payload_text(&ev, "edge"), o->host);
    }
    if (decided && !cut && clock_now_ms() - ev.at >= SETTLE_MS) {
        json_obj(&p->j, NULL);
        json_str(&p->j, "device", o->uid);
        json_str(&p->j, "line", o->line);
        json_cstr(&p->j, "state", state);
        json_str(&p->j, "edge", o->host);
        json_str(&p->j, "addr", o->addr);
        put_time_ms(&p->j, "online_since", o->since);
        json_bool(&p->j, "acked", vector_reaches(o->vector, ev.slot, ev.nseq));
        json_obj(&p->j, "decision");
        put_event_head(&p->j, &ev);
        put_event_payload(&p->j, &ev);
        json_obj_end(&p->j);
        json_obj_end(&p->j);
        p->n++;
    }
    return db_rows_end(&r, f);
}

struct uncut { /* where a page stands */
    size_t state;
    struct span from; /* UID */
    int64_t since, rows;
    bool full;
};

static bool wanted(const struct query_job *job, const struct uncut *u, const struct online_item *o)
{
    return o->host.n && pass(job->m->edge, o->host) && in_scope(job, o->line) && o->changed_at >= u->since &&
           !(blocked[u->state].may_return && o->since > o->changed_at);
}

/* Some devices of the state where the page stands; *end: it has no more. */
static enum err uncut_some(struct query_job *job, struct query_page *p, struct uncut *u, bool *end, struct fault *f)
{
    struct db_rows r;
    struct online_item o;
    enum err e = CE_OK;
    int64_t rows = 0, most = job->m->key.n ? 1 : CHUNK;
    query_budget(job->q);
    query_online(job->q->db, blocked[u->state].state, u->from, most, &r);
    while (!e && !u->full && db_next(&r)) {
        rows++;
        query_online_item(&r, &o);
        u->from = text_after(&job->arena, o.uid);
        if (pass(job->m->key, o.uid) && wanted(job, u, &o))
            e = put_uncut(job, p, &o, blocked[u->state].state, f);
        u->full = p->n == job->limit;
    }
    u->rows += rows;
    *end = !u->full && (job->m->key.n || rows < most);
    enum err late = db_rows_end(&r, f);
    return e ? e : late;
}

enum err query_do_uncut(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct uncut u = { .from = job->m->key };
    struct span parts[2];
    bool there;
    int64_t state = 0;
    enum err e = since_read(job, &u.since, f);
    e = e ? e : cursor_get(job, parts, 2, &there, f);
    if (e)
        return e;
    if (there && (!span_to_i64(parts[0], &state) || state < 0 || state >= (int64_t)ARRAY_LEN(blocked)))
        return fault_set(f, CE_BAD_CURSOR, "'after' is not a cursor of this list; begin again without it");
    u.state = (size_t)state;
    u.from = there ? parts[1] : u.from;
    page_begin(job, &p);
    while (!e && !u.full && u.state < ARRAY_LEN(blocked)) {
        bool end = false;
        e = uncut_some(job, &p, &u, &end, f);
        if (end) {
            u.state++;
            u.from = job->m->key;
        }
        u.full |= u.rows >= QUERY_SCAN && u.state < ARRAY_LEN(blocked);
    }
    if (e)
        return e;
    const struct span at[2] = { number(job, (int64_t)u.state), u.from };
    struct span next = u.full ? cursor_put(job, at, 2) : (struct span){ 0 };
    page_end(job, &p, u.full ? &next : NULL);
    return CE_OK;
}

/* -- drills -------------------------------------------------------------------------------------------------------------------------- */
enum err query_do_drills(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct db_rows r;
    struct event_item ev;
    struct event_place at = { INT64_MAX, INT64_MAX, INT64_MAX };
    int64_t rows = 0;
    enum err e = place_get(job, &at, f);
    if (e)
        return e;
    page_begin(job, &p);
    query_budget(job->q);
    query_drills(job->q->db, &at, QUERY_SCAN, &r);
    while (p.n < job->limit && db_next(&r)) {
        rows++;
        query_event_item(&r, &ev);
        at = (struct event_place){ ev.at, ev.slot, ev.nseq };
        if (!pass(job->m->key, ev.device) || !in_scope(job, ev.line))
            continue;
        json_obj(&p.j, NULL);
        put_event_head(&p.j, &ev);
        put_event_payload(&p.j, &ev);
        json_obj_end(&p.j);
        p.n++;
    }
    bool more = p.n == job->limit || rows == QUERY_SCAN;
    struct span next = more ? place_put(job, &at) : (struct span){ 0 };
    page_end(job, &p, more ? &next : NULL);
    return db_rows_end(&r, f);
}
